//! What operators see of other servers, and what DNS has to say.

use std::net::{SocketAddr, UdpSocket};

use super::impostor::Impostor;
use super::land::{
    Authority, Land, Proof, add, condition, free, hears, hears_body, log_in, settings,
};
use super::zone::Zone;
use crate::stage::Stage;

#[test]
fn operators_see_each_stream_and_why_one_does_not_come_about() {
    let mut land = Land::start(Proof::Certificate);
    let (mut romeo, mut juliet) = land.lovers();
    romeo.send("<message to='juliet@b.example' type='chat'><body>hi</body></message>");
    hears_body(&mut juliet, "hi");
    let list = land.a.run(&["s2s", "list"]).unwrap();
    let open = format!("a.example to b.example  open, acknowledged  {}", land.s2s[1]);
    assert!(list.contains(&open), "{list}");
    let there = land.b.run(&["s2s", "list"]).unwrap();
    assert!(there.contains("from a.example  127.0.0.1:"), "{there}");

    let reset = land.a.run(&["s2s", "reset", "b.example"]).unwrap();
    assert_eq!(reset, "1 begin anew\n");
    romeo.send("<message to='juliet@b.example' type='chat'><body>anew</body></message>");
    hears_body(&mut juliet, "anew");
    let nothing = land.a.run(&["s2s", "reset", "c.example"]).unwrap_err();
    assert!(nothing.contains("no stream to c.example"), "{nothing}");

    land.b.terminate();
    romeo.send("<message to='juliet@b.example' type='chat'><body>lost</body></message>");
    let failed = loop {
        let list = land.a.run(&["s2s", "list", "--json"]).unwrap();
        let list: serde_json::Value = serde_json::from_str(&list).unwrap();
        let line = list["outbound"][0].clone();
        let reason = line["reason"].as_str().unwrap_or_default();
        if reason.contains("cannot connect to 127.0.0.1") {
            break line;
        }
    };
    assert_eq!(failed["waiting"], 1, "{failed}");
}

fn listed(stage: &Stage) -> serde_json::Value {
    serde_json::from_str(&stage.run(&["s2s", "list", "--json"]).unwrap()).unwrap()
}

/// Waits until a failure is listed of a stream to, or from, a domain.
fn await_failure(stage: &Stage, outbound: bool, domain: &str) -> serde_json::Value {
    loop {
        let list = listed(stage);
        let mut failures = list["failures"].as_array().unwrap().iter();
        let found = failures.find(|it| it["outbound"] == outbound && it["domain"] == domain);
        if let Some(found) = found {
            return found.clone();
        }
    }
}

#[test]
fn operators_see_why_a_server_that_has_come_is_not_believed_and_why_it_was_not() {
    let land = Land::start(Proof::Certificate);
    let files = land.authority.certify(&["evil.example"]);
    let mut impostor = Impostor::secured(land.s2s[0], "b.example", Some(&files));
    impostor.say("<db:result from='b.example' to='a.example'>key</db:result>");
    assert_eq!(impostor.hears("result").attr("type"), Some("error"));
    let why = "its certificate is not for b.example";
    let list = land.a.run(&["s2s", "list"]).unwrap();
    let line = list.lines().find(|line| line.starts_with("from nobody yet  127.0.0.1:")).unwrap();
    assert!(line.contains(&format!("  b.example: {why}  at ")), "{list}");
    let doubts = &listed(&land.a)["inbound"][0]["doubts"];
    assert_eq!(*doubts, serde_json::json!([{ "domain": "b.example", "reason": why }]));
    land.a.await_log(why);
    drop(impostor);
    let failure = await_failure(&land.a, false, "b.example");
    assert!(failure["reason"].as_str().unwrap().starts_with(why), "{failure}");
    assert!(failure["seconds"].as_u64().is_some_and(|seconds| seconds < 60), "{failure}");
    let list = land.a.run(&["s2s", "list"]).unwrap();
    assert!(
        list.contains(&format!("last failure from b.example  {why} (from 127.0.0.1)")),
        "{list}"
    );
    // It was looked at twice.
    assert_eq!(land.a.log.lock().unwrap().matches(why).count(), 1, "it is logged once");

    // Whoever makes up a key, is told so by no certificate either.
    let land = Land::start(Proof::Dialback);
    let (mut romeo, mut juliet) = land.lovers();
    let mut impostor = Impostor::secured(land.s2s[0], "b.example", None);
    impostor.say("<db:result from='b.example' to='a.example'>made up</db:result>");
    assert_eq!(impostor.hears("result").attr("type"), Some("invalid"));
    loop {
        let failure = await_failure(&land.a, false, "b.example");
        if failure["reason"].as_str().unwrap().starts_with("its dialback key is wrong") {
            break;
        }
    }
    // One that dialback proves is there, and it is seen why its certificate does not.
    juliet.send("<message to='romeo@a.example' type='chat'><body>hi</body></message>");
    hears_body(&mut romeo, "hi");
    let list = land.a.run(&["s2s", "list"]).unwrap();
    let line = list.lines().find(|line| line.starts_with("from b.example  127.0.0.1:")).unwrap();
    assert!(line.contains("  b.example: its certificate "), "{list}");
}

