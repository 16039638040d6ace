//! Owns which services there are beside accounts: one of each kind for each domain, and components. Every name is served
//! once, and what is wrong with one is said with its key.

use proto::{Hosts, ServiceKind};
use xmpp::{BareJid, ns};

use super::{Config, ConfigError};

/// Every service, by its address.
#[derive(Debug)]
pub struct Services {
    /// Rooms (XEP-0045).
    pub rooms: Vec<BareJid>,
    /// Publish-subscribe (XEP-0060).
    pub pubsub: Vec<BareJid>,
    /// Files (XEP-0363), with what URLs of them begin with.
    pub upload: Vec<(BareJid, String)>,
    /// Proxies for bytestreams (XEP-0065).
    pub proxies: Vec<BareJid>,
    /// Programs beside the server (XEP-0114).
    pub components: Vec<BareJid>,
}

/// What is served already.
struct Names {
    domains: Vec<BareJid>,
    taken: Vec<BareJid>,
}

impl Names {
    /// The services that follow from a setting, each with the first domain that it is of; none where it is empty.
    fn of_each(
        &mut self,
        (key, usual): (&str, &str),
        setting: &str,
    ) -> Result<Vec<(BareJid, BareJid)>, ConfigError> {
        let mut services: Vec<(BareJid, BareJid)> = Vec::new();
        let domains = self.domains.iter().filter(|_| !setting.is_empty());
        for domain in domains {
            let name = setting.replace("{domain}", domain.as_str());
            let jid = BareJid::parse(&name).ok().filter(|jid| jid.localpart().is_none());
            let Some(jid) = jid.filter(|jid| !self.taken.contains(jid)) else {
                let what = format!("write it as a domain of its own, such as {usual}.{{domain}}");
                return Err(ConfigError::Value(format!("{key} is {name:?}: {what}")));
            };
            if services.iter().all(|(known, _)| *known != jid) {
                services.push((jid, domain.clone()));
            }
        }
        self.taken.extend(services.iter().map(|(jid, _)| jid.clone()));
        Ok(services)
    }
}

impl Config {
    /// All services.
    ///
    /// # Errors
    /// A name that is no domain or is served already, or a URL that is none.
    pub fn services(&self) -> Result<Services, ConfigError> {
        let domains = self.domains()?;
        let mut names = Names { taken: domains.clone(), domains };
        let mut of_each = |key, setting: &str| names.of_each(key, setting);
        let addresses = |of: Vec<(BareJid, BareJid)>| of.into_iter().map(|(jid, _)| jid).collect();
        let rooms = addresses(of_each(("room.service", "conference"), &self.room.service)?);
        let pubsub = addresses(of_each(("pubsub.service", "pubsub"), &self.pubsub.service)?);
        let mut upload = Vec::new();
        // None where a file would be found only at the member that it was brought to.
        let files = if self.has_one_place_for_files() { &self.upload.service[..] } else { "" };
        for (jid, domain) in of_each(("upload.service", "upload"), files)? {
            upload.extend(self.url_of_files(&domain)?.map(|url| (jid, url)));
        }
        let proxy = if self.proxy.listen.is_empty() { "" } else { &self.proxy.service };
        let proxies = addresses(of_each(("proxy.service", "proxy"), proxy)?);
        let mut components: Vec<BareJid> = Vec::new();
        for settings in &self.component {
            let name = &settings.name;
            let wrong = |what: &str| ConfigError::Value(format!("component {name:?} {what}"));
            let (domain, _) = settings.check().map_err(|what| wrong(&what))?;
            if names.taken.contains(&domain) || components.contains(&domain) {
                return Err(wrong("has the name of something else that is served here"));
            }
            components.push(domain);
            let before = self.component.iter().take(components.len() - 1);
            let mut delegated = before.flat_map(|it| it.delegate.keys());
            if let Some(twice) = delegated.find(|it| settings.delegate.contains_key(*it)) {
                return Err(wrong(&format!("cannot be delegated {twice}: another one is")));
            }
        }
        Ok(Services { rooms, pubsub, upload, proxies, components })
    }

    /// Everything that is served here.
    ///
    /// # Errors
    /// As [`Config::services`].
    pub fn hosts(&self) -> Result<Hosts, ConfigError> {
        let services = self.services()?;
        let files = services.upload.into_iter().map(|(jid, _)| (jid, ServiceKind::Upload));
        let proxies = services.proxies.into_iter().map(|jid| (jid, ServiceKind::Proxy));
        Ok(Hosts::new(self.domains()?, services.rooms)
            .with_pubsub(services.pubsub)
            .with_services(files.chain(proxies))
            .with_components(services.components)
            .with_lanes(self.s2s.lanes()))
    }

    /// The services that the server's address lists (XEP-0030 §4).
    ///
    /// # Errors
    /// As [`Config::services`].
    pub fn listed_services(&self) -> Result<Vec<domain::Service>, ConfigError> {
        let Services { rooms, pubsub, upload, proxies, .. } = self.services()?;
        let service = |jid, identity, name: &str, feature| domain::Service {
            jid,
            identity,
            name: name.to_owned(),
            features: vec![feature],
        };
        let room = |jid| service(jid, ("conference", "text"), "Rooms", ns::MUC);
        let pubsub_service =
            |jid| service(jid, ("pubsub", "service"), "Publish-Subscribe", ns::PUBSUB);
        let files = |(jid, _)| {
            let (identity, name) = (upload::extensions::IDENTITY, upload::extensions::NAME);
            service(jid, identity, name, ns::UPLOAD)
        };
        let proxy = |jid| {
            let (identity, name) = (proxy::extensions::IDENTITY, proxy::extensions::NAME);
            service(jid, identity, name, ns::BYTESTREAMS)
        };
        let component = |settings: &component::Settings| {
            let jid = BareJid::parse(&settings.name).ok()?;
            let name = if settings.title.is_empty() { &settings.name } else { &settings.title };
            let (identity, features) = (("component", "generic"), Vec::new());
            Some(domain::Service { jid, identity, name: name.clone(), features })
        };
        let own = rooms.into_iter().map(room).chain(pubsub.into_iter().map(pubsub_service));
        let own = own.chain(upload.into_iter().map(files)).chain(proxies.into_iter().map(proxy));
        Ok(own.chain(self.component.iter().filter_map(component)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Config, ConfigError> {
        Config::parse(text, "test.toml", &[])
    }

    #[test]
    fn every_name_is_served_once() {
        let text = "[listen]\nhttps = ['[::1]:5443']\n[proxy]\nlisten = ['[::1]:0']\n";
        let services = parsed(text).unwrap().services().unwrap();
        let Services { rooms, pubsub, upload, proxies, components } = services;
        let names = [&rooms[0], &pubsub[0], &upload[0].0, &proxies[0]];
        assert_eq!(
            names.map(|jid| jid.as_str()),
            ["conference.localhost", "pubsub.localhost", "upload.localhost", "proxy.localhost"]
        );
        assert!(components.is_empty());
        for name in names.into_iter().map(|jid| jid.as_str()).chain(["localhost", "a@b"]) {
            let component = format!("[[component]]\nname = '{name}'\nsecret = 's'\n");
            assert!(parsed(&format!("{text}{component}")).is_err(), "{name}");
        }
        for (table, name) in [("pubsub", names[0]), ("upload", names[1]), ("upload", names[3])] {
            let error = parsed(&format!("{text}[{table}]\nservice = '{name}'\n")).unwrap_err();
            assert!(error.to_string().contains(".service is"), "{error}");
        }
    }
}
