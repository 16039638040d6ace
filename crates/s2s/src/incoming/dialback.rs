//! Owns dialback on a stream of another server (XEP-0220 §2.2): as the receiving server, which has keys looked at, and
//! as the authoritative one, which looks at them.
//!
//! Answers that nobody has asked for are an attack (§3.1): they end the stream.

use xmpp::{BareJid, Element, StanzaCondition, StreamCondition};

use super::{Effect, Incoming, KEYS_OF_STRANGER, Question, Verdict};
use crate::pairs::PairId;
use crate::words::{self, DialbackElement, Step};

impl Incoming {
    pub(super) fn dialback(&mut self, name: &str, element: &Element, effects: &mut Vec<Effect>) {
        let domain = |name| {
            let jid = element.attr(name).and_then(|text| BareJid::parse(text).ok());
            jid.filter(|jid| jid.localpart().is_none())
        };
        let (Some(from), Some(to)) = (domain("from"), domain("to")) else {
            return self.refuse(StreamCondition::ImproperAddressing, effects);
        };
        if element.attr("type").is_some() {
            return self.refuse(StreamCondition::PolicyViolation, effects);
        }
        let (pair, key) = (PairId { local: to, remote: from }, element.text());
        match (name, element.attr("id")) {
            ("result", _) => self.result(pair, key.trim(), effects),
            (_, Some(id)) => self.verify(&pair, id, &key, effects),
            (_, None) => self.refuse(StreamCondition::BadFormat, effects),
        }
    }

    /// Somebody wants to send in the name of the other domain (§2.2.1).
    fn result(&mut self, pair: PairId, key: &str, effects: &mut Vec<Effect>) {
        match self.judge(&pair) {
            Ok(true) => self.accept(pair, effects),
            // The first one is still being looked at; its answer answers both.
            Ok(false) if self.asked.contains_key(&pair) => {}
            Ok(false) if !self.is_proved() && self.asked.len() >= KEYS_OF_STRANGER => {
                self.reject(&pair, StanzaCondition::ResourceConstraint, effects);
            }
            Ok(false) => {
                self.doubt(&pair.remote, effects);
                let (id, key) = (self.id.clone(), key.to_owned());
                self.asked.insert(pair.clone(), key.clone());
                effects.push(Effect::Verify(Question { pair, id, key }));
            }
            Err(condition) => {
                if condition == StanzaCondition::NotAuthorized {
                    self.doubt(&pair.remote, effects);
                }
                self.reject(&pair, condition, effects);
            }
        }
    }

    /// Whether the certificate is proof enough; an error where nothing would be.
    fn judge(&self, pair: &PairId) -> Result<bool, StanzaCondition> {
        let peer = self.peer.as_ref().ok_or(StanzaCondition::PolicyViolation)?;
        self.common.judge(peer, pair, self.proved.len() + self.asked.len())
    }

    fn accept(&mut self, pair: PairId, effects: &mut Vec<Effect>) {
        say_result(&pair, &DialbackElement::Valid, effects);
        self.prove(pair.remote.clone(), effects);
        self.offer(pair, effects);
    }

    fn reject(&mut self, pair: &PairId, why: StanzaCondition, effects: &mut Vec<Effect>) {
        say_result(pair, &DialbackElement::Error(why), effects);
        self.count_failure(effects);
    }

    /// The server of a domain has been asked (§2.2.1, step 4). What nobody waits for is dropped.
    pub(crate) fn verified(
        &mut self,
        question: &Question,
        verdict: &Verdict,
        effects: &mut Vec<Effect>,
    ) {
        let Question { pair, id, key } = question;
        let is_asked = self.id == *id && self.asked.get(pair) == Some(key);
        if !is_asked || self.phase == super::Phase::Closed {
            return;
        }
        self.asked.remove(pair);
        match verdict {
            Verdict::Valid => self.accept(pair.clone(), effects),
            Verdict::Invalid => {
                say_result(pair, &DialbackElement::Invalid, effects);
                if !self.is_proved() {
                    return self.refuse(StreamCondition::NotAuthorized, effects);
                }
                self.count_failure(effects);
            }
            Verdict::Error(condition) => self.reject(pair, *condition, effects),
        }
    }

    /// Another server asks whether a key is ours (§2.2.2). It claims nothing itself: somebody else has given it the key, so
    /// that a wrong one is not counted against it. A key of 256 bits is not guessed this way.
    fn verify(&self, pair: &PairId, id: &str, key: &str, effects: &mut Vec<Effect>) {
        let element = match self.peer {
            Some(_) => self.common.look_at_key(pair, id, key),
            None => DialbackElement::Error(StanzaCondition::PolicyViolation),
        };
        effects.push(Effect::Write(words::dialback(Step::Verify(id), pair, &element)));
    }
}

fn say_result(pair: &PairId, element: &DialbackElement<'_>, effects: &mut Vec<Effect>) {
    effects.push(Effect::Write(words::dialback(Step::Result, pair, element)));
}
