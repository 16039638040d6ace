//! Owns the request: what a client asks of an archive, as a query of the store (XEP-0313 §4).

use store::{ArchiveId, ArchiveQuery, Slice};
use xmpp::forms::{Field, FieldType, Form, FormKind};
use xmpp::rsm::{self, Direction};
use xmpp::{Element, Jid, StanzaCondition, StanzaError, datetime, ns};

use crate::{Ids, PAGE_MOST, PAGE_USUAL, fulltext};

/// What a client asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// Which rows and which page, as the store understands it.
    pub rows: ArchiveQuery,
    /// Only messages from or to just this full address (§4.1.1); the store sees its bare form alone.
    pub exactly: Option<Jid>,
    /// Only messages with all of these words in their text, in lower case (XEP-0431).
    pub words: Vec<String>,
    /// Given back with each result (§4).
    pub queryid: Option<String>,
    /// The page is sent last message first (§4.3.4).
    pub flipped: bool,
}

const VALIDATE: &str = "http://jabber.org/protocol/xdata-validate";

impl Query {
    /// Reads a `<query/>` of an IQ set.
    ///
    /// # Errors
    /// `bad-request` for times, addresses and numbers that are none, `feature-not-implemented` for a
    /// field that nobody knows (§4.1.5) and for a page by index (XEP-0059 §2.6), `item-not-found` for
    /// an id that no archive ever gave (§4.1.3) and for a node, `policy-violation` for too many ids.
    pub fn parse(query: &Element, names: &Ids) -> Result<Self, StanzaError> {
        if query.attr("node").is_some() {
            return Err(StanzaCondition::ItemNotFound.into());
        }
        let mut parsed = Self {
            rows: ArchiveQuery { limit: PAGE_USUAL as usize, ..ArchiveQuery::default() },
            exactly: None,
            words: Vec::new(),
            queryid: query.attr("queryid").map(str::to_owned),
            flipped: query.child("flip-page", ns::MAM).is_some(),
        };
        if query.child("x", ns::DATA_FORMS).is_some() {
            let form = Form::submitted(query, ns::MAM)?;
            parsed.filter(&form.ok_or(StanzaCondition::BadRequest)?, names)?;
        }
        if let Some(request) = rsm::Request::parse(query)? {
            parsed.page(&request, names)?;
        }
        Ok(parsed)
    }

    /// With no more than this many messages on a page, whatever the client asks for.
    ///
    /// # Errors
    /// `policy-violation` for more ids than a page has.
    pub fn with_pages_of(mut self, most: usize) -> Result<Self, StanzaError> {
        if self.rows.ids.len() > most {
            return Err(too_many_ids());
        }
        self.rows.limit = self.rows.limit.min(most);
        Ok(self)
    }

    /// As it holds where texts are not searched: there is no such field (§4.1.5).
    ///
    /// # Errors
    /// `feature-not-implemented` where words are looked for.
    pub fn without_search(self) -> Result<Self, StanzaError> {
        if self.words.is_empty() {
            return Ok(self);
        }
        let error = StanzaError::from(StanzaCondition::FeatureNotImplemented);
        Err(error.with_text(format!("unknown field {}", fulltext::FIELD)))
    }

    /// §4.1
    fn filter(&mut self, form: &Form, names: &Ids) -> Result<(), StanzaError> {
        for field in &form.fields {
            if !FIELDS.contains(&field.var.as_str()) {
                let error = StanzaError::from(StanzaCondition::FeatureNotImplemented);
                return Err(error.with_text(format!("unknown field {}", field.var)));
            }
        }
        let with = form.jid("with").map_err(bad_request)?;
        self.rows.with = with.as_ref().map(Jid::bare);
        self.exactly = with.filter(|jid| !jid.is_bare());
        self.rows.start = time(form, "start")?;
        self.rows.end = time(form, "end")?;
        self.rows.after_id = one_id(form, "after-id", names)?;
        self.rows.before_id = one_id(form, "before-id", names)?;
        let ids = form.values("ids").unwrap_or_default();
        if ids.len() > PAGE_MOST as usize {
            return Err(too_many_ids());
        }
        self.rows.ids = ids.iter().map(|text| id(text, names)).collect::<Result<_, _>>()?;
        if let Some(text) = form.text(fulltext::FIELD).map_err(bad_request)? {
            self.words = fulltext::words(text)?;
        }
        // Accounts keep no groupchat, so that what is asked of it changes nothing (§6.1.1).
        form.boolean("include-groupchat").map_err(bad_request)?;
        Ok(())
    }

