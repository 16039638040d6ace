//! Owns what must be looked for, beyond what the certificate says, before an event can be judged: the shell asks which
//! domain that is about, and tells what it has found.

use stream::Event;
use xmpp::BareJid;

use super::{DOMAINS_MAX, Incoming};
use crate::config::{Dane, Policy};
use crate::words::DIALBACK;

impl Incoming {
    /// The domain that more is to be known of before this is handled, if any: answer by [`Incoming::learn`].
    pub(crate) fn wonders_about(&self, event: &Event) -> Option<BareJid> {
        let peer = self.peer.as_ref()?;
        let from = match event {
            Event::Open(header) => header.from.as_deref(),
            Event::Nonza(element) if element.is("result", DIALBACK) => element.attr("from"),
            _ => None,
        };
        let domain = BareJid::parse(from?).ok().filter(|jid| jid.localpart().is_none())?;
        let rules = &self.common.rules;
        let name = domain.as_str();
        let is_wanted = match rules.dane_for(name) {
            Dane::Require => true,
            // They can only add to what the certificate proves.
            Dane::Use => peer.vouches_for(name).is_err(),
            Dane::Off => rules.posh && peer.vouches_for(name).is_err(),
        };
        let may = rules.policy_for(name) != Policy::Off
            && !(self.common.is_ours)(&domain)
            && !peer.is_known(name)
            && self.looked < DOMAINS_MAX;
        (is_wanted && may).then_some(domain)
    }

    /// What was found of a domain; none where that says nothing.
    pub(crate) fn learn(&mut self, domain: &BareJid, proof: Option<Result<(), String>>) {
        self.looked += 1;
        if let (Some(peer), Some(proof)) = (&mut self.peer, proof) {
            peer.learn(domain.as_str(), proof);
        }
    }
}
