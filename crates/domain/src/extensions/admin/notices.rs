//! XEP-0133 §4.24 to §4.28: what the domain tells each of its people once.

use std::sync::Arc;

use accounts::notice::{Notice, Occasion, TEXT_MOST};
use entity::Context;
use entity::command::{Outcome, Run};
use xmpp::command::Stage;
use xmpp::forms::{Field, FieldType, Form};
use xmpp::{StanzaCondition, StanzaError};

use super::{asks, refused};
use crate::Domain;
use crate::extensions::commands::{administration, answer_later, later};

pub(super) fn day(_: &Domain) -> Form {
    asks("Setting the message of the day", "Say what everybody is told, once, when they come.")
        .with(words("motd", "Message of the day"))
}

pub(super) fn welcome(_: &Domain) -> Form {
    asks("Setting the welcome", "Say what whoever has registered is told when they first come.")
        .with(words("welcome", "Welcome"))
}

fn words(var: &'static str, label: &'static str) -> Field {
    Field::new(FieldType::TextMulti, var).with_label(label).required()
}

/// §4.24: from now on another one, which nobody has heard.
pub(super) fn set_day(
    domain: &mut Domain,
    run: &Run,
    form: Option<&Form>,
    cx: &mut Context<'_, Domain>,
) -> Result<Outcome, StanzaError> {
    let text = text(form, "motd")?;
    let notice = Notice { text, number: cx.now.unix_micros };
    announce(domain, run, Occasion::Day, Some(notice), cx)
}

/// §4.25: first the words as they are, then as they shall be. Who has heard it does not hear it again.
pub(super) fn edit_day(
    domain: &mut Domain,
    run: &Run,
    form: Option<&Form>,
    cx: &mut Context<'_, Domain>,
) -> Result<Outcome, StanzaError> {
    let text = form.map(|form| text(Some(form), "motd")).transpose()?;
    let (administration, own) = (Arc::clone(administration(domain)?), domain.jid.clone());
    let again = run.clone();
    answer_later(run, cx, async move {
        let told = administration.accounts.notices(&own).await.map_err(refused)?;
        let before = told.day.ok_or(StanzaCondition::ItemNotFound)?;
        let Some(text) = text else {
            let lines = before.text.lines().map(str::to_owned);
            let form = asks("Editing the message of the day", "Change what is told from now on.")
                .with(words("motd", "Message of the day").with_values(lines));
            return Ok(again.executing(Stage::Only, &form));
        };
        let after = Notice { text, ..before };
        let kept = administration.accounts.announce(&own, Occasion::Day, Some(&after)).await;
        kept.map_err(refused)?;
        Ok(again.completed(None))
    })
}

/// §4.26
pub(super) fn delete_day(
    domain: &mut Domain,
    run: &Run,
    _: Option<&Form>,
    cx: &mut Context<'_, Domain>,
) -> Result<Outcome, StanzaError> {
    announce(domain, run, Occasion::Day, None, cx)
}

/// §4.27
pub(super) fn set_welcome(
    domain: &mut Domain,
    run: &Run,
    form: Option<&Form>,
    cx: &mut Context<'_, Domain>,
) -> Result<Outcome, StanzaError> {
    let notice = Notice { text: text(form, "welcome")?, number: cx.now.unix_micros };
    announce(domain, run, Occasion::Welcome, Some(notice), cx)
}

/// §4.28
pub(super) fn delete_welcome(
    domain: &mut Domain,
    run: &Run,
    _: Option<&Form>,
    cx: &mut Context<'_, Domain>,
) -> Result<Outcome, StanzaError> {
    announce(domain, run, Occasion::Welcome, None, cx)
}

fn announce(
    domain: &Domain,
    run: &Run,
    occasion: Occasion,
    notice: Option<Notice>,
    cx: &mut Context<'_, Domain>,
) -> Result<Outcome, StanzaError> {
    let (administration, own) = (Arc::clone(administration(domain)?), domain.jid.clone());
    tracing::info!(jid = %run.asker.bare(), "changes what the domain tells its people");
    later(run, cx, async move {
        let kept = administration.accounts.announce(&own, occasion, notice.as_ref()).await;
        kept.map_err(refused)?;
        Ok(None)
    })
}

fn text(form: Option<&Form>, var: &'static str) -> Result<String, StanzaError> {
    let text = form.and_then(|form| form.lines(var)).filter(|text| !text.trim().is_empty());
    let text = text.ok_or(StanzaCondition::BadRequest)?;
    match text.len() <= TEXT_MOST {
        true => Ok(text),
        false => {
            Err(StanzaError::from(StanzaCondition::NotAcceptable).with_text("this is too long"))
        }
    }
}
