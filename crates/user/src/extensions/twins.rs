//! Owns which private messages of rooms have come already, for another client of the account: a room sends one to each
//! client that is inside under a nick (XEP-0045 §7.2.8, §7.5). Each client gets its own; the archive has one row, whose
//! id all of them carry.
//!
//! Bounds: [`TWINS_MOST`] messages, for [`TWINS_FOR`]. What is forgotten too early has a row of its own.

use std::collections::VecDeque;

use bytes::Bytes;
use entity::{Context, Slot};
use sha2::{Digest, Sha256};
use store::ArchiveId;
use xmpp::{Element, Features, Jid, Stanza};

use crate::{User, inbound as delivery};

/// So many messages are remembered.
const TWINS_MOST: usize = 32;
/// For so long, in microseconds: the copies of one message leave a room together.
const TWINS_FOR: u64 = 30_000_000;

/// Messages that came of late, oldest first.
#[derive(Default)]
pub(super) struct Twins(VecDeque<Twin>);

struct Twin {
    /// Of what all copies have in common.
    hash: [u8; 16],
    /// The clients that have one.
    to: Vec<String>,
    row: ArchiveId,
    /// In microseconds since 1970-01-01 UTC.
    at: u64,
}

impl Slot for Twins {
    const NAME: &'static str = "twins";

    fn encode(&self) -> Option<Bytes> {
        let twin = |twin: &Twin| {
            let to = twin.to.iter().map(|to| Element::new("to", "").with_text(to));
            Element::new("twin", "")
                .with_attr("hash", format!("{:032x}", u128::from_be_bytes(twin.hash)))
                .with_attr("row", twin.row.0.to_string())
                .with_attr("at", twin.at.to_string())
                .with_children(to)
        };
        let all = Element::new("twins", "").with_children(self.0.iter().map(twin));
        (!self.0.is_empty()).then(|| all.to_bytes().into())
    }

    fn decode(value: &[u8]) -> Option<Self> {
        let twin = |it: &Element| {
            Some(Twin {
                hash: u128::from_str_radix(it.attr("hash")?, 16).ok()?.to_be_bytes(),
                to: it.children().map(Element::text).collect(),
                row: ArchiveId(it.attr("row")?.parse().ok()?),
                at: it.attr("at")?.parse().ok()?,
            })
        };
        Element::parse(value).ok()?.children().map(twin).collect::<Option<_>>().map(Self)
    }
}

/// The row of a message that another client has had; this one has it, too.
pub(super) fn row_of(
    user: &mut User,
    stanza: &Stanza,
    cx: &Context<'_, User>,
) -> Option<ArchiveId> {
    let (hash, to) = of_occupant(stanza)?;
    user.slots.get::<Twins>()?;
    let Twins(twins) = user.slots.get_or_make(Twins::default);
    twins.retain(|twin| cx.now.unix_micros < twin.at.saturating_add(TWINS_FOR));
    let mut same = twins.iter_mut().filter(|twin| twin.hash == hash);
    let twin = same.find(|twin| twin.to.iter().all(|known| known != to))?;
    twin.to.push(to.to_owned());
    Some(twin.row)
}

/// A message gets a row, unless it is refused on its way.
pub(super) fn note(user: &mut User, stanza: &Stanza, row: ArchiveId, cx: &Context<'_, User>) {
    let Some((hash, to)) = of_occupant(stanza) else { return };
    if delivery::is_refused(user, stanza, cx) {
        return;
    }
    let Twins(twins) = user.slots.get_or_make(Twins::default);
    if twins.len() >= TWINS_MOST {
        twins.pop_front();
    }
    let to = vec![to.to_owned()];
    twins.push_back(Twin { hash, to, row, at: cx.now.unix_micros });
}

/// What all copies of a private message have in common, and for which client this one is; none for anything else.
fn of_occupant(stanza: &Stanza) -> Option<([u8; 16], &str)> {
    let head = stanza.head();
    let from = head.from.as_ref().filter(|from| !from.is_bare())?;
    let to = head.to.as_ref().and_then(Jid::resourcepart)?;
    if !stanza.features().any(Features::MUC_USER) {
        return None;
    }
    let mut hash = Sha256::new();
    for part in [from.as_str().as_bytes(), head.id.as_deref().unwrap_or_default().as_bytes()] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.update(stanza.inner());
    let digest: [u8; 32] = hash.finalize().into();
    Some((*digest.first_chunk()?, to))
}
