//! Owns the settings of files that people send each other (XEP-0363): the table `[upload]`, and what URLs of files begin
//! with.

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
    /// The directory of files, in the data directory if it is not absolute. Members of a cluster need one elsewhere, which
    /// all of them share. Default `uploads`.
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
    /// Why there are no services for files though they were asked for, in words for operators.
    ///
    /// # Errors
    /// A domain's name is none, or a URL.
    pub fn why_no_upload(&self) -> Result<Option<String>, ConfigError> {
        let service = &self.upload.service;
        if service.is_empty() || self.has_one_place_for_files() {
            return Ok(None);
        }
        for domain in self.domains()? {
            if self.url_of_files(&domain)?.is_some() {
                let service = service.replace("{domain}", domain.as_str());
                return Ok(Some(format!(
                    "{service} is not offered: upload.dir is in the data directory of this member, where others do not find \
                     what it has taken; name a directory that all share, or a bucket in [upload.s3]"
                )));
            }
        }
        Ok(None)
    }

    /// Whether every member finds what another one has taken: in a bucket, or in a directory that is no member's own.
    pub(super) fn has_one_place_for_files(&self) -> bool {
        let own = self.data_dir.join(&self.upload.dir).starts_with(&self.data_dir);
        !self.cluster.has_others() || !self.upload.s3.endpoint.is_empty() || !own
    }

    /// What URLs of a domain's files begin with; none where nobody can reach HTTP with TLS.
    pub(super) fn url_of_files(&self, domain: &BareJid) -> Result<Option<String>, ConfigError> {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether there is a service, and whether it is said why there is none.
    fn offered(more: &str) -> (bool, bool) {
        let member = "[cluster]\nname = 'm1'\nlisten = '127.0.0.1:7400'\nbootstrap_expect = 1\ninsecure_dev = true\n";
        let config = Config::parse(&format!("{member}{more}"), "f", &[]).unwrap();
        let is_said = config.why_no_upload().unwrap().is_some_and(|why| why.contains("upload.dir"));
        (!config.services().unwrap().upload.is_empty(), is_said)
    }

    #[test]
    fn a_member_offers_no_files_that_others_do_not_find_and_says_why() {
        assert_eq!(offered(""), (false, true));
        assert_eq!(offered("[upload]\ndir = 'files'"), (false, true));
        assert_eq!(offered("[upload]\ndir = '/srv/files'"), (true, false));
        assert_eq!(offered("[upload]\nservice = ''"), (false, false), "nobody has asked for it");
        let s3 = "[upload.s3]\nendpoint = 'https://s3.example'\nbucket = 'b'\naccess_key = 'k'\nsecret_file = 's'";
        assert_eq!(offered(s3), (true, false));
        let alone = Config::parse("", "f", &[]).unwrap();
        assert!(!alone.services().unwrap().upload.is_empty(), "a server alone keeps them itself");
    }
}
