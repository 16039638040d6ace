//! RFC 7712 §5.1 Domain Name Associations: DANE. Which servers are believed by TLSA records that DNSSEC proves (RFC 7673).

use std::path::Path;

use s2s::tlsa::Tlsa;
use town::Client;

use super::land::{Authority, Place, add, condition, free, hears, hears_body, log_in, settings};
use super::zone::Zone;
use crate::stage::{Stage, merge};

/// The settings of a server that asks a zone, and believes it.
fn asks(zone: Zone, authority: &Authority, dane: &str) -> String {
    let anchor = authority.file().with_file_name(format!("anchor-{}.zone", free().port()));
    std::fs::write(&anchor, zone.anchor()).unwrap();
    let server = zone.serve();
    format!(
        "[dns]\nservers = ['{server}']\ntrust_anchor = '{}'\n\
         [s2s]\nallow_private = true\nwait_seconds = 20\n{dane}\n",
        anchor.display()
    )
}

/// `a.example`, which finds `b.example` by a zone, and Romeo there.
fn visitor(ours: &Authority, zone: Zone, dane: &str) -> (Stage, Client) {
    let place = Place { domain: "a.example", certified_by: ours, trusts: ours, s2s: free() };
    let (stage, _) = place.start(&asks(zone, ours, dane));
    add(&stage, "romeo@a.example");
    let romeo = log_in(&stage, "romeo@a.example");
    (stage, romeo)
}

/// The record of the key of a certificate.
fn seal_of(certificate: &Path) -> Tlsa {
    Tlsa::of(&s2s::tlsa::certificate(certificate).unwrap()).unwrap()
}

fn wrong(seal: &Tlsa) -> Tlsa {
    Tlsa { data: vec![7; 32], ..seal.clone() }
}

/// Sends to Juliet, and waits until `s2s list` says why it did not get there.
fn is_refused(stage: &Stage, romeo: &mut Client, why: &str) {
    romeo.send("<message to='juliet@b.example' id='m'><body>hi</body></message>");
    let error = hears(romeo, |it| it.attr("id") == Some("m"));
    assert_eq!(condition(&error).as_deref(), Some("remote-server-timeout"), "{error:?}");
    let list = stage.run(&["s2s", "list"]).unwrap();
    assert!(list.contains(why), "{list}");
}

#[test]
fn records_that_dnssec_proves_decide_whoever_has_signed_the_certificate() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let s2s = free();
    let there = Place { domain: "b.example", certified_by: &theirs, trusts: &ours, s2s };
    let (b, certificate) = there.start("");
    let seal = seal_of(&certificate);
    add(&b, "juliet@b.example");
    let mut juliet = log_in(&b, "juliet@b.example");
    let zone = || Zone::new().leads("b.example", "mx.b.example", s2s);
    let sealed = |seal: &Tlsa| zone().seals("mx.b.example", s2s.port(), seal);

    // Nobody trusts their authority; the record is enough.
    for dane in ["dane = 'use'", "dane_of = { 'b.example' = 'require' }"] {
        let (_a, mut romeo) = visitor(&ours, sealed(&seal), dane);
        romeo.send(format!("<message to='juliet@b.example'><body>{dane}</body></message>"));
        hears_body(&mut juliet, dane);
    }
    // The record means another certificate; dialback would not make it good either.
    for policy in ["secure", "dialback"] {
        let dane = format!("dane = 'use'\npolicy = '{policy}'");
        let (a, mut romeo) = visitor(&ours, sealed(&wrong(&seal)), &dane);
        is_refused(&a, &mut romeo, "its certificate is not one that its TLSA records mean");
    }
    // Without looking at records, authorities decide.
    let (a, mut romeo) = visitor(&ours, sealed(&seal), "dane = 'off'");
    is_refused(&a, &mut romeo, "signed by nobody who is trusted here");
    // Whoever forges a record keeps the two apart, but is not believed.
    let forged = [format!("_{}._tcp.mx.b.example", s2s.port()), "mx.b.example".to_owned()];
    for name in forged.iter().map(String::as_str).chain(["_xmpp-server._tcp.b.example"]) {
        let (a, mut romeo) = visitor(&ours, sealed(&seal).forges(name), "dane = 'use'");
        is_refused(&a, &mut romeo, "DNSSEC does not prove what DNS says of");
    }
    // A zone that signs nothing says nothing, right or wrong.
    let (a, mut romeo) = visitor(&ours, sealed(&seal).leaves_unsigned("b.example"), "dane = 'use'");
    is_refused(&a, &mut romeo, "signed by nobody who is trusted here");
}

