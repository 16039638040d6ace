//! Owns `rookery dns`: what DNS says of a domain, as this server and clients see it.

use std::io::Write;

use anyhow::Context as _;
use clap::Subcommand;
use s2s::resolve::{Resolver, Srv, Target};
use serde::Serialize;

use crate::config::Config;

/// What to ask.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Say where the servers of a domain are, and what is wrong with that
    Check {
        /// The domain
        domain: String,
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
    /// What should be looked at.
    remarks: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Service {
    name: String,
    records: Vec<String>,
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
    let Command::Check { domain, json } = command;
    let found = actix_rt::System::new().block_on(find(config, &domain))?;
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
    for remark in &found.remarks {
        writeln!(out, "note: {remark}")?;
    }
    Ok(())
}

async fn find(config: &Config, domain: &str) -> anyhow::Result<Found> {
    let resolver = Resolver::new(&config.dns.servers, &config.s2s)
        .context("cannot find out which name servers to ask")?;
    let mut found = Found::default();
    for (service, direct) in SERVICES {
        let name = format!("{service}._tcp.{domain}");
        let records = match resolver.records(&format!("{name}."), direct).await {
            Ok(records) => records,
            Err(error) => {
                found.remarks.push(error.to_string());
                Vec::new()
            }
        };
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
    remark(config, domain, &mut found);
    Ok(found)
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
