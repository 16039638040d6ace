//! RFC 7712 §5.1 Domain Name Associations: DANE. Which servers are believed by TLSA records that DNSSEC proves (RFC 7673).

use std::path::Path;

use s2s::tlsa::Tlsa;
use town::Client;

use super::land::{Authority, Place, add, are_refused, free, hears, hears_body, log_in};
use super::zone::Zone;
use crate::stage::Stage;

/// The settings of a server that asks a zone, and believes it.
fn asks(zone: Zone, authority: &Authority, dane: &str) -> String {
    let anchor = authority.file().with_file_name("anchor.zone");
    std::fs::write(&anchor, zone.anchor()).unwrap();
    let server = zone.serve();
    format!(
        "[dns]\nservers = ['{server}']\ntrust_anchor = '{}'\n\
         [s2s]\nallow_private = true\nwait_seconds = 20\n{dane}\n",
        anchor.display()
    )
}

/// `a.example`, which finds others by a zone, and Romeo there.
fn visitor(ours: &Authority, zone: Zone, dane: &str) -> (Stage, Client) {
    let place = Place { domains: &["a.example"], certified_by: ours, trusts: ours, s2s: free() };
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

/// Romeo says something that Juliet hears.
fn reaches(romeo: &mut Client, there: &Stage, domain: &str) {
    let jid = format!("juliet@{domain}");
    add(there, &jid);
    let mut juliet = log_in(there, &jid);
    romeo.send(format!("<message to='{jid}' type='chat'><body>to {domain}</body></message>"));
    hears_body(&mut juliet, &format!("to {domain}"));
}

#[test]
fn records_that_dnssec_proves_decide_whoever_has_signed_the_certificate() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let s2s = free();
    let domains = [
        "good.example",
        "must.example",
        "wrong.example",
        "dialback.example",
        "off.example",
        "seal.example",
        "host.example",
        "srv.example",
        "unsigned.example",
    ];
    let there = Place { domains: &domains, certified_by: &theirs, trusts: &ours, s2s };
    let (b, certificate) = there.start("");
    let seal = seal_of(&certificate);
    let mut zone = Zone::new();
    for domain in domains {
        let host = format!("mx.{domain}");
        let record = match domain {
            "wrong.example" | "dialback.example" => wrong(&seal),
            _ => seal.clone(),
        };
        zone = zone.leads(domain, &host, s2s).seals(&host, s2s.port(), &record);
    }
    let zone = zone
        .forges(&format!("_{}._tcp.mx.seal.example", s2s.port()))
        .forges("mx.host.example")
        .forges("_xmpp-server._tcp.srv.example")
        .leaves_unsigned("unsigned.example");
    let dane = "dane = 'use'\ndane_of = { 'must.example' = 'require', 'off.example' = 'off' }\n\
                policies = { 'dialback.example' = 'dialback' }";
    let (a, mut romeo) = visitor(&ours, zone, dane);
    // Nobody trusts their authority; the record is enough.
    reaches(&mut romeo, &b, "good.example");
    reaches(&mut romeo, &b, "must.example");
    let other = "its certificate is not one that its TLSA records mean";
    let untrusted = "signed by nobody who is trusted here";
    let forged = "DNSSEC does not prove what DNS says of";
    let refused = [
        ("wrong.example", other),
        // Nor would dialback make it good.
        ("dialback.example", other),
        // Whoever forges a record keeps the two apart, but is not believed.
        ("seal.example", forged),
        ("host.example", forged),
        ("srv.example", forged),
        // Without looking at records, and where they are not signed, authorities decide.
        ("off.example", untrusted),
        ("unsigned.example", untrusted),
    ];
    are_refused(&a, &mut romeo, &refused);
}

#[test]
fn a_domain_without_records_is_believed_by_authorities_unless_there_must_be_some() {
    let ours = Authority::new();
    let s2s = free();
    let domains =
        ["bare.example", "unsigned.example", "bare-must.example", "unsigned-must.example"];
    let there = Place { domains: &domains, certified_by: &ours, trusts: &ours, s2s };
    let (b, certificate) = there.start("");
    let mut zone = Zone::new();
    for domain in domains {
        let host = format!("mx.{domain}");
        zone = zone.leads(domain, &host, s2s);
        if domain.starts_with("unsigned") {
            let record = wrong(&seal_of(&certificate));
            zone = zone.seals(&host, s2s.port(), &record).leaves_unsigned(domain);
        }
    }
    let dane = "dane = 'use'\n\
                dane_of = { 'bare-must.example' = 'require', 'unsigned-must.example' = 'require' }";
    let (a, mut romeo) = visitor(&ours, zone, dane);
    reaches(&mut romeo, &b, "bare.example");
    reaches(&mut romeo, &b, "unsigned.example");
    let none = "no TLSA records that DNSSEC proves";
    let refused = [("bare-must.example", none), ("unsigned-must.example", none)];
    are_refused(&a, &mut romeo, &refused);
}

