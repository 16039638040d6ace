//! The ways to a server, and which servers are refused.

use std::fs;
use std::process::Command;

use super::*;

#[test]
fn a_level_that_the_server_cannot_promise_is_refused_with_what_to_do() {
    if !is_there() {
        return;
    }
    let plain = Server::start("");
    let told = |durability| {
        let config = Config { durability, ..Config::new(&plain.url()) };
        refusal(&config)
    };
    assert!(told(Durability::Replica).contains("has none; connect one, or set store.durability"));
    assert!(told(Durability::Fsync).contains("appendonly yes"));
    plain.cli(&["CONFIG", "SET", "appendonly", "yes"]);
    let everysec = told(Durability::Fsync);
    assert!(everysec.contains("appendfsync always"), "{everysec}");
    plain.cli(&["CONFIG", "SET", "appendfsync", "always"]);
    put(&open(&plain.url(), Durability::Fsync), 1, 1).expect("is kept");
    let evicts = Server::start("--maxmemory 50mb --maxmemory-policy allkeys-lru");
    let config = Config { durability: Durability::Async, ..Config::new(&evicts.url()) };
    assert!(refusal(&config).contains("set noeviction"));
}

#[test]
fn a_replica_is_not_written_to() {
    if !is_there() {
        return;
    }
    let primary = Server::start("");
    let replica = Server::start(&format!("--replicaof 127.0.0.1 {}", primary.port));
    let config = Config { durability: Durability::Async, ..Config::new(&replica.url()) };
    assert!(refusal(&config).contains("no primary"));
}

#[test]
fn a_password_and_a_socket_are_used() {
    let Some(server) = Server::there("--requirepass pencil") else { return };
    let at = |url: &str| Config { durability: Durability::Async, ..Config::new(url) };
    let none = refusal(&at(&server.url()));
    assert!(none.contains("NOAUTH") || none.contains("uthentication"), "{none}");
    let wrong = Config { password: Some("pen".to_owned()), ..at(&server.url()) };
    let told = refusal(&wrong);
    assert!(!told.contains("pencil") && !told.is_empty());
    let right = Config { password: Some("pencil".to_owned()), ..at(&server.url()) };
    put(&Redis::open(&right).expect("opens"), 1, 1).expect("is kept");
    let url = format!("redis://:pencil@127.0.0.1:{}", server.port);
    assert_eq!(numbers(&Redis::open(&at(&url)).expect("opens"), 1), [1]);
    let socket = format!("unix://{}?pass=pencil", server.dir.join("socket").display());
    assert_eq!(numbers(&Redis::open(&at(&socket)).expect("opens"), 1), [1]);
}

#[test]
fn tls_is_spoken_to_who_shows_a_certificate_of_the_authority_alone() {
    if !is_there() {
        return;
    }
    let dir = std::env::temp_dir().join(format!("rookery-redis-tls-{}", std::process::id()));
    fs::create_dir_all(&dir).expect("a directory");
    let [key, certificate] = ["key.pem", "cert.pem"].map(|name| dir.join(name));
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
        ])
        .args(["-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .arg("-keyout")
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .output();
    if !made.is_ok_and(|made| made.status.success()) {
        super::super::fixture::skipped("openssl cannot make a certificate");
        return;
    }
    let server = Server::start(&format!(
        "--tls-port {} --tls-cert-file {} --tls-key-file {} --tls-auth-clients no",
        super::super::fixture::free_port(),
        certificate.display(),
        key.display()
    ));
    let port = server.cli(&["CONFIG", "GET", "tls-port"]);
    let url = format!("rediss://127.0.0.1:{}", port.lines().last().unwrap_or_default());
    let config = Config { durability: Durability::Async, ..Config::new(&url) };
    // The system does not know this authority.
    refusal(&config);
    let ca = Some(fs::read(&certificate).expect("was made"));
    let store = Redis::open(&Config { ca, ..config }).expect("opens");
    put(&store, 1, 1).expect("is kept");
    drop(fs::remove_dir_all(&dir));
}
