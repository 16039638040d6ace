//! XEP-0059 Result Set Management, version 1.0. What is asked for and what came out of it; also
//! the paging of a list in memory. Pages of archives are cut by the store.

use std::ops::Range;

use crate::{Element, StanzaCondition, StanzaError, ns};

/// Which part of a result set is wanted: items between two others, counted from one end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Request {
    /// The most items to return (§2.1). Zero asks for the count alone (§2.7).
    pub max: Option<u32>,
    /// Only items that follow this one (§2.2).
    pub after: Option<String>,
    /// Only items that precede this one (§2.3).
    pub before: Option<String>,
    /// From which end the page is cut.
    pub direction: Direction,
    /// The place in the whole set of the first item wanted (§2.6); excludes the three above.
    pub index: Option<u64>,
}

/// From which end of the items that match a page is cut.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Direction {
    /// The first `max` items.
    #[default]
    Forwards,
    /// The last `max` items, in the set's own order all the same (§2.3, §2.5).
    Backwards,
}

/// What a page says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ResultSet {
    /// The UIDs of the first and the last item; none for an empty page (§2.2).
    pub ends: Option<(String, String)>,
    /// The place in the whole set of the first item.
    pub index: Option<u64>,
    /// How many items the whole set has, perhaps roughly.
    pub count: Option<u64>,
}

impl Request {
    /// Reads the `<set/>` among the children of a query; none if there is none.
    ///
    /// # Errors
    /// `bad-request` for numbers that are none, for a repeated child, and for an index beside a UID.
    pub fn parse(query: &Element) -> Result<Option<Self>, StanzaError> {
        query.child("set", ns::RSM).map(Self::read).transpose()
    }

    fn read(set: &Element) -> Result<Self, StanzaError> {
        let before = unique(set, "before")?;
        let request = Self {
            max: unique(set, "max")?
                .map(|max| number(&max))
                .transpose()?
                .map(|max| u32::try_from(max).unwrap_or(u32::MAX)),
            // An empty `<after/>` stands before the first item (§2.2).
            after: unique(set, "after")?.filter(|uid| !uid.is_empty()),
            direction: if before.is_some() { Direction::Backwards } else { Direction::Forwards },
            // An empty `<before/>` stands after the last (§2.5).
            before: before.filter(|uid| !uid.is_empty()),
            index: unique(set, "index")?.map(|index| number(&index)).transpose()?,
        };
        let by_uid = request.after.is_some() || request.direction == Direction::Backwards;
        if request.index.is_some() && by_uid {
            return Err(bad_request("a page is asked for by UID or by index"));
        }
        Ok(request)
    }

    /// How many items to return at most: what is asked for, within what this server gives.
    #[must_use]
    pub fn page_size(&self, most: u32) -> usize {
        usize::try_from(self.max.unwrap_or(most).min(most)).unwrap_or(usize::MAX)
    }

    /// Cuts a page out of a whole ordered set in memory.
    ///
    /// # Errors
    /// `item-not-found` when an item asked for by its UID is not in the set (§2.4).
    pub fn page<T>(
        &self,
        items: &[T],
        uid: impl Fn(&T) -> &str,
        most: u32,
    ) -> Result<(Range<usize>, ResultSet), StanzaError> {
        let find = |wanted: &String| {
            let at = items.iter().position(|item| uid(item) == wanted);
            at.ok_or_else(|| StanzaError::from(StanzaCondition::ItemNotFound))
        };
        let after = self.after.as_ref().map(find).transpose()?.map_or(0, |at| at + 1);
        let end = self.before.as_ref().map(find).transpose()?.unwrap_or(items.len());
        let index = self.index.map_or(0, |index| usize::try_from(index).unwrap_or(usize::MAX));
        let start = after.max(index).min(end);
        let size = self.page_size(most).min(end - start);
        let range = match self.direction {
            Direction::Forwards => start..start + size,
            Direction::Backwards => end - size..end,
        };
        let page = &items[range.clone()];
        let ends = page.first().zip(page.last());
        let result = ResultSet {
            ends: ends.map(|(first, last)| (uid(first).to_owned(), uid(last).to_owned())),
            index: ends.map(|_| range.start as u64),
            count: Some(items.len() as u64),
        };
        Ok((range, result))
    }
}

impl ResultSet {
    /// The `<set/>` to append to an answer.
    #[must_use]
    pub fn to_element(&self) -> Element {
        let mut set = Element::new("set", ns::RSM);
        if let Some((first, last)) = &self.ends {
            let index = self.index.map(|index| index.to_string());
            set.push(word("first", first).with_attr_opt("index", index));
            set.push(word("last", last));
        }
        if let Some(count) = self.count {
            set.push(word("count", &count.to_string()));
        }
        set
    }
}

fn word(name: &'static str, text: &str) -> Element {
    Element::new(name, ns::RSM).with_text(text)
}

