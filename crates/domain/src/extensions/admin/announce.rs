//! XEP-0133 §4.23: words to everybody who is there.

use std::sync::Arc;

use entity::Context;
use entity::command::{Outcome, Run};
use proto::{Body, Route};
use xmpp::forms::{Field, FieldType, Form};
use xmpp::{Element, Head, Kind, MessageType, Stanza, StanzaCondition, StanzaError};

use super::asks;
use crate::Domain;
use crate::extensions::commands::{administration, later};

/// What is announced.
pub(super) fn words(_: &Domain) -> Form {
    let field = Field::new(FieldType::TextMulti, "announcement").with_label("Announcement");
    asks("Making an announcement", "Say what everybody who is online is to read.")
        .with(field.required())
}

/// A message of type headline to each session: it is for those who are there, and nothing is kept of it.
pub(super) fn announce(
    domain: &mut Domain,
    run: &Run,
    form: Option<&Form>,
    cx: &mut Context<'_, Domain>,
) -> Result<Outcome, StanzaError> {
    let text = form.and_then(|form| form.lines("announcement")).filter(|text| !text.is_empty());
    let text = text.ok_or(StanzaCondition::BadRequest)?;
    let (administration, own) = (Arc::clone(administration(domain)?), domain.jid.clone());
    tracing::info!(jid = %run.asker.bare(), "makes an announcement");
    later(run, cx, async move {
        let content = [
            Element::new("subject", "").with_text("Announcement"),
            Element::new("body", "").with_text(text),
        ];
        let here = administration.sessions.list(None).await.sessions.into_iter();
        for session in here.filter(|it| it.jid.domainpart() == own.as_str()) {
            let head = Head {
                kind: Kind::Message(MessageType::Headline),
                id: None,
                from: Some(own.clone().into()),
                to: Some(session.jid.clone().into()),
                lang: None,
            };
            let message = Body::Stanza(Stanza::build(head, &content));
            administration.sessions.order(Route::User(session.id.account), message);
        }
        Ok(None)
    })
}
