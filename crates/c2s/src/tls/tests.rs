//! Tests of certificates and handshakes, without sockets.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use rcgen::{
    CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519,
};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ClientConnection, SupportedProtocolVersion};
use rustls_pki_types::ServerName;
use sha2::{Digest as _, Sha256, Sha384};
use town::tls::AnyCertificate;

use super::*;
use crate::tests::stage::own_dir;

fn domain(name: &str) -> Domain {
    Domain { name: name.to_owned(), files: None }
}

/// A certificate of a name by a kind of key, in files.
fn files(dir: &Path, name: &str, algorithm: &'static rcgen::SignatureAlgorithm) -> Files {
    let key = KeyPair::generate_for(algorithm).unwrap();
    let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    let (certificate, key_file) =
        (dir.join(format!("{name}.crt")), dir.join(format!("{name}.key")));
    fs::write(&certificate, params.self_signed(&key).unwrap().pem()).unwrap();
    fs::write(&key_file, key.serialize_pem()).unwrap();
    Files { certificate, key: key_file }
}

/// A client with its handshake done, and the server's end.
fn handshake(
    mut server: TlsConnection,
    name: Option<&str>,
    versions: &[&'static SupportedProtocolVersion],
) -> (ClientConnection, TlsConnection) {
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(versions)
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate))
        .with_no_client_auth();
    config.enable_sni = name.is_some();
    let name = ServerName::try_from(name.unwrap_or("nobody.example").to_owned()).unwrap();
    let mut client = ClientConnection::new(Arc::new(config), name).unwrap();
    while client.is_handshaking() || server.is_handshaking() {
        let (mut there, mut back, mut plain) = (Vec::new(), Vec::new(), Vec::new());
        while client.wants_write() {
            client.write_tls(&mut there).unwrap();
        }
        server.read(&there, &mut plain).unwrap();
        server.take_output(&mut back).unwrap();
        let mut back = &back[..];
        while !back.is_empty() {
            client.read_tls(&mut back).unwrap();
            client.process_new_packets().unwrap();
        }
    }
    (client, server)
}

fn leaf(client: &ClientConnection) -> Vec<u8> {
    client.peer_certificates().unwrap()[0].to_vec()
}

#[test]
fn a_self_signed_certificate_is_made_once_and_is_for_its_owner_alone() {
    let dir = own_dir();
    let own = dir.join("certificates");
    Tls::load(vec![domain("a.example")], own.clone()).unwrap();
    let file = own.join("a.example.self-signed.pem");
    let before = fs::read(&file).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&file), mode(&own)), (0o600, 0o700));
    Tls::load(vec![domain("a.example")], own).unwrap();
    assert_eq!(fs::read(&file).unwrap(), before);
    fs::remove_dir_all(dir).unwrap();
}

#[test]
fn any_domain_can_have_one() {
    let dir = own_dir();
    for name in ["münchen.example", "192.0.2.1", "[2001:db8::1]", "localhost"] {
        Tls::load(vec![domain(name)], dir.clone()).unwrap();
    }
    fs::remove_dir_all(dir).unwrap();
}

// RFC 6120 §13.7.2, RFC 6066 §3
#[test]
fn the_certificate_is_that_of_the_domain_that_the_client_names() {
    let dir = own_dir();
    let (a, b) = ("a.example", "b.example");
    let tls = Tls::load(vec![domain(a), domain(b)], dir.clone()).unwrap();
    let direct = || TlsConnection::direct(tls.current()).unwrap();
    let upgraded = || TlsConnection::upgraded(tls.current(), b).unwrap();
    let shown = |tls, name| leaf(&handshake(tls, name, &[&TLS13]).0);
    let (of_a, of_b) = (shown(direct(), Some(a)), shown(direct(), Some(b)));
    assert_ne!(of_a, of_b);
    // Without a name the first domain is meant, or the one that the stream is for.
    assert_eq!(shown(direct(), None), of_a);
    assert_eq!(shown(upgraded(), None), of_b);
    assert_eq!(shown(upgraded(), Some(a)), of_a);
    assert_eq!(shown(direct(), Some("c.example")), of_a);
    fs::remove_dir_all(dir).unwrap();
}

