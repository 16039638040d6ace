//! Owns the settings of files that people send each other (XEP-0363): the table `[upload]`, and the services that follow
//! from it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use xmpp::BareJid;

use super::{Config, ConfigError};

/// Files.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Upload {
    /// The address of a domain's service; empty: there is none. Default `upload.{domain}`.
    pub service: String,
    /// Where clients reach HTTP, such as `https://files.example.org`. Default: as `web.url`; else the domain, and the
    /// port of HTTPS. Where there is none of these, there is no service.
    pub url: String,
    /// The directory of files, which all members share; in the data directory if it is not absolute. Default `uploads`.
    pub dir: PathBuf,
    /// Most bytes of a file. Default 100 MiB.
    pub size_bytes: u64,
    /// Most bytes of a file that stays for ever, as part of a profile. Default 1 MiB.
    pub profile_bytes: u64,
    /// Most bytes of all files of an account. Default 1 GiB.
    pub quota_bytes: u64,
    /// Most bytes that an account brings in a day. Default 1 GiB.
    pub quota_bytes_a_day: u64,
    /// Most files of an account. Default 2,000.
    pub quota_files: usize,
    /// Days for which files are kept; 0: for ever. Default 30.
    pub keep_days: u32,
    /// A bucket instead of the directory.
    pub s3: files::s3::Config,
}

impl Default for Upload {
    fn default() -> Self {
        let limits = ::upload::Limits::default();
        Self {
            service: "upload.{domain}".to_owned(),
            url: String::new(),
            dir: PathBuf::from("uploads"),
            size_bytes: limits.size,
            profile_bytes: limits.profile_size,
            quota_bytes: limits.bytes,
            quota_bytes_a_day: limits.bytes_a_day,
            quota_files: limits.files,
            keep_days: 30,
            s3: files::s3::Config {
                region: "us-east-1".to_owned(),
                ca_file: PathBuf::from("/etc/ssl/certs/ca-certificates.crt"),
                ..files::s3::Config::default()
            },
        }
    }
}

impl Config {
    /// The services for files, one for each domain, with what URLs of their files begin with.
    ///
    /// # Errors
    /// A name that is no domain, or is served already, or a URL that is none.
    pub fn services_of_upload(&self) -> Result<Vec<(BareJid, String)>, ConfigError> {
        let mut services: Vec<(BareJid, String)> = Vec::new();
        if self.upload.service.is_empty() {
            return Ok(services);
        }
        let mut others = self.services_of_rooms()?;
        others.extend(self.services_of_pubsub()?);
        for domain in self.domains()? {
            let jid = self.service(("upload.service", &self.upload.service), &domain, &others)?;
            if let Some(url) = self.url_of_files(&domain)?
                && services.iter().all(|(known, _)| *known != jid)
            {
                services.push((jid, url));
            }
        }
        Ok(services)
    }

    /// A service's address for a domain, which must not be that of another one.
    pub(super) fn service(
        &self,
        (key, value): (&str, &str),
        domain: &BareJid,
        others: &[BareJid],
    ) -> Result<BareJid, ConfigError> {
        let name = value.replace("{domain}", domain.as_str());
        let jid = BareJid::parse(&name).ok().filter(|jid| jid.localpart().is_none());
        let domains = self.domains()?;
        let jid = jid.filter(|jid| !domains.contains(jid) && !others.contains(jid));
        jid.ok_or_else(|| {
            let what = "write it as a domain of its own, such as service.{domain}";
            ConfigError::Value(format!("{key} is {name:?}: {what}"))
        })
    }

    /// What URLs of a domain's files begin with; none where nobody can reach HTTP with TLS.
    fn url_of_files(&self, domain: &BareJid) -> Result<Option<String>, ConfigError> {
        let told = [&self.upload.url, &self.web.url].into_iter().find(|url| !url.is_empty());
        let port = self.listen.https.first().map(std::net::SocketAddr::port);
        let base = match (told, port) {
            (Some(url), _) if !url.starts_with("https://") && !url.starts_with("http://") => {
                let what = format!("upload.url {url:?} does not begin with https://");
                return Err(ConfigError::Value(what));
            }
            (Some(url), _) => url.replace("{domain}", domain.as_str()),
            (None, Some(443)) => format!("https://{domain}"),
            // A port that the system chooses is one that nobody can be told of beforehand.
            (None, None | Some(0)) => return Ok(None),
            (None, Some(port)) => format!("https://{domain}:{port}"),
        };
        Ok(Some(format!("{}{}", base.trim_end_matches('/'), web::upload::PATH)))
    }

    /// The limits of accounts.
    pub fn limits_of_upload(&self) -> ::upload::Limits {
        let set = &self.upload;
        ::upload::Limits {
            size: set.size_bytes,
            profile_size: set.profile_bytes,
            bytes: set.quota_bytes,
            bytes_a_day: set.quota_bytes_a_day,
            files: set.quota_files,
            keep_seconds: (set.keep_days > 0).then(|| u64::from(set.keep_days) * 86_400),
        }
    }

    /// Refuses what makes no sense.
    pub(super) fn check_upload(&self) -> Result<(), ConfigError> {
        self.services_of_upload()?;
        let set = &self.upload;
        let sizes = [
            ("size_bytes", set.size_bytes),
            ("profile_bytes", set.profile_bytes),
            ("quota_bytes", set.quota_bytes),
            ("quota_bytes_a_day", set.quota_bytes_a_day),
            ("quota_files", set.quota_files as u64),
        ];
        match sizes.iter().find(|(_, value)| *value == 0) {
            Some((key, _)) => Err(ConfigError::Value(format!("upload.{key} must be more than 0"))),
            None if set.quota_files > 10_000 => {
                Err(ConfigError::Value("upload.quota_files must be at most 10,000".to_owned()))
            }
            None => Ok(()),
        }
    }
}
