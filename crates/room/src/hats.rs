//! Owns the hats of a room, who wears them, and their rows in the store (XEP-0317): one row for the hats, one
//! for each person who wears any.

use std::collections::BTreeMap;

use bytes::Bytes;
use store::{Row, Write};
use xmpp::{BareJid, Element, StanzaCondition, StanzaError, ns};

use crate::birth;

/// A hat (XEP-0317 §3.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Hat {
    /// Its name for machines.
    pub(crate) uri: String,
    /// Its name for people.
    pub(crate) title: String,
    /// Its colour, in degrees; empty: none.
    pub(crate) hue: String,
}

/// The hats of a room. Few rooms have any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Hats {
    hats: Vec<Hat>,
    worn: BTreeMap<BareJid, Worn>,
}

/// What somebody wears.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Worn {
    uris: Vec<String>,
    /// `<hats/>` as it stands in their presence.
    bytes: Bytes,
}

/// A change of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// There is a hat, new or as it is now.
    Put(Hat),
    /// The hat of this URI is gone, from every head.
    Remove(String),
    /// Somebody puts it on.
    Wear(BareJid, String),
    /// Somebody takes it off.
    Doff(BareJid, String),
}

/// What becomes of them, not kept yet.
#[derive(Clone, Debug)]
pub(crate) struct Changed {
    /// The hats as they are then.
    pub(crate) hats: Hats,
    /// What must be kept first.
    pub(crate) writes: Vec<Write>,
    /// Whose presence shows it.
    pub(crate) heads: Vec<BareJid>,
}

/// Most hats of a room.
const HATS_MOST: usize = 50;
/// Most people who wear any.
const HEADS_MOST: usize = 1_000;
/// Longest URI and longest title.
const TEXT_BYTES: usize = 256;
/// The row of the hats; with a slash and an address, of what somebody wears.
const ROW: &str = "hats";

impl Hat {
    /// A hat as somebody describes it.
    ///
    /// # Errors
    /// `not-acceptable` for what is no URI, no title, no angle, or too long.
    pub(crate) fn new(uri: &str, title: &str, hue: &str) -> Result<Self, StanzaError> {
        let refuse = |text: &str| {
            Err(StanzaError::from(StanzaCondition::NotAcceptable).with_text(text.to_owned()))
        };
        let is_uri = uri.split_once(':').is_some_and(|(scheme, rest)| {
            scheme.starts_with(|it: char| it.is_ascii_alphabetic()) && !rest.is_empty()
        });
        if !is_uri || uri.len() > TEXT_BYTES || uri.contains(char::is_whitespace) {
            return refuse("a hat is named by a URI");
        }
        let title = title.trim();
        if title.is_empty() || title.len() > TEXT_BYTES {
            return refuse("a hat has a short title");
        }
        let angle = hue.parse::<f64>().ok().filter(|angle| (0.0..=360.0).contains(angle));
        if !hue.is_empty() && (angle.is_none() || hue.len() > 16) {
            return refuse("a hue is an angle from 0 to 360");
        }
        Ok(Self { uri: uri.to_owned(), title: title.to_owned(), hue: hue.to_owned() })
    }

    fn to_element(&self) -> Element {
        let hue = Some(self.hue.as_str()).filter(|hue| !hue.is_empty());
        Element::new("hat", ns::HATS)
            .with_attr("title", &self.title)
            .with_attr("uri", &self.uri)
            .with_attr_opt("hue", hue)
    }

    fn of_element(hat: &Element) -> Option<Self> {
        let text = |name| hat.attr(name).unwrap_or_default().to_owned();
        let uri = hat.attr("uri")?.to_owned();
        Some(Self { uri, title: text("title"), hue: text("hue") })
    }
}

impl Hats {
    /// The hats of a room that is loaded; none where a row cannot be read.
    #[must_use]
    pub(crate) fn load(rows: &[Row]) -> Option<Self> {
        let Some(list) = birth::find(rows, ROW) else { return Some(Self::default()) };
        let list = Element::parse(list).ok()?;
        let hats = list.children().map(Hat::of_element).collect::<Option<_>>()?;
        let mut all = Self { hats, worn: BTreeMap::new() };
        for (who, row) in birth::of_people(rows, ROW) {
            let uris = str::from_utf8(row).ok()?.lines().map(str::to_owned).collect();
            all.dress(&BareJid::parse(who).ok()?, uris);
        }
        Some(all)
    }

