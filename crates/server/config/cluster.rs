//! Owns the tables `[cluster]`, `[dns]` and `[lease]`: how this server meets other members, and how long one may act
//! without having heard from the others.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use cluster::control::moves::Empty;
use cluster::peer::{Files, Security};
use cluster::plan::Roles;
use serde::{Deserialize, Serialize};

use super::{Config, ConfigError, Engine};

/// Other members. Without `listen` this server is a cluster of its own, and no port for members is open.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Cluster {
    /// This member's name, which its certificate proves. No two have the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Where it listens for others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listen: Option<SocketAddr>,
    /// Where others reach it: `host:port`. Default: as `listen`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advertise: Option<String>,
    /// Where others may be: `host:port`.
    pub seeds: Vec<String>,
    /// A name of which every address is a member's: `host:port`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dns: Option<String>,
    /// How many members begin the cluster together: 1, 3 or 5. With 1 the first of the seeds begins it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bootstrap_expect: Option<usize>,
    /// PEM file of the authority that signs members' certificates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
    /// PEM file of this member's certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<PathBuf>,
    /// PEM file of its key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<PathBuf>,
    /// What stands before `/member/NAME` in the URI of a member's certificate. Default `rookery`.
    pub trust_domain: String,
    /// True, for trials on loopback: members neither prove who they are nor protect what they say.
    pub insecure_dev: bool,
    /// The failure zone that this member runs in. Default: none.
    pub zone: String,
    /// What it is used for. Default: all of `edge`, `home`, `voter`.
    pub roles: Vec<Role>,
    /// Its share of the accounts in proportion to others'. Default 100.
    pub weight: u32,
    /// Seconds over which the clients of a drained member are let go. Default 50.
    pub drain_seconds: u64,
}

/// Who is asked for names.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Dns {
    /// Name servers. Default: the system's.
    pub servers: Vec<SocketAddr>,
    /// DNSKEY records, as a zone file has them, that DNSSEC begins with. Default: the root's.
    pub trust_anchor: Option<PathBuf>,
}

/// What a member may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Listens for clients.
    Edge,
    /// Hosts accounts, rooms, and the queues to other domains.
    Home,
    /// May vote.
    Voter,
}

/// The member lease: how long this member may act without having heard from the cluster.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Lease {
    /// Figures for a kind of network. Default `standard`.
    pub preset: Preset,
    /// Milliseconds, instead of the preset's. The same on all members.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl_ms: Option<u64>,
}

/// Figures of the lease for a kind of network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Preset {
    /// 1,000 ms: another takes over within 3 s.
    #[default]
    Standard,
    /// 3,000 ms: for machines that now and then stand still for a second.
    Noisy,
}

impl Default for Cluster {
    fn default() -> Self {
        Self {
            name: None,
            listen: None,
            advertise: None,
            seeds: Vec::new(),
            dns: None,
            bootstrap_expect: None,
            ca: None,
            certificate: None,
            key: None,
            trust_domain: "rookery".to_owned(),
            insecure_dev: false,
            zone: String::new(),
            roles: vec![Role::Edge, Role::Home, Role::Voter],
            weight: 100,
            drain_seconds: 50,
        }
    }
}

impl Lease {
    /// How long a grant lasts.
    pub fn ttl(&self) -> Duration {
        let preset = match self.preset {
            Preset::Standard => 1_000,
            Preset::Noisy => 3_000,
        };
        Duration::from_millis(self.ttl_ms.unwrap_or(preset))
    }
}

impl Cluster {
    /// Whether this server meets other members.
    pub fn has_others(&self) -> bool {
        self.listen.is_some()
    }

    /// Over how long the clients of a drained member are let go.
    pub fn lets_go_over(&self) -> Duration {
        Duration::from_secs(self.drain_seconds)
    }

    fn roles(&self) -> Roles {
        let role = |role: &Role| match role {
            Role::Edge => Roles::EDGE,
            Role::Home => Roles::HOME,
            Role::Voter => Roles::VOTER,
        };
        self.roles.iter().map(role).fold(Roles::from_bits(0), Roles::and)
    }

    fn advertised(&self, listen: SocketAddr) -> String {
        self.advertise.clone().unwrap_or_else(|| listen.to_string())
    }