#[test]
fn a_domain_without_records_is_believed_by_authorities_unless_there_must_be_some() {
    let ours = Authority::new();
    let s2s = free();
    let there = Place { domain: "b.example", certified_by: &ours, trusts: &ours, s2s };
    let (b, certificate) = there.start("");
    let seal = seal_of(&certificate);
    add(&b, "juliet@b.example");
    let mut juliet = log_in(&b, "juliet@b.example");
    let bare = || Zone::new().leads("b.example", "mx.b.example", s2s);
    let unsigned =
        || bare().seals("mx.b.example", s2s.port(), &wrong(&seal)).leaves_unsigned("b.example");
    for (what, zone) in [("no record", bare()), ("unsigned", unsigned())] {
        let (_a, mut romeo) = visitor(&ours, zone, "dane = 'use'");
        romeo.send(format!("<message to='juliet@b.example'><body>{what}</body></message>"));
        hears_body(&mut juliet, what);
    }
    for zone in [bare(), unsigned()] {
        let (a, mut romeo) = visitor(&ours, zone, "dane_of = { 'b.example' = 'require' }");
        is_refused(&a, &mut romeo, "no TLSA records that DNSSEC proves");
    }
}

#[test]
fn a_server_that_connects_is_believed_by_its_records_too() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let [from, to] = [free(), free()];
    let visiting = Place { domain: "a.example", certified_by: &theirs, trusts: &ours, s2s: from };
    let route = format!("[s2s.route]\n'b.example' = '{to}'\n");
    let (a, certificate) = visiting.start(&route);
    let seal = seal_of(&certificate);
    add(&a, "romeo@a.example");
    let mut romeo = log_in(&a, "romeo@a.example");
    for (record, is_believed) in [(seal.clone(), true), (wrong(&seal), false)] {
        let zone = Zone::new().leads("a.example", "mx.a.example", from);
        let zone = zone.seals("mx.a.example", from.port(), &record);
        let there = Place { domain: "b.example", certified_by: &ours, trusts: &ours, s2s: to };
        let (b, _) = there.start(&asks(zone, &ours, "dane_of = { 'a.example' = 'require' }"));
        add(&b, "juliet@b.example");
        a.run(&["s2s", "reset"]).ok();
        romeo.send("<message to='juliet@b.example' id='m'><body>by name</body></message>");
        if is_believed {
            let mut juliet = log_in(&b, "juliet@b.example");
            hears_body(&mut juliet, "by name");
        } else {
            let error = hears(&mut romeo, |it| it.attr("id") == Some("m"));
            assert_eq!(error.attr("type"), Some("error"), "{error:?}");
            b.await_log("a server is not believed");
        }
    }
}

#[test]
fn what_dnssec_proves_of_our_certificate_is_told_from_what_anybody_may_say() {
    let ours = Authority::new();
    for is_signed in [true, false] {
        let s2s = free();
        let files = ours.certify(&["a.example"]);
        let seal = seal_of(&files.0);
        let zone = Zone::new().leads("a.example", "mx.a.example", s2s);
        let zone = zone.seals("mx.a.example", s2s.port(), &seal);
        let zone = if is_signed { zone } else { zone.leaves_unsigned("a.example") };
        let own = ("a.example", Some(&files));
        let base = settings(own, s2s, ("c.example", free()), &ours.file());
        let extra = asks(zone, &ours, "");
        let all = merge(base.parse().unwrap(), extra.parse().unwrap());
        let stage = Stage::start(&toml::to_string(&all).unwrap());
        let check = stage.run(&["dns", "check", "a.example"]).unwrap();
        assert!(check.contains("mean the certificate of this server"), "{check}");
        assert_eq!(check.contains("DNSSEC does not prove them"), !is_signed, "{check}");
    }
}
