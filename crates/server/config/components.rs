//! Owns the tables `[[component]]`: programs beside the server that have a domain of their own (XEP-0114).

use std::time::Duration;

use auth::Seal;
use component::{Component, Secret, Settings};
use entity::Powers;
use xmpp::BareJid;

use super::{Config, ConfigError};

impl Config {
    /// What components may do, with a secret of the cluster that their answers are known by.
    pub fn powers(&self, secret: &[u8]) -> Powers {
        let privileges = |settings: &Settings| {
            let domain = BareJid::parse(&settings.name).ok()?;
            Some(settings.privileges(domain))
        };
        Powers {
            all: self.component.iter().filter_map(privileges).collect(),
            seal: Seal::new(secret),
        }
    }

    /// The settings of the gate to components; none where there are none.
    ///
    /// # Errors
    /// A secret cannot be read, or a component cannot be what it is said to be.
    pub fn components(&self) -> Result<Option<component::Config>, ConfigError> {
        let components = self.component.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        Ok((!components.is_empty()).then(|| component::Config {
            listen: self.listen.component.clone(),
            components,
            isolation: Duration::from_secs(self.c2s.isolation_seconds),
            limits: self.limits.enabled,
        }))
    }
}

fn read(settings: &Settings) -> Result<Component, ConfigError> {
    let wrong = |what| ConfigError::Value(format!("component {:?} {what}", settings.name));
    let (domain, allow) = settings.check().map_err(wrong)?;
    let secret = match (&settings.secret, &settings.secret_file) {
        (Some(secret), _) => secret.clone(),
        (None, Some(path)) => {
            let text = std::fs::read_to_string(path).map_err(|cause| {
                wrong(format!("has secret_file = {path:?}, which cannot be read: {cause}"))
            })?;
            Secret(text.trim().to_owned())
        }
        (None, None) => Secret(String::new()),
    };
    if secret.0.is_empty() {
        return Err(wrong("has an empty secret".to_owned()));
    }
    let privileges = settings.privileges(domain.clone());
    Ok(Component { domain, secret, allow, privileges, settings: settings.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Config, ConfigError> {
        Config::parse(text, "test.toml", &[])
    }

    #[test]
    fn a_component_has_a_domain_of_its_own_and_is_listed() {
        let text = "[[component]]\nname = 'irc.example.org'\ntitle = 'IRC'\nsecret = 's'\n";
        let config = parsed(text).unwrap();
        let [component] = &config.components().unwrap().unwrap().components[..] else { panic!() };
        assert_eq!(
            (component.domain.as_str(), component.secret.0.as_str()),
            ("irc.example.org", "s")
        );
        let services = config.listed_services().unwrap();
        let listed = services.iter().find(|it| it.jid.as_str() == "irc.example.org").unwrap();
        assert_eq!(listed.name, "IRC");
        assert!(parsed("").unwrap().components().unwrap().is_none());
        for wrong in ["localhost", "conference.localhost", "pubsub.localhost", "a@b", ""] {
            let text = format!("[[component]]\nname = '{wrong}'\nsecret = 's'\n");
            assert!(parsed(&text).is_err(), "{wrong}");
        }
        assert!(parsed(&format!("{text}{text}")).is_err());
    }

    #[test]
    fn a_namespace_is_delegated_to_one_component() {
        let component = |name: &str, ns: &str| {
            format!("[[component]]\nname = '{name}'\nsecret = 's'\ndelegate = {{ '{ns}' = [] }}\n")
        };
        let two = |ns: &str| parsed(&(component("a.org", "urn:a") + &component("b.org", ns)));
        assert!(two("urn:b").is_ok());
        let said = two("urn:a").unwrap_err().to_string();
        assert!(said.contains("b.org") && said.contains("urn:a"), "{said}");
    }

    #[test]
    fn a_secret_may_stand_in_a_file() {
        let path = std::env::temp_dir().join(format!("rookery-secret-{}", std::process::id()));
        let text = format!("[[component]]\nname = 'irc.a'\nsecret_file = '{}'\n", path.display());
        let config = parsed(&text).unwrap();
        let said = config.components().err().map(|error| error.to_string()).unwrap_or_default();
        assert!(said.contains("irc.a") && said.contains("secret_file"), "{said}");
        for (content, right) in [(" \n", false), ("s3cret\n", true)] {
            std::fs::write(&path, content).unwrap();
            assert_eq!(config.components().is_ok(), right, "{content:?}");
        }
        std::fs::remove_file(&path).unwrap();
    }
}
