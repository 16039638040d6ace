//! Owns what follows from the table `[proxy]`: where clients bring bytes (XEP-0065).

use proxy::Host;

use super::{Config, ConfigError};

impl Config {
    /// Where clients bring bytes to this member.
    pub fn host_of_proxy(&self, port: u16) -> Host {
        let advertised = self.cluster.advertise.as_deref().and_then(|it| it.rsplit_once(':'));
        let listened = self.proxy.listen.first().map(std::net::SocketAddr::ip);
        let listened = listened.filter(|ip| !ip.is_unspecified()).map(|ip| ip.to_string());
        let name = match (self.proxy.host.as_str(), advertised) {
            ("", Some((host, _))) => host.trim_matches(['[', ']']).to_owned(),
            ("", None) => listened.unwrap_or_else(|| self.domain[0].name.clone()),
            (host, _) => host.to_owned(),
        };
        Host { name, port }
    }

    /// Refuses what makes no sense.
    pub(super) fn check_proxy(&self) -> Result<(), ConfigError> {
        let set = &self.proxy;
        let wrong = |what: &str| Err(ConfigError::Value(format!("proxy.{what}")));
        match () {
            () if set.bytes_per_second == 0 || set.bytes_per_second_of_all == 0 => {
                wrong("bytes_per_second and bytes_per_second_of_all must be more than 0")
            }
            () if !(1..=3_600).contains(&set.begin_seconds) => {
                wrong("begin_seconds must be from 1 to 3,600")
            }
            () if set.idle_seconds < 60 => wrong("idle_seconds must be at least 60"),
            () if set.host.contains(char::is_whitespace) => wrong("host is no host"),
            () => Ok(()),
        }
    }
}
