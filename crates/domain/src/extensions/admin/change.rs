//! XEP-0133 §4.1 to §4.5, §4.7: accounts are added, removed, disabled and enabled, get another password, and have
//! their sessions ended.

use std::future::Future;
use std::sync::Arc;

use accounts::{AccountError, Administration};
use entity::Context;
use entity::command::{Outcome, Run};
use xmpp::forms::{Field, FieldType, Form};
use xmpp::{BareJid, Jid, StanzaCondition, StanzaError};

use super::{asks, asks_whom, not_ended, of_domain, refused, whom};
use crate::Domain;
use crate::extensions::commands::{administration, later};

type Filled<'a> = Option<&'a Form>;

/// §4.1
pub(super) fn addition(_: &Domain) -> Form {
    let secret = |var, label| Field::new(FieldType::TextPrivate, var).with_label(label).required();
    asks("Adding a user", "Say the address and the password.")
        .with(address())
        .with(secret("password", "Password"))
        .with(secret("password-verify", "The password again"))
}

/// §4.2
pub(super) fn deletion(_: &Domain) -> Form {
    asks_whom("Deleting users with everything that is kept of them")
}

/// §4.3
pub(super) fn disabling(_: &Domain) -> Form {
    asks_whom("Disabling users")
}

/// §4.4
pub(super) fn enabling(_: &Domain) -> Form {
    asks_whom("Re-enabling users")
}

/// §4.5
pub(super) fn ending(_: &Domain) -> Form {
    asks_whom("Ending sessions of users, or those of full addresses")
}

/// §4.7
pub(super) fn renewal(_: &Domain) -> Form {
    let secret = Field::new(FieldType::TextPrivate, "password").with_label("The new password");
    asks("Changing the password of a user", "Say the address and the new password.")
        .with(address())
        .with(secret.required())
}

pub(super) fn add(
    domain: &mut Domain,
    run: &Run,
    form: Filled<'_>,
    cx: &mut Context<'_, Domain>,
) -> Result<Outcome, StanzaError> {
    let (jid, password) = named(domain, form)?;
    if form.and_then(|form| form.text("password-verify").ok().flatten()) != Some(&password) {
        let error = StanzaError::from(StanzaCondition::NotAcceptable);
        return Err(error.with_text("the two passwords differ"));
    }
    let administration = Arc::clone(administration(domain)?);
    note(run, &jid, "adds");
    later(run, cx, async move {
        administration.accounts.add(&jid, &password).await.map(|()| None).map_err(refused)
    })
}

pub(super) fn renew(
    domain: &mut Domain,
    run: &Run,
    form: Filled<'_>,
    cx: &mut Context<'_, Domain>,
) -> Result<Outcome, StanzaError> {
    let (jid, password) = named(domain, form)?;
    let administration = Arc::clone(administration(domain)?);
    note(run, &jid, "sets the password of");
    later(run, cx, async move {
        administration.accounts.set_password(&jid, &password).await.map(|()| None).map_err(refused)
    })
}

pub(super) fn delete(
    domain: &mut Domain,
    run: &Run,
    form: Filled<'_>,
    cx: &mut Context<'_, Domain>,
) -> Result<Outcome, StanzaError> {
    each(domain, (run, "removes"), form, cx, |administration, jid| async move {
        administration.accounts.delete(&jid).await
    })
}

pub(super) fn disable(
    domain: &mut Domain,
    run: &Run,
    form: Filled<'_>,
    cx: &mut Context<'_, Domain>,
) -> Result<Outcome, StanzaError> {
    each(domain, (run, "disables"), form, cx, |administration, jid| async move {
        administration.accounts.set_enabled(&jid, false).await
    })
}

pub(super) fn enable(
    domain: &mut Domain,
    run: &Run,
    form: Filled<'_>,
    cx: &mut Context<'_, Domain>,
) -> Result<Outcome, StanzaError> {
    each(domain, (run, "enables"), form, cx, |administration, jid| async move {
        administration.accounts.set_enabled(&jid, true).await
    })
}

/// A full address means one session, a bare one all of its account.
pub(super) fn end(
    domain: &mut Domain,
    run: &Run,
    form: Filled<'_>,
    cx: &mut Context<'_, Domain>,
) -> Result<Outcome, StanzaError> {
    whom(domain, form)?;
    let jids: Vec<Jid> =
        form.map_or(Ok(None), |form| form.jids("accountjids"))?.unwrap_or_default();
    let administration = Arc::clone(administration(domain)?);
    later(run, cx, async move {
        for jid in jids {
            administration.end_sessions(jid.as_str()).await.map_err(|error| not_ended(&error))?;
        }
        Ok(None)
    })
}

/// Does the same to each account, up to the first that it cannot be done to.
fn each<F: Future<Output = Result<(), AccountError>> + Send + 'static>(
    domain: &Domain,
    (run, what): (&Run, &str),
    form: Filled<'_>,
    cx: &mut Context<'_, Domain>,
    act: fn(Arc<Administration>, BareJid) -> F,
) -> Result<Outcome, StanzaError> {
    let jids = whom(domain, form)?;
    let administration = Arc::clone(administration(domain)?);
    jids.iter().for_each(|jid| note(run, jid, what));
    later(run, cx, async move {
        for jid in jids {
            act(Arc::clone(&administration), jid).await.map_err(refused)?;
        }
        Ok(None)
    })
}

/// Administration leaves a trace: who did what to whom.
fn note(run: &Run, jid: &BareJid, what: &str) {
    tracing::info!(%jid, "{} {what} this account", run.asker.bare());
}

fn address() -> Field {
    Field::new(FieldType::JidSingle, "accountjid")
        .with_label("The address of the account")
        .required()
}

fn named(domain: &Domain, form: Filled<'_>) -> Result<(BareJid, String), StanzaError> {
    let form = form.ok_or(StanzaCondition::BadRequest)?;
    let jid = form.jid("accountjid")?.ok_or(StanzaCondition::BadRequest)?;
    let password = form.text("password")?.ok_or(StanzaCondition::BadRequest)?;
    Ok((of_domain(domain, &jid.bare())?, password.to_owned()))
}
