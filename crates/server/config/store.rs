//! Owns the table `[store]`: which engine, where, how durable; and what an engine cannot promise.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::ConfigError;

/// Where rows are kept.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Store {
    /// `embedded`: in the data directory; `redis`: on a Redis server or cluster.
    pub engine: Engine,
    /// What a kept row survives. Default: what is the engine's own, `fsync` of the embedded one, `replica` of
    /// Redis.
    pub durability: Durability,
    /// Less than this many bytes free on the disk, and writes are refused. Default 64 MiB.
    pub min_free_bytes: u64,
    /// Where Redis is: `redis://host:port`, `rediss://` over TLS, `unix:///path`; a cluster's seeds with commas
    /// between them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// A file with the password of Redis, where it does not stand in the URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_file: Option<PathBuf>,
    /// PEM file of the authority of Redis's certificates; without one, the system's authorities.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
    /// A file with a secret, the same on all members, under which Redis has the cluster's key. Default: it has the key
    /// as it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_file: Option<PathBuf>,
    /// Whether Redis off this machine may be spoken to without TLS. Default false.
    pub plaintext: bool,
}

/// An engine of the store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
    /// Files in the data directory.
    #[default]
    Embedded,
    /// A Redis server or a Redis Cluster.
    Redis,
    /// Nothing is kept beyond the process: for tests and trials.
    Memory,
}

/// What a kept row survives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// What is the engine's own.
    #[default]
    Default,
    /// The end of this process; nothing is waited for.
    Async,
    /// The loss of one Redis server.
    Replica,
    /// A power cut.
    Fsync,
}

/// The fewest characters of a secret that is not to be guessed.
const SECRET_BYTES: usize = 32;

impl Default for Store {
    fn default() -> Self {
        Self {
            engine: Engine::default(),
            durability: Durability::default(),
            min_free_bytes: 64 << 20,
            url: None,
            password_file: None,
            ca: None,
            key_file: None,
            plaintext: false,
        }
    }
}

impl Store {
    /// Refuses what does not go together.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let wrong = |what: &str| Err(ConfigError::Value(what.to_owned()));
        match self.engine {
            Engine::Redis if self.url.is_none() => {
                wrong("store.engine is \"redis\", but store.url does not say where Redis is")
            }
            Engine::Redis => Ok(()),
            _ if self.url.is_some() => wrong("store.url is set, but store.engine is not \"redis\""),
            _ if self.key_file.is_some() => {
                wrong("store.key_file is set, but store.engine is not \"redis\"")
            }
            Engine::Embedded
                if matches!(self.durability, Durability::Async | Durability::Replica) =>
            {
                wrong(
                    "store.durability must be \"fsync\" with store.engine = \"embedded\", which knows no other",
                )
            }
            _ => Ok(()),
        }
    }

    /// The settings of a store on Redis, at this URL.
    ///
    /// # Errors
    /// A file that is named cannot be read.
    pub fn redis(&self, url: &str) -> Result<store::redis::Config, ConfigError> {
        let password = self.password_file.as_deref().map(read).transpose()?;
        let password = password.map(|bytes| String::from_utf8_lossy(&bytes).trim_end().to_owned());
        Ok(store::redis::Config {
            durability: match self.durability {
                Durability::Async => store::redis::Durability::Async,
                Durability::Default | Durability::Replica => store::redis::Durability::Replica,
                Durability::Fsync => store::redis::Durability::Fsync,
            },
            password,
            ca: self.ca.as_deref().map(read).transpose()?,
            plaintext: self.plaintext,
            ..store::redis::Config::new(url)
        })
    }

    /// The secret under which Redis has the cluster's key, if there is one.
    ///
    /// # Errors
    /// Its file cannot be read, or is too short for a secret.
    pub fn key_secret(&self) -> Result<Option<Vec<u8>>, ConfigError> {
        let Some(path) = self.key_file.as_deref() else { return Ok(None) };
        let secret = read(path)?.trim_ascii().to_vec();
        if secret.len() < SECRET_BYTES {
            return Err(ConfigError::Value(format!(
                "store.key_file must hold {SECRET_BYTES} characters or more that nobody guesses: `openssl rand -hex 32`"
            )));
        }
        Ok(Some(secret))
    }

    /// The settings of the store in a directory.
    pub fn embedded(&self) -> store::embedded::Config {
        store::embedded::Config {
            min_free_bytes: self.min_free_bytes,
            ..store::embedded::Config::default()
        }
    }
}

fn read(path: &Path) -> Result<Vec<u8>, ConfigError> {
    std::fs::read(path).map_err(|cause| ConfigError::Read { path: path.to_owned(), cause })
}
