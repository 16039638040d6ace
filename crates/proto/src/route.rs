//! Owns routing's one decision: which kind of actor answers for an address (RFC 6120 §10). Pure.

use std::sync::Arc;

use xmpp::{BareJid, Jid};

use crate::disclosed::Disclosed;
use crate::lanes::Lanes;
use crate::member::{ArbiterId, MemberId};

/// Where something goes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Route {
    /// A local account, by its bare JID.
    User(BareJid),
    /// A bound resource of a local account, placed with its account.
    Session(SessionId),
    /// A room of a local room service; the service itself, without localpart, keeps their directory.
    Room(BareJid),
    /// A local publish-subscribe service, which has all its nodes.
    Nodes(BareJid),
    /// A local service as one account sees it, placed with the account.
    Service(Box<ServiceId>),
    /// A served domain, which has no state of its own.
    Domain(BareJid),
    /// One of the lanes to another server's domain.
    Remote(RemoteId),
    /// The domain of a component of this cluster (XEP-0114).
    Component(BareJid),
    /// A stream that a member holds: of a component, or to another server.
    Stream(Box<StreamId>),
    /// A socket on a member.
    Connection(ConnectionId),
    /// What a member keeps of an entity: its second copy, or what a new owner is told of it.
    Copy(CopyId),
    /// A member itself.
    Member(MemberId),
}

/// A lane to another server's domain. Each has a queue of its own, on whatever member owns it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RemoteId {
    /// The domain.
    pub domain: BareJid,
    /// Which lane ([`Lanes::of`]).
    pub lane: u8,
}

/// The copy of an entity at a member.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CopyId {
    /// Who has it.
    pub member: MemberId,
    /// Of what: a user, a session or a room.
    pub of: Box<Route>,
}

/// A service that has something for each account by itself, such as a quota.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ServiceId {
    /// Its address, a domain.
    pub service: BareJid,
    /// What it does.
    pub kind: ServiceKind,
    /// Who asks: an account; of other servers, the domain; the service itself where nobody does.
    pub by: BareJid,
}

/// What a service does that sees each account by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ServiceKind {
    /// It takes files (XEP-0363).
    Upload,
    /// It carries bytestreams (XEP-0065).
    Proxy,
    /// It knows which rooms somebody hears without being inside (MUC/Sub).
    Rooms,
}

/// A session: its account and a number that no other session of the cluster ever has.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SessionId {
    /// The account; also decides where the session lives.
    pub account: BareJid,
    /// 64 random bits.
    pub uid: u64,
}

/// A socket: which member and arbiter hold it, and its number there. Never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConnectionId {
    /// The edge.
    pub member: MemberId,
    /// The thread on the edge.
    pub arbiter: ArbiterId,
    /// Counts up per arbiter.
    pub number: u64,
}

/// A stream of a component, or to another server: which member holds it, and its number there. Never used again.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct StreamId {
    /// The component, or the other server.
    pub domain: BareJid,
    /// Who holds it.
    pub member: MemberId,
    /// 64 random bits.
    pub number: u64,
}

/// Which domains this cluster serves, and as what.
#[derive(Clone, Debug, Default)]
pub struct Hosts {
    domains: Arc<[BareJid]>,
    rooms: Arc<[BareJid]>,
    pubsub: Arc<[BareJid]>,
    services: Arc<[(BareJid, ServiceKind)]>,
    components: Arc<[BareJid]>,
    lanes: Lanes,
    disclosed: Disclosed,
}

impl ServiceId {
    /// A service as an asker sees it: an account of a served domain by itself; of other servers' people, however many
    /// ask, their domain.
    pub fn of(service: BareJid, kind: ServiceKind, asker: &Jid, hosts: &Hosts) -> Self {
        let is_account = asker.localpart().is_some() && hosts.serves(asker.domainpart());
        let by = if is_account { asker.bare() } else { asker.bare().domain() };
        Self { service, kind, by }
    }
}

impl Hosts {
    /// `domains` have accounts; `rooms` are room services. Both are domain-only JIDs.
    pub fn new(
        domains: impl IntoIterator<Item = BareJid>,
        rooms: impl IntoIterator<Item = BareJid>,
    ) -> Self {
        let (domains, rooms) = (domains.into_iter().collect(), rooms.into_iter().collect());
        Self { domains, rooms, ..Self::default() }
    }

    /// With publish-subscribe services.
    #[must_use]
    pub fn with_pubsub(self, services: impl IntoIterator<Item = BareJid>) -> Self {
        Self { pubsub: services.into_iter().collect(), ..self }
    }