// RFC 9266 §3, §4.2; RFC 5929 §4
#[test]
fn bindings_are_those_that_both_ends_can_know() {
    let dir = own_dir();
    let tls = Tls::load(vec![domain("a.example")], dir.clone()).unwrap();
    for (version, names) in [
        (&TLS13, &["tls-exporter", "tls-server-end-point"][..]),
        (&TLS12, &["tls-server-end-point"]),
    ] {
        let direct = TlsConnection::direct(tls.current()).unwrap();
        let (client, mut server) = handshake(direct, Some("a.example"), &[version]);
        let bindings = server.take_bindings();
        assert_eq!(bindings.iter().map(|binding| binding.name()).collect::<Vec<_>>(), names);
        let last = bindings.last().unwrap();
        assert_eq!(last.data(), &Sha256::digest(leaf(&client))[..]);
    }
    fs::remove_dir_all(dir).unwrap();
}

#[test]
fn the_end_point_is_hashed_as_the_certificate_is_signed() {
    let dir = own_dir();
    let end_point = |algorithm| {
        let files = files(&dir, "a.example", algorithm);
        let tls = Tls::load(
            vec![Domain { name: "a.example".to_owned(), files: Some(files) }],
            dir.clone(),
        );
        let current = tls.unwrap().current();
        let shown = current.shown(None, None);
        (shown.key.cert[0].to_vec(), shown.end_point.clone())
    };
    let (certificate, hash) = end_point(&PKCS_ECDSA_P256_SHA256);
    assert_eq!(hash.as_deref(), Some(&Sha256::digest(certificate)[..]));
    let (certificate, hash) = end_point(&PKCS_ECDSA_P384_SHA384);
    assert_eq!(hash.as_deref(), Some(&Sha384::digest(certificate)[..]));
    let (_, hash) = end_point(&PKCS_ED25519);
    assert_eq!(hash, None, "RFC 5929 defines none");
    fs::remove_dir_all(dir).unwrap();
}

#[test]
fn what_is_wrong_with_a_file_is_said_with_its_name() {
    let dir = own_dir();
    let good = files(&dir, "a.example", &PKCS_ECDSA_P256_SHA256);
    let other = files(&dir, "b.example", &PKCS_ECDSA_P256_SHA256);
    let (missing, empty) = (dir.join("missing.pem"), dir.join("empty.pem"));
    fs::write(&empty, "nothing").unwrap();
    let cases = [
        (missing.clone(), good.key.clone(), "cannot read", "missing.pem"),
        (empty.clone(), good.key.clone(), "holds no certificate", "empty.pem"),
        (good.certificate.clone(), empty, "cannot read", "empty.pem"),
        (good.certificate.clone(), missing, "cannot read", "missing.pem"),
        (good.certificate, other.key, "do not go together", "a.example.crt"),
    ];
    for (certificate, key, what, which) in cases {
        let domain =
            Domain { name: "a.example".to_owned(), files: Some(Files { certificate, key }) };
        let error = Tls::load(vec![domain], dir.clone()).unwrap_err().to_string();
        assert!(error.contains(what) && error.contains(which), "{error}");
    }
    assert!(matches!(Tls::load(Vec::new(), dir.clone()), Err(CertificateError::NoDomain)));
    fs::remove_dir_all(dir).unwrap();
}

#[test]
fn a_certificate_that_clients_would_refuse_is_noticed() {
    let dir = own_dir();
    let faults = |change: fn(&mut CertificateParams)| {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["a.example".to_owned()]).unwrap();
        change(&mut params);
        let pem = format!("{}{}", params.self_signed(&key).unwrap().pem(), key.serialize_pem());
        let path = dir.join("one.pem");
        fs::write(&path, pem).unwrap();
        let files = Some(Files { certificate: path.clone(), key: path });
        let domain = Domain { name: "a.example".to_owned(), files };
        certificate::faults("a.example", &certificate::load(&domain, &dir).unwrap())
    };
    assert!(faults(|_| {}).is_empty());
    assert_eq!(
        faults(|params| params.not_after = rcgen::date_time_ymd(2001, 1, 1)),
        ["is out of date"]
    );
    let other = |params: &mut CertificateParams| {
        params.subject_alt_names = vec![rcgen::SanType::DnsName("b.example".try_into().unwrap())];
    };
    assert_eq!(faults(other), ["is for other names"]);
    fs::remove_dir_all(dir).unwrap();
}

