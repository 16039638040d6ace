//! Owns which pairs of domains send on a stream of ours beside the one that it was opened for: those that we have asked for
//! (XEP-0220 §2.6), and those that the other end has, where it may send too (XEP-0288 §2.2); and what it asks about keys there.

use xmpp::{BareJid, Element, Jid, StanzaCondition, StreamCondition};

use super::{Effect, Outgoing, Phase};
use crate::config::Dane;
use crate::pairs::PairId;
use crate::words::{self, DialbackElement, Step};

impl Outgoing {
    /// Whether other pairs may be asked for.
    pub(crate) fn takes_more(&self) -> bool {
        self.tells_errors && self.phase == Phase::Open
    }

    /// Asks whether another pair may send on this stream too (XEP-0220 §2.6): what is to be written.
    pub(crate) fn ask_for(&mut self, id: PairId) -> Vec<u8> {
        let asked = self.key_for(&id);
        self.asked.insert(id);
        asked
    }

    /// What the other end says to a pair that was asked for; to others, it says nothing (XEP-0220 §3.1).
    pub(super) fn answer(&mut self, element: &Element, effects: &mut Vec<Effect>) {
        let domain = |name| element.attr(name).and_then(|text| BareJid::parse(text).ok());
        let pair = domain("to").zip(domain("from"));
        let id = pair.map(|(local, remote)| PairId { local, remote });
        let Some(id) = id.filter(|id| self.asked.remove(id)) else {
            return self.break_off(StreamCondition::PolicyViolation, effects);
        };
        let is_valid = element.attr("type") == Some("valid");
        if is_valid {
            self.others.insert(id.clone());
        }
        effects.push(Effect::Another(id, is_valid));
    }

    /// The other end asks by dialback, where it may send too (XEP-0288 §2.2): to be let in by a further name, or whether a
    /// key that somebody has given it is ours (XEP-0220 §2.2.2).
    pub(super) fn asks(&mut self, element: &Element, effects: &mut Vec<Effect>) {
        let domain = |name| {
            let jid = element.attr(name).and_then(|text| BareJid::parse(text).ok());
            jid.filter(|jid| jid.localpart().is_none())
        };
        let (Some(remote), Some(local)) = (domain("from"), domain("to")) else {
            return self.break_off(StreamCondition::ImproperAddressing, effects);
        };
        let id = PairId { local, remote };
        match (element.name(), element.attr("id")) {
            // An answer that nobody waits for (XEP-0220 §3.1).
            _ if element.attr("type").is_some() => {
                self.break_off(StreamCondition::PolicyViolation, effects);
            }
            ("result", _) => self.another(id, effects),
            (_, Some(of)) => {
                let element = self.plan.common.look_at_key(&id, of, &element.text());
                effects.push(Effect::Write(words::dialback(Step::Verify(of), &id, &element)));
            }
            (_, None) => self.break_off(StreamCondition::BadFormat, effects),
        }
    }

    /// It wants to send in the name of another domain of its own too, to one of ours that it has let in. Where the
    /// certificate is for that one, it may, and so may we to it; others prove themselves on streams of their own.
    fn another(&mut self, id: PairId, effects: &mut Vec<Effect>) {
        let judged = self.judge(&id);
        let element = judged.map_or_else(DialbackElement::Error, |()| DialbackElement::Valid);
        effects.push(Effect::Write(words::dialback(Step::Result, &id, &element)));
        if judged.is_ok() && self.others.insert(id.clone()) {
            effects.push(Effect::Another(id, true));
        }
    }

    fn judge(&self, pair: &PairId) -> Result<(), StanzaCondition> {
        let peer = self.peer.as_ref().ok_or(StanzaCondition::PolicyViolation)?;
        let common = &self.plan.common;
        let vouched = common.judge(peer, pair, self.others.len())?;
        // What TLSA records say of it was not looked for.
        if !vouched || common.rules.dane_for(pair.remote.as_str()) != Dane::Off {
            return Err(StanzaCondition::NotAuthorized);
        }
        let is_same = |it: &PairId| it.local == pair.local;
        let is_in = is_same(&self.plan.pair) || self.others.iter().any(is_same);
        is_in.then_some(()).ok_or(StanzaCondition::NotAllowed)
    }

    /// Whether the other end may send in the name of `from`, if given to `to` (XEP-0288 §2.2): the inverse of what we may.
    pub(super) fn has_pair(&self, from: &Jid, to: Option<&Jid>) -> bool {
        let is = |pair: &PairId| {
            from.domainpart() == pair.remote.as_str()
                && to.is_none_or(|to| to.domainpart() == pair.local.as_str())
        };
        is(&self.plan.pair) || self.others.iter().any(is)
    }
}
