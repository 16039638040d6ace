//! Owns whether those who follow the records of a domain of ours come to where this server listens. Pure. Something between
//! may pass connections on to other ports, so that none of it is an error.

use std::net::SocketAddr;

use super::ends::{End, Service};
use crate::config::Listen;

/// What is to be looked at, in words for people. `federates`: whether this server listens for others at all.
pub(super) fn remarks(
    (listen, federates): (&Listen, bool),
    services: &[Service],
    ends: &[End],
) -> Vec<String> {
    let all = [
        ("_xmpp-client", "listen.c2s", &listen.c2s),
        ("_xmpps-client", "listen.c2s_tls", &listen.c2s_tls),
        ("_xmpp-server", "listen.s2s", &listen.s2s),
        ("_xmpps-server", "listen.s2s_tls", &listen.s2s_tls),
    ];
    let mut remarks = Vec::new();
    for (service, setting, addresses) in all {
        if service.ends_with("server") && !federates {
            continue;
        }
        let ends: Vec<&End> = ends.iter().filter(|end| end.service == service).collect();
        let astray = ends.iter().filter(|end| !addresses.iter().any(|it| hears(*it, end)));
        remarks.extend(astray.map(|end| nobody_there(end, setting)));
        let is_known = services.iter().all(|it| it.service != service || it.problem.is_none());
        let unknown =
            addresses.iter().filter(|it| is_known && !ends.iter().any(|end| hears(**it, end)));
        remarks.extend(unknown.map(|address| {
            format!("{setting} has {address}, but no record of {service} leads there")
        }));
    }
    remarks
}

/// Whether those who follow a record may come to where we listen. Of addresses nothing is known where networks are
/// translated, but nobody comes from elsewhere to this machine alone.
fn hears(address: SocketAddr, end: &End) -> bool {
    // The system picks a port.
    if address.port() == 0 {
        return true;
    }
    let is_here = |it: &SocketAddr| it.ip().to_canonical().is_loopback();
    let is_reached =
        !is_here(&address) || end.addresses.is_empty() || end.addresses.iter().any(is_here);
    address.port() == end.target.port && is_reached
}

fn nobody_there(end: &End, setting: &str) -> String {
    let End { service, target, is_fallback, .. } = end;
    let (host, port) = (&target.host, target.port);
    let way = match is_fallback {
        true => format!("without a record of {service} port {port} of {host} is tried"),
        false => format!("a record of {service} leads to port {port} of {host}"),
    };
    format!("{way}, where {setting} does not listen: good only if something there passes it on")
}

#[cfg(test)]
mod tests {
    use s2s::resolve::Target;

    use super::*;

    fn end(service: &'static str, port: u16, is_fallback: bool, address: &str) -> End {
        let host = "mx.example".to_owned();
        let target = Target { host, port, direct: false, routed: false, proved: false };
        let addresses = address.parse().map(|ip| SocketAddr::new(ip, port)).into_iter().collect();
        End { service, target, is_fallback, addresses }
    }

    fn listen(c2s: &[&str]) -> Listen {
        let c2s = c2s.iter().map(|it| it.parse().unwrap()).collect();
        let none = Vec::new;
        Listen { c2s, c2s_tls: none(), s2s: none(), s2s_tls: none(), ..Listen::default() }
    }

    #[test]
    fn records_that_lead_to_listeners_are_in_order() {
        let client = |port, address| end("_xmpp-client", port, false, address);
        let fallback = end("_xmpp-client", 5222, true, "");
        for (listens, end) in [
            ("[::]:5222", client(5222, "192.0.2.1")),
            // Which address is ours, whoever translates knows.
            ("10.0.0.1:5222", client(5222, "192.0.2.1")),
            ("127.0.0.1:5222", client(5222, "127.0.0.1")),
            ("[::]:0", client(5299, "192.0.2.1")),
            ("[::]:5222", fallback),
        ] {
            assert_eq!(remarks((&listen(&[listens]), true), &[], &[end]), [""; 0], "{listens}");
        }
    }

    #[test]
    fn what_leads_nowhere_and_what_nothing_leads_to_is_said() {
        let client = |port, address| end("_xmpp-client", port, false, address);
        let astray = "leads to port 5299 of mx.example, where listen.c2s does not listen";
        let unknown = "listen.c2s has [::]:5222, but no record of _xmpp-client leads there";
        let said = remarks((&listen(&["[::]:5222"]), true), &[], &[client(5299, "192.0.2.1")]);
        assert!(said.len() == 2 && said[0].contains(astray) && said[1] == unknown, "{said:?}");
        // To this machine alone nobody comes.
        let said = remarks((&listen(&["127.0.0.1:5222"]), true), &[], &[client(5222, "192.0.2.1")]);
        assert_eq!(said.len(), 2, "{said:?}");
        let fallback = end("_xmpp-client", 5222, true, "192.0.2.1");
        let said = remarks((&listen(&[]), true), &[], &[fallback]);
        assert!(said[0].starts_with("without a record of _xmpp-client port 5222"), "{said:?}");
        // Another service's record is none of this one.
        let other = end("_xmpps-client", 5222, false, "192.0.2.1");
        assert_eq!(remarks((&listen(&["[::]:5222"]), true), &[], &[other]).len(), 2);
        // Whoever speaks with no other server has nobody come.
        let server = || end("_xmpp-server", 5269, true, "192.0.2.1");
        assert_eq!(remarks((&listen(&[]), true), &[], &[server()]).len(), 1);
        assert_eq!(remarks((&listen(&[]), false), &[], &[server()]), [""; 0]);
        // Where DNS has failed, nobody knows.
        let failed = Service {
            name: String::new(),
            service: "_xmpp-client",
            records: Vec::new(),
            problem: Some("it fails".to_owned()),
        };
        assert_eq!(remarks((&listen(&["[::]:5222"]), true), &[failed], &[]), [""; 0]);
    }
}
