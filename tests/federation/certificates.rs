//! Certificates that name the right domain and are signed by whom one trusts, but are not made for servers, or not for now: on
//! streams of both directions (RFC 6120 §13.7.1.2, RFC 5280 §4.1.2.5, §4.2.1.12).

use std::path::PathBuf;

use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, date_time_ymd};

use super::impostor::Impostor;
use super::land::{Authority, Land, Proof, add, are_refused, free, hears_body, log_in, settings};
use crate::stage::{Stage, merge};

/// A domain, what is particular of its certificate, and why that is not accepted, if so.
type Case = (&'static str, fn(&mut CertificateParams), Option<&'static str>);

fn is_for(params: &mut CertificateParams, purposes: &[ExtendedKeyUsagePurpose]) {
    params.extended_key_usages = purposes.to_vec();
}

/// A server's own is good for both ends of a stream, whether or not it is for clients too.
const CASES: [Case; 5] = [
    ("server.example", |params| is_for(params, &[ExtendedKeyUsagePurpose::ServerAuth]), None),
    (
        "both.example",
        |params| {
            use ExtendedKeyUsagePurpose::{ClientAuth, ServerAuth};
            is_for(params, &[ClientAuth, ServerAuth]);
        },
        None,
    ),
    (
        "client.example",
        |params| is_for(params, &[ExtendedKeyUsagePurpose::ClientAuth]),
        Some("its certificate is not for servers"),
    ),
    (
        "early.example",
        |params| params.not_before = date_time_ymd(2999, 1, 1),
        Some("its certificate is not valid yet"),
    ),
    (
        "old.example",
        |params| params.not_after = date_time_ymd(2001, 1, 1),
        Some("its certificate has expired"),
    ),
];

fn certify(authority: &Authority, (domain, change, _): Case) -> (PathBuf, PathBuf) {
    authority.certify_with(&[domain], change)
}

#[test]
fn a_server_that_calls_with_a_certificate_of_another_use_or_time_is_not_let_in_by_it() {
    let land = Land::start(Proof::Certificate);
    for case in CASES {
        let (domain, _, why) = case;
        let files = certify(&land.authority, case);
        let mut caller = Impostor::secured(land.s2s[0], domain, Some(&files));
        caller.say("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>=</auth>");
        let Some(why) = why else {
            caller.hears("success");
            continue;
        };
        caller.hears("failure");
        let list = land.a.run(&["s2s", "list"]).unwrap();
        assert!(list.contains(&format!("  {domain}: {why}  at ")), "{list}");
        // Nor by a key: there must be a certificate.
        caller.say(&format!("<db:result from='{domain}' to='a.example'>key</db:result>"));
        assert_eq!(caller.hears("result").attr("type"), Some("error"), "{domain}");
    }
}

#[test]
fn a_server_that_is_called_and_shows_a_certificate_of_another_use_or_time_is_sent_nothing() {
    let authority = Authority::new();
    let there = free();
    // One server, which shows of each domain its own.
    let domains = CASES.map(|case| {
        let (certificate, key) = certify(&authority, case);
        let (certificate, key) = (certificate.display(), key.display());
        format!("[[domain]]\nname = '{}'\ncertificate = '{certificate}'\nkey = '{key}'\n", case.0)
    });
    let ca = authority.file();
    let listen = format!(
        "[listen]\ns2s = ['{there}']\n[s2s]\npolicy = 'secure'\nca_file = '{}'\n[store]\nengine = 'embedded'\n",
        ca.display()
    );
    let shows = Stage::start(&format!("{}{listen}", domains.concat()));
    let own = authority.certify(&["a.example"]);
    let base = settings(("a.example", Some(&own)), free(), ("b.example", free()), &ca);
    let routes = CASES.map(|(domain, ..)| format!("'{domain}' = '{there}'\n")).concat();
    let routes = format!("[s2s.route]\n{routes}");
    let all = merge(base.parse().unwrap(), routes.parse().unwrap());
    let calls = Stage::start(&toml::to_string(&all).unwrap());
    add(&calls, "romeo@a.example");
    let mut romeo = log_in(&calls, "romeo@a.example");
    let refused = CASES.into_iter().filter_map(|(domain, _, why)| why.map(|why| (domain, why)));
    are_refused(&calls, &mut romeo, &refused.collect::<Vec<_>>());
    for (domain, ..) in CASES.into_iter().filter(|(.., why)| why.is_none()) {
        let jid = format!("juliet@{domain}");
        add(&shows, &jid);
        let mut juliet = log_in(&shows, &jid);
        romeo.send(format!("<message to='{jid}' type='chat'><body>to {domain}</body></message>"));
        hears_body(&mut juliet, &format!("to {domain}"));
    }
}