#[test]
fn why_a_server_could_not_be_spoken_with_is_seen_when_nothing_is_tried_any_more() {
    // A pair of which nothing waits is forgotten as soon as places are rare.
    let few = "[s2s]\ndomains = 1\nwait_seconds = 1\n";
    let mut land = Land::start_with(Proof::Certificate, few);
    let (mut romeo, _) = land.lovers();
    land.b.terminate();
    romeo.send("<message to='juliet@b.example' id='m'><body>hi</body></message>");
    let error = hears(&mut romeo, |it| it.attr("id") == Some("m"));
    assert_eq!(condition(&error).as_deref(), Some("remote-server-timeout"), "{error:?}");
    while !listed(&land.a)["outbound"].as_array().unwrap().is_empty() {
        std::thread::yield_now();
    }
    let failure = await_failure(&land.a, true, "b.example");
    let reason = failure["reason"].as_str().unwrap();
    assert!(reason.contains("cannot connect to 127.0.0.1"), "{failure}");
    let list = land.a.run(&["s2s", "list"]).unwrap();
    assert!(list.contains(&format!("last failure to b.example  {reason}  ")), "{list}");
}

/// A name server that knows where the servers of `b.example` are, and says that nothing else is there.
fn names(server: SocketAddr) -> SocketAddr {
    names_of("_xmpp-server._tcp.b.example", server)
}

/// The same, for this service.
fn names_of(service: &'static str, server: SocketAddr) -> SocketAddr {
    names_with(service, server, Vec::new())
}

/// The same, and what it knows of the certificates of all servers: a TLSA record of their keys' SHA-256.
fn names_with(service: &'static str, server: SocketAddr, seal: Vec<u8>) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut query = [0; 1024];
        while let Ok((count, peer)) = socket.recv_from(&mut query) {
            drop(socket.send_to(&answer(&query[..count], (service, server.port()), &seal), peer));
        }
    });
    address
}

fn answer(query: &[u8], (service, port): (&str, u16), seal: &[u8]) -> Vec<u8> {
    const SRV: u8 = 33;
    const TLSA: u8 = 52;
    let (mut labels, mut at) = (Vec::new(), 12);
    while query[at] > 0 {
        let end = at + 1 + usize::from(query[at]);
        labels.push(String::from_utf8(query[at + 1..end].to_vec()).unwrap().to_lowercase());
        at = end;
    }
    let question = &query[12..at + 5];
    let sealed = query[at + 2] == TLSA && !seal.is_empty();
    let known = sealed || query[at + 2] == SRV && labels.join(".") == service;
    let head = [&query[..2], &[0x85, if known { 0x80 } else { 0x83 }, 0, 1, 0, u8::from(known)]];
    let mut all = [&head.concat()[..], &[0, 0, 0, 0], question].concat();
    if sealed {
        let length = u8::try_from(3 + seal.len()).unwrap();
        all.extend([0xc0, 12, 0, TLSA, 0, 1, 0, 0, 0, 60, 0, length, 3, 1, 1]);
        all.extend(seal);
    } else if known {
        let [high, low] = port.to_be_bytes();
        // Nobody asks DNS what lies beneath localhost (RFC 6761 §6.3).
        let (length, host): (u8, &[u8]) = match seal.is_empty() {
            true => (17, b"\x09localhost\x00"),
            false => (20, b"\x02mx\x01a\x07example\x00"),
        };
        all.extend([0xc0, 12, 0, SRV, 0, 1, 0, 0, 0, 60, 0, length, 0, 10, 0, 5, high, low]);
        all.extend(host);
    }
    all
}

/// A name server that says of everything that it has failed.
fn failing() -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut question = [0; 512];
        while let Ok((length, asker)) = socket.recv_from(&mut question) {
            question[2] |= 0x80;
            question[3] = question[3] & 0xf0 | 2;
            socket.send_to(&question[..length], asker).unwrap();
        }
    });
    address
}

