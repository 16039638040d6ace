//! Owns what newcomers are shown of the discussion before them (XEP-0045 §7.2.13, §7.2.14): the last
//! messages as they are sent again, and how many of them a client wants.

use std::collections::VecDeque;

use proto::Now;
use proto::snapshot::SnapshotError;
use store::{ArchiveId, ArchiveRow};
use xmpp::{BareJid, Element, Features, Jid, Kind, MessageType, Stanza, datetime, delay, kept, ns};

use crate::snapshot::pb;

/// The last messages, oldest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    lines: VecDeque<Line>,
}

/// A message with its time, ready to be sent.
#[derive(Clone, Debug)]
struct Line {
    id: ArchiveId,
    stanza: Stanza,
}

/// How much of it a client wants (§7.2.14, table 8).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wish {
    /// Most characters of all stanzas together.
    pub(crate) chars: Option<usize>,
    /// Most stanzas.
    pub(crate) stanzas: Option<usize>,
    /// Not older than so many seconds.
    pub(crate) seconds: Option<u64>,
    /// Not before this time, in microseconds since 1970-01-01 UTC.
    pub(crate) since: Option<u64>,
}

impl Wish {
    /// Reads `<history/>` out of the `<x/>` of a knock; what cannot be read is not said.
    #[must_use]
    pub(crate) fn read(x: &Element) -> Self {
        let Some(history) = x.child("history", ns::MUC) else { return Self::default() };
        let number = |name| history.attr(name).and_then(|text| text.parse::<u64>().ok());
        let size = |name| number(name).map(|it| usize::try_from(it).unwrap_or(usize::MAX));
        let since = history.attr("since").and_then(|text| datetime::parse(text).ok());
        Self {
            chars: size("maxchars"),
            stanzas: size("maxstanzas"),
            seconds: number("seconds"),
            since: since.map(|micros| u64::try_from(micros).unwrap_or(0)),
        }
    }
}

impl History {
    /// Older messages, out of rows of the archive before those that it has, until there are `most`.
    pub(crate) fn put_before(&mut self, rows: &[ArchiveRow], room: &BareJid, most: usize) {
        let line = |row: &ArchiveRow| {
            let stanza = kept::read(&row.stanza).filter(belongs)?;
            Some(Line { id: row.id, stanza: late(&stanza, row.id, room) })
        };
        let missing = most.saturating_sub(self.lines.len());
        for line in rows.iter().rev().filter_map(line).take(missing) {
            self.lines.push_front(line);
        }
    }

    /// One more message; the oldest goes where there are more than `most`. Subjects are told by themselves.
    pub(crate) fn push(&mut self, room: &BareJid, id: ArchiveId, stanza: &Stanza, most: usize) {
        if !belongs(stanza) || most == 0 {
            return;
        }
        while self.lines.len() >= most {
            self.lines.pop_front();
        }
        self.lines.push_back(Line { id, stanza: late(&stanza.detached(), id, room) });
    }

    /// Takes a message out (XEP-0424 §5).
    pub(crate) fn remove(&mut self, id: ArchiveId) {
        self.lines.retain(|line| line.id != id);
    }

    /// The messages (those before an id) for a client, oldest first: the most that meets every wish (§7.2.14).
    pub(crate) fn shown(
        &self,
        wish: &Wish,
        before: Option<ArchiveId>,
        usual: usize,
        now: Now,
    ) -> impl Iterator<Item = &Stanza> {
        let is_before = |line: &Line| before.is_none_or(|before| line.id < before);
        let all = self.lines.partition_point(is_before);
        let most = wish.stanzas.unwrap_or(usual).min(usual.max(1)).min(all);
        let most = if usual == 0 { 0 } else { most };
        let age =
            wish.seconds.map(|it| now.unix_micros.saturating_sub(it.saturating_mul(1_000_000)));
        let since = wish.since.into_iter().chain(age).max().unwrap_or(0);
        let mut chars = 0;
        let fits = |line: &&Line| {
            let Some(limit) = wish.chars else { return true };
            chars += size(&line.stanza);
            chars <= limit
        };
        let newest = self.lines.range(..all).rev().take(most);
        let count = newest.take_while(|line| line.id.0 >= since).take_while(fits).count();
        self.lines.range(all - count..all).map(|line| &line.stanza)
    }

    /// The messages before this id, oldest first.
    pub(crate) fn before(&self, id: ArchiveId) -> impl DoubleEndedIterator<Item = &Stanza> {
        self.lines.iter().filter(move |line| line.id < id).map(|line| &line.stanza)
    }

