//! Owns messages that come from elsewhere as if they had been stored here (XEP-0227 §4.5).

use store::{ArchiveId, Key, Kind, Write};
use xmpp::{BareJid, Jid, Stanza, delay};

use super::meter::Meter;
use super::row;

/// What an account has in store, as it is read.
#[derive(Debug, Default)]
pub(crate) struct Stored {
    meter: Meter,
    any: bool,
}

impl Stored {
    /// The row of the next message. It says when it was sent, if the file does; else it was sent now.
    pub(crate) fn add(&mut self, owner: &BareJid, stanza: &Stanza, now: u64) -> Write {
        let server = Jid::from(owner.domain());
        let any =
            stanza.children().filter_map(|child| child.parse()).find_map(|it| delay::parse(&it));
        let at = any.map_or(now, |delay| u64::try_from(delay.unix_micros).unwrap_or(now));
        let stanza = match delay::of(stanza, &server) {
            Some(_) => stanza.clone(),
            None => {
                stanza.with_child(&delay::element(Some(&server), at).with_text("Offline Storage"))
            }
        };
        let value = row::write(&stanza, None);
        let id = ArchiveId::next(self.meter.last, now);
        self.meter.add(id, value.len());
        self.any = true;
        let key = Key::new(owner.clone(), Kind::Offline, id.0.to_be_bytes().to_vec());
        Write::Put(key, value)
    }

    /// The row that says how much there is, if there is anything.
    pub(crate) fn meter(&self, owner: &BareJid) -> Option<Write> {
        self.any.then(|| self.meter.write(owner))
    }
}
