//! Owns where other servers would look for a domain, and for services and components beneath it, and what is shown to them there.

use futures_util::{StreamExt as _, stream};
use s2s::resolve::{Resolver, Target};
use serde::Serialize;

use super::shown::{self, Shown};
use super::{Eyes, Found, ends, publish};

/// Most services that are looked at from outside; the others are looked up only.
const SERVICES_MAX: usize = 32;
/// So many of them at a time.
const AT_ONCE: usize = 8;
/// Most ports of one service that are looked at.
const PORTS_MAX: usize = 4;

/// A server.
#[derive(Debug, Serialize)]
pub(super) struct Place {
    server: String,
    addresses: Vec<String>,
    problem: Option<String>,
}

/// A service or component.
#[derive(Debug, Serialize)]
pub(super) struct Beneath {
    pub(super) name: String,
    pub(super) servers: Vec<Place>,
    /// The certificates that are shown there to whoever wants to speak with it.
    pub(super) shown: Vec<Shown>,
    /// Why nobody finds it.
    #[serde(skip)]
    fault: Option<String>,
}

impl Place {
    pub(super) fn line(&self) -> String {
        let addresses = self.addresses.join(", ");
        format!("{}  {}", self.server, self.problem.as_deref().unwrap_or(&addresses))
    }

    async fn of(resolver: &Resolver, target: &Target) -> Self {
        let how = match (target.routed, target.direct) {
            (true, _) => ", as s2s.route says",
            (false, true) => ", TLS from the first byte",
            (false, false) => "",
        };
        let server = format!("{}:{}{how}", target.host, target.port);
        match resolver.addresses(target).await {
            Ok(addresses) => {
                let addresses = addresses.iter().map(ToString::to_string).collect();
                Self { server, addresses, problem: None }
            }
            Err(error) => Self { server, addresses: Vec::new(), problem: Some(error.to_string()) },
        }
    }
}

/// Where other servers would look for a domain; what is wrong where they find none.
pub(super) async fn places(resolver: &Resolver, domain: &str) -> (Vec<Place>, Option<String>) {
    // The first is as good as any.
    let targets = match resolver.targets(domain, &mut |_| 0).await {
        Ok(targets) => targets,
        Err(error) => return (Vec::new(), Some(error.to_string())),
    };
    let mut places = Vec::new();
    for target in &targets {
        places.push(Place::of(resolver, target).await);
    }
    let is_lost = places.iter().all(|place| place.problem.is_some());
    let why = places.iter().find_map(|place| place.problem.clone());
    let fault = why.filter(|_| is_lost).map(|why| format!("nobody finds {domain}: {why}"));
    (places, fault)
}

/// Services and components are domains of their own to other servers.
pub(super) async fn look_beneath(eyes: &Eyes<'_>, domain: &str, found: &mut Found) {
    let within = format!(".{domain}");
    // The configuration was checked when it was read.
    let services = eyes.config.listed_services().unwrap_or_default().into_iter();
    let services = services.map(|service| service.jid.to_string());
    let mut names: Vec<String> = services.filter(|name| name.ends_with(&within)).collect();
    names.sort();
    names.dedup();
    if names.len() > SERVICES_MAX {
        let what = format!("of services and components only {SERVICES_MAX} were looked at");
        found.remarks.push(what);
    }
    let looks = names.into_iter().enumerate();
    let federates = eyes.config.s2s.is_on();
    let looks = looks.map(|(at, name)| beneath(eyes, name, federates && at < SERVICES_MAX));
    let mut looks = stream::iter(looks).buffered(AT_ONCE);
    while let Some(service) = looks.next().await {
        let Beneath { name, shown, fault, .. } = &service;
        let of_it = |what: String| format!("{name}, {what}");
        found.faults.extend(fault.clone());
        found.faults.extend(shown.iter().filter_map(Shown::fault).map(of_it));
        found.remarks.extend(shown.iter().flat_map(Shown::remarks).map(of_it));
        found.publish.extend(publish::beneath(eyes.config, domain, name));
        found.beneath.push(service);
    }
}

async fn beneath(eyes: &Eyes<'_>, name: String, looks: bool) -> Beneath {
    let Eyes { resolver, probe, local, .. } = eyes;
    let (servers, fault) = places(resolver, &name).await;
    let (_, mut ends) = ends::look(resolver, &name).await;
    ends.retain(|end| looks && !end.is_for_clients());
    let ports = shown::ports(resolver, &ends, PORTS_MAX).await;
    let shown = shown::look(probe, local, &name, ports).await;
    Beneath { name, servers, shown, fault }
}