    /// As data, oldest first.
    pub(crate) fn as_data(&self) -> Vec<pb::Line> {
        let line = |line: &Line| pb::Line { id: line.id.0, stanza: kept::write(&line.stanza) };
        self.lines.iter().map(line).collect()
    }

    /// As it was.
    pub(crate) fn bring_back(&mut self, lines: &[pb::Line]) -> Result<(), SnapshotError> {
        let line = |line: &pb::Line| {
            let stanza = kept::read(&line.stanza).ok_or(SnapshotError("history"))?;
            Ok(Line { id: ArchiveId(line.id), stanza })
        };
        self.lines = lines.iter().map(line).collect::<Result<_, _>>()?;
        Ok(())
    }

    /// The id of the newest.
    pub(crate) fn last(&self) -> Option<ArchiveId> {
        self.lines.back().map(|line| line.id)
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.lines.len()
    }

    /// Whether there are none.
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }
}

/// Only what people said, unless they do not want those to have it who were not there (XEP-0334 §4.2).
fn belongs(stanza: &Stanza) -> bool {
    stanza.kind() == Kind::Message(MessageType::Groupchat)
        && stanza.features().any(Features::BODY.with(Features::ENCRYPTED))
        && !stanza.features().any(Features::NO_STORE)
}

/// With the time at which the room got it, unless it brings one of its own (§7.2.13, §7.9).
fn late(stanza: &Stanza, id: ArchiveId, room: &BareJid) -> Stanza {
    if stanza.features().any(Features::DELAY) {
        return stanza.clone();
    }
    stanza.with_child(&delay::element(Some(&Jid::from(room.clone())), id.0))
}

/// The characters of the whole stanza; the address of the recipient is not known to whoever asks.
fn size(stanza: &Stanza) -> usize {
    let mut bytes = Vec::new();
    stanza.write(&mut bytes);
    str::from_utf8(&bytes).map_or(bytes.len(), |text| text.chars().count())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use xmpp::Head;

    const SECOND: u64 = 1_000_000;

    fn history(count: u64) -> History {
        let room = BareJid::parse("coven@chat.x").unwrap();
        let mut history = History::default();
        for number in 1..=count {
            let head = Head {
                kind: Kind::Message(MessageType::Groupchat),
                id: None,
                from: Some(Jid::parse("coven@chat.x/hag").unwrap()),
                to: None,
                lang: None,
            };
            let stanza = Stanza::new(head, format!("<body>{number}</body>"));
            history.push(&room, ArchiveId(number * SECOND), &stanza, 10);
        }
        history
    }

    fn shown(wish: &str, usual: usize) -> String {
        let x = format!("<x xmlns='{}'><history {wish}/></x>", ns::MUC);
        let wish = Wish::read(&Element::parse(x.as_bytes()).unwrap());
        let now = Now { unix_micros: 21 * SECOND, elapsed: Duration::ZERO };
        let history = history(20);
        let bodies = history.shown(&wish, None, usual, now);
        bodies.map(|line| line.child("body", "").unwrap().text()).collect::<Vec<_>>().join(" ")
    }

    // §7.2.14
    #[test]
    fn a_client_gets_the_most_that_meets_its_wishes_and_the_rooms_limit() {
        let line = {
            let history = history(11);
            size(&history.lines.back().unwrap().stanza)
        };
        let two = format!("maxchars='{}'", 2 * line + line / 2);
        let cases = [
            ("", 3, "18 19 20"),
            ("maxstanzas='2'", 3, "19 20"),
            ("maxstanzas='99'", 3, "18 19 20"),
            ("maxstanzas='0'", 3, ""),
            ("maxchars='0'", 3, ""),
            (&two, 5, "19 20"),
            ("seconds='3'", 9, "18 19 20"),
            ("since='1970-01-01T00:00:19Z'", 9, "19 20"),
            ("since='1970-01-01T00:00:00Z'", 9, "12 13 14 15 16 17 18 19 20"),
            ("since='1970-01-01T00:00:15Z' maxstanzas='4' seconds='2'", 9, "19 20"),
            ("maxstanzas='x'", 2, "19 20"),
            ("", 0, ""),
        ];
        for (wish, usual, expected) in cases {
            assert_eq!(shown(wish, usual), expected, "{wish}");
        }
    }

    // §7.2.13
    #[test]
    fn messages_are_stamped_once_by_the_room() {
        let history = history(1);
        let room = Jid::parse("coven@chat.x").unwrap();
        let delay = delay::of(&history.lines[0].stanza, &room).unwrap();
        assert_eq!(delay.unix_micros, 1_000_000);
    }

    #[test]
    fn what_was_retracted_is_not_shown() {
        let mut history = history(3);
        history.remove(ArchiveId(2 * SECOND));
        assert_eq!(history.len(), 2);
    }
}
