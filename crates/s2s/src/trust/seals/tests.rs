//! Which certificates TLSA records allow, by usage.

use std::sync::Arc;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
};
use sha2::{Digest as _, Sha256, Sha512};

use super::*;
use crate::tls::provider;

type Der = CertificateDer<'static>;

struct Authority {
    issuer: Issuer<'static, KeyPair>,
    der: Der,
}

fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

impl Authority {
    fn root(name: &str) -> Self {
        let (params, key) = (params(name), KeyPair::generate().unwrap());
        let der = params.self_signed(&key).unwrap().der().clone();
        Self { issuer: Issuer::new(params, key), der }
    }

    fn beneath(&self, name: &str) -> Self {
        let (params, key) = (params(name), KeyPair::generate().unwrap());
        let der = params.signed_by(&key, &self.issuer).unwrap().der().clone();
        Self { issuer: Issuer::new(params, key), der }
    }

    fn certify(&self, name: &str) -> Der {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let key = KeyPair::generate().unwrap();
        params.signed_by(&key, &self.issuer).unwrap().der().clone()
    }
}

fn trust(authority: &Authority) -> Trust {
    let mut roots = RootCertStore::empty();
    roots.add(authority.der.clone()).unwrap();
    let algorithms = provider().signature_verification_algorithms;
    Trust { roots: Arc::new(roots), certificates: vec![authority.der.clone()], algorithms }
}

/// A record of the whole certificate, by its SHA-256.
fn of(usage: u8, certificate: &Der) -> Tlsa {
    Tlsa { usage, selector: 0, matching: 1, data: Sha256::digest(certificate).to_vec() }
}

fn now() -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(1_800_000_000))
}

/// What is said of a chain as `b.example`, whose server is `mx.example`.
fn judge(trust: &Trust, chain: &[&Der], records: Vec<Tlsa>) -> Option<Result<(), String>> {
    let chain: Vec<Der> = chain.iter().map(|it| (*it).clone()).collect();
    let delegation = Delegation { hosts: vec!["mx.example".to_owned()], records };
    trust.sealed(&chain, now(), "b.example", &delegation)
}

#[test]
fn each_usage_asks_for_what_it_says_and_nothing_else() {
    let (root, foreign) = (Authority::root("trusted"), Authority::root("foreign"));
    let (middle, outside) = (root.beneath("middle"), foreign.beneath("outside"));
    let trust = trust(&root);
    let [good, hosted, named_otherwise] =
        ["b.example", "mx.example", "c.example"].map(|name| middle.certify(name));
    let [theirs, theirs_hosted, theirs_otherwise] =
        ["b.example", "mx.example", "c.example"].map(|name| outside.certify(name));
    let other_middle = root.beneath("another").der;
    let cases: Vec<(&str, Vec<&Der>, Tlsa, bool)> = vec![
        // DANE-EE: the certificate alone.
        ("its own", vec![&good, &middle.der], of(3, &good), true),
        ("nobody trusted", vec![&theirs], of(3, &theirs), true),
        ("another name", vec![&theirs_otherwise], of(3, &theirs_otherwise), true),
        ("another certificate", vec![&good, &middle.der], of(3, &hosted), false),
        ("an authority is no server", vec![&good, &middle.der], of(3, &middle.der), false),
        // DANE-TA: the authority, whoever trusts it, and the name.
        ("by its authority", vec![&theirs, &outside.der], of(2, &outside.der), true),
        ("for its host", vec![&theirs_hosted, &outside.der], of(2, &outside.der), true),
        ("for others", vec![&theirs_otherwise, &outside.der], of(2, &outside.der), false),
        ("by the one above", vec![&theirs, &outside.der, &foreign.der], of(2, &foreign.der), true),
        ("an authority not shown", vec![&theirs], of(2, &outside.der), false),
        ("only shown", vec![&good, &middle.der, &outside.der], of(2, &outside.der), false),
        ("the server's own", vec![&theirs, &outside.der], of(2, &theirs), false),
        // PKIX-EE: the certificate, and the authorities that are trusted here.
        ("both", vec![&good, &middle.der], of(1, &good), true),
        ("for its host", vec![&hosted, &middle.der], of(1, &hosted), true),
        ("untrusted", vec![&theirs, &outside.der], of(1, &theirs), false),
        ("another name", vec![&named_otherwise, &middle.der], of(1, &named_otherwise), false),
        ("trusted, not meant", vec![&good, &middle.der], of(1, &hosted), false),
        // PKIX-TA: the authority, and that it is trusted here.
        ("by the middle one", vec![&good, &middle.der], of(0, &middle.der), true),
        ("by the root, not shown", vec![&good, &middle.der], of(0, &root.der), true),
        ("untrusted", vec![&theirs, &outside.der], of(0, &outside.der), false),
        ("by another one", vec![&good, &middle.der, &other_middle], of(0, &other_middle), false),
    ];
    for (what, chain, record, fits) in cases {
        let said = judge(&trust, &chain, vec![record.clone()]).unwrap();
        assert_eq!(said.is_ok(), fits, "usage {}, {what}: {said:?}", record.usage);
    }
}

#[test]
fn an_authority_that_the_record_holds_need_not_be_shown() {
    let (root, foreign) = (Authority::root("trusted"), Authority::root("foreign"));
    let theirs = foreign.certify("b.example");
    let whole = Tlsa { usage: 2, selector: 0, matching: 0, data: foreign.der.to_vec() };
    assert_eq!(judge(&trust(&root), &[&theirs], vec![whole]), Some(Ok(())));
}

#[test]
fn one_record_that_fits_is_enough_and_of_two_digests_only_the_stronger_counts() {
    let root = Authority::root("trusted");
    let (trust, one) = (trust(&root), root.certify("b.example"));
    let another = root.certify("b.example");
    let said = |records| judge(&trust, &[&one], records).unwrap().is_ok();
    let strong = |certificate: &Der| Tlsa {
        matching: 2,
        data: Sha512::digest(certificate).to_vec(),
        ..of(3, certificate)
    };
    assert!(said(vec![of(3, &another), of(3, &one)]));
    assert!(said(vec![of(3, &one), strong(&one)]));
    assert!(!said(vec![of(3, &one), strong(&another)]), "the weaker one is passed over");
    assert!(said(vec![of(1, &one), strong(&another)]), "usages stand beside each other");
}

#[test]
fn without_records_that_count_authorities_decide_and_the_host_may_be_named() {
    let root = Authority::root("trusted");
    let trust = trust(&root);
    let [domain, host, other] =
        ["b.example", "mx.example", "c.example"].map(|name| root.certify(name));
    let malformed = Tlsa { data: vec![1], ..of(3, &other) };
    let unknown = Tlsa { usage: 9, ..of(3, &other) };
    for records in [vec![], vec![malformed, unknown]] {
        assert_eq!(judge(&trust, &[&domain], records.clone()), None, "as without DNSSEC");
        assert_eq!(judge(&trust, &[&host], records.clone()), Some(Ok(())));
        assert_eq!(judge(&trust, &[&other], records.clone()), None);
        let foreign = Authority::root("foreign").certify("mx.example");
        assert_eq!(judge(&trust, &[&foreign], records), None);
    }
}

#[test]
fn who_shows_nothing_fits_no_record() {
    let root = Authority::root("trusted");
    let record = of(3, &root.certify("b.example"));
    let why = judge(&trust(&root), &[], vec![record]).unwrap().unwrap_err();
    assert!(why.contains("no certificate"), "{why}");
}
