//! Owns why the other end of a stream is not believed to be who it says, or was not served on: told once, shown beside the
//! stream, and remembered when that has ended.

use xmpp::{BareJid, StreamCondition, StreamError};

use super::Visit;
use crate::failure::Failure;

impl Visit {
    /// It is not believed, or not by its certificate, to be this domain's server.
    pub(super) fn doubt(&self, domain: &BareJid, why: &str) {
        if self.guest.doubt(domain, why) {
            let peer = domain.as_str();
            tracing::info!(peer, error = why, "a server is not believed by this proof");
        }
    }

    /// The stream has ended. Whoever asks later hears of domains for which it did not come to speak, and why; else why it
    /// broke, or what we have ended it for.
    pub(super) fn look_back(&self, failure: Option<&Failure>) {
        if let Some(error) = &self.ended_for {
            let peer = self.machine.claimed().map(tracing::field::display);
            let error = error.condition.name();
            tracing::info!(peer, error, "a stream of another server was ended");
        }
        let doubts = self.guest.doubts();
        let is_proved = |domain: &BareJid| self.machine.is_proved_for(domain);
        for doubt in doubts.iter().filter(|doubt| !is_proved(&doubt.domain)) {
            self.note(&doubt.domain, &doubt.why);
        }
        let Some(claimed) = self.machine.claimed() else { return };
        if is_proved(claimed) || doubts.iter().all(|doubt| doubt.domain != *claimed) {
            let why = self.ended_for.as_ref().and_then(ended).or_else(|| failure.and_then(broken));
            why.iter().for_each(|why| self.note(claimed, why));
        }
    }

    fn note(&self, domain: &BareJid, why: &str) {
        let now = self.inbound.pairs.now();
        self.inbound.guests.note(domain, &format!("{why} (from {})", self.address), now);
    }
}

/// That this server stops says nothing of the other one.
fn ended(error: &StreamError) -> Option<String> {
    let said = error.text.as_ref().map(|text| format!(" ({text})")).unwrap_or_default();
    let is_ours = error.condition == StreamCondition::SystemShutdown;
    (!is_ours).then(|| format!("its stream was ended: {}{said}", error.condition.name()))
}

/// Nor does it that this member may not act.
fn broken(failure: &Failure) -> Option<String> {
    (*failure != Failure::Closed).then(|| failure.to_string())
}
