//! XEP-0055 Jabber Search, version 1.3: people of this domain find those of them who want to be found. Who wants that
//! says so by a command; strangers cannot search.

use std::sync::Arc;

use accounts::directory::{Entry, Found, WORD_MOST};
use accounts::{AccountError, Administration};
use entity::command::{Command, Outcome, Run};
use entity::extension::Who;
use entity::{Answer, Context, Extension, Iq, Request};
use xmpp::command::note;
use xmpp::forms::{Field, FieldType, Form, FormKind, Table};
use xmpp::{BareJid, Element, ErrorType, IqType, Jid, StanzaCondition, StanzaError};

use super::commands::{administration, later};
use crate::Domain;

/// Search for people.
pub const EXTENSION: Extension<Domain> = Extension {
    number: "0055",
    title: "Jabber Search",
    version: "1.3",
    features: &[NS],
    iqs: &[
        Iq { ty: IqType::Get, name: "query", ns: NS, who: Who::Anybody, handle: fields },
        Iq { ty: IqType::Set, name: "query", ns: NS, who: Who::Anybody, handle: search },
    ],
    commands: &[Command {
        node: LISTING,
        name: "Be found by others",
        may: is_local,
        form: Some(listing),
        run: list,
        second: None,
    }],
    ..Extension::NONE
};

const NS: &str = "jabber:iq:search";
const LISTING: &str = "urn:rookery:search#listing";
/// People in one answer.
const MOST: usize = 50;
const LABELS: [(&str, &str); 4] =
    [("first", "Given name"), ("last", "Family name"), ("nick", "Nickname"), ("email", "Mail")];

/// Whoever has an account at this domain.
fn is_local(domain: &Domain, asker: &Jid) -> bool {
    domain.shared.administration.is_some()
        && asker.localpart().is_some()
        && asker.domainpart() == domain.jid.as_str()
}

fn may_search(domain: &Domain, request: &Request) -> Result<Arc<Administration>, StanzaError> {
    let asker = request.stanza.head().from.as_ref();
    if !asker.is_some_and(|asker| is_local(domain, asker)) {
        return Err(StanzaError::from(StanzaCondition::Forbidden).with_type(ErrorType::Auth));
    }
    administration(domain).cloned()
}

/// §2.1, examples 2 and 7.
fn fields(
    domain: &mut Domain,
    request: &Request,
    _: &mut Context<'_, Domain>,
) -> Result<Answer, StanzaError> {
    may_search(domain, request)?;
    let instructions = "Fill in the beginning of one word or more.";
    let form = Form::new(FormKind::Form, NS).with_title("Search for people", instructions);
    let field = |(var, label)| Field::new(FieldType::TextSingle, var).with_label(label);
    let form = LABELS.map(field).into_iter().fold(form, Form::with);
    let text = Element::new("instructions", NS).with_text(instructions);
    let plain = LABELS.map(|(var, _)| Element::new(var, NS));
    let query = Element::new("query", NS).with_child(text).with_children(plain);
    Ok(Answer::Result(query.with_child(form.to_element())))
}

/// §2.1, examples 3 to 5; §3, examples 8 and 9.
fn search(
    domain: &mut Domain,
    request: &Request,
    cx: &mut Context<'_, Domain>,
) -> Result<Answer, StanzaError> {
    let administration = may_search(domain, request)?;
    let by_form = request.payload.child("x", xmpp::ns::DATA_FORMS).is_some();
    let wanted = match by_form {
        true => match Form::submitted(&request.payload, NS)? {
            Some(form) => read(|var| Ok(form.text(var)?.map(str::to_owned)))?,
            None => return Ok(Answer::Done),
        },
        false => read(|var| Ok(request.payload.child(var, NS).map(Element::text)))?,
    };
    if wanted.is_empty() {
        let error = StanzaError::from(StanzaCondition::NotAcceptable);
        return Err(error.with_text("say what to look for"));
    }
    let (own, stanza) = (domain.jid.clone(), request.stanza.clone());
    cx.read(
        move |_, _| {
            Box::pin(async move { Ok(administration.accounts.search(&own, &wanted, MOST).await) })
        },
        move |_, cx, found| match found {
            Ok(Ok(found)) => cx.send(stanza.result(Some(&shown(&found, by_form)))),
            _ => cx.send_error(&stanza, StanzaCondition::InternalServerError),
        },
    );
    Ok(Answer::Later)
}

