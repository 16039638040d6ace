//! What certificates prove, and what they do not.

use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SanType};

use super::*;
use crate::tls::provider;

struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

fn authority() -> Authority {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, "An authority");
    let key = KeyPair::generate().unwrap();
    let pem = params.self_signed(&key).unwrap().pem();
    Authority { issuer: Issuer::new(params, key), pem }
}

fn trust(authority: &Authority) -> Trust {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.pem.as_bytes()).unwrap()).unwrap();
    let algorithms = provider().signature_verification_algorithms;
    Trust { roots: Arc::new(roots), certificates: Vec::new(), algorithms }
}

fn certificate(authority: &Authority, names: Vec<SanType>) -> CertificateDer<'static> {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, "common.example");
    params.subject_alt_names = names;
    let key = KeyPair::generate().unwrap();
    params.signed_by(&key, &authority.issuer).unwrap().der().clone()
}

fn dns(name: &str) -> SanType {
    SanType::DnsName(name.try_into().unwrap())
}

fn other(oid: [u64; 9], text: &str) -> SanType {
    SanType::OtherName((oid.to_vec(), text.into()))
}

fn now() -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(1_800_000_000))
}

#[test]
fn a_certificate_speaks_for_the_names_in_it_and_no_others() {
    let ours = authority();
    let names = vec![
        dns("a.example"),
        dns("*.rooms.example"),
        other(XMPP_ADDR, "x.example"),
        other(SRV_NAME, "_xmpp-server.s.example"),
        other(SRV_NAME, "_xmpp-client.c.example"),
    ];
    let peer = trust(&ours).judge(&[certificate(&ours, names)], now());
    for domain in ["a.example", "b.rooms.example", "x.example", "s.example"] {
        assert_eq!(peer.vouches_for(domain), Ok(()), "{domain}");
    }
    for domain in ["common.example", "rooms.example", "b.c.rooms.example", "c.example", "example"] {
        assert!(peer.vouches_for(domain).is_err(), "{domain}");
    }
}

#[test]
fn an_international_domain_is_compared_as_dns_writes_it() {
    let ours = authority();
    let peer =
        trust(&ours).judge(&[certificate(&ours, vec![dns("xn--mnchen-3ya.example")])], now());
    assert_eq!(peer.vouches_for("münchen.example"), Ok(()));
    assert!(peer.vouches_for("munchen.example").is_err());
}

#[test]
fn names_are_compared_without_regard_to_case() {
    let ours = authority();
    let names = vec![
        dns("A.Example"),
        dns("*.Rooms.Example"),
        other(XMPP_ADDR, "X.Example"),
        other(XMPP_ADDR, "MÜNCHEN.example"),
        other(XMPP_ADDR, "Juliet@P.Example"),
        other(SRV_NAME, "_XMPP-Server.S.Example"),
        other(SRV_NAME, "_xmpp-server.XN--BCHER-KVA.example"),
        other(SRV_NAME, "_XMPP-Client.C.Example"),
    ];
    let peer = trust(&ours).judge(&[certificate(&ours, names)], now());
    for domain in [
        "a.example",
        "b.rooms.example",
        "x.example",
        "münchen.example",
        "s.example",
        "bücher.example",
    ] {
        assert_eq!(peer.vouches_for(domain), Ok(()), "{domain}");
    }
    for domain in ["c.example", "p.example", "juliet@p.example", "munchen.example"] {
        assert!(peer.vouches_for(domain).is_err(), "{domain}");
    }
}

#[test]
fn nobody_is_believed_whom_nobody_trusted_has_signed() {
    let (ours, theirs) = (authority(), authority());
    let foreign = certificate(&theirs, vec![dns("a.example")]);
    let why = trust(&ours).judge(&[foreign], now()).vouches_for("a.example").unwrap_err();
    assert!(why.contains("nobody who is trusted"), "{why}");
    let none = trust(&ours).judge(&[], now()).vouches_for("a.example").unwrap_err();
    assert!(none.contains("no certificate"), "{none}");
}

#[test]
fn a_certificate_ends_with_its_time() {
    let ours = authority();
    let late = UnixTime::since_unix_epoch(Duration::from_secs(1 << 38));
    let mine = certificate(&ours, vec![dns("a.example")]);
    let why = trust(&ours).judge(&[mine], late).vouches_for("a.example").unwrap_err();
    assert!(why.contains("expired"), "{why}");
}

#[test]
fn strings_in_other_names_are_read_to_the_last_byte_or_not_at_all() {
    assert_eq!(inner_text(b"\xa0\x05\x0c\x03abc"), Some("abc"));
    for bad in [
        &b""[..],
        b"\xa0",
        b"\xa0\x05\x0c\x03ab",
        b"\x04\x03abc",
        b"\x0c\x03a\0c",
        b"\x0c\x84\0\0\0\x01a",
    ] {
        assert_eq!(inner_text(bad), None, "{bad:?}");
    }
}
