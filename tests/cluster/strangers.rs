//! Who is no member gets nowhere, and says so.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use super::quarters::{Quarters, make, member, status, until};
use crate::stage::rookery;

#[test]
fn strangers_are_refused_and_the_cluster_does_not_notice() {
    let quarters = Quarters::of(2, 1);
    let first = quarters.start(1, "").join().unwrap();
    let before = status(&first);

    // The name of a member, certified by somebody else's authority.
    let elsewhere = Quarters::of(2, 1);
    for name in ["cluster-ca.crt", "m2.crt", "m2.key"] {
        let (from, to) = (elsewhere.certificates.join(name), quarters.certificates.join(name));
        std::fs::copy(from, to).unwrap();
    }
    let dir = std::env::temp_dir().join(format!("rookery-stranger-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let base = include_str!("../stage/stage.toml");
    std::fs::write(dir.join("rookery.toml"), format!("{base}\n{}", quarters.config(2, "")))
        .unwrap();
    let mut stranger = rookery(&dir).arg("serve").spawn().unwrap();
    let refused =
        || first.log.lock().unwrap().contains("refused a connection to the members' port");
    until("the refusal", refused);
    stranger.kill().unwrap();
    stranger.wait().unwrap();
    drop(std::fs::remove_dir_all(&dir));

    // Plain HTTP/2, and junk.
    for bytes in [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &[0; 4096]] {
        let mut socket = TcpStream::connect(quarters.addresses[0]).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        // The other end may have hung up already.
        drop(socket.write_all(bytes));
        let mut answer = Vec::new();
        drop(socket.read_to_end(&mut answer));
        assert!(answer.len() <= 7, "at most an alert: {answer:?}");
    }
    let after = status(&first);
    assert_eq!((after.members.len(), after.last), (1, before.last));
    until("its lease", || status(&first).lease);
}

#[test]
fn certificates_are_exchanged_without_a_restart() {
    let quarters = Quarters::of(2, 1);
    let first = quarters.start(1, "").join().unwrap();
    let dir = &quarters.certificates;
    for name in ["cluster-ca.crt", "cluster-ca.key", "m1.crt", "m1.key", "m2.crt", "m2.key"] {
        std::fs::remove_file(dir.join(name)).unwrap();
    }
    make(dir, &["cluster-ca"]);
    make(dir, &["cluster-member", "m1"]);
    make(dir, &["cluster-member", "m2"]);
    first.signal("HUP");
    first.await_log("certificates were read again");
    let second = quarters.start(2, "").join().unwrap();
    assert_eq!(status(&second).cluster, status(&first).cluster);
    until("its share", || member(&first, "m2").shards > 2000);
}

#[test]
fn two_homes_with_stores_of_their_own_are_refused_before_they_start() {
    let quarters = Quarters::of(1, 3);
    let dir = std::env::temp_dir().join(format!("rookery-homes-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let text = format!("{}\n[store]\nengine = 'embedded'\n", quarters.config(1, ""));
    std::fs::write(dir.join("rookery.toml"), text).unwrap();
    let refused = rookery(&dir).arg("serve").output().unwrap();
    let error = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && error.contains("need a store that they share"), "{error}");
    drop(std::fs::remove_dir_all(&dir));
}
