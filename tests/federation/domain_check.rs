//! `rookery dns check`: what a domain really shows and tells, at the ports to which DNS leads and by HTTPS.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

use rustls::{DEFAULT_VERSIONS, ServerConfig, ServerConnection};

use super::finding::{clear, direct, own_loopback};
use super::land::{Authority, Place, free};
use super::peer::{certified, server};
use super::posh::Library;
use super::zone::Zone;
use crate::stage::Stage;

fn zone() -> Zone {
    Zone::new().has_address("mx.example", Ipv4Addr::LOCALHOST.into())
}

/// `a.example`, which asks this name server, and finds the documents of domains there.
fn operator(authority: &Authority, zone: Zone, libraries: &[(&str, SocketAddr)]) -> Stage {
    let place =
        Place { domains: &["a.example"], certified_by: authority, trusts: authority, s2s: free() };
    let routes = libraries.iter().map(|(domain, it)| format!("'{domain}' = '{it}'\n"));
    let (names, routes): (_, String) = (zone.serve(), routes.collect());
    let dns = format!(
        "[dns]\nservers = ['{names}']\n[s2s]\nallow_private = true\nnegotiation_seconds = 3\n\
         [s2s.posh_route]\n{routes}"
    );
    place.start(&dns).0
}

#[test]
fn a_domain_that_shows_what_it_should_at_all_ports_is_in_order() {
    let authority = Authority::new();
    let (s2s, s2s_tls) = (free(), free());
    let domains = ["b.example"];
    let place = Place { domains: &domains, certified_by: &authority, trusts: &authority, s2s };
    let (b, _) = place.start(&format!("[listen]\ns2s_tls = ['{s2s_tls}']\n"));
    let services = [
        ("_xmpp-client", b.c2s),
        ("_xmpps-client", b.c2s_tls),
        ("_xmpp-server", s2s),
        ("_xmpps-server", s2s_tls),
    ];
    let names = services.iter().fold(zone(), |zone, (service, it)| {
        zone.serves(&format!("{service}._tcp.b.example"), (1, "mx.example", it.port()))
    });
    let a = operator(&authority, names, &[("b.example", b.https)]);
    let check = a.run(&["dns", "check", "b.example", "--json"]).unwrap();
    let found: serde_json::Value = serde_json::from_str(&check).unwrap();
    let shown = found["shown"].as_array().unwrap();
    for (service, address) in services {
        let one = shown.iter().find(|it| it["service"] == service).unwrap();
        assert_eq!(one["address"], address.to_string(), "{check}");
        assert!(one["problem"].is_null() && one["until"].is_string(), "{check}");
    }
    for document in found["host_meta"].as_array().unwrap() {
        let links = document["links"].to_string();
        assert!(links.contains("wss://") && links.contains("https://"), "{check}");
    }
    assert_eq!(found["faults"].as_array().unwrap().len(), 0, "{check}");
    let check = a.run(&["dns", "check", "b.example"]).unwrap();
    let line = format!("shown at {s2s} (_xmpp-server, STARTTLS)  good until 4");
    assert!(check.contains(&line), "{check}");
}

/// Somebody who takes connections, and does this with each.
fn takes(each: impl Fn(TcpStream) + Send + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || listener.incoming().for_each(|tcp| each(tcp.unwrap())));
    port
}

/// Somebody who says this to whoever has begun to speak.
fn says(text: &'static str) -> u16 {
    takes(move |mut tcp| {
        assert!(tcp.read(&mut [0; 1024]).unwrap() > 0);
        tcp.write_all(text.as_bytes()).unwrap();
        drop(tcp.read_to_end(&mut Vec::new()));
    })
}

/// Somebody who shows a certificate to everybody.
fn shows(config: Arc<ServerConfig>) -> u16 {
    takes(move |mut tcp| {
        let mut tls = ServerConnection::new(Arc::clone(&config)).unwrap();
        while tls.is_handshaking() && tls.complete_io(&mut tcp).is_ok() {}
    })
}