    /// Every hat.
    #[must_use]
    pub(crate) fn all(&self) -> &[Hat] {
        &self.hats
    }

    /// Who wears which.
    pub(crate) fn worn(&self) -> impl Iterator<Item = (&BareJid, &Hat)> {
        self.worn
            .iter()
            .flat_map(|(who, worn)| worn.uris.iter().map(move |uri| (who, uri)))
            .filter_map(|(who, uri)| Some((who, self.hats.iter().find(|hat| hat.uri == *uri)?)))
    }

    /// `<hats/>` of somebody, in canonical bytes; empty where they wear none.
    #[must_use]
    pub(crate) fn of(&self, who: &BareJid) -> Bytes {
        match self.worn.is_empty() {
            true => Bytes::new(),
            false => self.worn.get(who).map(|worn| worn.bytes.clone()).unwrap_or_default(),
        }
    }

    /// What becomes of them by a change.
    ///
    /// # Errors
    /// `item-not-found` for a hat that there is not, `not-acceptable` where there would be too many.
    pub(crate) fn changed(&self, room: &BareJid, change: Change) -> Result<Changed, StanzaError> {
        let mut hats = self.clone();
        let heads = match change {
            Change::Put(hat) => hats.put(hat)?,
            Change::Remove(uri) => hats.remove(&uri)?,
            Change::Wear(who, uri) => hats.wear(who, uri)?,
            Change::Doff(who, uri) => hats.doff(who, &uri)?,
        };
        let mut writes = Vec::new();
        if hats.hats != self.hats {
            let list = Element::new(ROW, ns::HATS);
            let list = list.with_children(hats.hats.iter().map(Hat::to_element));
            writes.push(birth::put(room, ROW, list.to_bytes()));
        }
        for who in heads.iter().filter(|who| self.uris(who) != hats.uris(who)) {
            let key = birth::key_of(room, ROW, who);
            writes.push(match hats.uris(who) {
                [] => Write::Delete(key),
                uris => Write::Put(key, uris.join("\n").into()),
            });
        }
        Ok(Changed { hats, writes, heads })
    }

    fn uris(&self, who: &BareJid) -> &[String] {
        self.worn.get(who).map_or(&[], |worn| &worn.uris)
    }

    fn put(&mut self, hat: Hat) -> Result<Vec<BareJid>, StanzaError> {
        let uri = hat.uri.clone();
        match self.hats.iter().position(|known| known.uri == uri) {
            Some(at) => self.hats[at] = hat,
            None if self.hats.len() >= HATS_MOST => return Err(too_many("hats")),
            None => self.hats.push(hat),
        }
        Ok(self.refresh(&uri, |uris| uris))
    }

    fn remove(&mut self, uri: &str) -> Result<Vec<BareJid>, StanzaError> {
        let at = self.hats.iter().position(|hat| hat.uri == uri);
        self.hats.remove(at.ok_or(StanzaCondition::ItemNotFound)?);
        Ok(self.refresh(uri, |mut uris| {
            uris.retain(|worn| worn != uri);
            uris
        }))
    }

    fn wear(&mut self, who: BareJid, uri: String) -> Result<Vec<BareJid>, StanzaError> {
        if self.hats.iter().all(|hat| hat.uri != uri) {
            return Err(StanzaCondition::ItemNotFound.into());
        }
        let mut uris = self.uris(&who).to_vec();
        if uris.is_empty() && self.worn.len() >= HEADS_MOST {
            return Err(too_many("people with hats"));
        }
        if !uris.contains(&uri) {
            uris.push(uri);
        }
        self.dress(&who, uris);
        Ok(vec![who])
    }

    fn doff(&mut self, who: BareJid, uri: &str) -> Result<Vec<BareJid>, StanzaError> {
        let worn = self.uris(&who);
        let uris: Vec<String> = worn.iter().filter(|it| *it != uri).cloned().collect();
        if uris.len() == worn.len() {
            return Err(StanzaCondition::ItemNotFound.into());
        }
        self.dress(&who, uris);
        Ok(vec![who])
    }

