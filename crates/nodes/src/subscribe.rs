//! Owns subscriptions made, ended and configured by those who listen (XEP-0060 §6.1 to §6.4, leases of §12.19).

use xmpp::forms::{Field, FieldType, Form, FormKind};
use xmpp::{Element, Jid, StanzaCondition, StanzaError, datetime, ns};

use crate::collection::{Answer, Collection, Outcome, Turn};
use crate::config::SendLast;
use crate::errors::{bad_request, error, forbidden, invalid_jid, not_subscribed};
use crate::node::Subscription;
use crate::request::{along, node_of};
use crate::standing::tell_state;
use crate::{access, approve, manage};

/// §6.1. Who is subscribed already is told so, and gets nothing twice.
pub(crate) fn subscribe(
    collection: &mut Collection,
    verb: &Element,
    pubsub: &Element,
    turn: &mut Turn<'_>,
) -> Result<Outcome, StanzaError> {
    let name = node_of(verb)?;
    let jid = own_jid(verb, turn)?;
    let node = collection.node(name)?;
    access::subscribe(node, &turn.who, turn.people)?;
    let options = along(pubsub, verb, "options")?;
    let before = node.subscription(&jid, turn.now);
    let mut subscription = match before {
        Some(before) if before.pending => {
            return Err(error(StanzaCondition::NotAuthorized, "pending-subscription"));
        }
        Some(before) => before.clone(),
        None => {
            manage::check_room(node.current(turn.now).count(), turn)?;
            Subscription::new(access::asks_owner(node, &turn.who, turn.people))
        }
    };
    if let Some(options) = options {
        submit(&mut subscription, options, turn)?;
    }
    let (is_new, pending) = (before.is_none(), subscription.pending);
    let mut out = Outcome::default();
    let answer = word(name, &jid, &subscription);
    collection.node_mut(name)?.subscriptions.insert(jid.clone(), subscription);
    collection.write_subscription(name, &jid, &mut out);
    if pending {
        approve::ask(collection, name, &jid, turn, &mut out);
    } else if is_new {
        begun(collection, name, &jid, turn, &mut out);
    }
    out.answer = Answer::Result(Element::new("pubsub", ns::PUBSUB).with_child(answer));
    Ok(out)
}

/// A subscription is in force from now on: the last item (§6.1.7), a word to owners (`pubsub#notify_sub`).
pub(crate) fn begun(
    collection: &Collection,
    name: &str,
    jid: &Jid,
    turn: &mut Turn<'_>,
    out: &mut Outcome,
) {
    let Some(node) = collection.get(name) else { return };
    if node.config.send_last != SendLast::Never && !node.items.is_empty() {
        out.newcomers.push((name.to_owned(), jid.clone()));
    }
    approve::tell_owners(collection, (name, node), (jid, "subscribed"), turn, out);
}

/// §6.2; other clients of the same address hear of it (§12.14).
pub(crate) fn unsubscribe(
    collection: &mut Collection,
    verb: &Element,
    turn: &mut Turn<'_>,
) -> Result<Outcome, StanzaError> {
    let name = node_of(verb)?;
    let jid = own_jid(verb, turn).map_err(|_| forbidden())?;
    collection.node(name)?.subscription(&jid, turn.now).ok_or_else(not_subscribed)?;
    let mut out = Outcome::default();
    collection.unsubscribe(name, &jid, &mut out);
    tell_state(collection, (name, &jid, false), turn, &mut out);
    let Some(node) = collection.get(name) else { return Ok(out) };
    approve::tell_owners(collection, (name, node), (&jid, "none"), turn, &mut out);
    Ok(out)
}

/// §6.3.3
pub(crate) fn options(
    collection: &mut Collection,
    verb: &Element,
    turn: &mut Turn<'_>,
) -> Result<Outcome, StanzaError> {
    let name = node_of(verb)?;
    let jid = optioned(collection, verb, turn)?;
    let node = collection.node(name)?;
    let subscription = node.subscription(&jid, turn.now).ok_or_else(not_subscribed)?;
    let options = Element::new("options", ns::PUBSUB)
        .with_attr("node", name)
        .with_attr("jid", jid.as_str())
        .with_child(form(subscription));
    let answer = Answer::Result(Element::new("pubsub", ns::PUBSUB).with_child(options));
    Ok(Outcome { answer, ..Outcome::default() })
}

/// §6.3.5
pub(crate) fn set_options(
    collection: &mut Collection,
    verb: &Element,
    turn: &mut Turn<'_>,
) -> Result<Outcome, StanzaError> {
    let name = node_of(verb)?;
    let jid = optioned(collection, verb, turn)?;
    let node = collection.node_mut(name)?;
    let mut changed = node.subscription(&jid, turn.now).ok_or_else(not_subscribed)?.clone();
    submit(&mut changed, verb, turn)?;
    node.subscriptions.insert(jid.clone(), changed);
    let mut out = Outcome::default();
    collection.write_subscription(name, &jid, &mut out);
    Ok(out)
}

