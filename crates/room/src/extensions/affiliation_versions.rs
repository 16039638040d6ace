//! XEP-0463 MUC Affiliations Versioning, version 0.2.0: a client is told what has changed of the lists since
//! it was here.

use entity::{Context, Extension};
use xmpp::{
    BareJid, Element, Head, Jid, Kind, MessageType, Stanza, StanzaCondition, StanzaError, ns,
};

use crate::Room;
use crate::admin::may_list;
use crate::affiliation::Affiliation;
use crate::affiliations::Entry;
use crate::enter::Knock;
use crate::occupant::Occupant;
use crate::rules::Standing;

/// Versions of the lists.
pub(crate) const EXTENSION: Extension<Room> = Extension {
    number: "0463",
    title: "MUC Affiliations Versioning",
    version: "0.2.0",
    features: &[ns::AFFILIATIONS],
    ..Extension::NONE
};

/// The version that a client knows; none: it wants everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Since(Option<String>);

/// Two versions of the lists, of which one became the other.
#[derive(Clone, Debug)]
pub(crate) struct Versions {
    pub(crate) since: String,
    pub(crate) until: String,
}

impl Versions {
    /// Nothing has changed.
    pub(crate) fn same(version: String) -> Self {
        Self { since: version.clone(), until: version }
    }
}

/// Most items of one message; what is more is told in further ones (§5.2.1).
pub(crate) const ITEMS_MOST: usize = 1_000;

/// §5.1
pub(crate) fn asked(x: &Element) -> Option<Since> {
    let mav = x.child("mav", ns::AFFILIATIONS)?;
    Some(Since(mav.attr("since").map(str::to_owned)))
}

/// The version of the lists now; another room of the same name has others.
pub(crate) fn version(room: &Room) -> String {
    name(room, room.affiliations.version())
}

/// What a version is called.
pub(crate) fn name(room: &Room, version: u64) -> String {
    let born = room.birth.as_ref().map_or(0, |birth| birth.at);
    format!("{born:x}-{version}")
}

/// Tells a newcomer what they have missed, before anything else (§5.2.1); what their own presence says of it.
pub(crate) fn welcome(
    room: &Room,
    occupant: &Occupant,
    knock: &Knock<'_>,
    cx: &mut Context<'_, Room>,
) -> Option<Versions> {
    let Since(since) = knock.versions.as_ref()?;
    let standing = room.standing_inside(occupant);
    let to = Jid::from(knock.session.clone());
    if !may_list(room, standing, Affiliation::Member) {
        refuse(room, to, cx);
        return None;
    }
    let until = version(room);
    if since.as_deref() == Some(until.as_str()) {
        return Some(Versions::same(until));
    }
    let known = since.as_deref().and_then(|since| number(room, since));
    let changed = known.and_then(|known| room.affiliations.since(known));
    let (since, all) = match changed {
        Some(changed) => (since.clone(), changed),
        None => (None, everything(room)),
    };
    let known = known.filter(|_| since.is_some());
    let told = |(jid, entry): (_, &Entry)| {
        let affiliation = told(room, standing, entry, known)?;
        Some(Item { jid, affiliation, version: entry.version })
    };
    let mut list: Vec<Item<'_>> = all.into_iter().filter_map(told).collect();
    // What has changed is nothing that they may see: there is no empty difference.
    if since.is_some() && list.is_empty() {
        return Some(Versions::same(until));
    }
    // A client that has heard only the first ones asks from there on.
    list.sort_by_key(|it| it.version);
    let versions = list.chunks(ITEMS_MOST).map(|part| part.last().map_or(0, |it| it.version));
    let last = list.len().div_ceil(ITEMS_MOST).max(1) - 1;
    let versions: Vec<String> = versions.map(|number| name(room, number)).collect();
    let mut since = since;
    for part in 0..=last {
        let items = list.iter().skip(part * ITEMS_MOST).take(ITEMS_MOST);
        let next = versions.get(part).filter(|_| part < last).unwrap_or(&until).clone();
        let mav = Element::new("mav", ns::AFFILIATIONS)
            .with_attr_opt("since", since.as_deref())
            .with_attr("until", &next);
        let x = Element::new("x", ns::MUC_USER).with_child(mav);
        let x = x.with_children(items.map(Item::to_element));
        // News, not a conversation.
        let hint = Element::new("no-store", ns::HINTS);
        cx.send(Stanza::build(head(room, to.clone(), MessageType::Normal), &[x, hint]));
        since = Some(next);
    }
    Some(Versions::same(until))
}

fn everything(room: &Room) -> Vec<(&BareJid, &Entry)> {
    let all = Affiliation::ALL.into_iter().filter(|it| *it != Affiliation::None);
    all.flat_map(|it| room.affiliations.of_affiliation(it)).collect()
}

fn number(room: &Room, version: &str) -> Option<u64> {
    let born = format!("{:x}", room.birth.as_ref()?.at);
    version.strip_prefix(&born)?.strip_prefix('-')?.parse().ok()
}

/// Somebody, as what they are told.
struct Item<'a> {
    jid: &'a BareJid,
    affiliation: Affiliation,
    /// The version of the list that this made.
    version: u64,
}

/// As what a newcomer is told of somebody, if at all. Who is on a list now that they may not see, or on none, is none to
/// them, where they may have known them from one of those that they may see (§5.2.1, as it would have been told at the time).
fn told(room: &Room, standing: Standing, entry: &Entry, since: Option<u64>) -> Option<Affiliation> {
    let is_listed = entry.affiliation != Affiliation::None;
    if is_listed && may_list(room, standing, entry.affiliation) {
        return Some(entry.affiliation);
    }
    let knows_bans = may_list(room, standing, Affiliation::Outcast);
    let was_known = since.is_some_and(|since| entry.off > since || knows_bans);
    let is_gone = entry.affiliation < Affiliation::Member;
    (is_gone && was_known && may_list(room, standing, Affiliation::Member))
        .then_some(Affiliation::None)
}

impl Item<'_> {
    fn to_element(&self) -> Element {
        Element::new("item", ns::MUC_USER)
            .with_attr("affiliation", self.affiliation.as_str())
            .with_attr("jid", self.jid.as_str())
    }
}

/// §5.2.3
fn refuse(room: &Room, to: Jid, cx: &mut Context<'_, Room>) {
    let error = StanzaError::from(StanzaCondition::Forbidden).to_element();
    let error = error.with_attr("by", room.jid.as_str());
    cx.send(Stanza::build(head(room, to, MessageType::Error), &[error]));
}

fn head(room: &Room, to: Jid, ty: MessageType) -> Head {
    let from = Some(Jid::from(room.jid.clone()));
    Head { kind: Kind::Message(ty), id: None, from, to: Some(to), lang: None }
}
