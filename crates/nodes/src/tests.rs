//! Owns the tables of the engine: who may do what, what becomes of it, and which error it is else.

mod access;
mod configuration;
mod items;
mod kept;
mod people;
mod standing;

use store::{Row, Write};
use xmpp::forms::{Field, Form, FormKind};
use xmpp::{BareJid, Element, IqType, Jid, StanzaError, ns};

use crate::collection::Source;
use crate::{Answer, Collection, Limits, Outcome, People, Place, Turn};

/// Everybody of `friend.org` sees presence, `admin@x.org` owns all, people of `x.org` make nodes.
pub(crate) struct World {
    pub(crate) collection: Collection,
    pub(crate) limits: Limits,
    pub(crate) now: u64,
    /// Whether `friend.org` sees presence.
    pub(crate) friends: bool,
    rows: Vec<(store::Key, bytes::Bytes)>,
    count: u64,
}

/// Who owns all, and whether `friend.org` sees presence.
struct Town(BareJid, bool);

impl People for Town {
    fn owns_all(&self, who: &BareJid) -> bool {
        *who == self.0
    }

    fn sees_presence(&self, who: &BareJid) -> bool {
        self.1 && who.domainpart() == "friend.org"
    }

    fn is_in_group(&self, who: &BareJid, groups: &[String]) -> bool {
        groups.iter().any(|group| group == "Friends") && self.sees_presence(who)
    }

    fn may_create(&self, who: &BareJid) -> bool {
        who.domainpart() == "x.org"
    }
}

impl World {
    pub(crate) fn new(place: Place) -> Self {
        let owner = BareJid::parse(if place == Place::Account { "romeo@x.org" } else { "p.x.org" });
        let limits = Limits {
            nodes: 5,
            nodes_of_one: 4,
            items: 20,
            items_of_node: 10,
            payload_bytes: 100,
            bytes: 1_000,
            people_of_node: 3,
        };
        let collection = Collection::new(owner.unwrap(), place);
        Self { collection, limits, now: 1_000_000_000, friends: true, rows: Vec::new(), count: 0 }
    }

    /// Somebody asks; `{}` stands for the namespace. The rows are kept.
    pub(crate) fn ask(
        &mut self,
        from: &str,
        ty: &str,
        inner: &str,
    ) -> Result<Outcome, StanzaError> {
        self.ask_in(from, ty, ns::PUBSUB, inner)
    }

    /// As an owner asks.
    pub(crate) fn ask_as_owner(
        &mut self,
        from: &str,
        ty: &str,
        inner: &str,
    ) -> Result<Outcome, StanzaError> {
        self.ask_in(from, ty, ns::PUBSUB_OWNER, inner)
    }

    fn ask_in(
        &mut self,
        from: &str,
        ty: &str,
        ns: &str,
        inner: &str,
    ) -> Result<Outcome, StanzaError> {
        let xml = format!("<pubsub xmlns='{ns}'>{inner}</pubsub>");
        let pubsub = Element::parse(xml.as_bytes()).unwrap();
        let ty = if ty == "get" { IqType::Get } else { IqType::Set };
        self.turn(from, |collection, turn| collection.act(ty, &pubsub, turn))
    }

