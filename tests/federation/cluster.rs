//! A cluster as one of two servers: one member speaks with the other server for all, and another one when it is gone.

use std::net::SocketAddr;

use town::Login;

use super::land::{Authority, Client, add, free, hears, hears_body, log_in, settings};
use crate::stage::crew::Crew;
use crate::stage::{PASSWORD, Stage};

/// A client of a member.
fn client(address: SocketAddr, name: &str) -> Client {
    let login = Login { address, domain: "localhost", name, password: PASSWORD };
    let mut client = Client::log_in(&login);
    client.bind("here");
    client.send("<presence/>");
    hears(&mut client, |it| it.name() == "presence");
    client
}

#[test]
fn one_member_speaks_with_another_server_and_another_one_takes_that_over() {
    let authority = Authority::new();
    let b = free();
    let files = authority.certify(&["localhost"]);
    let own = ("localhost", Some(&files));
    let of_crew =
        settings(own, "127.0.0.1:0".parse().unwrap(), ("b.example", b), &authority.file());
    let crew = Crew::start_with(3, &of_crew);
    let gateway = crew.gateway("b.example");
    // Somebody whose home and socket are on members that stay.
    let stays = (gateway + 1) % 3;
    let names = (0..64).map(|number| format!("romeo{number}"));
    let name = names.into_iter().find(|name| crew.home(name) == stays).unwrap();
    crew.add_accounts(std::slice::from_ref(&name));

    let files = authority.certify(&["b.example"]);
    let own = ("b.example", Some(&files));
    let stage = Stage::start(&settings(own, b, ("localhost", crew.s2s[stays]), &authority.file()));
    add(&stage, "juliet@b.example");
    let mut juliet = log_in(&stage, "juliet@b.example");
    let mut romeo = client(crew.c2s[stays], &name);

    let say = |text: &str| {
        format!("<message to='juliet@b.example' type='chat'><body>{text}</body></message>")
    };
    romeo.send(say("through the gateway"));
    let heard = hears_body(&mut juliet, "through the gateway");
    let from = format!("{name}@localhost/here");
    assert_eq!(heard.attr("from"), Some(from.as_str()));
    juliet.send(format!("<message to='{from}' type='chat'><body>back</body></message>"));
    hears_body(&mut romeo, "back");

    crew.kill(gateway);
    assert_ne!(crew.gateway("b.example"), gateway);
    for text in ["after its death", "and once more"] {
        romeo.send(say(text));
        hears_body(&mut juliet, text);
    }
    juliet.send(format!("<message to='{from}' type='chat'><body>still here</body></message>"));
    hears_body(&mut romeo, "still here");
}