#[test]
fn a_server_that_connects_is_believed_by_its_records_too() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let [from, to] = [free(), free()];
    let domains = ["good.example", "wrong.example"];
    let visiting = Place { domains: &domains, certified_by: &theirs, trusts: &ours, s2s: from };
    let (a, certificate) = visiting.start(&format!("[s2s.route]\n'b.example' = '{to}'\n"));
    let seal = seal_of(&certificate);
    let zone = Zone::new()
        .leads("good.example", "mx.good.example", from)
        .seals("mx.good.example", from.port(), &seal)
        .leads("wrong.example", "mx.wrong.example", from)
        .seals("mx.wrong.example", from.port(), &wrong(&seal));
    let there = Place { domains: &["b.example"], certified_by: &ours, trusts: &ours, s2s: to };
    let (b, _) = there.start(&asks(zone, &ours, "dane = 'require'"));
    for domain in domains {
        add(&a, &format!("romeo@{domain}"));
    }
    let mut romeo = log_in(&a, "romeo@good.example");
    reaches(&mut romeo, &b, "b.example");
    let mut romeo = log_in(&a, "romeo@wrong.example");
    romeo.send("<message to='juliet@b.example' id='m'><body>by name</body></message>");
    let error = hears(&mut romeo, |it| it.attr("id") == Some("m"));
    assert_eq!(error.attr("type"), Some("error"), "{error:?}");
    b.await_log("a server is not believed");
}

#[test]
fn what_dnssec_proves_of_our_certificate_is_told_from_what_anybody_may_say() {
    let ours = Authority::new();
    let s2s = free();
    let domains = ["signed.example", "unsigned.example"];
    let place = Place { domains: &domains, certified_by: &ours, trusts: &ours, s2s };
    let seal = wrong(&seal_of(&ours.certify(&domains).0));
    let mut zone = Zone::new().leaves_unsigned("unsigned.example");
    for domain in domains {
        let host = format!("mx.{domain}");
        zone = zone.leads(domain, &host, s2s).seals(&host, s2s.port(), &seal);
    }
    let (stage, _) = place.start(&asks(zone, &ours, ""));
    for domain in domains {
        let (check, faults) = stage.say(&["dns", "check", domain]);
        assert!(check.contains("mean another certificate"), "{check}");
        let is_unproved = domain == "unsigned.example";
        let is_fault = check.contains("fault: records of _");
        assert_eq!(is_fault, !is_unproved, "{check}");
        assert!(faults.is_some(), "no services are found either: {check}");
        assert_eq!(check.contains("DNSSEC does not prove them"), is_unproved, "{check}");
    }
}

#[test]
fn a_certificate_that_records_mean_is_in_order_for_whoever_looks_at_them() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let s2s = free();
    let domains = ["good.example", "wrong.example", "unsigned.example", "srv.example"];
    let there = Place { domains: &domains, certified_by: &theirs, trusts: &ours, s2s };
    let (_b, certificate) = there.start("");
    let seal = seal_of(&certificate);
    let mut zone = Zone::new();
    for domain in domains {
        let host = format!("mx.{domain}");
        let record = if domain == "wrong.example" { wrong(&seal) } else { seal.clone() };
        zone = zone.leads(domain, &host, s2s).seals(&host, s2s.port(), &record);
    }
    let zone = zone.leaves_unsigned("unsigned.example").forges("_xmpp-server._tcp.srv.example");
    let (a, _) = visitor(&ours, zone, "");
    let untrusted = "its certificate is signed by nobody who is trusted here";
    let place = format!("at {s2s} (_xmpp-server, STARTTLS)");
    let said =
        format!("note: {place}: whoever looks at no TLSA records will not connect: {untrusted}");
    let check = a.run(&["dns", "check", "good.example"]).unwrap();
    assert!(check.contains(&said), "{check}");
    for (domain, why) in [
        ("wrong.example", "its certificate is not one that its TLSA records mean"),
        // What nothing proves says nothing, neither of the certificate nor of where the server is.
        ("unsigned.example", untrusted),
        ("srv.example", untrusted),
    ] {
        let (check, fault) = a.say(&["dns", "check", domain]);
        assert!(fault.is_some() && check.contains(&format!("fault: {place}: {why}")), "{check}");
    }
}