/// A server that finds others by this name server.
fn by_dns(authority: &Authority, names: SocketAddr, private: bool) -> Stage {
    let files = authority.certify(&["a.example", "conference.a.example"]);
    let own = ("a.example", Some(&files));
    let settings = settings(own, free(), ("c.example", free()), &authority.file());
    let private = format!("[s2s]\nallow_private = {private}\n");
    let dns = format!("[dns]\nservers = ['{names}']\n");
    let stage = Stage::start(&(settings.replace("[s2s]\n", &private) + &dns));
    add(&stage, "romeo@a.example");
    stage
}

#[test]
fn servers_are_found_by_their_records_in_dns() {
    let authority = Authority::new();
    let b = free();
    let names = Zone::new().leads("b.example", "mx.b.example", b).serve();
    let a = by_dns(&authority, names, true);
    let files = authority.certify(&["b.example"]);
    let own = ("b.example", Some(&files));
    let stage = Stage::start(&settings(own, b, ("a.example", free()), &authority.file()));
    add(&stage, "juliet@b.example");
    let mut juliet = log_in(&stage, "juliet@b.example");
    let mut romeo = log_in(&a, "romeo@a.example");
    romeo.send("<message to='juliet@b.example' type='chat'><body>found</body></message>");
    hears_body(&mut juliet, "found");
    let check = a.run(&["dns", "check", "b.example"]).unwrap();
    let record = format!("mx.b.example:{} (priority 10, weight 5)", b.port());
    assert!(
        check.contains(&record) && check.contains(&format!("127.0.0.1:{}", b.port())),
        "{check}"
    );
    assert!(check.contains("_xmpps-server._tcp.b.example  no record"), "{check}");
    let routed = a.run(&["dns", "check", "c.example", "--json"]).unwrap();
    assert!(routed.contains("as s2s.route says"), "{routed}");
}

#[test]
fn what_is_wrong_with_a_domain_is_said_and_is_a_failure_of_the_command() {
    let authority = Authority::new();
    let own = free();
    let names = Zone::new().leads("a.example", "mx.a.example", own).serve();
    let stage = by_dns(&authority, names, true);
    let (check, fault) = stage.say(&["dns", "check", "A.example."]);
    assert!(fault.is_some_and(|it| it.contains("a.example")), "{check}");
    assert!(check.contains("fault: no certificate names pubsub.a.example"), "{check}");
    assert!(!check.contains("no certificate names conference.a.example"), "{check}");
    assert!(check.contains("service conference.a.example  "), "{check}");
    assert!(check.contains("certificate  for a.example, conference.a.example"), "{check}");
    let (check, _) = stage.say(&["dns", "check", "a.example", "--json"]);
    let found: serde_json::Value = serde_json::from_str(&check).unwrap();
    assert!(found["faults"].as_array().is_some_and(|faults| !faults.is_empty()), "{check}");
    // A domain that nobody can find.
    let (check, fault) = stage.say(&["dns", "check", "nowhere.example"]);
    assert!(fault.is_some() && check.contains("fault: "), "{check}");
    for wrong in ["a@b.example", "", "a..b"] {
        let (check, fault) = stage.say(&["dns", "check", wrong]);
        assert!(check.is_empty(), "{check}");
        assert!(fault.is_some_and(|it| it.contains("is not the name of a domain")), "{wrong}");
    }
    let (_, fault) = stage.say(&["s2s", "reset", "a@b.example"]);
    assert!(fault.is_some_and(|it| it.contains("is not the name of a domain")));
    // A name server that fails says nothing, which is not that there is nothing.
    let stage = by_dns(&authority, failing(), true);
    let (check, fault) = stage.say(&["dns", "check", "b.example"]);
    assert!(fault.is_some() && check.contains("_xmpp-server._tcp.b.example  not known"), "{check}");
    assert!(!check.contains("without a record"), "{check}");
}

#[test]
fn a_domain_with_letters_beyond_ascii_is_found_and_proved_as_dns_writes_it() {
    let authority = Authority::new();
    let b = free();
    let names = Zone::new().leads("xn--bcher-kva.example", "mx.example", b).serve();
    let a = by_dns(&authority, names, true);
    let files = authority.certify(&["xn--bcher-kva.example"]);
    let own = ("bücher.example", Some(&files));
    let stage = Stage::start(&settings(own, b, ("a.example", free()), &authority.file()));
    add(&stage, "juliet@bücher.example");
    let mut juliet = log_in(&stage, "juliet@bücher.example");
    let mut romeo = log_in(&a, "romeo@a.example");
    romeo.send("<message to='juliet@BÜCHER.example' type='chat'><body>found</body></message>");
    let heard = hears_body(&mut juliet, "found");
    assert!(
        heard.attr("to").is_some_and(|to| to.starts_with("juliet@bücher.example")),
        "{heard:?}"
    );
}