#[test]
fn a_reload_that_fails_changes_nothing() {
    let dir = own_dir();
    let files = files(&dir, "a.example", &PKCS_ECDSA_P256_SHA256);
    let domain = Domain { name: "a.example".to_owned(), files: Some(files.clone()) };
    let tls = Tls::load(vec![domain], dir.clone()).unwrap();
    let before = tls.current().shown(None, None).key.cert[0].clone();
    fs::write(&files.key, "broken").unwrap();
    assert!(tls.reload().is_err());
    assert_eq!(tls.current().shown(None, None).key.cert[0], before);
    fs::remove_dir_all(dir).unwrap();
}

// RFC 9325 §3.1.1, §4.1
#[test]
fn only_forward_secret_suites_and_current_versions_are_there() {
    for suite in provider().cipher_suites.iter() {
        let name = format!("{:?}", suite.suite());
        let strong = ["TLS13_", "TLS_ECDHE_"].iter().any(|prefix| name.starts_with(prefix));
        assert!(strong && !name.contains("CBC"), "{name}");
    }
}

#[test]
fn plaintext_passes_both_ways_however_it_is_cut() {
    let dir = own_dir();
    let tls = Tls::load(vec![domain("a.example")], dir.clone()).unwrap();
    let (mut client, mut server) =
        handshake(TlsConnection::direct(tls.current()).unwrap(), Some("a.example"), &[&TLS13]);
    use std::io::{Read as _, Write as _};
    let sent: Vec<u8> = (0..100_000_u32).map(|n| n.to_le_bytes()[0]).collect();
    let (mut cipher, mut plain) = (Vec::new(), Vec::new());
    for chunk in sent.chunks(30_000) {
        client.writer().write_all(chunk).unwrap();
        while client.wants_write() {
            client.write_tls(&mut cipher).unwrap();
        }
    }
    for piece in cipher.chunks(777) {
        assert_eq!(server.read(piece, &mut plain).unwrap(), connection::ReadOutcome::Open);
    }
    assert!(plain == sent);

    let (mut cipher, mut rest) = (Vec::new(), &sent[..]);
    while !rest.is_empty() {
        let taken = server.write(rest, &mut cipher).unwrap();
        rest = &rest[taken..];
    }
    let (mut back, mut cipher) = (Vec::new(), &cipher[..]);
    while !cipher.is_empty() {
        client.read_tls(&mut cipher).unwrap();
        client.process_new_packets().unwrap();
        let mut room = vec![0; 1 << 16];
        let count = client.reader().read(&mut room).unwrap_or(0);
        back.extend_from_slice(&room[..count]);
    }
    assert!(back == sent);

    client.send_close_notify();
    let mut end = Vec::new();
    client.write_tls(&mut end).unwrap();
    assert_eq!(server.read(&end, &mut plain).unwrap(), connection::ReadOutcome::Ended);
    fs::remove_dir_all(dir).unwrap();
}

#[test]
fn a_service_shows_a_certificate_that_names_it_wherever_that_is() {
    let dir = own_dir();
    let with = |domain: &str, name: &str| Domain {
        name: domain.to_owned(),
        files: Some(files(&dir, name, &PKCS_ECDSA_P256_SHA256)),
    };
    let domains = vec![
        with("a.example", "a.example"),
        with("b.example", "*.b.example"),
        with("irc.other", "irc.other"),
        with("c.example", "rooms.a.example"),
    ];
    let shown = |tls: &Tls, name: &str| {
        let key = tls.key_of(name)?;
        let described = tls.describe();
        let sha256 = Sha256::digest(key.cert.first()?);
        let octets: Vec<String> = sha256.iter().map(|octet| format!("{octet:02X}")).collect();
        described.into_iter().find(|it| it.sha256 == octets.join(":")).map(|it| it.domain)
    };
    let tls = Tls::load(domains, dir.clone()).unwrap();
    let cases = [
        ("a.example", Some("a.example")),
        ("x.b.example", Some("b.example")),
        ("irc.other", Some("irc.other")),
        // Not the one of the domain above it, which does not name it.
        ("rooms.a.example", Some("c.example")),
        // Better than nothing, as dialback goes.
        ("x.a.example", Some("a.example")),
        ("nobody.test", None),
    ];
    for (name, of) in cases {
        assert_eq!(shown(&tls, name).as_deref(), of, "{name}");
    }
    let names =
        ["a.example", "x.b.example", "rooms.a.example", "x.a.example", "nobody.test", "b.example"];
    assert_eq!(tls.unnamed(names), ["x.a.example", "nobody.test", "b.example"]);
}
