//! Where another server is found, and what is tried next where it is not there (RFC 6120 §3.2, RFC 2782, XEP-0368).

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};
use std::sync::atomic::Ordering;

use xmpp::ns;

use super::land::{
    Authority, Client, Place, add, are_refused, condition, free, hears, hears_body, log_in,
};
use super::peer::{certified, dialled};
use super::zone::Zone;
use crate::stage::Stage;

/// Domains of one server, each of which is found in another way.
const DOMAINS: [&str; 11] = [
    "dead.example",
    "mute.example",
    "many.example",
    "half.example",
    "other.example",
    "six.example",
    "six-or-four.example",
    "four-or-six.example",
    "bare.example",
    "failing.example",
    "last.example",
];

pub(super) fn clear(domain: &str) -> String {
    format!("_xmpp-server._tcp.{domain}")
}

pub(super) fn direct(domain: &str) -> String {
    format!("_xmpps-server._tcp.{domain}")
}

/// An address of loopback that no other process of these tests has, so that the ports of the standard are free there; of
/// each number another one.
pub(super) fn own_loopback(number: u8) -> Ipv4Addr {
    let [_, _, high, low] = std::process::id().to_be_bytes();
    Ipv4Addr::new(127, number, high, low.clamp(2, 250))
}

/// What DNS says of all domains: their server is at these ports of loopback, in the clear and with TLS from the first
/// byte; the mute one answers nobody.
fn zone(b: SocketAddr, b_tls: SocketAddr, mute: SocketAddr) -> Zone {
    let local = IpAddr::from(Ipv4Addr::LOCALHOST);
    let dead = free().port();
    let beyond = |last| IpAddr::from(Ipv4Addr::new(127, 0, 0, last));
    let bare = IpAddr::from(own_loopback(77));
    Zone::new()
        .has_address("mx.example", local)
        .serves(&clear("dead.example"), (1, "mx.example", dead))
        .serves(&clear("dead.example"), (2, "mx.example", b.port()))
        .serves(&clear("mute.example"), (1, "mx.example", mute.port()))
        .serves(&clear("mute.example"), (2, "mx.example", b.port()))
        // Nobody listens at the others.
        .serves(&clear("many.example"), (1, "many.mx.example", b.port()))
        .has_address("many.mx.example", beyond(3))
        .has_address("many.mx.example", local)
        .has_address("many.mx.example", beyond(2))
        .serves(&clear("half.example"), (1, "mx.example", b.port()))
        .fails(&direct("half.example"))
        .serves(&direct("other.example"), (1, "mx.example", b_tls.port()))
        .fails(&clear("other.example"))
        .serves(&clear("six.example"), (1, "six.mx.example", b.port()))
        .has_address("six.mx.example", Ipv6Addr::LOCALHOST.into())
        // Of two addresses of one name only one leads to somebody: the one of the other kind.
        .serves(&direct("six-or-four.example"), (1, "both.mx.example", b_tls.port()))
        .has_address("both.mx.example", Ipv6Addr::LOCALHOST.into())
        .has_address("both.mx.example", local)
        .serves(&clear("four-or-six.example"), (1, "dead.mx.example", b.port()))
        .has_address("dead.mx.example", own_loopback(78).into())
        .has_address("dead.mx.example", Ipv6Addr::LOCALHOST.into())
        .has_address("bare.example", bare)
        .has_address("failing.example", bare)
        .fails(&clear("failing.example"))
        .fails(&direct("failing.example"))
        // One name leads nowhere, another one cannot be asked for.
        .serves(&clear("last.example"), (1, "nowhere.mx.example", b.port()))
        .serves(&clear("last.example"), (2, "failing.mx.example", b.port()))
        .fails("failing.mx.example")
        .serves(&direct("last.example"), (3, "mx.example", b_tls.port()))
        .serves(&clear("off.example"), (0, "", 0))
}

/// `a.example`, which asks this name server, and Romeo there.
pub(super) fn visitor(authority: &Authority, names: SocketAddr, extra: &str) -> (Stage, Client) {
    let place =
        Place { domains: &["a.example"], certified_by: authority, trusts: authority, s2s: free() };
    let dns = format!(
        "[dns]\nservers = ['{names}']\n[s2s]\nallow_private = true\nshare_streams = false\n{extra}"
    );
    let (stage, _) = place.start(&dns);
    add(&stage, "romeo@a.example");
    let romeo = log_in(&stage, "romeo@a.example");
    (stage, romeo)
}