#[test]
fn what_is_wrong_with_what_a_domain_shows_is_said_in_plain_words() {
    let (authority, nobody) = (Authority::new(), Authority::new());
    let long_ago = |params: &mut rcgen::CertificateParams| {
        params.not_after = rcgen::date_time_ymd(2001, 1, 1);
    };
    let expired = server(&authority.certify_with(&["expired.example"], long_ago), DEFAULT_VERSIONS);
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let no_tls = "<stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams' \
                  version='1.0'><stream:features/>";
    let cases = [
        ("expired.example", true, shows(expired), "its certificate has expired"),
        (
            "other.example",
            true,
            shows(certified(&authority, &["another.example"])),
            "its certificate is not for other.example",
        ),
        (
            "nobody.example",
            true,
            shows(certified(&nobody, &["nobody.example"])),
            "signed by nobody who is trusted here",
        ),
        ("silent.example", true, silent.local_addr().unwrap().port(), "it does not answer in time"),
        ("mute.example", false, silent.local_addr().unwrap().port(), "it does not answer in time"),
        ("away.example", false, free().port(), "cannot connect"),
        ("clear.example", false, says(no_tls), "it offers no TLS"),
        (
            "page.example",
            false,
            says("HTTP/1.1 400 Bad Request\r\n\r\n"),
            "it speaks something else than XMPP",
        ),
    ];
    let names = cases.iter().fold(zone(), |zone, (domain, is_direct, port, _)| {
        let service = if *is_direct { direct(domain) } else { clear(domain) };
        zone.serves(&service, (1, "mx.example", *port))
    });
    let a = operator(&authority, names, &[]);
    for (domain, is_direct, port, what) in cases {
        let (check, fault) = a.say(&["dns", "check", domain]);
        assert!(fault.is_some_and(|it| it.contains(domain)), "{check}");
        let how = if is_direct {
            "_xmpps-server, TLS from the first byte"
        } else {
            "_xmpp-server, STARTTLS"
        };
        let begin = format!("fault: at 127.0.0.1:{port} ({how}): ");
        let line = check.lines().find(|line| line.starts_with(&begin));
        assert!(line.is_some_and(|line| line.contains(what)), "{domain}: {check}");
    }
}

#[test]
fn a_document_that_leads_clients_astray_is_a_fault_and_one_that_is_not_there_is_none() {
    let authority = Authority::new();
    let s2s = free();
    let domains = ["plain.example", "broken.example", "none.example"];
    let place = Place { domains: &domains, certified_by: &authority, trusts: &authority, s2s };
    let (_there, _) = place.start("");
    let libraries = domains.map(|name| Library::open(&authority, name));
    libraries[0].says("{\"links\":[{\"rel\":\"urn:xmpp:alt-connections:websocket\",\"href\":\"ws://plain.example/\"}]}");
    libraries[1].says("<html>");
    let names = domains
        .iter()
        .fold(zone(), |zone, domain| zone.serves(&clear(domain), (1, "mx.example", s2s.port())));
    let places: Vec<_> = domains.into_iter().zip(libraries.iter().map(|it| it.address)).collect();
    let a = operator(&authority, names, &places);
    for (domain, what) in [
        (
            "plain.example",
            "fault: /.well-known/host-meta.json leads clients to \"ws://plain.example/\", which has no TLS",
        ),
        ("broken.example", "fault: /.well-known/host-meta.json cannot be read"),
    ] {
        let (check, fault) = a.say(&["dns", "check", domain]);
        assert!(fault.is_some() && check.contains(what), "{check}");
    }
    let check = a.run(&["dns", "check", "none.example"]).unwrap();
    assert!(
        check.contains("note: /.well-known/host-meta does not tell clients where to connect: "),
        "{check}"
    );
}

// RFC 6120 §3.2.2
#[test]
fn a_domain_without_records_is_looked_at_where_it_is_tried() {
    let authority = Authority::new();
    let [there, nowhere] = [78, 79].map(own_loopback);
    let s2s = SocketAddr::from((there, 5269));
    let domains = ["b.example"];
    let place = Place { domains: &domains, certified_by: &authority, trusts: &authority, s2s };
    let (_b, _) = place.start(&format!("[listen]\nc2s = ['{there}:5222']\n"));
    let seal = s2s::tlsa::Tlsa { usage: 3, selector: 1, matching: 1, data: vec![7; 32] };
    let zone = Zone::new()
        .has_address("b.example", there.into())
        .has_address("d.example", nowhere.into())
        .seals("b.example", 5269, &seal);
    let a = operator(&authority, zone, &[]);
    let check = a.run(&["dns", "check", "b.example", "--json"]).unwrap();
    let found: serde_json::Value = serde_json::from_str(&check).unwrap();
    let shown = found["shown"].as_array().unwrap();
    assert_eq!(shown.len(), 2, "{check}");
    for (service, port) in [("_xmpp-client", 5222), ("_xmpp-server", 5269)] {
        let one = shown.iter().find(|it| it["service"] == service).unwrap();
        assert_eq!(one["address"], format!("{there}:{port}"), "{check}");
        assert!(one["fallback"] == true && one["until"].is_string(), "{check}");
    }
    assert_eq!(found["seals"][0]["name"], "_5269._tcp.b.example", "{check}");

    // A domain without records whom servers do not find; whether it has clients, its owners know.
    let (check, fault) = a.say(&["dns", "check", "d.example"]);
    let at = |port, service| {
        format!("at {nowhere}:{port} (without a record of {service}, STARTTLS): cannot connect")
    };
    assert!(fault.is_some(), "{check}");
    assert!(check.contains(&format!("fault: {}", at(5269, "_xmpp-server"))), "{check}");
    assert!(check.contains(&format!("note: {}", at(5222, "_xmpp-client"))), "{check}");
}

