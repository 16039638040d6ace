//! XEP-0357 Push Notifications, version 0.4.1: services that a client named are told when there is something for
//! it while it has no connection. What they are told is how much; who and what only where the operator says so.

use std::borrow::Cow;
use std::collections::VecDeque;

use bytes::Bytes;
use entity::extension::{SessionEvent, Who};
use entity::refuse::store_error;
use entity::{
    Answer, Context, Extension, Iq, LoadError, Passage, Request, Slot, SlotKind, Verdict,
};
use store::{Key, Kind, Write};
use xmpp::forms::{Field, FieldType, Form, FormKind};
use xmpp::room_event::{self, Told};
use xmpp::{
    Element, ErrorType, Features, Head, IqType, Jid, Kind as StanzaKind, MessageType, Stanza,
    StanzaCondition, StanzaError, ns,
};

use crate::extensions::{again, reply};
use crate::{User, inbound as delivery};

/// Push notifications.
pub(crate) const EXTENSION: Extension<User> = Extension {
    number: "0357",
    title: "Push Notifications",
    version: "0.4.1",
    features: &[ns::PUSH],
    iqs: &[
        Iq { ty: IqType::Set, name: "enable", ns: ns::PUSH, who: Who::Owner, handle: enable },
        Iq { ty: IqType::Set, name: "disable", ns: ns::PUSH, who: Who::Owner, handle: disable },
    ],
    inbound: Some(notify),
    session: Some(session),
    slots: &[SlotKind::of::<Services>()],
    ..Extension::NONE
};

/// The services of an account. Comes out of the rows; counts are live state.
#[derive(Default)]
struct Services {
    list: Vec<Service>,
    /// Notifications that are not answered, oldest first.
    open: VecDeque<(String, ServiceName)>,
}

/// Where to publish, and to which node.
type ServiceName = (Jid, Option<String>);

/// A service that a client named (§5).
#[derive(Clone, Debug, PartialEq, Eq)]
struct Service {
    name: ServiceName,
    /// The resource of the client.
    resource: String,
    /// What goes along with everything that is published.
    options: Option<Element>,
    /// Messages since the client was here last.
    missed: u32,
    /// Errors in a row that may pass.
    failures: u32,
}

/// Most bytes of one service with its options.
const BYTES_MOST: usize = 8_192;
/// Most notifications that wait for an answer; the oldest is given up.
const OPEN_MOST: usize = 64;
/// After so many errors in a row that may pass, it is given up (§7.1).
const FAILURES_MOST: u32 = 16;
/// The rows of [`Kind::Setting`] begin so.
const ROW: &[u8] = b"push/";

impl Slot for Services {
    const NAME: &'static str = "push";

    fn encode(&self) -> Option<Bytes> {
        if self.open.is_empty() && self.list.iter().all(|it| it.missed + it.failures == 0) {
            return None;
        }
        let services = self.list.iter().map(|service| {
            service
                .to_element()
                .with_attr("missed", service.missed.to_string())
                .with_attr("failures", service.failures.to_string())
        });
        let open = self.open.iter().map(|(id, (jid, node))| {
            Element::new("open", ns::PUSH)
                .with_attr("id", id)
                .with_attr("jid", jid.as_str())
                .with_attr_opt("node", node.as_deref())
        });
        let all = Element::new("services", ns::PUSH).with_children(services).with_children(open);
        Some(all.to_bytes().into())
    }

    fn decode(value: &[u8]) -> Option<Self> {
        let all = Element::parse(value).ok()?;
        let named = |name: &'static str| all.children().filter(move |it| it.is(name, ns::PUSH));
        let open = |it: &Element| Some((it.attr("id")?.to_owned(), name_of(it).ok()?));
        Some(Self {
            list: named("enable").map(Service::read).collect::<Option<_>>()?,
            open: named("open").map(open).collect::<Option<_>>()?,
        })
    }
}

