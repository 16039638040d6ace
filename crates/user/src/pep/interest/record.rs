//! Owns what is kept of interests where an account sleeps or moves: records of fields, as text.

use bytes::Bytes;
use entity::Slot;
use xmpp::{FullJid, Jid};

use super::{Arrival, Asked, Caps, Interests, Lost, Wants};

/// Between fields, between records, between nodes: characters that no XML has.
const FIELD: char = '\u{1}';
const RECORD: char = '\u{2}';
const NODE: char = '\u{3}';

impl Wants {
    fn fields(&self) -> String {
        let nodes = self.nodes.as_ref().map(|nodes| nodes.join(&NODE.to_string()));
        let known = if nodes.is_some() { "known" } else { "" };
        let nodes = nodes.unwrap_or_default();
        let Caps { algorithm, hash, node } = &self.caps;
        [algorithm, hash, node, &self.after.to_string(), known, &nodes].join(&FIELD.to_string())
    }

    fn read(text: &str) -> Option<Self> {
        let [algorithm, hash, node, after, known, nodes] = fields(text)?;
        let nodes = nodes.split(NODE).filter(|node| !node.is_empty()).map(Box::from);
        let nodes = (known == "known").then(|| nodes.collect());
        let caps = Caps { algorithm: algorithm.into(), hash: hash.into(), node: node.into() };
        let arrival = Arrival::default();
        Some(Self { caps, nodes, after: after.parse().ok()?, arrival })
    }
}

fn fields<const N: usize>(text: &str) -> Option<[&str; N]> {
    text.splitn(N, FIELD).collect::<Vec<_>>().try_into().ok()
}

impl Slot for Wants {
    const NAME: &'static str = "wants";

    fn encode(&self) -> Option<Bytes> {
        Some(self.fields().into())
    }

    fn decode(value: &[u8]) -> Option<Self> {
        Self::read(str::from_utf8(value).ok()?)
    }
}

impl Slot for Lost {
    const NAME: &'static str = "interests lost";

    fn encode(&self) -> Option<Bytes> {
        Some(format!("{}{FIELD}{}", self.since, self.asked).into())
    }

    fn decode(value: &[u8]) -> Option<Self> {
        let [since, asked] = fields(str::from_utf8(value).ok()?)?;
        Some(Self { since: since.parse().ok()?, asked: asked.parse().ok()? })
    }
}

impl Slot for Interests {
    const NAME: &'static str = "interests";

    fn encode(&self) -> Option<Bytes> {
        let contacts = self.contacts.iter().map(|(jid, it)| format!("{jid}{FIELD}{}", it.fields()));
        let asked = self.asked.iter().map(|it| {
            let Caps { algorithm, hash, node } = &it.caps;
            let fields = ["", &it.id, it.whom.as_str(), &it.at.to_string(), algorithm, hash, node];
            fields.join(&FIELD.to_string())
        });
        let records: Vec<String> = contacts.chain(asked).collect();
        (!records.is_empty()).then(|| records.join(&RECORD.to_string()).into())
    }

    fn decode(value: &[u8]) -> Option<Self> {
        let mut table = Self::default();
        for record in str::from_utf8(value).ok()?.split(RECORD) {
            let (jid, rest) = record.split_once(FIELD)?;
            if jid.is_empty() {
                let [id, whom, at, algorithm, hash, node] = fields(rest)?;
                let caps =
                    Caps { algorithm: algorithm.into(), hash: hash.into(), node: node.into() };
                let whom = Jid::parse(whom).ok()?;
                table.asked.push(Asked { id: id.into(), whom, caps, at: at.parse().ok()? });
            } else {
                table.contacts.insert(FullJid::parse(jid).ok()?, Wants::read(rest)?);
            }
        }
        Some(table)
    }
}
