//! XEP-0178 Best Practices for Use of SASL EXTERNAL with Certificates. Clients that show who they are.

use std::panic::AssertUnwindSafe;

use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, SanType,
};
use rustls::pki_types::PrivateKeyDer;

use crate::security::secure::{Shown, open_as};
use crate::stage::Stage;

const SASL: &str = "urn:ietf:params:xml:ns:xmpp-sasl";

/// Who says who clients are.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// A certificate for these addresses.
    fn certify(&self, addresses: &[&str]) -> Shown {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        let arcs = vec![1, 3, 6, 1, 5, 5, 7, 8, 5];
        let name = |it: &&str| SanType::OtherName((arcs.clone(), (*it).to_owned().into()));
        params.subject_alt_names = addresses.iter().map(name).collect();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        (vec![certificate.der().clone()], key)
    }
}

fn stage(authority: &Authority) -> Stage {
    let file = format!("rookery-clients-{}-{:p}", std::process::id(), authority);
    let file = std::env::temp_dir().join(file);
    std::fs::write(&file, &authority.pem).unwrap();
    let stage = Stage::start(&format!("[auth]\nclient_ca = '{}'\n", file.display()));
    std::fs::remove_file(file).unwrap();
    stage.add_accounts(&["romeo", "juliet"]);
    stage
}

/// What a client hears that logs in as one of those whose certificate it shows.
fn log_in(stage: &Stage, shown: Shown, wanted: &str) -> String {
    let (mut wire, features) = open_as(stage.c2s_tls, Some(shown)).unwrap();
    assert!(features.contains("<mechanism>EXTERNAL</mechanism>"), "{features}");
    let wanted = auth::encoding::encode_present(wanted.as_bytes());
    wire.say(&format!("<auth xmlns='{SASL}' mechanism='EXTERNAL'>{wanted}</auth>"));
    let heard = wire.until(">");
    if heard.contains("<success") { "success".to_owned() } else { wire.until("/>") }
}

// XEP-0178 §2
#[test]
fn who_shows_a_certificate_is_let_in_as_whom_it_names_and_nobody_else() {
    let authority = Authority::new();
    let stage = stage(&authority);
    let romeo = || authority.certify(&["romeo@localhost"]);
    assert_eq!(log_in(&stage, romeo(), ""), "success");
    assert_eq!(log_in(&stage, romeo(), "romeo@localhost"), "success");
    for other in ["juliet@localhost", "juliet", "romeo@elsewhere.example"] {
        let heard = log_in(&stage, romeo(), other);
        assert!(heard.contains("invalid-authzid"), "{other}: {heard}");
    }
    // Several names, and the client must say which one.
    let both = || authority.certify(&["romeo@localhost", "juliet@localhost", "x@other.example"]);
    assert!(log_in(&stage, both(), "").contains("invalid-authzid"));
    assert_eq!(log_in(&stage, both(), "juliet@localhost"), "success");
    // Nobody has an account because of a certificate.
    let nobody = authority.certify(&["nobody@localhost"]);
    assert!(log_in(&stage, nobody, "").contains("not-authorized"));
    let elsewhere = authority.certify(&["romeo@elsewhere.example"]);
    assert!(log_in(&stage, elsewhere, "").contains("invalid-authzid"));
    stage.run(&["account", "disable", "romeo@localhost"]).unwrap();
    assert!(log_in(&stage, romeo(), "").contains("account-disabled"));
}

#[test]
fn who_shows_none_logs_in_as_before_and_strangers_are_not_believed() {
    let authority = Authority::new();
    let stage = stage(&authority);
    let (_, features) = open_as(stage.c2s_tls, None).unwrap();
    assert!(!features.contains("EXTERNAL") && features.contains("SCRAM-SHA-256"), "{features}");
    let (_, features) = open_as(stage.c2s_tls, Some(authority.certify(&[]))).unwrap();
    assert!(!features.contains("EXTERNAL"), "a certificate that names nobody: {features}");
    // Of an authority that nobody trusts: the handshake fails, or nothing is said behind it.
    let stranger = Authority::new().certify(&["romeo@localhost"]);
    let heard =
        std::panic::catch_unwind(AssertUnwindSafe(|| open_as(stage.c2s_tls, Some(stranger))));
    assert!(!matches!(heard, Ok(Ok((_, features))) if features.contains("EXTERNAL")));
}