/// Takes the account's rows.
pub(super) fn load(user: &mut User) -> Result<(), LoadError> {
    let is = |row: &mut store::Row| row.kind == Kind::Setting && row.item.starts_with(ROW);
    let rows: Vec<_> = user.rows.extract_if(.., is).collect();
    if rows.is_empty() {
        return Ok(());
    }
    let read = |row: &store::Row| Service::read(&Element::parse(&row.value).ok()?);
    let list = rows.iter().map(read).collect::<Option<_>>();
    let list = list.ok_or(LoadError { kind: Kind::Setting })?;
    user.slots.get_or_make(|| Services { list, open: VecDeque::new() });
    Ok(())
}

impl Service {
    /// What a client says (§5); the same shape is kept.
    fn of_request(enable: &Element, resource: &str) -> Result<Self, StanzaError> {
        let name = name_of(enable)?;
        let options = enable.child("x", ns::DATA_FORMS).cloned();
        if let Some(options) = &options {
            let form = Form::parse(options)?;
            if form.kind != FormKind::Submit || form.form_type() != Some(ns::PUBSUB_OPTIONS) {
                return Err(StanzaCondition::BadRequest.into());
            }
        }
        let resource = resource.to_owned();
        let service = Self { name, resource, options, missed: 0, failures: 0 };
        match service.to_element().to_bytes().len() <= BYTES_MOST {
            true => Ok(service),
            false => Err(StanzaCondition::PolicyViolation.into()),
        }
    }

    fn read(row: &Element) -> Option<Self> {
        let count = |name| row.attr(name).map_or(Some(0), |text| text.parse().ok());
        Some(Self {
            name: name_of(row).ok()?,
            resource: row.attr("resource")?.to_owned(),
            options: row.child("x", ns::DATA_FORMS).cloned(),
            missed: count("missed")?,
            failures: count("failures")?,
        })
    }

    fn to_element(&self) -> Element {
        let (jid, node) = &self.name;
        Element::new("enable", ns::PUSH)
            .with_attr("jid", jid.as_str())
            .with_attr_opt("node", node.as_deref())
            .with_attr("resource", &self.resource)
            .with_children(self.options.clone())
    }
}

fn name_of(element: &Element) -> Result<ServiceName, StanzaError> {
    let jid = element.attr("jid").ok_or(StanzaCondition::BadRequest)?;
    let jid = Jid::parse(jid).map_err(|_| StanzaCondition::JidMalformed)?;
    Ok((jid, element.attr("node").map(str::to_owned)))
}

fn key(user: &User, (jid, node): &ServiceName) -> Key {
    let name = [jid.as_str(), node.as_deref().unwrap_or_default()].join("\n");
    Key::new(user.jid.clone(), Kind::Setting, [ROW, name.as_bytes()].concat())
}

/// §5: a service that is known is replaced.
fn enable(
    user: &mut User,
    request: &Request,
    cx: &mut Context<'_, User>,
) -> Result<Answer, StanzaError> {
    let entry = request.session.and_then(|session| user.sessions.get(session));
    let resource = entry.ok_or(StanzaCondition::Forbidden)?.jid.resource().to_owned();
    let service = Service::of_request(&request.payload, &resource)?;
    if service.name.0 == *user.jid {
        return Err(StanzaCondition::NotAcceptable.into());
    }
    let most = cx.shared.accounts.push_services;
    let known = user.slots.get::<Services>().map_or(&[][..], |services| &services.list);
    if known.iter().all(|it| it.name != service.name) && known.len() >= most {
        let error = StanzaError::from(StanzaCondition::ResourceConstraint);
        return Err(error.with_text("too many services for push notifications"));
    }
    let writes = vec![Write::Put(key(user, &service.name), service.to_element().to_bytes().into())];
    keep(user, request, writes, cx, move |services| {
        services.list.retain(|it| it.name != service.name);
        services.list.push(service);
    });
    Ok(Answer::Later)
}