    pub(crate) fn turn(
        &mut self,
        from: &str,
        act: impl FnOnce(&mut Collection, &mut Turn<'_>) -> Result<Outcome, StanzaError>,
    ) -> Result<Outcome, StanzaError> {
        let from = Jid::parse(from).unwrap();
        let owner = match self.collection.place {
            Place::Account => self.collection.owner.clone(),
            Place::Service => BareJid::parse("admin@x.org").unwrap(),
        };
        let (town, count) = (Town(owner, self.friends), &mut self.count);
        let mut fresh = || {
            *count += 1;
            format!("fresh{count}")
        };
        let mut turn = Turn::new(&from, &town, &self.limits, self.now, &mut fresh);
        let before = format!("{:?}", self.collection);
        let outcome = act(&mut self.collection, &mut turn);
        match &outcome {
            Ok(outcome) => self.keep(outcome),
            Err(_) => assert_eq!(format!("{:?}", self.collection), before, "nothing has changed"),
        }
        outcome
    }

    fn keep(&mut self, outcome: &Outcome) {
        for write in &outcome.writes {
            match write {
                Write::Put(key, value) => {
                    self.rows.retain(|(it, _)| it != key);
                    self.rows.push((key.clone(), value.clone()));
                }
                Write::Delete(key) => self.rows.retain(|(it, _)| it != key),
                other => panic!("no row of pubsub: {other:?}"),
            }
        }
        self.collection.release(&outcome.held);
        assert_eq!(self.loaded(), format!("{:?}", self.collection), "what is here is what is kept");
    }

    /// The collection as it comes out of its rows. The number given last is that of the last item only.
    fn loaded(&self) -> String {
        let row = |(key, value): &(store::Key, bytes::Bytes)| Row {
            kind: key.kind,
            item: key.item.clone(),
            value: value.clone(),
        };
        let rows: Vec<Row> = self.rows.iter().map(row).collect();
        let Collection { owner, place, .. } = &self.collection;
        let mut loaded = Collection::load(owner.clone(), *place, &rows).unwrap();
        loaded.catch_up(&self.collection);
        format!("{loaded:?}")
    }

    /// How many rows there are.
    pub(crate) fn rows(&self) -> usize {
        self.rows.len()
    }

    /// Publishes an item.
    pub(crate) fn publish(
        &mut self,
        from: &str,
        node: &str,
        id: &str,
    ) -> Result<Outcome, StanzaError> {
        let inner =
            format!("<publish node='{node}'><item id='{id}'><e xmlns='urn:e'/></item></publish>");
        self.ask(from, "set", &inner)
    }

    /// The ids of the items that an answer names, with its payloads read.
    pub(crate) fn ids(&self, outcome: &Outcome) -> String {
        let Answer::Items(fetch) = &outcome.answer else { panic!("no items: {outcome:?}") };
        let read = |(id, source): &(String, Source)| {
            let there = match source {
                Source::Held(_) => true,
                Source::Row(key) => self.rows.iter().any(|(it, _)| it == key),
            };
            assert!(there, "{id} has a payload");
            id.clone()
        };
        fetch.items.iter().map(read).collect::<Vec<_>>().join(" ")
    }
}

/// The condition, and that of pubsub.
pub(crate) fn condition(result: Result<Outcome, StanzaError>) -> String {
    let error = match result {
        Ok(_) => return "ok".to_owned(),
        Err(error) => error,
    };
    let detail = error.detail.map(|detail| match detail.attr("feature") {
        Some(feature) => format!(" {} {feature}", detail.name()),
        None => format!(" {}", detail.name()),
    });
    format!("{}{}", error.condition.name(), detail.unwrap_or_default())
}

/// A submitted form as text.
pub(crate) fn form(ty: &str, fields: &[(&str, &str)]) -> String {
    let form = Form::new(FormKind::Submit, format!("http://jabber.org/protocol/pubsub#{ty}"));
    let form = fields.iter().fold(form, |form, (var, value)| {
        let field = Field { var: format!("pubsub#{var}"), ..Field::default() };
        form.with(field.with_value(*value))
    });
    String::from_utf8(form.to_element().to_bytes()).unwrap()
}

/// What is told, in short: to how many subscribers, and what.
pub(crate) fn told(outcome: &Outcome) -> Vec<String> {
    let word = |notice: &crate::Notice| {
        let to: Vec<&str> = notice.listeners.iter().map(|jid| jid.as_str()).collect();
        let event = notice.stanza.child("event", ns::PUBSUB_EVENT);
        let what = event.and_then(|event| event.children().next().cloned());
        let what = what.map_or_else(
            || "form".to_owned(),
            |what| match what.children().next() {
                Some(inner) => format!("{} {}", inner.name(), inner.attr("id").unwrap_or_default()),
                None => {
                    format!("{} {}", what.name(), what.attr("subscription").unwrap_or_default())
                }
            },
        );
        format!("{}: {}", to.join(" "), what.trim())
    };
    outcome.notices.iter().map(word).collect()
}

/// The result as text.
pub(crate) fn result(outcome: Result<Outcome, StanzaError>) -> String {
    match outcome.unwrap().answer {
        Answer::Done => String::new(),
        Answer::Result(element) => String::from_utf8(element.to_bytes()).unwrap(),
        Answer::Items(_) => panic!("items"),
    }
}
