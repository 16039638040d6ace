//! Owns which certificates are shown in whose name: those of domains and of components, and what is wrong with them.

use c2s::Tls;
use c2s::tls::{self, Description, Files};

use crate::config::Config;

/// Members that each make a certificate show clients different ones.
fn warn_of_own_certificates(config: &Config) {
    let made = config.domain.iter().filter(|domain| domain.certificate.is_none());
    for domain in made.filter(|_| config.cluster.has_others()) {
        tracing::warn!(
            jid = domain.name,
            "shows a certificate that a member has made: copy one member's {} to all others, or clients refuse some",
            config.data_dir.join("certificates").display()
        );
    }
}

/// The certificates of the configured domains; missing ones are made.
///
/// # Errors
/// One cannot be read or used.
pub fn load_tls(config: &Config) -> anyhow::Result<Tls> {
    warn_of_own_certificates(config);
    let (dir, client_ca) = (config.data_dir.join("certificates"), config.auth.client_ca.clone());
    let tls = Tls::load_for(domains(config), dir, client_ca)?;
    for name in unnamed(config, &tls) {
        tracing::warn!(jid = name, "no certificate names it: other servers will not speak with it");
    }
    Ok(tls)
}

/// The domains, services and components that other servers will not believe, since no certificate names them.
fn unnamed(config: &Config, tls: &Tls) -> Vec<String> {
    let has_own = config.domain.iter().any(|domain| domain.certificate.is_some());
    if !config.s2s.is_on() || !has_own {
        // A certificate that is made here nobody believes anyway, which is said elsewhere.
        return Vec::new();
    }
    let own = config.domain.iter().filter(|it| it.certificate.is_none()).map(|it| &it.name);
    let own: Vec<&String> = own.collect();
    // The configuration was checked when it was read.
    let services = config.listed_services().unwrap_or_default();
    let names = services.iter().map(|service| service.jid.domainpart());
    let is_of_own = |name: &&str| !own.iter().any(|it| name.ends_with(&format!(".{it}")));
    tls.unnamed(names.filter(is_of_own)).into_iter().map(str::to_owned).collect()
}

/// Whether the certificates that the configuration names can be used; makes none. What clients and other servers will say
/// against them, each with the domain that it is about.
///
/// # Errors
/// One cannot be read or used.
pub(crate) fn check_tls(config: &Config) -> anyhow::Result<Vec<(String, String)>> {
    if let Some(file) = &config.auth.client_ca {
        Tls::check_authorities(file)?;
    }
    let Some(tls) = load_named(config)? else { return Ok(Vec::new()) };
    let faults = tls.faults().into_iter().map(|(domain, fault)| {
        let what = format!("the certificate of {domain} {fault}: clients will refuse it");
        (domain, what)
    });
    let mut faults: Vec<_> = faults.collect();
    faults.extend(unnamed(config, &tls).into_iter().map(|name| {
        let what = format!("no certificate names {name}: other servers will not speak with it");
        (name, what)
    }));
    Ok(faults)
}

/// The certificates that the configuration names, in words; makes none.
///
/// # Errors
/// One cannot be read or used.
pub(crate) fn described(config: &Config) -> anyhow::Result<Vec<Description>> {
    Ok(load_named(config)?.map(|tls| tls.describe()).unwrap_or_default())
}

/// None where the configuration names none.
fn load_named(config: &Config) -> anyhow::Result<Option<Tls>> {
    let mut named = domains(config);
    named.retain(|domain| domain.files.is_some());
    match named.is_empty() {
        true => Ok(None),
        false => Ok(Some(Tls::load(named, config.data_dir.join("certificates"))?)),
    }
}

fn domains(config: &Config) -> Vec<tls::Domain> {
    let files = |domain: &crate::config::Domain| {
        let (certificate, key) = (domain.certificate.clone()?, domain.key.clone()?);
        Some(Files { certificate, key })
    };
    let domain = |domain: &crate::config::Domain| tls::Domain {
        name: domain.name.clone(),
        files: files(domain),
    };
    let of_component = |component: &component::Settings| {
        let (certificate, key) = (component.certificate.clone()?, component.key.clone()?);
        let name = xmpp::BareJid::parse(&component.name).ok()?.to_string();
        Some(tls::Domain { name, files: Some(Files { certificate, key }) })
    };
    let own = config.domain.iter().map(domain);
    own.chain(config.component.iter().filter_map(of_component)).collect()
}
