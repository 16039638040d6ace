//! Owns the certificates that are shown at the ports to which DNS leads, and what clients and other servers will say of them.

use std::net::SocketAddr;

use futures_util::future::join_all;
use s2s::probe::{Audience, Port, Probe};
use s2s::resolve::Resolver;
use serde::Serialize;
use xmpp::datetime;

use super::ends::End;

/// Most ports of a domain that are looked at.
pub(super) const PORTS_MAX: usize = 32;
/// A certificate that ends within so many days should have been renewed.
const SOON_DAYS: u64 = 14;

/// What is shown at a port.
#[derive(Debug, Serialize)]
pub(super) struct Shown {
    /// The service that is looked for there.
    pub(super) service: &'static str,
    /// No record leads there: it is what is tried without any.
    pub(super) fallback: bool,
    address: SocketAddr,
    /// Whether TLS begins with the first byte, not by STARTTLS.
    direct: bool,
    /// When the certificate ends.
    until: Option<String>,
    #[serde(skip)]
    days_left: Option<u64>,
    /// What is wrong, in words for people.
    problem: Option<String>,
    /// Why only those connect who look at TLSA records.
    doubt: Option<String>,
}

/// The ports at which somebody is to be, and how they are found; a name without an address is a fault elsewhere.
pub(super) async fn ports<'a>(
    resolver: &Resolver,
    ends: &'a [End],
    most: usize,
) -> Vec<(&'a End, Port)> {
    let mut ports: Vec<(&End, Port)> = Vec::new();
    for end in ends {
        let audience = match end.is_for_clients() {
            true => Audience::Clients,
            false => Audience::Servers,
        };
        let found = resolver.seals(&end.target).await.unwrap_or_default();
        let seals = if found.proved { found.records } else { Vec::new() };
        for address in &end.addresses {
            let (target, seals) = (end.target.clone(), seals.clone());
            let port = Port { address: *address, audience, target, seals };
            let is_same =
                |(of, it): &(&End, Port)| of.service == end.service && it.address == port.address;
            if ports.len() < most && !ports.iter().any(is_same) {
                ports.push((end, port));
            }
        }
    }
    ports
}

/// Looks at all of them at once, in the name of a domain of ours, `local`.
pub(super) async fn look(
    probe: &Probe,
    local: &str,
    domain: &str,
    ports: Vec<(&End, Port)>,
) -> Vec<Shown> {
    let looks = ports.into_iter().map(async |(end, port)| {
        let (ends_at, days_left, problem, doubt) = match probe.look(local, domain, &port).await {
            Ok(shown) => (shown.not_after, shown.days_left, shown.fault, shown.doubt),
            Err(why) => (None, None, Some(why), None),
        };
        let until = ends_at.map(|at| datetime::format_seconds(at.saturating_mul(1_000_000)));
        let (service, fallback) = (end.service, end.is_fallback);
        let (address, direct) = (port.address, port.target.direct);
        Shown { service, fallback, address, direct, until, days_left, problem, doubt }
    });
    join_all(looks).await
}

impl Shown {
    fn place(&self) -> String {
        let how = if self.direct { "TLS from the first byte" } else { "STARTTLS" };
        let found = if self.fallback { "without a record of " } else { "" };
        format!("{} ({found}{}, {how})", self.address, self.service)
    }

    pub(super) fn line(&self) -> String {
        let until = self.until.as_deref().unwrap_or("an end that cannot be read");
        let what = self.problem.clone().unwrap_or_else(|| format!("good until {until}"));
        format!("shown at {}  {what}", self.place())
    }

    pub(super) fn fault(&self) -> Option<String> {
        self.problem.as_ref().map(|problem| format!("at {}: {problem}", self.place()))
    }

    /// That it should have been renewed, or does not convince everybody.
    pub(super) fn remarks(&self) -> Vec<String> {
        let days = self.days_left.filter(|days| *days < SOON_DAYS && self.problem.is_none());
        let soon = days.map(|days| format!("the certificate ends in {days} days"));
        let doubt = self.doubt.as_ref();
        let doubt =
            doubt.map(|why| format!("whoever looks at no TLSA records will not connect: {why}"));
        let at = |what| format!("at {}: {what}", self.place());
        soon.into_iter().chain(doubt).map(at).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_that_ends_soon_is_looked_at_and_one_that_is_wrong_is_a_fault_alone() {
        let shown = |days_left, problem: Option<&str>| Shown {
            service: "_xmpp-server",
            fallback: false,
            address: "127.0.0.1:5269".parse().unwrap(),
            direct: false,
            until: None,
            days_left: Some(days_left),
            problem: problem.map(str::to_owned),
            doubt: None,
        };
        let soon = shown(13, None);
        assert_eq!(soon.fault(), None);
        let said = "at 127.0.0.1:5269 (_xmpp-server, STARTTLS): the certificate ends in 13 days";
        assert_eq!(soon.remarks(), [said]);
        assert_eq!(shown(14, None).remarks(), [""; 0]);
        let wrong = shown(1, Some("it offers no TLS"));
        assert_eq!(wrong.remarks(), [""; 0]);
        assert!(wrong.fault().is_some_and(|it| it.ends_with("STARTTLS): it offers no TLS")));
    }
}
