//! Owns dialback on a stream of another server (XEP-0220 §2.2): as the receiving server, which has keys looked at, and
//! as the authoritative one, which looks at them.
//!
//! Answers that nobody has asked for are an attack (§3.1): they end the stream.

use xmpp::{BareJid, Element, StanzaCondition, StreamCondition};

use super::{Effect, Incoming, Question, Verdict};
use crate::words::{self, Saying, Step};

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
        let key = element.text();
        match (name, element.attr("id")) {
            ("result", _) => self.result(from, to, key, effects),
            (_, Some(id)) => self.verify((&from, &to), id, &key, effects),
            (_, None) => self.refuse(StreamCondition::BadFormat, effects),
        }
    }

    /// Somebody wants to send in the name of `remote` (§2.2.1).
    fn result(&mut self, remote: BareJid, local: BareJid, key: String, effects: &mut Vec<Effect>) {
        match self.judge(&remote, &local) {
            Ok(true) => {
                self.say_result((&local, &remote), &Saying::Valid, effects);
                self.prove(remote.clone(), effects);
                self.offer((local, remote), effects);
            }
            Ok(false) => {
                let pair = (local, remote);
                if self.asked.contains_key(&pair) {
                    // The first one is still being looked at; its answer answers both.
                    return;
                }
                self.asked.insert(pair.clone(), key.trim().to_owned());
                let (local, remote) = pair;
                let id = self.id.clone();
                let key = key.trim().to_owned();
                effects.push(Effect::Verify(Question { local, remote, id, key }));
            }
            Err(condition) => {
                self.say_result((&local, &remote), &Saying::Error(condition), effects);
                self.count_failure(effects);
            }
        }
    }

    /// Whether the certificate is proof enough; an error where nothing would be.
    fn judge(&self, remote: &BareJid, local: &BareJid) -> Result<bool, StanzaCondition> {
        let peer = self.peer.as_ref().ok_or(StanzaCondition::PolicyViolation)?;
        self.common.judge(peer, (remote, local), self.proved.len() + self.asked.len())
    }

    /// The server of a domain has been asked (§2.2.1, step 4). What nobody waits for is dropped.
    pub(crate) fn verified(
        &mut self,
        question: &Question,
        verdict: &Verdict,
        effects: &mut Vec<Effect>,
    ) {
        let pair = (question.local.clone(), question.remote.clone());
        let is_asked = self.id == question.id && self.asked.get(&pair) == Some(&question.key);
        if !is_asked || self.phase == super::Phase::Closed {
            return;
        }
        self.asked.remove(&pair);
        let (local, remote) = pair;
        match verdict {
            Verdict::Valid => {
                self.say_result((&local, &remote), &Saying::Valid, effects);
                self.prove(remote.clone(), effects);
                self.offer((local, remote), effects);
            }
            Verdict::Invalid => {
                self.say_result((&local, &remote), &Saying::Invalid, effects);
                if !self.is_proved() {
                    return self.refuse(StreamCondition::NotAuthorized, effects);
                }
                self.count_failure(effects);
            }
            Verdict::Error(condition) => {
                self.say_result((&local, &remote), &Saying::Error(*condition), effects);
                self.count_failure(effects);
            }
        }
    }

    /// Another server asks whether a key is ours (§2.2.2).
    fn verify(
        &mut self,
        (remote, local): (&BareJid, &BareJid),
        id: &str,
        key: &str,
        effects: &mut Vec<Effect>,
    ) {
        let saying = if self.peer.is_none() {
            Saying::Error(StanzaCondition::PolicyViolation)
        } else if !(self.common.is_ours)(local) {
            Saying::Error(StanzaCondition::ItemNotFound)
        } else if self.common.keys.is_valid((remote.as_str(), local.as_str(), id), key) {
            Saying::Valid
        } else {
            Saying::Invalid
        };
        let pair = (local.as_str(), remote.as_str());
        effects.push(Effect::Write(words::dialback(Step::Verify, pair, Some(id), &saying)));
        if saying != Saying::Valid {
            self.count_failure(effects);
        }
    }

    fn say_result(
        &self,
        (local, remote): (&BareJid, &BareJid),
        saying: &Saying<'_>,
        effects: &mut Vec<Effect>,
    ) {
        let pair = (local.as_str(), remote.as_str());
        effects.push(Effect::Write(words::dialback(Step::Result, pair, None, saying)));
    }
}