fn shown(found: &Found, as_form: bool) -> Element {
    let query = Element::new("query", NS);
    if !as_form {
        let item = |(jid, entry): &(BareJid, Entry)| {
            let words = entry.words().into_iter().filter(|(_, word)| !word.is_empty());
            Element::new("item", NS)
                .with_attr("jid", jid.as_str())
                .with_children(words.map(|(var, word)| Element::new(var, NS).with_text(word)))
        };
        return query.with_children(found.entries.iter().map(item));
    }
    let jid = |label| Field::new(FieldType::JidSingle, "jid").with_label(label);
    let column = |(var, label)| Field::new(FieldType::TextSingle, var).with_label(label);
    let value = |(var, word): (&'static str, &str)| Field {
        ty: None,
        ..Field::new(FieldType::TextSingle, var).with_value(word)
    };
    let row = |(own, entry): &(BareJid, Entry)| {
        let address = Field { ty: None, label: None, ..jid("").with_value(own.as_str()) };
        std::iter::once(address).chain(entry.words().map(value)).collect()
    };
    let table = Table {
        title: found.more.then(|| "There are more; say more of whom you look for".to_owned()),
        reported: std::iter::once(jid("Address")).chain(LABELS.map(column)).collect(),
        items: found.entries.iter().map(row).collect(),
    };
    let hidden = Form::new(FormKind::Result, NS).to_element();
    let hidden = hidden.children().cloned().collect::<Vec<_>>();
    query.with_child(table.to_element().with_children(hidden))
}

/// What an account says of itself; with nothing said it is not listed.
fn listing(_: &Domain) -> Form {
    let field = |(var, label)| Field::new(FieldType::TextSingle, var).with_label(label);
    let form = Form::new(FormKind::Form, LISTING).with_title(
        "Be found by others",
        "Say what others of this server may find you by. Leave all of it out to be found by nobody.",
    );
    LABELS.map(field).into_iter().fold(form, Form::with)
}

fn list(
    domain: &mut Domain,
    run: &Run,
    form: Option<&Form>,
    cx: &mut Context<'_, Domain>,
) -> Result<Outcome, StanzaError> {
    let form = form.ok_or(StanzaCondition::BadRequest)?;
    let entry = read(|var| Ok(form.text(var)?.map(str::to_owned)))?;
    let (administration, jid) = (Arc::clone(administration(domain)?), run.asker.bare());
    later(run, cx, async move {
        let listed = Some(&entry).filter(|entry| !entry.is_empty());
        administration.accounts.enter(&jid, listed).await.map_err(failed)?;
        let said = if listed.is_some() { "You can be found." } else { "You cannot be found." };
        Ok(Some(note(said)))
    })
}

fn read(
    word: impl Fn(&'static str) -> Result<Option<String>, StanzaError>,
) -> Result<Entry, StanzaError> {
    let word = |var| match word(var)?.unwrap_or_default() {
        long if long.chars().count() > WORD_MOST => {
            Err(StanzaError::from(StanzaCondition::NotAcceptable).with_text("a word is too long"))
        }
        word => Ok(word.trim().to_owned()),
    };
    Ok(Entry {
        first: word("first")?,
        last: word("last")?,
        nick: word("nick")?,
        email: word("email")?,
    })
}

fn failed(error: AccountError) -> StanzaError {
    tracing::error!(%error, "the directory could not be written");
    StanzaCondition::InternalServerError.into()
}
