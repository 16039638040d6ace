//! XEP-0215 External Service Discovery, version 1.0.2: relays for calls, with credentials that hold for a
//! while. For people of this domain only.

use entity::extension::Who;
use entity::{Answer, Context, Extension, Iq, Request};
use xmpp::{BareJid, Element, IqType, Jid, StanzaCondition, StanzaError, datetime, ns};

use crate::external::ExternalService;
use crate::{Domain, Shared};

/// Services outside of XMPP.
pub const EXTENSION: Extension<Domain> = Extension {
    number: "0215",
    title: "External Service Discovery",
    version: "1.0.2",
    features: &[ns::EXTERNAL_SERVICES],
    iqs: &[
        Iq {
            ty: IqType::Get,
            name: "services",
            ns: ns::EXTERNAL_SERVICES,
            who: Who::Anybody,
            handle: services,
        },
        Iq {
            ty: IqType::Get,
            name: "credentials",
            ns: ns::EXTERNAL_SERVICES,
            who: Who::Anybody,
            handle: credentials,
        },
    ],
    ..Extension::NONE
};

/// All services, or those of one type (§3.1, §3.2).
fn services(
    domain: &mut Domain,
    request: &Request,
    cx: &mut Context<'_, Domain>,
) -> Result<Answer, StanzaError> {
    let who = own(domain, request, cx.shared)?;
    let ty = request.payload.attr("type");
    let wanted = cx.shared.external.iter().filter(|service| ty.is_none_or(|ty| service.ty == ty));
    let list = wanted.map(|service| describe(service, &who, cx.now.unix_micros));
    let answer = Element::new("services", ns::EXTERNAL_SERVICES).with_attr_opt("type", ty);
    Ok(Answer::Result(answer.with_children(list)))
}

/// Credentials of a service that the client knows already (§3.3).
fn credentials(
    domain: &mut Domain,
    request: &Request,
    cx: &mut Context<'_, Domain>,
) -> Result<Answer, StanzaError> {
    let who = own(domain, request, cx.shared)?;
    let asked = request.payload.child("service", ns::EXTERNAL_SERVICES);
    let asked = asked.ok_or(StanzaCondition::BadRequest)?;
    let (Some(host), Some(ty)) = (asked.attr("host"), asked.attr("type")) else {
        return Err(StanzaCondition::BadRequest.into());
    };
    let port = asked.attr("port").map(str::parse::<u16>).transpose();
    let port = port.map_err(|_| StanzaCondition::BadRequest)?;
    let is_it = |service: &&ExternalService| {
        let same = service.host == host && service.ty == ty && service.access.is_some();
        same && (port.is_none() || service.port == port)
    };
    let list = cx.shared.external.iter().filter(is_it);
    let list: Vec<_> = list.map(|service| describe(service, &who, cx.now.unix_micros)).collect();
    if list.is_empty() {
        return Err(StanzaCondition::ItemNotFound.into());
    }
    Ok(Answer::Result(Element::new("credentials", ns::EXTERNAL_SERVICES).with_children(list)))
}

/// Who asks, if they have their account here: a relay costs its owner.
fn own(domain: &Domain, request: &Request, shared: &Shared) -> Result<BareJid, StanzaError> {
    if shared.external.is_empty() || shared.service(&domain.jid).is_some() {
        return Err(StanzaCondition::ServiceUnavailable.into());
    }
    let from = request.stanza.head().from.as_ref().map(Jid::bare);
    let is_own = |it: &BareJid| it.localpart().is_some() && it.domain() == domain.jid;
    from.filter(is_own).ok_or_else(|| StanzaCondition::Forbidden.into())
}

fn describe(service: &ExternalService, who: &BareJid, unix_micros: u64) -> Element {
    let port = service.port.map(|port| port.to_string());
    let element = Element::new("service", ns::EXTERNAL_SERVICES)
        .with_attr("type", &service.ty)
        .with_attr("host", &service.host)
        .with_attr_opt("port", port.as_deref())
        .with_attr_opt("transport", service.transport.as_deref());
    let Some(access) = &service.access else { return element };
    let made = access.credentials(who, unix_micros);
    element
        .with_attr("username", &made.username)
        .with_attr("password", &made.password)
        .with_attr("expires", datetime::format_seconds(made.expires_micros))
        .with_attr("restricted", "true")
}
