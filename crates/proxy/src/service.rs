//! Owns the Proxy entity: a service for bytestreams, as one account sees it (XEP-0065 §4, §6). It has nothing but the
//! address of the member where it is.

use std::collections::HashMap;
use std::sync::Arc;

use entity::{Answer, Context, Entity, LoadError, Request, Timer, answer};
use proto::{Envelope, Now, Route, ServiceId};
use store::{Kind as RowKind, Row};
use xmpp::{BareJid, Element, ErrorType, Jid, StanzaCondition, StanzaError, ns};

use crate::EXTENSIONS;
use crate::hub::{Hub, Refusal};
use crate::socks::Address;

/// What all services of a member share.
pub struct Shared {
    /// Who waits for whom.
    pub hub: Arc<Hub>,
    /// Where this member is reached, by service.
    pub hosts: HashMap<BareJid, Host>,
}

/// Where clients bring bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// A name or an address.
    pub name: String,
    /// The port.
    pub port: u16,
}

/// A service for bytestreams, as one account sees it.
pub struct Proxy {
    /// Which service, and who asks.
    pub id: ServiceId,
}

impl Entity for Proxy {
    type Shared = Shared;

    const KINDS: &'static [RowKind] = &[];
    const NAME: &'static str = "proxy";

    fn load(route: &Route, _: Vec<Row>, _: &Arc<Shared>) -> Result<Self, LoadError> {
        match route {
            Route::Service(id) => Ok(Self { id: (**id).clone() }),
            _ => Err(LoadError { kind: RowKind::Account }),
        }
    }

    fn receive(&mut self, envelope: Envelope, cx: &mut Context<'_, Self>) {
        answer::receive(&EXTENSIONS, self, envelope, cx);
    }

    fn wake(&mut self, _: Timer, _: &mut Context<'_, Self>) {}

    fn may_sleep(&self, _: Now) -> bool {
        true
    }
}

/// Who asks; only accounts of this server may (§4).
fn asker<'r>(request: &'r Request, cx: &Context<'_, Proxy>) -> Result<&'r Jid, StanzaError> {
    let from = request.stanza.head().from.as_ref();
    let ours = from.filter(|it| it.localpart().is_some() && cx.hosts.serves(it.domainpart()));
    ours.ok_or_else(|| StanzaCondition::Forbidden.into())
}

/// §4: where the clients of a bytestream may meet.
pub(crate) fn address(
    proxy: &mut Proxy,
    request: &Request,
    cx: &mut Context<'_, Proxy>,
) -> Result<Answer, StanzaError> {
    asker(request, cx)?;
    let host = cx.shared.hosts.get(&proxy.id.service);
    let host = host.ok_or_else(|| StanzaError::from(StanzaCondition::NotAllowed))?;
    let streamhost = Element::new("streamhost", ns::BYTESTREAMS)
        .with_attr("jid", proxy.id.service.as_str())
        .with_attr("host", &host.name)
        .with_attr("port", host.port.to_string());
    Ok(Answer::Result(Element::new("query", ns::BYTESTREAMS).with_child(streamhost)))
}

/// §6.3.5: the requester lets a bytestream begin. The address that both clients have named has their own in it, so that
/// nobody else can.
pub(crate) fn activate(
    _: &mut Proxy,
    request: &Request,
    cx: &mut Context<'_, Proxy>,
) -> Result<Answer, StanzaError> {
    let from = asker(request, cx)?;
    let bad = |what: &str| StanzaError::from(StanzaCondition::BadRequest).with_text(what);
    let sid = request.payload.attr("sid").filter(|sid| !sid.is_empty());
    let sid = sid.ok_or_else(|| bad("a bytestream has a sid"))?;
    let target = request.payload.child("activate", ns::BYTESTREAMS).map(Element::text);
    let target = target.and_then(|target| Jid::parse(target.trim()).ok());
    let target = target.ok_or_else(|| bad("a bytestream has a target"))?;
    let address = Address::of(sid, from.as_str(), target.as_str());
    match cx.shared.hub.begin(address, &from.bare()) {
        Ok(()) => Ok(Answer::Done),
        Err(Refusal::Unknown) => Err(StanzaCondition::ItemNotFound.into()),
        Err(Refusal::Alone) => Err(StanzaCondition::NotAllowed.into()),
        Err(Refusal::TooMany) => {
            let error = StanzaError::from(StanzaCondition::ResourceConstraint);
            Err(error.with_type(ErrorType::Wait).with_text("you have too many bytestreams"))
        }
    }
}