    /// §4.3. With both ends given, which §9 leaves open, the page lies between them.
    fn page(&mut self, request: &rsm::Request, names: &Ids) -> Result<(), StanzaError> {
        if request.index.is_some() {
            return Err(StanzaCondition::FeatureNotImplemented.into());
        }
        let most = request.max.unwrap_or(PAGE_USUAL).min(PAGE_MOST);
        self.rows.limit = most as usize;
        let after = request.after.as_deref().map(|text| id(text, names)).transpose()?;
        let before = request.before.as_deref().map(|text| id(text, names)).transpose()?;
        self.rows.slice = match (request.direction, before, after) {
            (Direction::Forwards, _, None) => Slice::First,
            (Direction::Forwards, _, Some(after)) => Slice::After(after),
            (Direction::Backwards, None, _) => Slice::Last,
            (Direction::Backwards, Some(before), _) => Slice::Before(before),
        };
        if request.direction == Direction::Backwards {
            self.rows.after_id = self.rows.after_id.max(after);
        }
        Ok(())
    }
}

/// The fields that a query may have (§4.1).
const FIELDS: &[&str] = &[
    "FORM_TYPE",
    "with",
    "start",
    "end",
    "before-id",
    "after-id",
    "ids",
    "include-groupchat",
    fulltext::FIELD,
];

/// The answer to an IQ get: the form of what may be asked (§4.1.5); with the field of XEP-0431 where texts are searched.
#[must_use]
pub fn form(searches: bool) -> Element {
    let word = |var: &str| Field::new(FieldType::TextSingle, var);
    let form = Form::new(FormKind::Form, ns::MAM)
        .with(Field::new(FieldType::JidSingle, "with"))
        .with(word("start"))
        .with(word("end"))
        .with(word("before-id"))
        .with(word("after-id"))
        .with(Field {
            ty: Some(FieldType::Boolean),
            var: "include-groupchat".into(),
            ..Field::default()
        });
    let form = match searches {
        true => form.with(word(fulltext::FIELD)),
        false => form,
    };
    let open = Element::new("open", VALIDATE);
    let validate =
        Element::new("validate", VALIDATE).with_attr("datatype", "xs:string").with_child(open);
    let ids = Element::new("field", ns::DATA_FORMS)
        .with_attr("type", FieldType::ListMulti.as_str())
        .with_attr("var", "ids")
        .with_child(validate);
    Element::new("query", ns::MAM).with_child(form.to_element().with_child(ids))
}

fn too_many_ids() -> StanzaError {
    StanzaError::from(StanzaCondition::PolicyViolation).with_text("too many ids in one query")
}

/// A time in microseconds; what lies before 1970 is the beginning.
fn time(form: &Form, var: &str) -> Result<Option<u64>, StanzaError> {
    let Some(text) = form.text(var).map_err(bad_request)?.filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    match datetime::parse(text) {
        Ok(micros) => Ok(Some(u64::try_from(micros).unwrap_or(0))),
        Err(_) => Err(bad_request(StanzaCondition::BadRequest.into())
            .with_text(format!("field {var} is no date and time"))),
    }
}

fn one_id(form: &Form, var: &str, names: &Ids) -> Result<Option<ArchiveId>, StanzaError> {
    let text = form.text(var).map_err(bad_request)?.filter(|text| !text.is_empty());
    text.map(|text| id(text, names)).transpose()
}

/// An id that was never given is not in the archive (§4.1.3, §4.3.2).
fn id(text: &str, names: &Ids) -> Result<ArchiveId, StanzaError> {
    names.read(text).ok_or_else(|| StanzaCondition::ItemNotFound.into())
}

