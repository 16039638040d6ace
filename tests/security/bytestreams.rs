//! Attacks on the proxy for bytestreams: an open relay, floods of connections, junk, and clients that never begin.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::bystander::Bystander;
use super::wire::PATIENCE;
use crate::redis::log_in;
use crate::stage::{Stage, free};
use crate::xep::bytestreams::{ask, streamhost};

fn stage() -> (Stage, SocketAddr) {
    let proxy = free();
    let stage = Stage::start(&format!(
        "[limits]\nenabled = true\n[proxy]\nlisten = ['{proxy}']\nbegin_seconds = 2\n"
    ));
    (stage, proxy)
}

fn connect(proxy: SocketAddr) -> TcpStream {
    let socket = TcpStream::connect(proxy).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

/// What comes until the proxy hangs up, which it must do.
fn rest(mut socket: TcpStream) -> Vec<u8> {
    let mut heard = Vec::new();
    // A reset is as good as an end.
    drop(socket.read_to_end(&mut heard));
    heard
}

// CVE-2021-32917 was an open relay.
#[test]
fn nothing_but_a_bytestream_of_this_server_is_carried() {
    let (stage, proxy) = stage();
    let bystander = Bystander::beside(&stage);
    let long = [&[5, 255][..], &[1; 255]].concat();
    let elsewhere = [&[5, 1, 0, 5, 1, 0, 3, 9][..], b"localhost", &[0, 80]].concat();
    for junk in [
        &b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..],
        b"CONNECT localhost:80 HTTP/1.1\r\n\r\n",
        &[4, 1, 0, 80, 127, 0, 0, 1, 0],
        &[5, 0],
        &[5, 1, 2],
        &[5, 1, 0, 5, 1, 0, 1, 127, 0, 0, 1, 0, 80],
        &[5, 1, 0, 5, 3, 0, 1, 127, 0, 0, 1, 0, 80],
        &elsewhere,
        &long,
    ] {
        let mut socket = connect(proxy);
        socket.write_all(junk).unwrap();
        let heard = rest(socket);
        assert!(heard.len() < 20 && !heard.starts_with(b"HTTP"), "{junk:?}: {heard:?}");
        assert!(!heard.windows(2).skip(2).any(|it| it == [5, 0]), "{junk:?}: {heard:?}");
    }
    stage.add_accounts(&["tybalt"]);
    let mut tybalt = log_in(&stage, "tybalt");
    assert_eq!(streamhost(&mut tybalt), proxy);
    let answer = ask(&mut tybalt, "set", "<activate>juliet@localhost/x</activate>");
    assert_eq!(answer.attr("type"), Some("error"), "nobody has come");
    bystander.was_not_hurt("junk at the proxy");
}

#[test]
fn a_flood_of_connections_is_let_go_and_hurts_nobody() {
    let (stage, proxy) = stage();
    let bystander = Bystander::beside(&stage);
    let begun = Instant::now();
    let silent: Vec<TcpStream> = (0..300).map(|_| connect(proxy)).collect();
    // All but those that one address may have at a time are gone at once, the others when they have said nothing for long.
    for socket in silent {
        assert!(rest(socket).is_empty());
    }
    assert!(begun.elapsed() < Duration::from_secs(30));
    bystander.was_not_hurt("300 silent connections at the proxy");
}