    /// With services that see each account by itself.
    #[must_use]
    pub fn with_services(self, services: impl IntoIterator<Item = (BareJid, ServiceKind)>) -> Self {
        Self { services: services.into_iter().collect(), ..self }
    }

    /// With components.
    #[must_use]
    pub fn with_components(self, components: impl IntoIterator<Item = BareJid>) -> Self {
        Self { components: components.into_iter().collect(), ..self }
    }

    /// With so many lanes to other domains.
    #[must_use]
    pub fn with_lanes(self, lanes: Lanes) -> Self {
        Self { lanes, ..self }
    }

    /// What components have said that they can do in the server's place.
    pub fn disclosed(&self) -> &Disclosed {
        &self.disclosed
    }

    /// How many lanes there are to other domains.
    pub fn lanes(&self) -> &Lanes {
        &self.lanes
    }

    /// Whether accounts of this domain live here.
    pub fn serves(&self, domain: &str) -> bool {
        self.domains.iter().any(|served| served.as_str() == domain)
    }

    /// The served domains in the order of the configuration.
    pub fn domains(&self) -> &[BareJid] {
        &self.domains
    }

    fn is_pubsub_service(&self, domain: &str) -> bool {
        self.pubsub.iter().any(|service| service.as_str() == domain)
    }

    fn service(&self, domain: &str) -> Option<&(BareJid, ServiceKind)> {
        self.services.iter().find(|(service, _)| service.as_str() == domain)
    }

    fn is_component(&self, domain: &str) -> bool {
        self.components.iter().any(|component| component.as_str() == domain)
    }

    fn is_room_service(&self, domain: &str) -> bool {
        self.rooms.iter().any(|service| service.as_str() == domain)
    }
}

impl Route {
    /// The whole of RFC 6120 §10.3 to §10.5: no `to` is the sender's account and never comes here; a
    /// domain of ours without localpart is the domain itself (§10.5.1, §10.5.2), with one is an account
    /// (§10.5.3, §10.5.4), whose resource the user decides about; everything else is remote (§10.4).
    ///
    /// For whoever asks what an address is. What is sent there goes by [`Route::between`].
    pub fn of(to: &Jid, hosts: &Hosts) -> Self {
        let domain = to.domainpart();
        let bare = to.bare();
        match (hosts.serves(domain), hosts.is_room_service(domain), to.localpart()) {
            (true, _, Some(_)) => Self::User(bare),
            (_, true, _) => Self::Room(bare),
            (true, _, None) => Self::Domain(bare),
            // An address at such a service is nobody's; the service says so.
            (false, false, _) if hosts.is_pubsub_service(domain) => Self::Nodes(bare.domain()),
            (false, false, _) if hosts.is_component(domain) => Self::Component(bare.domain()),
            (false, false, _) => match hosts.service(domain) {
                Some((service, kind)) => {
                    let (by, kind) = (service.clone(), *kind);
                    Self::Service(Box::new(ServiceId { service: service.clone(), kind, by }))
                }
                None => Self::Remote(RemoteId { domain: bare.domain(), lane: 0 }),
            },
        }
    }

    /// As [`Route::of`], where it is known who asks: of other servers' people, a service knows their domain; and to other
    /// servers, everybody has a lane.
    pub fn between(from: Option<&Jid>, to: &Jid, hosts: &Hosts) -> Self {
        let mut route = Self::of(to, hosts);
        match (&mut route, from) {
            (Self::Service(id), Some(from)) => {
                **id = ServiceId::of(id.service.clone(), id.kind, from, hosts);
            }
            (Self::Remote(id), from) => id.lane = hosts.lanes.of(from, to),
            _ => {}
        }
        route
    }

    /// Every kind, as logs, traces and metrics name it.
    pub const NAMES: [&'static str; 12] = [
        "user",
        "session",
        "room",
        "nodes",
        "service",
        "domain",
        "remote",
        "component",
        "stream",
        "connection",
        "copy",
        "member",
    ];

