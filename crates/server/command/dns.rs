//! Owns `rookery dns`: what DNS says of a domain, as this server and clients see it.

mod host_meta;
mod publish;
mod shown;

use std::io::Write;

use anyhow::Context as _;
use c2s::tls::Description;
use clap::Subcommand;
use s2s::probe::Probe;
use s2s::resolve::{Resolver, Srv, Target, TlsaRecords, ascii};
use s2s::tlsa::{Certificate, Tlsa};
use serde::Serialize;

use crate::certificates::{check_tls, described};
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
    /// The certificates that are shown at the ports of the SRV records.
    shown: Vec<shown::Shown>,
    /// Where clients that speak HTTP are to connect (XEP-0156).
    host_meta: Vec<host_meta::HostMeta>,
    /// What is to be published of a domain that is served here.
    publish: Vec<String>,
    /// Where other servers would look for each service and component beneath it, where it is served here.
    beneath: Vec<Beneath>,
    /// The certificate that is shown for it, where it is served here.
    certificate: Option<Description>,
    /// What does not work.
    faults: Vec<String>,
    /// What should be looked at.
    remarks: Vec<String>,
}

/// A service or component.
#[derive(Debug, Serialize)]
struct Beneath {
    name: String,
    servers: Vec<Place>,
}

#[derive(Debug, Serialize)]
struct Service {
    name: String,
    records: Vec<String>,
    /// Why that is not known.
    problem: Option<String>,
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

/// The services of clients and of servers, and whether TLS begins with the first byte.
const SERVICES: [(&str, bool); 4] = [
    ("_xmpp-client", false),
    ("_xmpps-client", true),
    ("_xmpp-server", false),
    ("_xmpps-server", true),
];

/// What TLSA records must not mean.
const ANOTHER: &str = "mean another certificate: who looks at them will not connect";

/// Runs `rookery dns`.
pub(super) fn run(config: &Config, command: Command) -> anyhow::Result<()> {
    let Command::Check { domain, numbers, json } = command;
    let domain = super::domain(&domain)?;
    let numbers = numbers.iter().map(|it| publish::number(it)).collect::<Result<Vec<_>, _>>();
    let numbers = numbers.map_err(anyhow::Error::msg)?;
    let mut found = actix_rt::System::new().block_on(find(config, domain.as_str()))?;
    found.publish.extend(numbers);
    let mut out = std::io::stdout().lock();
    match json {
        true => writeln!(out, "{}", serde_json::to_string_pretty(&found)?)?,
        false => print(&found, &mut out)?,
    }
    anyhow::ensure!(found.faults.is_empty(), "{domain} cannot be reached as it should be");
    Ok(())
}

fn print(found: &Found, out: &mut impl Write) -> std::io::Result<()> {
    for service in &found.services {
        let records = service.records.join(", ");
        let what = match (&service.problem, service.records.is_empty()) {
            (Some(_), _) => "not known",
            (None, true) => "no record",
            (None, false) => &records,
        };
        writeln!(out, "{}  {what}", service.name)?;
    }
    for place in &found.servers {
        writeln!(out, "server {}", place.line())?;
    }
    for service in &found.beneath {
        let places: Vec<String> = service.servers.iter().map(Place::line).collect();
        writeln!(out, "service {}  {}", service.name, places.join("; "))?;
    }
    if let Some(certificate) = &found.certificate {
        let (names, end) = (certificate.names.join(", "), &certificate.not_after);
        writeln!(out, "certificate  for {names}, by {}, until {end}", certificate.issuer)?;
    }
    for seal in &found.seals {
        let proved = if seal.proved { "" } else { "; DNSSEC does not prove them" };
        writeln!(out, "{}  {}  {}{proved}", seal.name, seal.records.join(", "), seal.verdict)?;
    }
    for shown in &found.shown {
        writeln!(out, "{}", shown.line())?;
    }
    for document in &found.host_meta {
        writeln!(out, "{}", document.line())?;
    }
    for record in &found.publish {
        writeln!(out, "publish: {record}")?;
    }
    for remark in &found.remarks {
        writeln!(out, "note: {remark}")?;
    }
    for fault in &found.faults {
        writeln!(out, "fault: {fault}")?;
    }
    Ok(())
}

async fn find(config: &Config, domain: &str) -> anyhow::Result<Found> {
    let resolver =
        Resolver::new(&config.dns.servers, config.dns.trust_anchor.as_deref(), &config.s2s)
            .context("cannot set up lookups in DNS")?;
    let mut found = Found::default();
    let mut ends = Vec::new();
    for (service, direct) in SERVICES {
        // An address has no records.
        let Some(ascii) = ascii(domain) else { continue };
        let name = format!("{service}._tcp.{ascii}");
        let (records, problem) = match resolver.judged_records(&format!("{name}."), direct).await {
            Ok(records) => (records, None),
            Err(error) => (Vec::new(), Some(error.to_string())),
        };
        found.faults.extend(problem.clone());
        let is_there = |record: &&Srv| !record.target.host.is_empty();
        let targets =
            records.iter().filter(is_there).map(|record| (service, record.target.clone()));
        ends.extend(targets);
        let records = records.iter().map(record).collect();
        found.services.push(Service { name, records, problem });
    }
    let (servers, fault) = places(&resolver, domain).await;
    found.servers = servers;
    found.faults.extend(fault.filter(|fault| !found.faults.contains(fault)));
    let own = config.domain.iter().find(|ours| ours.name == domain);
    let certificate =
        own.and_then(|ours| ours.certificate.as_deref()).and_then(s2s::tlsa::certificate);
    for (_, target) in &ends {
        let sealed = seal(&resolver, target, certificate.as_ref()).await;
        found
            .seals
            .extend(sealed.filter(|it| found.seals.iter().all(|known| known.name != it.name)));
    }
    if own.is_some() {
        let tlsa = certificate.as_ref().and_then(Tlsa::of);
        found.publish = publish::records(config, domain, tlsa.as_ref());
        look_beneath(config, &resolver, domain, &mut found).await;
        look_at_certificates(config, domain, &mut found)?;
    }
    // What nothing proves, nobody counts.
    let sealed = found.seals.iter().filter(|seal| seal.proved && seal.verdict == ANOTHER);
    found.faults.extend(sealed.map(|seal| format!("records of {} {ANOTHER}", seal.name)));
    look_from_outside(config, resolver, domain, &ends, &mut found).await?;
    remark(config, domain, &mut found);
    Ok(found)
}

/// What clients and other servers are shown and told.
async fn look_from_outside(
    config: &Config,
    resolver: Resolver,
    domain: &str,
    ends: &[(&'static str, Target)],
    found: &mut Found,
) -> anyhow::Result<()> {
    let ports = shown::ports(&resolver, ends).await;
    let probe = Probe::new(resolver, &config.s2s).map_err(anyhow::Error::msg)?;
    let local = config.domain.first().map_or(domain, |own| &own.name);
    let (shown, [xml, json]) = futures_util::future::join(
        shown::look(&probe, local, domain, ports),
        host_meta::look(&probe, domain),
    )
    .await;
    found.faults.extend(shown.iter().filter_map(shown::Shown::fault));
    found.remarks.extend(shown.iter().flat_map(shown::Shown::remarks));
    let (faults, remarks) = host_meta::judge(&xml, &json);
    found.faults.extend(faults);
    found.remarks.extend(remarks);
    (found.shown, found.host_meta) = (shown, vec![xml, json]);
    Ok(())
}

/// What TLSA records say of a server, judged by our own certificate where it is ours; none where there are none.
async fn seal(
    resolver: &Resolver,
    target: &Target,
    certificate: Option<&Certificate>,
) -> Option<Seal> {
    let TlsaRecords { records, proved } = resolver.seals(target).await.unwrap_or_default();
    let verdict = match certificate {
        Some(certificate) if records.iter().any(|it| it.means(certificate)) => {
            "mean the certificate of this server"
        }
        Some(_) => ANOTHER,
        None => "are there",
    };
    (!records.is_empty()).then(|| Seal {
        name: format!("_{}._tcp.{}", target.port, target.host),
        records: records.iter().map(ToString::to_string).collect(),
        verdict,
        proved,
    })
}

/// Where other servers would look for a domain; what is wrong where they find none.
async fn places(resolver: &Resolver, domain: &str) -> (Vec<Place>, Option<String>) {
    // The first is as good as any.
    let targets = match resolver.targets(domain, &mut |_| 0).await {
        Ok(targets) => targets,
        Err(error) => return (Vec::new(), Some(error.to_string())),
    };
    let mut places = Vec::new();
    for target in targets {
        places.push(place(resolver, &target).await);
    }
    let is_lost = places.iter().all(|place| place.problem.is_some());
    let why = places.iter().find_map(|place| place.problem.clone());
    let fault = why.filter(|_| is_lost).map(|why| format!("nobody finds {domain}: {why}"));
    (places, fault)
}

/// Services and components are domains of their own to other servers.
async fn look_beneath(config: &Config, resolver: &Resolver, domain: &str, found: &mut Found) {
    let within = format!(".{domain}");
    // The configuration was checked when it was read.
    let services = config.listed_services().unwrap_or_default().into_iter();
    let services = services.map(|service| service.jid.to_string());
    let mut names: Vec<String> = services.filter(|name| name.ends_with(&within)).collect();
    names.sort();
    names.dedup();
    for name in names {
        let (servers, fault) = places(resolver, &name).await;
        found.faults.extend(fault);
        found.publish.extend(publish::beneath(config, domain, &name));
        found.beneath.push(Beneath { name, servers });
    }
}

/// What is wrong with what this server shows for a domain and what is beneath it.
fn look_at_certificates(config: &Config, domain: &str, found: &mut Found) -> anyhow::Result<()> {
    let within = format!(".{domain}");
    let is_about = |name: &String| name == domain || name.ends_with(&within);
    let faults = check_tls(config)?.into_iter().filter(|(name, _)| is_about(name));
    found.faults.extend(faults.map(|(_, what)| what));
    found.certificate = described(config)?.into_iter().find(|it| it.domain == domain);
    Ok(())
}

fn record(Srv { priority, weight, target }: &Srv) -> String {
    if target.host.is_empty() {
        return "none, and says so (.)".to_owned();
    }
    format!("{}:{} (priority {priority}, weight {weight})", target.host, target.port)
}

impl Place {
    fn line(&self) -> String {
        let addresses = self.addresses.join(", ");
        format!("{}  {}", self.server, self.problem.as_deref().unwrap_or(&addresses))
    }
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
        // Where DNS has failed, nobody knows.
        let has = |it: &Service| !it.records.is_empty() || it.problem.is_some();
        found.services.iter().find(is).is_some_and(has)
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