/// §6.4
pub(crate) fn default_options(verb: &Element) -> Outcome {
    let default = Element::new("default", ns::PUBSUB)
        .with_attr_opt("node", verb.attr("node"))
        .with_child(form(&Subscription::new(false)));
    let answer = Answer::Result(Element::new("pubsub", ns::PUBSUB).with_child(default));
    Outcome { answer, ..Outcome::default() }
}

/// Whose options they are (§6.3.4).
fn optioned(collection: &Collection, verb: &Element, turn: &Turn<'_>) -> Result<Jid, StanzaError> {
    collection.node(node_of(verb)?)?;
    if verb.attr("jid").is_none() {
        return Err(error(StanzaCondition::BadRequest, "jid-required"));
    }
    own_jid(verb, turn).map_err(|_| forbidden())
}

/// The address in a request, which is the asker's own; of which of their resources does not matter, since what one of
/// them has subscribed another may end (§6.1.3.1, §6.2.3.3).
fn own_jid(verb: &Element, turn: &Turn<'_>) -> Result<Jid, StanzaError> {
    let jid = verb.attr("jid").and_then(|text| Jid::parse(text).ok());
    jid.filter(|jid| jid.bare_str() == turn.who.as_str()).ok_or_else(invalid_jid)
}

/// The `<subscription/>` of an answer (§6.1.2).
pub(crate) fn word(node: &str, jid: &Jid, subscription: &Subscription) -> Element {
    Element::new("subscription", ns::PUBSUB)
        .with_attr("node", node)
        .with_attr("jid", jid.as_str())
        .with_attr("subscription", subscription.state())
}

fn form(subscription: &Subscription) -> Element {
    let expire = Field::new(FieldType::TextSingle, "pubsub#expire").with_label("When it ends");
    let expire = match subscription.expire {
        Some(end) => expire.with_value(datetime::format_seconds(end)),
        None => expire,
    };
    Form::new(FormKind::Form, ns::PUBSUB_OPTIONS_OF_SUBSCRIPTION)
        .with(Field::boolean("pubsub#deliver", subscription.deliver).with_label("Send events"))
        .with(expire)
        .to_element()
}

/// What is always so here; anything else cannot be had.
const FIXED: [(&str, bool); 2] = [("pubsub#digest", false), ("pubsub#include_body", false)];

/// §6.3.5, §6.3.6.2. What is not known here cannot be had, such as a subscription for as long as one is online
/// (§12.5); a lease that is over already makes no sense.
fn submit(
    subscription: &mut Subscription,
    wrapper: &Element,
    turn: &Turn<'_>,
) -> Result<(), StanzaError> {
    let invalid = |_| error(StanzaCondition::BadRequest, "invalid-options");
    let form = Form::submitted(wrapper, ns::PUBSUB_OPTIONS_OF_SUBSCRIPTION)?;
    let form = form.ok_or_else(|| bad_request("no options"))?;
    for field in form.fields.iter().filter(|field| field.var != "FORM_TYPE") {
        let fixed = FIXED.iter().find(|(var, _)| *var == field.var);
        let is_known = ["pubsub#deliver", "pubsub#expire"].contains(&field.var.as_str());
        let is_so = |(var, value): &(&str, bool)| form.boolean(var) == Ok(Some(*value));
        if !is_known && !fixed.is_some_and(is_so) {
            return Err(invalid(bad_request("")).with_text(format!("no {} here", field.var)));
        }
    }
    let deliver = form.boolean("pubsub#deliver").map_err(invalid)?;
    subscription.deliver = deliver.unwrap_or(subscription.deliver);
    if let Some(text) = form.text("pubsub#expire").map_err(invalid)? {
        let time = |text| datetime::parse(text).ok().and_then(|time| u64::try_from(time).ok());
        subscription.expire = match text {
            "" => None,
            text => Some(
                time(text).filter(|end| *end > turn.now).ok_or_else(|| invalid(bad_request("")))?,
            ),
        };
    }
    Ok(())
}

impl Collection {
    /// Somebody is gone: nothing of the address is subscribed any more (§12.4).
    pub fn forget(&mut self, jid: &Jid) -> Outcome {
        let has = |(_, node): &(&String, &crate::Node)| node.subscriptions.contains_key(jid);
        let names: Vec<String> = self.iter().filter(has).map(|(name, _)| name.clone()).collect();
        let mut out = Outcome::default();
        for name in names {
            self.unsubscribe(&name, jid, &mut out);
        }
        out
    }
}