// RFC 2782, "Target"
#[test]
fn a_record_that_names_an_alias_is_pointed_out() {
    let authority = Authority::new();
    let s2s = free();
    let domains = ["b.example"];
    let place = Place { domains: &domains, certified_by: &authority, trusts: &authority, s2s };
    let (_b, _) = place.start("");
    let alias = "records lead to im.example, which is an alias (CNAME) of mx.example";
    for (host, is_alias) in [("im.example", true), ("mx.example", false)] {
        let names = zone()
            .has_alias("im.example", "mx.example")
            .serves(&clear("b.example"), (1, host, s2s.port()));
        let a = operator(&authority, names, &[]);
        let check = a.run(&["dns", "check", "b.example"]).unwrap();
        assert!(
            check.contains(&format!("shown at {s2s} (_xmpp-server, STARTTLS)  good")),
            "{check}"
        );
        assert_eq!(check.contains(&format!("note: {alias}")), is_alias, "{check}");
    }
}

#[test]
fn what_is_published_of_our_domain_is_compared_with_where_we_listen_and_services_are_looked_at() {
    let authority = Authority::new();
    let (s2s, c2s, astray) = (free(), free(), free());
    let domains = ["a.example", "pubsub.a.example"];
    let files = authority.certify(&domains);
    let [certificate, key] = [files.0.display(), files.1.display()];
    let names = zone()
        .serves(&clear("a.example"), (1, "mx.example", s2s.port()))
        .serves("_xmpp-client._tcp.a.example", (1, "mx.example", astray.port()))
        .serves(&clear("pubsub.a.example"), (1, "mx.example", s2s.port()))
        .serves(&clear("conference.a.example"), (1, "mx.example", s2s.port()))
        .serve();
    let a = Stage::start(&format!(
        "[[domain]]\nname = 'a.example'\ncertificate = '{certificate}'\nkey = '{key}'\n\
         [listen]\ns2s = ['{s2s}']\nc2s = ['{c2s}']\n[dns]\nservers = ['{names}']\n\
         [s2s]\npolicy = 'secure'\nallow_private = true\nnegotiation_seconds = 3\nca_file = '{}'\n",
        authority.file().display()
    ));
    let (check, fault) = a.say(&["dns", "check", "a.example"]);
    assert!(fault.is_some(), "{check}");
    let leads = format!(
        "note: a record of _xmpp-client leads to port {} of mx.example, where listen.c2s does not listen",
        astray.port()
    );
    let unknown =
        format!("note: listen.c2s has {c2s}, but no record of _xmpp-client leads there\n");
    assert!(check.contains(&leads) && check.contains(&unknown), "{check}");
    assert!(!check.contains("listen.s2s "), "{check}");

    let at = format!("at {s2s} (_xmpp-server, STARTTLS)");
    assert!(
        check.contains(&format!("service pubsub.a.example  shown {at}  good until 4")),
        "{check}"
    );
    let wrong = "its certificate is not for conference.a.example";
    assert!(check.contains(&format!("fault: conference.a.example, {at}: {wrong}")), "{check}");
    let (check, _) = a.say(&["dns", "check", "a.example", "--json"]);
    let found: serde_json::Value = serde_json::from_str(&check).unwrap();
    let beneath = found["beneath"].as_array().unwrap();
    let shown = |name: &str| &beneath.iter().find(|it| it["name"] == name).unwrap()["shown"];
    assert_eq!(shown("conference.a.example")[0]["problem"], wrong, "{check}");
    assert!(shown("pubsub.a.example")[0]["problem"].is_null(), "{check}");
}