/// The text of the one child of this name.
fn unique(set: &Element, name: &str) -> Result<Option<String>, StanzaError> {
    let mut children = set.children().filter(|child| child.is(name, ns::RSM));
    let first = children.next().map(Element::text);
    match children.next() {
        Some(_) => Err(bad_request("an element of a result set request is repeated")),
        None => Ok(first),
    }
}

/// Digits only, space around them as XML Schema allows; more than fits is the most that fits.
fn number(text: &str) -> Result<u64, StanzaError> {
    let digits = text.trim_matches([' ', '\t', '\r', '\n']);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(bad_request("a number of a result set request is none"));
    }
    Ok(digits.parse().unwrap_or(u64::MAX))
}

fn bad_request(text: &str) -> StanzaError {
    StanzaError::from(StanzaCondition::BadRequest).with_text(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(inner: &str) -> Result<Request, StanzaError> {
        let xml = format!("<query xmlns='q'><set xmlns='{}'>{inner}</set></query>", ns::RSM);
        Request::parse(&Element::parse(xml.as_bytes()).unwrap()).map(Option::unwrap)
    }

    fn condition(inner: &str) -> StanzaCondition {
        request(inner).unwrap_err().condition
    }

    const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];

    /// The page as text, its index and the whole count.
    fn page(inner: &str) -> (String, Option<u64>, Option<u64>) {
        let (range, result) = request(inner).unwrap().page(&NAMES, |name| name, 3).unwrap();
        let page = NAMES[range].concat();
        let ends = page.chars().next().zip(page.chars().last());
        let ends = ends.map(|(first, last)| (first.to_string(), last.to_string()));
        assert_eq!(result.ends, ends);
        (page, result.index, result.count)
    }

    #[test]
    fn a_query_without_a_set_asks_for_nothing() {
        assert_eq!(Request::parse(&Element::new("query", "q")), Ok(None));
        assert_eq!(request(""), Ok(Request::default()));
    }

    #[test]
    fn pages_are_cut_as_asked_and_never_larger_than_the_server_gives() {
        let rows = [
            ("<max>2</max>", "ab", Some(0)),
            ("", "abc", Some(0)),
            ("<max>99999999999999999999999</max>", "abc", Some(0)),
            ("<max>2</max><after>b</after>", "cd", Some(2)),
            ("<max>2</max><after/>", "ab", Some(0)),
            ("<after>e</after>", "", None),
            ("<max>2</max><before>d</before>", "bc", Some(1)),
            ("<max> 2\n</max><before/>", "de", Some(3)),
            ("<before>a</before>", "", None),
            ("<max>1</max><after>b</after><before>e</before>", "d", Some(3)),
            ("<after>d</after><before>b</before>", "", None),
            ("<max>2</max><index>3</index>", "de", Some(3)),
            ("<max>2</max><index>4</index>", "e", Some(4)),
            ("<max>2</max><index>5</index>", "", None),
            ("<max>2</max><index>18446744073709551615</index>", "", None),
            ("<max>0</max>", "", None),
            ("<max>0</max><before/>", "", None),
        ];
        for (inner, expected, index) in rows {
            assert_eq!(page(inner), (expected.to_owned(), index, Some(5)), "{inner}");
        }
    }

    #[test]
    fn an_item_that_is_gone_is_not_found() {
        for inner in ["<after>x</after>", "<before>x</before>"] {
            let error = request(inner).unwrap().page(&NAMES, |name| name, 3).unwrap_err();
            assert_eq!(error.condition, StanzaCondition::ItemNotFound);
        }
    }

    #[test]
    fn requests_that_make_no_sense_are_bad() {
        for inner in [
            "<max>-1</max>",
            "<max>ten</max>",
            "<max/>",
            "<max>1.0</max>",
            "<index>+1</index>",
            "<max>1</max><max>2</max>",
            "<after>a</after><after>b</after>",
            "<index>1</index><after>a</after>",
            "<index>1</index><before/>",
        ] {
            assert_eq!(condition(inner), StanzaCondition::BadRequest, "{inner}");
        }
    }

    #[test]
    fn a_page_says_where_it_begins_and_ends() {
        let result = ResultSet {
            ends: Some(("a&b".to_owned(), "z".to_owned())),
            index: Some(10),
            count: Some(800),
        };
        let xml = "<set xmlns='http://jabber.org/protocol/rsm'><first index='10'>a&amp;b</first>\
                   <last>z</last><count>800</count></set>";
        assert_eq!(Element::parse(xml.as_bytes()).unwrap(), result.to_element());
        let empty = ResultSet { count: Some(790), ..ResultSet::default() };
        let xml = "<set xmlns='http://jabber.org/protocol/rsm'><count>790</count></set>";
        assert_eq!(Element::parse(xml.as_bytes()).unwrap(), empty.to_element());
    }
}
