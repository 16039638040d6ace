//! Owns the services for bytestreams (XEP-0065) that follow from the table `[proxy]`.

use proxy::Host;
use xmpp::BareJid;

use super::{Config, ConfigError};

impl Config {
    /// The services for bytestreams, one for each domain; none where nothing is listened on.
    ///
    /// # Errors
    /// A name that is no domain, or is served already.
    pub fn services_of_proxy(&self) -> Result<Vec<BareJid>, ConfigError> {
        let mut services: Vec<BareJid> = Vec::new();
        if self.proxy.listen.is_empty() || self.proxy.service.is_empty() {
            return Ok(services);
        }
        let mut others = self.services_of_rooms()?;
        others.extend(self.services_of_pubsub()?);
        others.extend(self.services_of_upload()?.into_iter().map(|(jid, _)| jid));
        for domain in self.domains()? {
            let jid = self.service(("proxy.service", &self.proxy.service), &domain, &others)?;
            if !services.contains(&jid) {
                services.push(jid);
            }
        }
        Ok(services)
    }

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
        self.services_of_proxy()?;
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