    /// Everybody who wears a hat gets what `then` makes of their hats.
    fn refresh(&mut self, uri: &str, then: impl Fn(Vec<String>) -> Vec<String>) -> Vec<BareJid> {
        let wears = |(_, worn): &(&BareJid, &Worn)| worn.uris.iter().any(|it| it == uri);
        let heads: Vec<_> = self.worn.iter().filter(wears).map(|(who, _)| who.clone()).collect();
        for who in &heads {
            let uris = self.uris(who).to_vec();
            self.dress(who, then(uris));
        }
        heads
    }

    fn dress(&mut self, who: &BareJid, uris: Vec<String>) {
        if uris.is_empty() {
            self.worn.remove(who);
            return;
        }
        let known = uris.iter().filter_map(|uri| self.hats.iter().find(|hat| hat.uri == *uri));
        let element = Element::new(ROW, ns::HATS).with_children(known.map(Hat::to_element));
        let bytes = element.to_bytes().into();
        self.worn.insert(who.clone(), Worn { uris, bytes });
    }
}

fn too_many(what: &str) -> StanzaError {
    StanzaError::from(StanzaCondition::NotAcceptable).with_text(format!("too many {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bare(text: &str) -> BareJid {
        BareJid::parse(text).unwrap()
    }

    fn hat(uri: &str, title: &str) -> Hat {
        Hat::new(uri, title, "").unwrap()
    }

    fn change(hats: &mut Hats, rows: &mut Vec<Row>, change: Change) -> Vec<BareJid> {
        let changed = hats.changed(&bare("r@c.x"), change).unwrap();
        for write in changed.writes {
            let (key, value) = match write {
                Write::Put(key, value) => (key, Some(value)),
                Write::Delete(key) => (key, None),
                other => panic!("{other:?}"),
            };
            rows.retain(|row| row.item != key.item);
            rows.extend(value.map(|value| Row { kind: key.kind, item: key.item, value }));
        }
        *hats = changed.hats;
        changed.heads
    }

    // XEP-0317 §3.2, §3.3, §3.5, §3.6
    #[test]
    fn hats_are_worn_shown_renamed_and_taken_away_and_read_back() {
        let (mut hats, mut rows, a) = (Hats::default(), Vec::new(), bare("a@x"));
        assert!(change(&mut hats, &mut rows, Change::Put(hat("u:1", "One"))).is_empty());
        change(&mut hats, &mut rows, Change::Put(hat("u:2", "Two")));
        change(&mut hats, &mut rows, Change::Wear(a.clone(), "u:1".into()));
        assert_eq!(
            change(&mut hats, &mut rows, Change::Wear(a.clone(), "u:2".into())),
            std::slice::from_ref(&a)
        );
        assert_eq!(
            change(&mut hats, &mut rows, Change::Put(hat("u:1", "First"))),
            std::slice::from_ref(&a)
        );
        let shown = Element::parse(&hats.of(&a)).unwrap();
        let titles: Vec<_> = shown.children().filter_map(|it| it.attr("title")).collect();
        assert_eq!(titles, ["First", "Two"]);
        assert_eq!(Hats::load(&rows), Some(hats.clone()));
        assert_eq!(
            change(&mut hats, &mut rows, Change::Remove("u:1".into())),
            std::slice::from_ref(&a)
        );
        change(&mut hats, &mut rows, Change::Doff(a.clone(), "u:2".into()));
        assert!(hats.of(&a).is_empty());
        assert_eq!(Hats::load(&rows), Some(hats.clone()));
        let nothing = hats.changed(&bare("r@c.x"), Change::Doff(a, "u:2".into()));
        assert_eq!(nothing.unwrap_err().condition, StanzaCondition::ItemNotFound);
    }

    #[test]
    fn a_hat_has_a_uri_a_title_and_perhaps_an_angle() {
        assert!(Hat::new("http://x/h#1", "Host", "327.25").is_ok());
        for (uri, title, hue) in
            [("x", "T", ""), ("u:1", " ", ""), ("u: 1", "T", ""), ("u:1", "T", "400")]
        {
            assert!(Hat::new(uri, title, hue).is_err(), "{uri} {title} {hue}");
        }
    }
}
