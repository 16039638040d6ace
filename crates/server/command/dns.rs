//! Owns `rookery dns`: what DNS says of a domain, as this server and clients see it.

mod aliases;
mod ends;
mod host_meta;
mod listeners;
mod places;
mod publish;
mod shown;

use std::io::Write;

use anyhow::Context as _;
use c2s::tls::Description;
use clap::Subcommand;
use s2s::probe::Probe;
use s2s::resolve::{Resolver, Target, TlsaRecords};
use s2s::tlsa::{Certificate, Tlsa};
use serde::Serialize;

use crate::certificates::{check_tls, described};
use crate::config::Config;
use ends::{End, Service};
use places::{Beneath, Place};
use shown::Shown;

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
    /// The certificates that are shown at the ports to which DNS leads clients and other servers.
    shown: Vec<Shown>,
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

/// What TLSA records of one server say (RFC 7673).
#[derive(Debug, Serialize)]
struct Seal {
    name: String,
    records: Vec<String>,
    verdict: &'static str,
    /// Whether DNSSEC proves them: otherwise nobody counts them.
    proved: bool,
}

/// What is looked with.
struct Eyes<'a> {
    config: &'a Config,
    resolver: Resolver,
    probe: Probe,
    /// In whose name.
    local: &'a str,
}

/// What TLSA records must not mean.
const ANOTHER: &str = "mean another certificate: who looks at them will not connect";

/// Who asks where we ask ourselves.
const STRANGER: &str = "stranger.invalid";

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
        for shown in &service.shown {
            writeln!(out, "service {}  {}", service.name, shown.line())?;
        }
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
        || Resolver::new(&config.dns.servers, config.dns.trust_anchor.as_deref(), &config.s2s);
    let unset = "cannot set up lookups in DNS";
    let probe = Probe::new(resolver().context(unset)?, &config.s2s).map_err(anyhow::Error::msg)?;
    let (resolver, local) = (resolver().context(unset)?, asker(config, domain));
    let eyes = Eyes { config, resolver, probe, local };
    let mut found = Found::default();
    let (services, ends) = ends::look(&eyes.resolver, domain).await;
    found.faults.extend(services.iter().filter_map(|it| it.problem.clone()));
    found.services = services;
    let (servers, fault) = places::places(&eyes.resolver, domain).await;
    found.servers = servers;
    found.faults.extend(fault.filter(|fault| !found.faults.contains(fault)));
    found.remarks.extend(aliases::remarks(&config.dns.servers, &ends).await.context(unset)?);
    let own = config.domain.iter().find(|ours| ours.name == domain);
    let certificate =
        own.and_then(|ours| ours.certificate.as_deref()).and_then(s2s::tlsa::certificate);
    for end in &ends {
        let sealed = seal(&eyes.resolver, &end.target, certificate.as_ref()).await;
        found
            .seals
            .extend(sealed.filter(|it| found.seals.iter().all(|known| known.name != it.name)));
    }
    if own.is_some() {
        let tlsa = certificate.as_ref().and_then(Tlsa::of);
        found.publish = publish::records(config, domain, tlsa.as_ref());
        let listening = (&config.listen, config.s2s.is_on());
        found.remarks.extend(listeners::remarks(listening, &found.services, &ends));
        places::look_beneath(&eyes, domain, &mut found).await;
        look_at_certificates(config, domain, &mut found)?;
    }
    // What nothing proves, nobody counts.
    let sealed = found.seals.iter().filter(|seal| seal.proved && seal.verdict == ANOTHER);
    found.faults.extend(sealed.map(|seal| format!("records of {} {ANOTHER}", seal.name)));
    look_from_outside(&eyes, domain, &ends, &mut found).await;
    remark(config, domain, &ends, &mut found);
    Ok(found)
}

/// In whose name a domain is asked: one of ours, as this server does. Of a domain of ours nobody can ask in such a name, but
/// somebody whom it lets in.
fn asker<'a>(config: &'a Config, domain: &'a str) -> &'a str {
    let is_ours = config.domain.iter().any(|ours| ours.name == domain);
    if !is_ours {
        return config.domain.first().map_or(domain, |own| &own.name);
    }
    let is_let_in = |name: &str| config.s2s.policy_for(name) != s2s::Policy::Off;
    let mut named = config.s2s.policies.keys().map(String::as_str);
    // Nobody has this name (RFC 6761 §6.4).
    Some(STRANGER)
        .filter(|it| is_let_in(it))
        .or_else(|| named.find(|it| is_let_in(it)))
        .unwrap_or(STRANGER)
}

/// What clients and other servers are shown and told.
async fn look_from_outside(eyes: &Eyes<'_>, domain: &str, ends: &[End], found: &mut Found) {
    let ports = shown::ports(&eyes.resolver, ends, shown::PORTS_MAX).await;
    let (shown, [xml, json]) = futures_util::future::join(
        shown::look(&eyes.probe, eyes.local, domain, ports),
        host_meta::look(&eyes.probe, domain),
    )
    .await;
    for shown in &shown {
        match is_owed(eyes.config, domain, shown) {
            true => found.faults.extend(shown.fault()),
            false => found.remarks.extend(shown.fault()),
        }
        found.remarks.extend(shown.remarks());
    }
    let (faults, remarks) = host_meta::judge(&xml, &json);
    found.faults.extend(faults);
    found.remarks.extend(remarks);
    (found.shown, found.host_meta) = (shown, vec![xml, json]);
}

/// Whether somebody must be there: where a record leads, and where those whom no record leads find whom they look for. A
/// domain of others may have no clients, one with a route is found by that, and one of ours may speak with nobody.
fn is_owed(config: &Config, domain: &str, shown: &Shown) -> bool {
    let is_ours = config.domain.iter().any(|ours| ours.name == domain);
    match shown.service {
        _ if !shown.fallback => true,
        "_xmpp-client" => is_ours && !config.listen.c2s.is_empty(),
        _ if is_ours => config.s2s.is_on(),
        _ => !config.s2s.route.contains_key(domain),
    }
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

/// What is wrong with what this server shows for a domain and what is beneath it.
fn look_at_certificates(config: &Config, domain: &str, found: &mut Found) -> anyhow::Result<()> {
    let within = format!(".{domain}");
    let is_about = |name: &String| name == domain || name.ends_with(&within);
    let faults = check_tls(config)?.into_iter().filter(|(name, _)| is_about(name));
    found.faults.extend(faults.map(|(_, what)| what));
    found.certificate = described(config)?.into_iter().find(|it| it.domain == domain);
    Ok(())
}

/// What those do whom no record leads, and what we do.
fn remark(config: &Config, domain: &str, ends: &[End], found: &mut Found) {
    let is_ours = config.domain.iter().any(|ours| ours.name == domain);
    for End { service, target, addresses, .. } in ends.iter().filter(|end| end.is_fallback) {
        let who = match *service {
            "_xmpp-client" if is_ours => "clients",
            "_xmpp-server" => "other servers",
            _ => continue,
        };
        let lost = if addresses.is_empty() { ", where they find nobody" } else { "" };
        found.remarks.push(format!(
            "without a record of {service} {who} try the domain itself, port {}{lost}",
            target.port
        ));
    }
    if config.s2s.policy_for(domain) == s2s::Policy::Off && !is_ours {
        found.remarks.push("this server does not speak with it, by its policy".to_owned());
    }
}