    /// The kind, as logs, traces and metrics name it: one of [`Route::NAMES`].
    pub fn name(&self) -> &'static str {
        match self {
            Self::User(_) => "user",
            Self::Session(_) => "session",
            Self::Room(_) => "room",
            Self::Nodes(_) => "nodes",
            Self::Service(_) => "service",
            Self::Domain(_) => "domain",
            Self::Remote(_) => "remote",
            Self::Component(_) => "component",
            Self::Stream(_) => "stream",
            Self::Connection(_) => "connection",
            Self::Copy(_) => "copy",
            Self::Member(_) => "member",
        }
    }

    /// The bare JID whose hash places the actor; none where the route itself says which member is meant.
    pub fn key(&self) -> Option<&BareJid> {
        match self {
            Self::User(jid)
            | Self::Room(jid)
            | Self::Nodes(jid)
            | Self::Domain(jid)
            | Self::Component(jid) => Some(jid),
            Self::Remote(id) => Some(&id.domain),
            Self::Session(session) => Some(&session.account),
            Self::Service(id) => Some(&id.by),
            Self::Stream(_) | Self::Connection(_) | Self::Copy(_) | Self::Member(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::num::NonZeroU8;

    use super::*;

    #[test]
    fn addresses_resolve_as_section_10_says() {
        let bare = |text: &str| BareJid::parse(text).unwrap();
        let hosts = Hosts::new([bare("x.org")], [bare("conference.x.org")]);
        let hosts = hosts.with_pubsub([bare("pubsub.x.org")]);
        let hosts = hosts.with_components([bare("irc.x.org")]);
        let remote = |text: &str| Route::Remote(RemoteId { domain: bare(text), lane: 0 });
        let cases = [
            ("x.org", Route::Domain(bare("x.org"))),
            ("x.org/r", Route::Domain(bare("x.org"))),
            ("a@x.org", Route::User(bare("a@x.org"))),
            ("a@x.org/r", Route::User(bare("a@x.org"))),
            ("conference.x.org", Route::Room(bare("conference.x.org"))),
            ("r@conference.x.org/nick", Route::Room(bare("r@conference.x.org"))),
            ("pubsub.x.org", Route::Nodes(bare("pubsub.x.org"))),
            ("a@pubsub.x.org/r", Route::Nodes(bare("pubsub.x.org"))),
            ("irc.x.org", Route::Component(bare("irc.x.org"))),
            ("a@irc.x.org/r", Route::Component(bare("irc.x.org"))),
            ("a@y.org/r", remote("y.org")),
            ("y.org", remote("y.org")),
            ("sub.x.org", remote("sub.x.org")),
        ];
        for (to, route) in cases {
            assert_eq!(Route::of(&Jid::parse(to).unwrap(), &hosts), route, "{to}");
        }
    }

    #[test]
    fn who_writes_to_another_server_has_a_lane() {
        let four = NonZeroU8::new(4).unwrap();
        let lanes = Lanes::new(NonZeroU8::MIN, BTreeMap::from([("y.org".to_owned(), four)]));
        let hosts = Hosts::default().with_lanes(lanes);
        let lane = |from: &str, to: &str| {
            let (from, to) = (Jid::parse(from).unwrap(), Jid::parse(to).unwrap());
            match Route::between(Some(&from), &to, &hosts) {
                Route::Remote(id) => (id.domain.as_str().to_owned(), id.lane),
                route => panic!("{route:?}"),
            }
        };
        assert_eq!(lane("a@x.org/r", "b@y.org/r"), ("y.org".to_owned(), 1));
        assert_eq!(lane("c@x.org/r", "b@y.org/r"), ("y.org".to_owned(), 3));
        assert_eq!(lane("c@x.org/r", "b@z.org/r"), ("z.org".to_owned(), 0));
    }

    #[test]
    fn a_service_lives_with_who_asks() {
        let bare = |text: &str| BareJid::parse(text).unwrap();
        let service = (bare("upload.x.org"), ServiceKind::Upload);
        let hosts = Hosts::new([bare("x.org")], []).with_services([service]);
        let to = Jid::parse("upload.x.org").unwrap();
        let by = |from: Option<&str>| {
            let from = from.map(|from| Jid::parse(from).unwrap());
            let route = Route::between(from.as_ref(), &to, &hosts);
            route.key().unwrap().as_str().to_owned()
        };
        assert_eq!(by(Some("a@x.org/r")), "a@x.org");
        // However many made-up people of another server ask, they are one.
        assert_eq!(by(Some("a@y.org/r")), "y.org");
        assert_eq!(by(Some("x.org")), "x.org");
        assert_eq!(by(None), "upload.x.org");
        let user = Jid::parse("b@x.org").unwrap();
        let route = Route::between(Some(&to), &user, &hosts);
        assert_eq!(route, Route::User(bare("b@x.org")));
    }
}