    fn security(&self) -> Result<Security, String> {
        match (&self.ca, &self.certificate, &self.key) {
            (Some(ca), Some(certificate), Some(key)) if !self.insecure_dev => {
                Ok(Security::Mutual(Files {
                    ca: ca.clone(),
                    certificate: certificate.clone(),
                    key: key.clone(),
                    trust_domain: self.trust_domain.clone(),
                }))
            }
            (None, None, None) if self.insecure_dev => Ok(Security::InsecureDev),
            _ if self.insecure_dev => {
                Err("insecure_dev and certificates exclude each other".to_owned())
            }
            _ => Err("ca, certificate and key are needed: `rookery cert cluster-ca` and \
                      `rookery cert cluster-member NAME` make them"
                .to_owned()),
        }
    }

    /// What is wrong, if anything.
    fn fault(&self, engine: Engine) -> Option<String> {
        let Some(listen) = self.listen else {
            let unused = self.bootstrap_expect.is_some() || self.dns.is_some();
            let unused = unused || !self.seeds.is_empty() || self.certificate.is_some();
            return unused.then(|| "listen says where to meet other members".to_owned());
        };
        if self.name.as_deref().unwrap_or_default().is_empty() {
            return Some("name is needed with listen".to_owned());
        }
        let address = self.advertised(listen);
        let mut addresses = self.seeds.iter().chain(&self.dns).chain([&address]);
        let no_port =
            |at: &&String| at.rsplit_once(':').is_none_or(|(_, p)| p.parse::<u16>().is_err());
        if let Some(wrong) = addresses.find(no_port) {
            return Some(format!("{wrong:?} is not of the form host:port"));
        }
        if self.advertise.is_none() && listen.ip().is_unspecified() {
            return Some(
                "advertise says where others reach this member: listen is no address".to_owned(),
            );
        }
        if self.insecure_dev && !self.is_on_loopback(listen) {
            return Some("insecure_dev is for loopback addresses only".to_owned());
        }
        let expect = match self.bootstrap_expect {
            Some(expect @ (1 | 3 | 5)) => expect,
            _ => return Some("bootstrap_expect must be 1, 3 or 5 with listen".to_owned()),
        };
        if self.roles.is_empty() {
            return Some("roles is empty: the member would be good for nothing".to_owned());
        }
        // Who signs in is looked up in the store of the member that holds the connection.
        let (is_home, is_edge) =
            (self.roles.contains(&Role::Home), self.roles.contains(&Role::Edge));
        if self.is_private(engine) && (is_edge && !is_home || is_home && expect > 1) {
            return Some(
                "the embedded store is one member's own: homes and edges that are more than one member need a \
                 store that they share (store.engine = \"redis\")"
                    .to_owned(),
            );
        }
        self.security().err()
    }

    fn is_on_loopback(&self, listen: SocketAddr) -> bool {
        let loopback =
            |at: &String| at.parse::<SocketAddr>().is_ok_and(|address| address.ip().is_loopback());
        let address = self.advertised(listen);
        let mut addresses = self.seeds.iter().chain(&self.dns).chain([&address]);
        listen.ip().is_loopback() && addresses.all(loopback)
    }

    /// Whether a member's rows are its own. Rows in memory are lost with it anyway: for trials on loopback they
    /// count as shared.
    fn is_private(&self, engine: Engine) -> bool {
        let trial = self.listen.is_some_and(|listen| self.is_on_loopback(listen));
        engine == Engine::Embedded || (engine == Engine::Memory && !trial)
    }
}

impl Config {
    /// Whether this member listens for clients.
    pub fn has_clients(&self) -> bool {
        !self.cluster.has_others() || self.cluster.roles.contains(&Role::Edge)
    }

    pub(super) fn check_cluster(&self) -> Result<(), ConfigError> {
        if self.lease.ttl() < Duration::from_millis(200) {
            let ttl = self.lease.ttl().as_millis();
            let what = format!("lease.ttl_ms is {ttl}, but must be at least 200");
            return Err(ConfigError::Value(what));
        }
        match self.cluster.fault(self.store.engine) {
            Some(fault) => Err(ConfigError::Value(format!("[cluster] {fault}"))),
            None => Ok(()),
        }
    }

