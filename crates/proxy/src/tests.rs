//! Two clients and the gate, over loopback.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use actix_rt::System;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use xmpp::BareJid;

use super::*;
use crate::hub::Refusal;
use crate::socks::Address;

fn romeo() -> BareJid {
    BareJid::parse("romeo@x.org").unwrap()
}

fn gate(config: Config) -> (Gate, std::sync::Arc<Hub>, SocketAddr) {
    let bound = gate::bind(&[SocketAddr::from((Ipv4Addr::LOCALHOST, 0))]).unwrap();
    let address = bound.addresses()[0];
    let hub = Hub::new(config);
    (Gate::start(bound, &hub), hub, address)
}

/// A client that has named its bytestream; what it was answered.
async fn client(at: SocketAddr, address: Address) -> (TcpStream, u8) {
    let mut tcp = TcpStream::connect(at).await.unwrap();
    tcp.write_all(&[5, 1, 0]).await.unwrap();
    let mut chosen = [0; 2];
    tcp.read_exact(&mut chosen).await.unwrap();
    assert_eq!(chosen, [5, 0]);
    let mut request = address.granted();
    request[1] = 1;
    tcp.write_all(&request).await.unwrap();
    let mut reply = [0; 47];
    tcp.read_exact(&mut reply).await.unwrap();
    (tcp, reply[1])
}

/// The other end has hung up.
async fn is_closed(tcp: &mut TcpStream) -> bool {
    matches!(tcp.read(&mut [0; 1]).await, Ok(0) | Err(_))
}

fn run(test: impl Future<Output = ()>) {
    System::new().block_on(async {
        tokio::time::timeout(Duration::from_secs(60), test).await.unwrap();
    });
}

#[test]
fn bytes_are_carried_both_ways_from_the_beginning_on() {
    run(async {
        let (gate, hub, at) = gate(Config::default());
        let address = Address::of("sid", "romeo@x.org/r", "juliet@y.org/j");
        assert_eq!(hub.begin(address, &romeo()), Err(Refusal::Unknown));
        let (mut juliet, granted) = client(at, address).await;
        assert_eq!(granted, 0);
        assert_eq!(hub.begin(address, &romeo()), Err(Refusal::Alone));
        let (mut romeo_s, granted) = client(at, address).await;
        assert_eq!(granted, 0);
        // No third may come, and none may begin it twice.
        let (mut third, granted) = client(at, address).await;
        assert_eq!(granted, 2);
        assert!(is_closed(&mut third).await);
        hub.begin(address, &romeo()).unwrap();
        assert_eq!(hub.begin(address, &romeo()), Err(Refusal::Unknown));
        let letter = vec![b'x'; 300_000];
        let (sent, got) = tokio::join!(
            async {
                romeo_s.write_all(&letter).await.unwrap();
                romeo_s.shutdown().await.unwrap();
                let mut thanks = Vec::new();
                romeo_s.read_to_end(&mut thanks).await.unwrap();
                thanks
            },
            async {
                let mut got = Vec::new();
                juliet.read_to_end(&mut got).await.unwrap();
                juliet.write_all(b"thanks").await.unwrap();
                juliet.shutdown().await.unwrap();
                got
            }
        );
        assert_eq!((sent.as_slice(), got.len()), (&b"thanks"[..], letter.len()));
        assert_eq!(hub.figures.bytes.get(), 300_006);
        while hub.figures.connections.get() > 0 {
            tokio::task::yield_now().await;
        }
        gate.stop();
    });
}

#[test]
fn an_account_has_so_many_bytestreams_and_no_more() {
    run(async {
        let (gate, hub, at) = gate(Config { streams_per_account: 1, ..Config::default() });
        let of = |sid: &str| Address::of(sid, "romeo@x.org/r", "juliet@y.org/j");
        let (first, _) = client(at, of("1")).await;
        let (other, _) = client(at, of("1")).await;
        hub.begin(of("1"), &romeo()).unwrap();
        let _second = (client(at, of("2")).await, client(at, of("2")).await);
        assert_eq!(hub.begin(of("2"), &romeo()), Err(Refusal::TooMany));
        drop((first, other));
        while hub.begin(of("2"), &romeo()) == Err(Refusal::TooMany) {
            tokio::task::yield_now().await;
        }
        gate.stop();
    });
}

#[test]
fn who_leaves_before_the_beginning_ends_it_for_both() {
    run(async {
        let (gate, hub, at) = gate(Config::default());
        let address = Address::of("sid", "a@x.org/r", "b@y.org/j");
        let (first, _) = client(at, address).await;
        let (mut other, _) = client(at, address).await;
        drop(first);
        assert!(is_closed(&mut other).await);
        assert_eq!(hub.begin(address, &romeo()), Err(Refusal::Unknown));
        gate.stop();
    });
}

#[test]
fn whoever_waits_too_long_or_comes_too_often_is_let_go() {
    run(async {
        let config = Config { begin_seconds: 1, waiting_per_address: 2, ..Config::default() };
        let (gate, hub, at) = gate(config);
        let (mut one, _) = client(at, Address::of("1", "a", "b")).await;
        let (_two, _) = client(at, Address::of("2", "a", "b")).await;
        let mut third = TcpStream::connect(at).await.unwrap();
        assert!(is_closed(&mut third).await);
        assert!(is_closed(&mut one).await);
        assert_eq!(hub.figures.refused.of("address").get(), 1);
        assert!(hub.figures.refused.of("late").get() >= 1);
        gate.stop();
    });
}

#[test]
fn no_two_extensions_answer_the_same_request() {
    assert_eq!(EXTENSIONS.conflicts(), []);
}
