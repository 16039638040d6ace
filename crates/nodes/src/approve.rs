//! Owns subscriptions that wait for an owner, who is asked, and answers, in data forms (XEP-0060 §8.6).

use xmpp::forms::{Field, FieldType, Form, FormKind};
use xmpp::{BareJid, Element, Jid, StanzaError, ns};

use crate::collection::{Collection, Outcome, Place, Turn};
use crate::node::Node;
use crate::{access, notice, subscribe};

/// Asks the owners of a node.
pub(crate) fn ask(
    collection: &Collection,
    name: &str,
    jid: &Jid,
    turn: &mut Turn<'_>,
    out: &mut Outcome,
) {
    let Some(node) = collection.get(name) else { return };
    let form = question(name, jid);
    for owner in owners(collection, node) {
        let word = notice::to_one(collection, owner.into(), std::slice::from_ref(&form), turn);
        // It is for people, who may be away.
        let kind = xmpp::Kind::Message(xmpp::MessageType::Normal);
        let stanza = word.stanza.with_head(|head| head.kind = kind);
        out.notices.push(notice::Notice { stanza, ..word });
    }
}

fn question(name: &str, jid: &Jid) -> Element {
    let text = |var, ty, value: &str| Field::new(ty, var).with_value(value);
    Form::new(FormKind::Form, ns::PUBSUB_AUTHORIZATION)
        .with_title("Subscription request", "May this address subscribe to the node?")
        .with(text("pubsub#node", FieldType::TextSingle, name).with_label("Node"))
        .with(
            text("pubsub#subscriber_jid", FieldType::JidSingle, jid.as_str()).with_label("Address"),
        )
        .with(Field::boolean("pubsub#allow", false).with_label("Allow it"))
        .to_element()
}

fn owners(collection: &Collection, node: &Node) -> Vec<BareJid> {
    match collection.place {
        Place::Account => vec![collection.owner.clone()],
        Place::Service => node.owners().cloned().collect(),
    }
}

/// Tells owners who wish to know of a subscription (`pubsub#notify_sub`).
pub(crate) fn tell_owners(
    collection: &Collection,
    (name, node): (&str, &Node),
    (jid, state): (&Jid, &str),
    turn: &mut Turn<'_>,
    out: &mut Outcome,
) {
    if !node.config.notify_sub {
        return;
    }
    for owner in owners(collection, node) {
        let word = notice::subscription(name, jid, state);
        out.notices.push(notice::to_one(collection, owner.into(), &[word], turn));
    }
}

impl Collection {
    /// Asks once more about all that waits, for owners who were away.
    pub fn ask_again(&self, turn: &mut Turn<'_>) -> Outcome {
        let mut out = Outcome::default();
        for (name, node) in self.iter() {
            for (jid, _) in node.current(turn.now).filter(|(_, it)| it.pending) {
                ask(self, name, jid, turn, &mut out);
            }
        }
        out
    }

    /// Whether a message is an owner's answer to a request for a subscription.
    #[must_use]
    pub fn is_decision(x: &Element) -> bool {
        let form = Form::parse(x).ok();
        form.is_some_and(|form| form.form_type() == Some(ns::PUBSUB_AUTHORIZATION))
    }

    /// Acts on it: §8.6. An answer that cancels leaves the request as it is.
    ///
    /// # Errors
    /// What the owner is told.
    pub fn decide(&mut self, x: &Element, turn: &mut Turn<'_>) -> Result<Outcome, StanzaError> {
        let wrapper = Element::new("x", "").with_child(x.clone());
        let mut out = Outcome::default();
        let Some(form) = Form::submitted(&wrapper, ns::PUBSUB_AUTHORIZATION)? else {
            return Ok(out);
        };
        let name = form.text("pubsub#node")?.unwrap_or_default().to_owned();
        let jid = form.jid("pubsub#subscriber_jid")?.ok_or_else(crate::errors::invalid_jid)?;
        let allow = form.boolean("pubsub#allow")?.unwrap_or(false);
        access::owner(self.node(&name)?, &turn.who, turn.people)?;
        let waiting = self.node(&name)?.subscription(&jid, turn.now).filter(|it| it.pending);
        match waiting {
            // Another owner may have been faster.
            None => return Ok(out),
            Some(_) if allow => self.approve(&name, &jid, &mut out),
            Some(_) => drop(self.unsubscribe(&name, &jid, &mut out)),
        }
        let state = if allow { "subscribed" } else { "none" };
        let word = notice::subscription(&name, &jid, state);
        out.notices.push(notice::to_one(self, jid.clone(), &[word], turn));
        if allow {
            subscribe::begun(self, &name, &jid, turn, &mut out);
        }
        Ok(out)
    }
}