#[test]
fn each_server_of_a_domain_is_tried_until_one_is_there() {
    let authority = Authority::new();
    let (b, b_tls) = (free(), free());
    // It takes connections, and says nothing.
    let mute = TcpListener::bind("127.0.0.1:0").unwrap();
    let names = zone(b, b_tls, mute.local_addr().unwrap()).serve();
    let place = Place { domains: &DOMAINS, certified_by: &authority, trusts: &authority, s2s: b };
    let (port, bare) = (b.port(), own_loopback(77));
    // Not every machine has IPv6.
    let has_six = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok();
    let six = if has_six { format!("'[::1]:{port}', ") } else { String::new() };
    let (there, _) = place
        .start(&format!("[listen]\ns2s = ['{b}', {six}'{bare}:5269']\ns2s_tls = ['{b_tls}']\n"));
    let (here, mut romeo) = visitor(&authority, names, "negotiation_seconds = 15\n");
    for domain in DOMAINS.into_iter().filter(|it| has_six || !it.contains("six")) {
        let jid = format!("juliet@{domain}");
        add(&there, &jid);
        let mut juliet = log_in(&there, &jid);
        romeo.send(format!("<message to='{jid}' type='chat'><body>to {domain}</body></message>"));
        hears_body(&mut juliet, &format!("to {domain}"));
    }
    romeo.send("<message to='juliet@off.example' id='off'><body>hi</body></message>");
    let error = hears(&mut romeo, |it| it.attr("id") == Some("off"));
    assert_eq!(condition(&error).as_deref(), Some("remote-server-not-found"), "{error:?}");
    let list = here.run(&["s2s", "list"]).unwrap();
    assert!(list.contains("says in DNS that it has no server"), "{list}");
    let line = |domain: &str| list.lines().find(|line| line.contains(domain)).unwrap();
    assert!(!has_six || line("six.example").contains(&format!("[::1]:{port}")), "{list}");
    assert!(line("other.example").contains(&b_tls.to_string()), "{list}");
    assert!(line("bare.example").contains(&format!("{bare}:5269")), "{list}");
}

#[test]
fn a_name_server_that_says_nothing_holds_up_nobody_for_ever() {
    let authority = Authority::new();
    let mute = UdpSocket::bind("127.0.0.1:0").unwrap();
    let patience = "negotiation_seconds = 3\nwait_seconds = 4\n";
    let (here, mut romeo) = visitor(&authority, mute.local_addr().unwrap(), patience);
    romeo.send("<message to='juliet@b.example' id='m'><body>hi</body></message>");
    let error = hears(&mut romeo, |it| it.attr("id") == Some("m"));
    assert_eq!(condition(&error).as_deref(), Some("remote-server-timeout"), "{error:?}");
    let list = here.run(&["s2s", "list"]).unwrap();
    assert!(list.contains("it did not answer in time"), "{list}");
}

/// A server that says this to everybody, whatever it hears.
fn says(after_header: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut tcp in listener.incoming().map(Result::unwrap) {
            let header = format!(
                "<stream:stream xmlns='jabber:server' xmlns:stream='{}' id='x' version='1.0'>",
                ns::STREAM
            );
            // Whoever asks may be gone.
            drop(tcp.write_all((header + after_header).as_bytes()));
            while tcp.read(&mut [0; 512]).is_ok_and(|count| count > 0) {}
        }
    });
    address
}

const NO_TLS: &str =
    "<stream:features/><failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:stream>";
const UNKNOWN: &str = "<stream:error><host-unknown xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></stream:stream>";
const REFUSED: &str = "<stream:error><policy-violation xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></stream:stream>";

// A fault of one server is none of the domain.
#[test]
fn a_server_that_is_not_in_order_does_not_keep_from_the_next_one() {
    const ALL: [&str; 4] = ["cert.example", "plain.example", "unknown.example", "refused.example"];
    let (authority, stranger) = (Authority::new(), Authority::new());
    let (wrong, b_tls) = (free(), free());
    let [plain, unknown, refused] = [NO_TLS, UNKNOWN, REFUSED].map(says);
    let mut zone = Zone::new().has_address("mx.example", Ipv4Addr::LOCALHOST.into());
    for (domain, first) in ALL.into_iter().zip([wrong, plain, unknown, refused]) {
        zone = zone
            .serves(&clear(domain), (1, "mx.example", first.port()))
            .serves(&direct(domain), (2, "mx.example", b_tls.port()));
    }
    // Where the others are no better, what says most is told: not that one of them is away.
    let dead = free().port();
    let zone = zone
        .serves(&clear("old.example"), (1, "mx.example", wrong.port()))
        .serves(&clear("old.example"), (2, "mx.example", dead))
        .serves(&clear("bare.example"), (1, "mx.example", dead))
        .serves(&clear("bare.example"), (2, "mx.example", plain.port()));
    let of_wrong = ["cert.example", "old.example"];
    let place =
        Place { domains: &of_wrong, certified_by: &stranger, trusts: &authority, s2s: wrong };
    let (_wrong, _) = place.start("");
    let place = Place { domains: &ALL, certified_by: &authority, trusts: &authority, s2s: free() };
    let (there, _) = place.start(&format!("[listen]\ns2s_tls = ['{b_tls}']\n"));
    let (here, mut romeo) = visitor(&authority, zone.serve(), "wait_seconds = 20\n");
    for domain in ALL {
        let jid = format!("juliet@{domain}");
        add(&there, &jid);
        let mut juliet = log_in(&there, &jid);
        romeo.send(format!("<message to='{jid}' type='chat'><body>to {domain}</body></message>"));
        hears_body(&mut juliet, &format!("to {domain}"));
    }
    let why =
        [("old.example", "signed by nobody who is trusted"), ("bare.example", "it offers no TLS")];
    are_refused(&here, &mut romeo, &why);
}