/// §6: one node of a service, or all of it.
fn disable(
    user: &mut User,
    request: &Request,
    cx: &mut Context<'_, User>,
) -> Result<Answer, StanzaError> {
    let (jid, node) = name_of(&request.payload)?;
    let is_meant = move |name: &ServiceName| name.0 == jid && (node.is_none() || name.1 == node);
    let known = user.slots.get::<Services>().map_or(&[][..], |services| &services.list);
    let gone = known.iter().filter(|it| is_meant(&it.name));
    let writes = gone.map(|it| Write::Delete(key(user, &it.name))).collect();
    keep(user, request, writes, cx, move |services| {
        services.list.retain(|it| !is_meant(&it.name));
    });
    Ok(Answer::Later)
}

fn keep(
    _: &User,
    request: &Request,
    writes: Vec<Write>,
    cx: &mut Context<'_, User>,
    change: impl FnOnce(&mut Services) + 'static,
) {
    let request = again(request);
    cx.commit_then(writes, move |user, cx, kept| {
        let answer = kept.map(|()| None).map_err(|error| store_error(&error));
        if answer.is_ok() {
            change(user.slots.get_or_make(Services::default));
        }
        reply(user, &request, answer, cx);
    });
}

/// Tells the services of clients that have no connection that there is a message (§7).
fn notify(user: &mut User, passage: &mut Passage, cx: &mut Context<'_, User>) -> Verdict {
    let has_none = user.slots.get::<Services>().is_none_or(|it| it.list.is_empty());
    if has_none || delivery::is_refused(user, &passage.stanza, cx) {
        return Verdict::Pass;
    }
    let attached = user.sessions.iter().filter(|entry| entry.attached);
    let here: Vec<String> = attached.map(|entry| entry.jid.resource().to_owned()).collect();
    for service in &mut user.slots.get_or_make(Services::default).list {
        if here.contains(&service.resource) {
            service.missed = 0;
        }
    }
    tell(user, |service| !here.contains(&service.resource), &passage.stanza, cx);
    Verdict::Pass
}

/// Tells the service of a client that was cut off of what it was sent and has not acknowledged.
pub(crate) fn missed(
    user: &mut User,
    resource: &str,
    unacknowledged: &[Stanza],
    cx: &mut Context<'_, User>,
) {
    if user.slots.get::<Services>().is_some() {
        for stanza in unacknowledged {
            tell(user, |service| service.resource == resource, stanza, cx);
        }
    }
}

fn tell(
    user: &mut User,
    whom: impl Fn(&Service) -> bool,
    stanza: &Stanza,
    cx: &mut Context<'_, User>,
) {
    if !is_worth(stanza) {
        return;
    }
    let stanza = &*said(stanza);
    let from = user.jid.clone();
    let services = user.slots.get_or_make(Services::default);
    for service in services.list.iter_mut().filter(|service| whom(service)) {
        service.missed = service.missed.saturating_add(1);
        let id = format!("push-{:016x}", cx.random_u64());
        let summary = summary(service.missed, stanza, cx.shared.push);
        cx.send(publish(service, &id, summary).with_from(from.clone().into()));
        services.open.push_back((id, service.name.clone()));
    }
    let surplus = services.open.len().saturating_sub(OPEN_MOST);
    services.open.drain(..surplus);
}

/// What is told of: of what a room tells somebody who is not inside (MUC/Sub), what was said there.
fn said(stanza: &Stanza) -> Cow<'_, Stanza> {
    match room_event::read(stanza) {
        Told::Message(said) => Cow::Owned(*said),
        Told::Nothing | Told::Other => Cow::Borrowed(stanza),
    }
}

/// Whether a person would want to be told.
pub(crate) fn is_worth(stanza: &Stanza) -> bool {
    let stanza = &*said(stanza);
    const CONTENT: Features =
        Features::BODY.with(Features::ENCRYPTED).with(Features::CALL).with(Features::INVITATION);
    let ty = match stanza.kind() {
        StanzaKind::Message(ty) => ty,
        StanzaKind::Presence(_) | StanzaKind::Iq(_) => return false,
    };
    let is_talk = !matches!(ty, MessageType::Error | MessageType::Headline);
    is_talk && stanza.features().any(CONTENT) && !stanza.features().any(Features::CARBON)
}

