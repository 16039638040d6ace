//! Owns which request is meant: the `<pubsub/>` of an IQ, by namespace, type and name (XEP-0060).

use xmpp::{Element, IqType, StanzaCondition, StanzaError, ns};

use crate::collection::{Collection, Outcome, Turn};
use crate::errors::{bad_request, node_required};
use crate::{items, manage, owner, publish, retract, rows, subscribe};

impl Collection {
    /// Does what a request asks for. Nothing has changed where it is refused.
    ///
    /// # Errors
    /// What the asker is told.
    pub fn act(
        &mut self,
        ty: IqType,
        pubsub: &Element,
        turn: &mut Turn<'_>,
    ) -> Result<Outcome, StanzaError> {
        // What goes along with a request is no request of its own.
        let along = ["configure", "options", "publish-options", "set"];
        let verbs: Vec<&Element> =
            pubsub.children().filter(|child| child.ns() == pubsub.ns()).collect();
        let first = verbs.iter().find(|child| !along.contains(&child.name()));
        let verb = first.or_else(|| verbs.first()).copied();
        let verb = verb.ok_or_else(|| bad_request("nothing is asked for"))?;
        match (pubsub.ns() == ns::PUBSUB_OWNER, ty) {
            (false, IqType::Set) => self.set(verb, pubsub, turn),
            (false, IqType::Get) => self.get_(verb, pubsub, turn),
            (true, IqType::Set) => self.set_as_owner(verb, turn),
            (true, IqType::Get) => self.get_as_owner(verb, turn),
            _ => Err(StanzaCondition::BadRequest.into()),
        }
    }

    fn set(
        &mut self,
        verb: &Element,
        pubsub: &Element,
        turn: &mut Turn<'_>,
    ) -> Result<Outcome, StanzaError> {
        match verb.name() {
            "publish" => publish::publish(self, verb, pubsub, turn),
            "retract" => retract::retract(self, verb, turn),
            "create" => owner::create(self, verb, pubsub, turn),
            "subscribe" => subscribe::subscribe(self, verb, pubsub, turn),
            "unsubscribe" => subscribe::unsubscribe(self, verb, turn),
            "options" => subscribe::set_options(self, verb, turn),
            _ => Err(StanzaCondition::FeatureNotImplemented.into()),
        }
    }

    fn get_(
        &mut self,
        verb: &Element,
        pubsub: &Element,
        turn: &mut Turn<'_>,
    ) -> Result<Outcome, StanzaError> {
        match verb.name() {
            "items" => items::items(self, verb, pubsub, turn),
            "subscriptions" => Ok(manage::own_subscriptions(self, verb, turn)),
            "affiliations" => Ok(manage::own_affiliations(self, verb, turn)),
            "options" => subscribe::options(self, verb, turn),
            "default" => Ok(subscribe::default_options(verb)),
            _ => Err(StanzaCondition::FeatureNotImplemented.into()),
        }
    }

    fn set_as_owner(
        &mut self,
        verb: &Element,
        turn: &mut Turn<'_>,
    ) -> Result<Outcome, StanzaError> {
        match verb.name() {
            "configure" => owner::configure(self, verb, turn),
            "delete" => owner::delete(self, verb, turn),
            "purge" => retract::purge(self, verb, turn),
            "subscriptions" => manage::set_subscriptions(self, verb, turn),
            "affiliations" => manage::set_affiliations(self, verb, turn),
            _ => Err(StanzaCondition::FeatureNotImplemented.into()),
        }
    }

    fn get_as_owner(
        &mut self,
        verb: &Element,
        turn: &mut Turn<'_>,
    ) -> Result<Outcome, StanzaError> {
        match verb.name() {
            "configure" => owner::configuration(self, verb, turn),
            "default" => Ok(owner::default_configuration(self)),
            "subscriptions" => manage::subscriptions(self, verb, turn),
            "affiliations" => manage::affiliations(self, verb, turn),
            _ => Err(StanzaCondition::FeatureNotImplemented.into()),
        }
    }
}

/// What goes along with a verb, which says for both what it is about (§6.3.7, §8.1.3).
///
/// # Errors
/// `bad-request` where it stands before the verb, or names a node or an address itself.
pub(crate) fn along<'a>(
    pubsub: &'a Element,
    verb: &Element,
    name: &str,
) -> Result<Option<&'a Element>, StanzaError> {
    let Some(along) = pubsub.child(name, ns::PUBSUB) else { return Ok(None) };
    let first = pubsub.children().find(|child| [along.name(), verb.name()].contains(&child.name()));
    let follows = first.is_some_and(|first| first.name() == verb.name());
    match follows && along.attr("node").is_none() && along.attr("jid").is_none() {
        true => Ok(Some(along)),
        false => Err(bad_request("what goes along follows, and names neither node nor address")),
    }
}

/// The node that a verb is about.
///
/// # Errors
/// `bad-request` with `nodeid-required`; for a name that is too long, without.
pub(crate) fn node_of(verb: &Element) -> Result<&str, StanzaError> {
    let name = verb.attr("node").filter(|name| !name.is_empty()).ok_or_else(node_required)?;
    match name.len() <= rows::NAME_BYTES {
        true => Ok(name),
        false => Err(bad_request("the node's name is too long")),
    }
}
