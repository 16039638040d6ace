//! Owns subscriptions that follow what somebody may: who may not read any more is not subscribed any more, and who
//! needs no owner's word is not kept waiting (XEP-0060 §8.7.4, note, §14.3; XEP-0163 §7.1).

use std::collections::BTreeSet;

use xmpp::{BareJid, Jid};

use crate::collection::{Collection, Outcome, Turn};
use crate::node::Node;
use crate::{access, notice, subscribe};

/// The subscriptions of somebody, after they stand otherwise.
pub(crate) fn bring_in_line(
    collection: &mut Collection,
    name: &str,
    who: &BareJid,
    turn: &mut Turn<'_>,
    out: &mut Outcome,
) {
    let Some(node) = collection.get(name) else { return };
    let may = access::listen(node, who, turn.people).is_ok();
    let asks = access::asks_owner(node, who, turn.people);
    let own = node.current(turn.now).filter(|(jid, _)| jid.bare_str() == who.as_str());
    let own: Vec<(Jid, bool)> = own.map(|(jid, it)| (jid.clone(), it.pending)).collect();
    for (jid, pending) in own {
        if !may {
            collection.unsubscribe(name, &jid, out);
        } else if pending && !asks {
            collection.approve(name, &jid, out);
        } else {
            continue;
        }
        tell_state(collection, (name, &jid, may), turn, out);
    }
}

/// The subscriptions of a node whose configuration has changed.
pub(crate) fn bring_all_in_line(
    collection: &mut Collection,
    name: &str,
    turn: &mut Turn<'_>,
    out: &mut Outcome,
) {
    let Some(node) = collection.get(name) else { return };
    let all: BTreeSet<BareJid> = node.subscriptions.keys().map(Jid::bare).collect();
    for who in all {
        bring_in_line(collection, name, &who, turn, out);
    }
}

impl Collection {
    /// Somebody stands otherwise to the address: what they may not read any more they are not subscribed to any more
    /// (XEP-0163 §7.1).
    pub fn stands_otherwise(&mut self, who: &BareJid, turn: &mut Turn<'_>) -> Outcome {
        let is_his = |jid: &Jid| jid.bare_str() == who.as_str();
        let has = |(_, node): &(&String, &Node)| node.subscriptions.keys().any(is_his);
        let names: Vec<String> = self.iter().filter(has).map(|(name, _)| name.clone()).collect();
        let mut out = Outcome::default();
        for name in names {
            bring_in_line(self, &name, who, turn, &mut out);
        }
        out
    }
}

/// Tells somebody that they are subscribed now, or not any more (§12.14).
pub(crate) fn tell_state(
    collection: &Collection,
    (name, jid, subscribed): (&str, &Jid, bool),
    turn: &mut Turn<'_>,
    out: &mut Outcome,
) {
    let word = notice::subscription(name, jid, if subscribed { "subscribed" } else { "none" });
    out.notices.push(notice::to_one(collection, jid.clone(), &[word], turn));
    if subscribed {
        subscribe::begun(collection, name, jid, turn, out);
    }
}