/// §7: how much, and what the operator allows beside.
fn summary(missed: u32, stanza: &Stanza, allowed: crate::config::Push) -> Form {
    let text = |var: &str, value: String| Field::new(FieldType::TextSingle, var).with_value(value);
    let mut form = Form::new(FormKind::Result, ns::PUSH_SUMMARY)
        .with(text("message-count", missed.to_string()));
    if let Some(from) = stanza.head().from.as_ref().filter(|_| allowed.sender) {
        form = form.with(text("last-message-sender", from.to_string()));
    }
    if let Some(body) = stanza.child("body", "").filter(|_| allowed.body) {
        form = form.with(text("last-message-body", body.text()));
    }
    form
}

fn publish(service: &Service, id: &str, summary: Form) -> Stanza {
    let (jid, node) = &service.name;
    let word = |name: &'static str| Element::new(name, ns::PUBSUB);
    let notification = Element::new("notification", ns::PUSH).with_child(summary.to_element());
    let publish = word("publish")
        .with_attr_opt("node", node.as_deref())
        .with_child(word("item").with_child(notification));
    let mut pubsub = word("pubsub").with_child(publish);
    if let Some(options) = &service.options {
        pubsub.push(word("publish-options").with_child(options.clone()));
    }
    let head = Head {
        kind: StanzaKind::Iq(IqType::Set),
        id: Some(id.into()),
        from: None,
        to: Some(jid.clone()),
        lang: None,
    };
    Stanza::build(head, &[pubsub])
}

/// A service has answered; whether it was one. One that refuses is asked no more, at once or after some errors
/// that may pass (§7.1).
pub(crate) fn answered(user: &mut User, answer: &Stanza, cx: &mut Context<'_, User>) -> bool {
    let Head { id: Some(id), from: Some(from), kind, .. } = answer.head() else { return false };
    let Some(services) = user.slots.get::<Services>() else { return false };
    let is_it = |(open, (jid, _)): &(String, ServiceName)| **open == **id && jid == from;
    let Some(at) = services.open.iter().position(is_it) else { return false };
    let services = user.slots.get_or_make(Services::default);
    let Some((_, name)) = services.open.remove(at) else { return false };
    let Some(service) = services.list.iter_mut().find(|it| it.name == name) else { return true };
    if *kind != StanzaKind::Iq(IqType::Error) {
        service.failures = 0;
        return true;
    }
    service.failures += 1;
    if may_pass(answer) && service.failures < FAILURES_MOST {
        return true;
    }
    services.list.retain(|it| it.name != name);
    cx.commit(vec![Write::Delete(key(user, &name))]);
    true
}

/// Errors of the way, and those that say so themselves.
fn may_pass(answer: &Stanza) -> bool {
    const WAY: [StanzaCondition; 3] = [
        StanzaCondition::RemoteServerNotFound,
        StanzaCondition::RemoteServerTimeout,
        StanzaCondition::ResourceConstraint,
    ];
    let Some(error) = answer.child("error", "") else { return false };
    error.attr("type") == Some(ErrorType::Wait.as_str())
        || WAY.iter().any(|condition| error.child(condition.name(), ns::STANZAS).is_some())
}

/// A client that is here again has missed nothing.
fn session(user: &mut User, session: u64, event: SessionEvent, _: &mut Context<'_, User>) {
    if event != SessionEvent::Bound || user.slots.get::<Services>().is_none() {
        return;
    }
    let resource = user.sessions.get(session).map(|entry| entry.jid.resource().to_owned());
    let services = user.slots.get_or_make(Services::default);
    let own = services.list.iter_mut().filter(|it| Some(&it.resource) == resource.as_ref());
    own.for_each(|service| service.missed = 0);
}