    /// The settings of this process as a member.
    ///
    /// # Errors
    /// What does not go together.
    pub fn cluster(&self) -> Result<cluster::Config, ConfigError> {
        let wrong = |what| ConfigError::Value(format!("[cluster] {what}"));
        let lease = cluster::Terms { ttl: self.lease.ttl(), ..cluster::Terms::default() };
        let default = cluster::Config { lease, ..cluster::Config::default() };
        let Some(listen) = self.cluster.listen else {
            return Ok(default);
        };
        let own = &self.cluster;
        let mesh = cluster::Mesh {
            listen,
            security: own.security().map_err(wrong)?,
            seeds: own.seeds.clone(),
            dns: own.dns.clone(),
            name_servers: self.dns.servers.clone(),
            bootstrap_expect: own.bootstrap_expect.unwrap_or(1),
            moves: Arc::new(Empty),
        };
        Ok(cluster::Config {
            name: own.name.clone().unwrap_or_default(),
            addr: own.advertised(listen),
            zone: own.zone.clone(),
            roles: own.roles(),
            weight: own.weight,
            // Others may be restarted for as long as this.
            start_patience: Duration::from_secs(600),
            private_store: own.is_private(self.store.engine),
            mesh: Some(mesh),
            ..default
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "[cluster]\nname = 'm1'\nlisten = '10.0.0.1:7400'\nbootstrap_expect = 1\n\
                        ca = 'a'\ncertificate = 'b'\nkey = 'c'\n";

    fn error(text: &str) -> String {
        Config::parse(text, "test.toml", &[]).unwrap_err().to_string()
    }

    #[test]
    fn a_server_without_the_table_meets_nobody() {
        let config = Config::parse("", "f", &[]).unwrap().cluster().unwrap();
        assert!(config.mesh.is_none() && config.private_store);
    }

    #[test]
    fn a_member_is_told_where_and_who_it_is() {
        let config = Config::parse(GOOD, "f", &[]).unwrap().cluster().unwrap();
        let mesh = config.mesh.unwrap();
        assert_eq!((config.name.as_str(), config.addr.as_str()), ("m1", "10.0.0.1:7400"));
        assert_eq!((mesh.bootstrap_expect, config.lease.ttl), (1, Duration::from_secs(1)));
        assert!(
            matches!(mesh.security, Security::Mutual(files) if files.trust_domain == "rookery")
        );
    }

    #[test]
    fn what_does_not_go_together_is_refused() {
        assert!(error("[cluster]\nseeds = ['a:1']").contains("listen"));
        assert!(error(&GOOD.replace("name = 'm1'", "")).contains("name is needed"));
        assert!(error(&GOOD.replace("= 1\n", "= 2\n")).contains("1, 3 or 5"));
        assert!(error(&GOOD.replace("= 1\n", "= 3\n")).contains("a store that they share"));
        let edge = format!("{GOOD}roles = ['edge']");
        assert!(error(&edge).contains("a store that they share"));
        assert!(error(&format!("{GOOD}roles = []")).contains("good for nothing"));
        assert!(error(&format!("{GOOD}roles = ['s2s-edge']")).contains("`edge`, `home`, `voter`"));
        assert!(error(&GOOD.replace("key = 'c'", "")).contains("cluster-ca"));
        assert!(error(&format!("{GOOD}seeds = ['nowhere']")).contains("host:port"));
        assert!(error(&format!("{GOOD}insecure_dev = true")).contains("loopback"));
        let open = GOOD.replace("10.0.0.1", "0.0.0.0");
        assert!(error(&open).contains("advertise"));
        let plain = "[cluster]\nname = 'm1'\nlisten = '127.0.0.1:7400'\nbootstrap_expect = 3\n\
                     insecure_dev = true\n";
        assert!(error(plain).contains("a store that they share"));
        let memory = format!("{plain}[store]\nengine = 'memory'\n");
        assert!(!Config::parse(&memory, "f", &[]).unwrap().cluster().unwrap().private_store);
    }

    #[test]
    fn a_member_that_is_no_edge_listens_for_no_clients() {
        let config = |roles| Config::parse(&format!("{GOOD}roles = {roles}"), "f", &[]).unwrap();
        for (roles, listens) in [("['home', 'voter']", false), ("['home', 'edge']", true)] {
            let listen = config(roles).gate().listen;
            assert_eq!((listen.c2s.is_empty(), listen.c2s_tls.is_empty()), (!listens, !listens));
        }
    }

    #[test]
    fn a_noisy_network_has_longer_leases() {
        let ttl = |text| Config::parse(text, "f", &[]).unwrap().lease.ttl().as_millis();
        assert_eq!((ttl(""), ttl("[lease]\npreset = 'noisy'")), (1_000, 3_000));
        assert_eq!(ttl("[lease]\npreset = 'noisy'\nttl_ms = 500"), 500);
        assert!(error("[lease]\nttl_ms = 100").contains("at least 200"));
    }
}
