//! Owns `rookery dns`: what DNS says of a domain, as this server and clients see it.

mod publish;

use std::io::Write;

use anyhow::Context as _;
use clap::Subcommand;
use s2s::resolve::{Resolver, Seals, Srv, Target};
use s2s::tlsa::{Certificate, Tlsa};
use serde::Serialize;

use crate::config::Config;

/// What to ask.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Say where the servers of a domain are, and what is wrong with that
    Check {
        /// The domain
        domain: String,
        /// Also print the record by which a telephone number leads to an address, as +441154960496=mary@example.org
        #[arg(long = "number", value_name = "NUMBER=ADDRESS")]
        numbers: Vec<String>,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
}

/// What was found.
#[derive(Debug, Default, Serialize)]
struct Found {
    /// The SRV records of each service.
    services: Vec<Service>,
    /// Where this server would connect to.
    servers: Vec<Place>,
    /// What DNS says of the certificates there.
    seals: Vec<Seal>,
    /// What is to be published of a domain that is served here.
    publish: Vec<String>,
    /// What should be looked at.
    remarks: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Service {
    name: String,
    records: Vec<String>,
}

/// What TLSA records of one server say (RFC 7673).
#[derive(Debug, Serialize)]
struct Seal {
    name: String,
    records: Vec<String>,
    verdict: &'static str,
    /// Whether DNSSEC proves them: otherwise nobody counts them.
    proved: bool,
}

#[derive(Debug, Serialize)]
struct Place {
    server: String,
    addresses: Vec<String>,
    problem: Option<String>,
}

/// The services of clients and of servers, each without and with TLS from the first byte.
const SERVICES: [(&str, bool); 4] = [
    ("_xmpp-client", false),
    ("_xmpps-client", true),
    ("_xmpp-server", false),
    ("_xmpps-server", true),
];

/// Does it.
pub(super) fn run(config: &Config, command: Command) -> anyhow::Result<()> {
    let Command::Check { domain, numbers, json } = command;
    let numbers = numbers.iter().map(|it| publish::number(it)).collect::<Result<Vec<_>, _>>();
    let numbers = numbers.map_err(anyhow::Error::msg)?;
    let mut found = actix_rt::System::new().block_on(find(config, &domain))?;
    found.publish.extend(numbers);
    let mut out = std::io::stdout().lock();
    if json {
        writeln!(out, "{}", serde_json::to_string_pretty(&found)?)?;
        return Ok(());
    }
    for service in &found.services {
        match service.records.is_empty() {
            true => writeln!(out, "{}  no record", service.name)?,
            false => writeln!(out, "{}  {}", service.name, service.records.join(", "))?,
        }
    }
    for place in &found.servers {
        let addresses = place.addresses.join(", ");
        let end = place.problem.as_deref().unwrap_or(&addresses);
        writeln!(out, "server {}  {end}", place.server)?;
    }
    for seal in &found.seals {
        let proved = if seal.proved { "" } else { "; DNSSEC does not prove them" };
        writeln!(out, "{}  {}  {}{proved}", seal.name, seal.records.join(", "), seal.verdict)?;
    }
    for record in &found.publish {
        writeln!(out, "publish: {record}")?;
    }
    for remark in &found.remarks {
        writeln!(out, "note: {remark}")?;
    }
    Ok(())
}

async fn find(config: &Config, domain: &str) -> anyhow::Result<Found> {
    let resolver =
        Resolver::new((&config.dns.servers, config.dns.trust_anchor.as_deref()), &config.s2s)
            .context("cannot set up lookups in DNS")?;
    let mut found = Found::default();
    let mut ends = Vec::new();
    for (service, direct) in SERVICES {
        let name = format!("{service}._tcp.{domain}");
        let records = match resolver.records(&format!("{name}."), direct).await {
            Ok(records) => records,
            Err(error) => {
                found.remarks.push(error.to_string());
                Vec::new()
            }
        };
        ends.extend(records.iter().map(|record| record.target.clone()));
        let records = records.iter().map(record).collect();
        found.services.push(Service { name, records });
    }
    // The first is as good as any.
    match resolver.targets(domain, &mut |_| 0).await {
        Ok(targets) => {
            for target in targets {
                found.servers.push(place(&resolver, &target).await);
            }
        }
        Err(error) => found.remarks.push(error.to_string()),
    }
    let own = config.domain.iter().find(|ours| ours.name == domain);
    let certificate =
        own.and_then(|ours| ours.certificate.as_deref()).and_then(s2s::tlsa::certificate);
    for target in &ends {
        let sealed = seal(&resolver, target, certificate.as_ref()).await;
        found
            .seals
            .extend(sealed.filter(|it| found.seals.iter().all(|known| known.name != it.name)));
    }
    if own.is_some() {
        let tlsa = certificate.as_ref().and_then(Tlsa::of);
        found.publish = publish::records(config, domain, tlsa.as_ref());
    }
    remark(config, domain, &mut found);
    Ok(found)
}

/// What TLSA records say of a server, judged by our own certificate where it is ours; none where there are none.
async fn seal(
    resolver: &Resolver,
    target: &Target,
    certificate: Option<&Certificate>,
) -> Option<Seal> {
    let Seals { records, proved } = resolver.seals(target).await.unwrap_or_default();
    let verdict = match certificate {
        Some(certificate) if records.iter().any(|it| it.means(certificate)) => {
            "mean the certificate of this server"
        }
        Some(_) => "mean another certificate: who looks at them will not connect",
        None => "are there",
    };
    (!records.is_empty()).then(|| Seal {
        name: format!("_{}._tcp.{}", target.port, target.host),
        records: records.iter().map(ToString::to_string).collect(),
        verdict,
        proved,
    })
}

fn record(Srv { priority, weight, target }: &Srv) -> String {
    format!("{}:{} (priority {priority}, weight {weight})", target.host, target.port)
}

async fn place(resolver: &Resolver, target: &Target) -> Place {
    let how = match (target.routed, target.direct) {
        (true, _) => ", as s2s.route says",
        (false, true) => ", TLS from the first byte",
        (false, false) => "",
    };
    let server = format!("{}:{}{how}", target.host, target.port);
    match resolver.addresses(target).await {
        Ok(addresses) => {
            let addresses = addresses.iter().map(ToString::to_string).collect();
            Place { server, addresses, problem: None }
        }
        Err(error) => Place { server, addresses: Vec::new(), problem: Some(error.to_string()) },
    }
}

fn remark(config: &Config, domain: &str, found: &mut Found) {
    let has = |name: &str, found: &Found| {
        let is = |service: &&Service| service.name.starts_with(&format!("{name}._tcp"));
        found.services.iter().find(is).is_some_and(|service| !service.records.is_empty())
    };
    let is_ours = config.domain.iter().any(|ours| ours.name == domain);
    if !has("_xmpp-server", found) && !has("_xmpps-server", found) {
        let what =
            "without a record of _xmpp-server other servers try the domain itself, port 5269";
        found.remarks.push(what.to_owned());
    }
    if is_ours && !has("_xmpp-client", found) && !has("_xmpps-client", found) {
        let what = "without a record of _xmpp-client clients try the domain itself, port 5222";
        found.remarks.push(what.to_owned());
    }
    if config.s2s.policy_for(domain) == s2s::Policy::Off && !is_ours {
        found.remarks.push("this server does not speak with it, by its policy".to_owned());
    }
}