/// A query with a bad value is a bad request; the form's own reader calls it not acceptable.
fn bad_request(error: StanzaError) -> StanzaError {
    StanzaError { ty: xmpp::ErrorType::Modify, condition: StanzaCondition::BadRequest, ..error }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(inner: &str) -> Result<Query, StanzaError> {
        let xml = format!("<query xmlns='{}' queryid='q1'>{inner}</query>", ns::MAM);
        Query::parse(&Element::parse(xml.as_bytes()).unwrap(), &Ids::default())
    }

    fn filtered(fields: &[(&str, &str)]) -> Result<Query, StanzaError> {
        let fields: String = fields
            .iter()
            .map(|(var, value)| format!("<field var='{var}'><value>{value}</value></field>"))
            .collect();
        query(&format!(
            "<x xmlns='jabber:x:data' type='submit'>\
             <field var='FORM_TYPE' type='hidden'><value>{}</value></field>{fields}</x>",
            ns::MAM
        ))
    }

    fn paged(inner: &str) -> Result<Query, StanzaError> {
        query(&format!("<set xmlns='{}'>{inner}</set>", ns::RSM))
    }

    const ID: &str = "0000000000000abc";

    #[test]
    fn a_bare_query_asks_for_the_first_usual_page_of_everything() {
        let query = query("").unwrap();
        let rows = ArchiveQuery { limit: 100, ..ArchiveQuery::default() };
        assert_eq!((query.rows, query.flipped), (rows, false));
        assert_eq!(query.queryid.as_deref(), Some("q1"));
    }

    #[test]
    fn every_field_of_section_4_1_is_read() {
        let fields = [
            ("with", "juliet@capulet.lit/balcony"),
            ("start", "1970-01-01T00:00:01Z"),
            ("end", "1960-01-01T00:00:00Z"),
            ("after-id", ID),
            ("before-id", ID),
            ("ids", ID),
            ("include-groupchat", "false"),
        ];
        let query = filtered(&fields).unwrap();
        let id = ArchiveId(0xabc);
        assert_eq!(query.rows.with.unwrap().as_str(), "juliet@capulet.lit");
        assert_eq!(query.exactly.unwrap().as_str(), "juliet@capulet.lit/balcony");
        assert_eq!((query.rows.start, query.rows.end), (Some(1_000_000), Some(0)));
        assert_eq!((query.rows.after_id, query.rows.before_id), (Some(id), Some(id)));
        assert_eq!(query.rows.ids, [id]);
    }

    #[test]
    fn pages_are_asked_for_from_either_end_and_bounded() {
        let slice = |inner: &str| paged(inner).map(|query| (query.rows.slice, query.rows.limit));
        let id = ArchiveId(0xabc);
        assert_eq!(slice("<max>10</max>"), Ok((Slice::First, 10)));
        assert_eq!(slice("<max>99999</max><before/>"), Ok((Slice::Last, 250)));
        assert_eq!(slice(&format!("<after>{ID}</after>")), Ok((Slice::After(id), 100)));
        assert_eq!(slice(&format!("<before>{ID}</before>")), Ok((Slice::Before(id), 100)));
        assert_eq!(slice("<max>0</max>"), Ok((Slice::First, 0)));
        let between = paged(&format!("<before>{ID}</before><after>{ID}</after>")).unwrap();
        assert_eq!((between.rows.slice, between.rows.after_id), (Slice::Before(id), Some(id)));
    }

    #[test]
    fn pages_may_be_smaller_than_the_most() {
        let limit = |inner: &str| paged(inner).unwrap().with_pages_of(20).unwrap().rows.limit;
        assert_eq!((limit("<max>99</max>"), limit("<max>7</max>"), limit("")), (20, 7, 20));
        let ids = |count| filtered(&vec![("ids", ID); count]).unwrap().with_pages_of(20);
        assert!(ids(1).is_ok());
    }

    #[test]
    fn what_cannot_be_answered_is_refused_with_its_condition() {
        let condition = |query: Result<Query, StanzaError>| query.unwrap_err().condition;
        let cases = [
            (filtered(&[("{urn:x}text", "a")]), StanzaCondition::FeatureNotImplemented),
            (filtered(&[("start", "yesterday")]), StanzaCondition::BadRequest),
            (filtered(&[("with", "@")]), StanzaCondition::BadRequest),
            (filtered(&[("after-id", "17")]), StanzaCondition::ItemNotFound),
            (filtered(&[("ids", "17")]), StanzaCondition::ItemNotFound),
            (paged("<after>17</after>"), StanzaCondition::ItemNotFound),
            (paged("<index>3</index>"), StanzaCondition::FeatureNotImplemented),
            (paged("<max>x</max>"), StanzaCondition::BadRequest),
            (query("<x xmlns='jabber:x:data' type='cancel'/>"), StanzaCondition::BadRequest),
        ];
        for (index, (query, expected)) in cases.into_iter().enumerate() {
            assert_eq!(condition(query), expected, "case {index}");
        }
        let ids = "<value>0000000000000abc</value>".repeat(251);
        let form =
            format!("<x xmlns='jabber:x:data' type='submit'><field var='ids'>{ids}</field></x>");
        assert_eq!(condition(query(&form)), StanzaCondition::PolicyViolation);
    }

    #[test]
    fn the_form_offers_every_field_and_demands_none() {
        let form = form(true);
        let x = form.child("x", ns::DATA_FORMS).unwrap();
        let vars: Vec<_> = x.children().filter_map(|field| field.attr("var")).collect();
        for var in FIELDS {
            assert!(vars.contains(var), "{var}");
        }
        assert!(x.children().all(|field| field.child("required", ns::DATA_FORMS).is_none()));
        let ids = x.children().find(|field| field.attr("var") == Some("ids")).unwrap();
        assert!(ids.child("validate", VALIDATE).unwrap().child("open", VALIDATE).is_some());
    }
}
