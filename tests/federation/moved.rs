//! A server that says where the domain is instead (RFC 6120 §4.9.3.19).

use std::net::TcpListener;

use super::land::{Authority, Client, add, condition, free, hears, log_in, settings};
use super::peer::{Opening, certified, take_with};
use crate::stage::Stage;

/// Two places where a server may be, and where they are.
fn places() -> ([TcpListener; 2], [String; 2]) {
    let places = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let ends = [&places[0], &places[1]].map(|it| it.local_addr().unwrap().to_string());
    (places, ends)
}

/// Romeo has said something to a domain that an operator says is there.
fn begin(authority: &Authority, there: &TcpListener, private: bool) -> (Stage, Client) {
    let files = authority.certify(&["a.example"]);
    let route = ("b.example", there.local_addr().unwrap());
    let settings = settings(("a.example", Some(&files)), free(), route, &authority.file());
    let private = format!("[s2s]\nallow_private = {private}\n");
    let stage = Stage::start(&settings.replace("[s2s]\n", &private));
    add(&stage, "romeo@a.example");
    let mut romeo = log_in(&stage, "romeo@a.example");
    romeo.send("<message to='juliet@b.example' id='m'><body>found</body></message>");
    (stage, romeo)
}

#[test]
fn it_is_followed_and_must_prove_itself_there() {
    let authority = Authority::new();
    let ([old, new], [_, end]) = places();
    let (stage, _romeo) = begin(&authority, &old, true);
    Opening::of(&old).moves_to(&end);
    let mut peer = take_with(&new, &certified(&authority, &["b.example"]), "");
    assert_eq!(peer.stanza().child("body", "").unwrap().text(), "found");
    drop(stage);
}

#[test]
fn it_is_not_followed_in_circles_for_ever() {
    let authority = Authority::new();
    let ([old, new], ends) = places();
    let (stage, _romeo) = begin(&authority, &old, true);
    for (at, to) in [(&old, 1), (&new, 0), (&old, 1), (&new, 0)] {
        Opening::of(at).moves_to(&ends[to]);
    }
    stage.await_log("and that leads no further");
}

#[test]
fn it_leads_nobody_to_machines_inside() {
    let authority = Authority::new();
    let ([old, inside], [_, end]) = places();
    let (_stage, mut romeo) = begin(&authority, &old, false);
    Opening::of(&old).moves_to(&end);
    let error = hears(&mut romeo, |it| it.attr("id") == Some("m"));
    assert_eq!(condition(&error).as_deref(), Some("remote-server-not-found"));
    inside.set_nonblocking(true).unwrap();
    assert!(inside.accept().is_err(), "nobody has connected");
}
