//! Owns the `[[turn]]` tables: relays and other services for calls, which the server names to its people
//! (XEP-0215).

use std::path::PathBuf;

use domain::external::{Access, ExternalService};
use serde::{Deserialize, Serialize};

use super::{Config, ConfigError};

/// A service for calls.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Turn {
    /// Its name or address.
    pub host: String,
    /// Its port. Default 3478.
    pub port: u16,
    /// `turn`, `turns`, `stun` or `stuns`. Default `turn`.
    #[serde(rename = "type")]
    pub ty: String,
    /// `udp` or `tcp`. Default `udp`.
    pub transport: String,
    /// File with the secret that it shares with this server (coturn's `static-auth-secret`); without
    /// one, it is named without credentials.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_file: Option<PathBuf>,
    /// For how long credentials hold. Default 86,400.
    pub lifetime_seconds: u64,
}

impl Default for Turn {
    fn default() -> Self {
        Self {
            host: String::new(),
            port: 3478,
            ty: "turn".to_owned(),
            transport: "udp".to_owned(),
            secret_file: None,
            lifetime_seconds: 86_400,
        }
    }
}

impl Config {
    /// The services that are named to people.
    ///
    /// # Errors
    /// A secret cannot be read, or a value makes no sense.
    pub fn external_services(&self) -> Result<Vec<ExternalService>, ConfigError> {
        self.turn.iter().map(Turn::service).collect()
    }
}

impl Turn {
    fn service(&self) -> Result<ExternalService, ConfigError> {
        self.check()?;
        let access = self.secret_file.as_deref().map(|path| {
            let read = std::fs::read_to_string(path);
            let text = read.map_err(|cause| ConfigError::Read { path: path.to_owned(), cause })?;
            match text.trim() {
                "" => Err(ConfigError::Value(format!("{} is empty", path.display()))),
                secret => Ok(Access {
                    secret: secret.as_bytes().to_vec(),
                    lifetime_seconds: self.lifetime_seconds,
                }),
            }
        });
        Ok(ExternalService {
            host: self.host.clone(),
            port: Some(self.port),
            ty: self.ty.clone(),
            transport: Some(self.transport.clone()),
            access: access.transpose()?,
        })
    }

    /// Refuses what makes no sense.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let wrong = |what: String| Err(ConfigError::Value(what));
        if self.host.is_empty() || self.host.contains(char::is_whitespace) {
            return wrong("a [[turn]] needs a host".to_owned());
        }
        if !["turn", "turns", "stun", "stuns"].contains(&self.ty.as_str()) {
            return wrong(format!("turn.type {:?} is not turn, turns, stun or stuns", self.ty));
        }
        if !["udp", "tcp"].contains(&self.transport.as_str()) {
            return wrong(format!("turn.transport {:?} is not udp or tcp", self.transport));
        }
        if !(60..=31 * 86_400).contains(&self.lifetime_seconds) {
            return wrong("turn.lifetime_seconds must be from 60 to 2,678,400".to_owned());
        }
        Ok(())
    }
}