#[test]
fn names_that_lead_to_private_addresses_are_not_followed() {
    let authority = Authority::new();
    let inside = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let a = by_dns(&authority, names(inside.local_addr().unwrap()), false);
    let mut romeo = log_in(&a, "romeo@a.example");
    for domain in ["b.example", "127.0.0.1", "nowhere.example"] {
        romeo.send(format!("<message to='x@{domain}' id='m'><body>hi</body></message>"));
        let error = hears(&mut romeo, |it| it.attr("id") == Some("m"));
        assert_eq!(condition(&error).as_deref(), Some("remote-server-not-found"), "{domain}");
    }
    inside.set_nonblocking(true).unwrap();
    assert!(inside.accept().is_err(), "nobody has connected");
}

#[test]
fn a_server_that_speaks_tls_from_the_first_byte_is_spoken_with_so() {
    let authority = Authority::new();
    let direct = free();
    let a = by_dns(&authority, names_of("_xmpps-server._tcp.b.example", direct), true);
    let files = authority.certify(&["b.example"]);
    let own = ("b.example", Some(&files));
    let settings = settings(own, free(), ("a.example", free()), &authority.file());
    let listen = format!("[listen]\ns2s_tls = ['{direct}']\n");
    let stage = Stage::start(&settings.replace("[listen]\n", &listen));
    add(&stage, "juliet@b.example");
    let mut juliet = log_in(&stage, "juliet@b.example");
    let mut romeo = log_in(&a, "romeo@a.example");
    romeo.send("<message to='juliet@b.example' type='chat'><body>direct</body></message>");
    hears_body(&mut juliet, "direct");
    let list = a.run(&["s2s", "list"]).unwrap();
    assert!(
        list.contains(&format!("a.example to b.example  open, acknowledged  {direct}")),
        "{list}"
    );
}

#[test]
fn authorities_are_read_again_on_sighup() {
    let land = Land::start(Proof::Certificate);
    let (mut romeo, mut juliet) = land.lovers();
    // Nobody is trusted any more: what is said to a server that is not spoken with yet comes back.
    let ca = land.authority.file();
    let trusted = std::fs::read(&ca).unwrap();
    std::fs::write(&ca, Authority::new().pem()).unwrap();
    land.a.signal("HUP");
    land.a.await_log("were read again");
    romeo.send("<message to='juliet@b.example' id='m'><body>hi</body></message>");
    let error = hears(&mut romeo, |it| it.attr("id") == Some("m"));
    assert_eq!(error.attr("type"), Some("error"));
    std::fs::write(&ca, trusted).unwrap();
    land.a.signal("HUP");
    while land.a.log.lock().unwrap().matches("were read again").count() < 2 {
        std::thread::yield_now();
    }
    land.a.run(&["s2s", "reset"]).unwrap();
    romeo.send("<message to='juliet@b.example'><body>again</body></message>");
    hears_body(&mut juliet, "again");
}

#[test]
fn what_dns_says_of_our_certificate_is_judged_and_what_is_to_be_published_printed() {
    let authority = Authority::new();
    let files = authority.certify(&["a.example"]);
    let seal = s2s::tlsa::Tlsa::of(&s2s::tlsa::certificate(&files.0).unwrap()).unwrap();
    for (data, verdict) in [
        (seal.data.clone(), "mean the certificate of this server"),
        (vec![7; 32], "mean another certificate"),
    ] {
        let own = free();
        let names = names_with("_xmpp-server._tcp.a.example", own, data);
        let certified = ("a.example", Some(&files));
        let settings = settings(certified, own, ("c.example", free()), &authority.file());
        let stage = Stage::start(&format!("{settings}[dns]\nservers = ['{names}']\n"));
        let number = "--number=+441154960496=romeo@a.example";
        let (check, _) = stage.say(&["dns", "check", "a.example", number]);
        let name = format!("_{}._tcp", own.port());
        let judged = format!("{name}.mx.a.example  3 1 1 ");
        let line = check.lines().find(|line| line.starts_with(&judged));
        assert!(line.is_some_and(|line| line.contains(verdict)), "{check}");
        let sealed = format!("publish: {name}.a.example. IN TLSA {seal}\n");
        let found =
            format!("publish: _xmpp-server._tcp.a.example. IN SRV 0 5 {} a.example.\n", own.port());
        assert!(check.contains(&sealed) && check.contains(&found), "{check}");
        let rooms = found.replace("._tcp.a.", "._tcp.conference.a.");
        assert!(check.contains(&rooms), "{check}");
        assert!(check.contains("\"!^.*$!xmpp:romeo@a.example!\" ."), "{check}");
    }
}