// Our own server has said that of the key, and would say so again.
#[test]
fn no_other_server_is_asked_where_our_key_is_wrong() {
    let authority = Authority::new();
    let [first, second] = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let port = |listener: &TcpListener| listener.local_addr().unwrap().port();
    let names = Zone::new()
        .has_address("mx.example", Ipv4Addr::LOCALHOST.into())
        .serves(&clear("b.example"), (1, "mx.example", port(&first)))
        .serves(&clear("b.example"), (2, "mx.example", port(&second)))
        .serve();
    let (_here, mut romeo) = visitor(&authority, names, "");
    romeo.send("<message to='juliet@b.example' id='m'><body>hi</body></message>");
    let (mut peer, _) = dialled(&first, &certified(&authority, &["b.example"]));
    peer.say(
        "<db:result xmlns:db='jabber:server:dialback' from='b.example' to='a.example' type='invalid'/>",
    );
    let error = hears(&mut romeo, |it| it.attr("id") == Some("m"));
    assert_eq!(condition(&error).as_deref(), Some("internal-server-error"), "{error:?}");
    second.set_nonblocking(true).unwrap();
    assert!(second.accept().is_err(), "nobody has connected");
}

// XEP-0368 §5: that there is no TLS from the first byte says nothing of the other service, of which DNS says nothing now.
#[test]
fn a_domain_of_which_dns_tells_one_half_alone_is_looked_for_again() {
    let authority = Authority::new();
    let b = free();
    let place =
        Place { domains: &["b.example"], certified_by: &authority, trusts: &authority, s2s: b };
    let (there, _) = place.start("");
    add(&there, "juliet@b.example");
    let mut juliet = log_in(&there, "juliet@b.example");
    let no_direct = || Zone::new().serves(&direct("b.example"), (0, "", 0));
    let mended = no_direct().leads("b.example", "mx.b.example", b);
    let (names, is_mended) = no_direct().fails(&clear("b.example")).serve_until_mended(mended);
    let (here, mut romeo) = visitor(&authority, names, "");
    romeo.send("<message to='juliet@b.example' type='chat'><body>found</body></message>");
    let list = loop {
        let list = here.run(&["s2s", "list"]).unwrap();
        if list.contains("DNS") {
            break list;
        }
    };
    assert!(list.contains("DNS does not say where _xmpp-server._tcp.b.example is"), "{list}");
    is_mended.store(true, Ordering::SeqCst);
    hears_body(&mut juliet, "found");
}

#[test]
fn what_dns_has_said_is_asked_again_where_an_operator_begins_anew() {
    let authority = Authority::new();
    let b = free();
    let place =
        Place { domains: &["b.example"], certified_by: &authority, trusts: &authority, s2s: b };
    let (there, _) = place.start("");
    add(&there, "juliet@b.example");
    let mut juliet = log_in(&there, "juliet@b.example");
    let mended = Zone::new().leads("b.example", "mx.b.example", b);
    let (names, is_mended) = Zone::new().serve_until_mended(mended);
    let (here, mut romeo) = visitor(&authority, names, "");
    romeo.send("<message to='juliet@b.example' id='m'><body>hi</body></message>");
    let error = hears(&mut romeo, |it| it.attr("id") == Some("m"));
    assert_eq!(condition(&error).as_deref(), Some("remote-server-not-found"), "{error:?}");
    is_mended.store(true, Ordering::SeqCst);
    here.run(&["s2s", "reset", "b.example"]).unwrap();
    romeo.send("<message to='juliet@b.example' type='chat'><body>found</body></message>");
    hears_body(&mut juliet, "found");
}
