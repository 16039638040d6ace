//! XEP-0133 §4.8 to §4.10: what is known of one account.

use std::sync::Arc;

use accounts::Administration;
use entity::Context;
use entity::command::{Outcome, Run};
use store::Kind;
use xmpp::forms::{Field, FieldType, Form};
use xmpp::{BareJid, StanzaCondition, StanzaError, datetime};

use super::{asks, refused, tells, whom};
use crate::Domain;
use crate::extensions::commands::{administration, later};

/// §4.8
pub(super) fn whose_roster(_: &Domain) -> Form {
    asks_whose("Looking at the roster of a user")
}

/// §4.9
pub(super) fn whose_login(_: &Domain) -> Form {
    asks_whose("Asking when a user was last there")
}

/// §4.10
pub(super) fn whose_statistics(_: &Domain) -> Form {
    let field = Field::new(FieldType::JidSingle, "accountjid").with_label("The address").required();
    asks("Asking for figures of a user", "Say which account.").with(field)
}

/// Several addresses could be asked for; a form of type result has room for what is known of one.
fn asks_whose(title: &str) -> Form {
    let field = Field::new(FieldType::JidMulti, "accountjids").with_label("The address").required();
    asks(title, "Say which account.").with(field)
}

pub(super) fn roster(
    domain: &mut Domain,
    run: &Run,
    form: Option<&Form>,
    cx: &mut Context<'_, Domain>,
) -> Result<Outcome, StanzaError> {
    let (jid, administration) = whose(domain, form)?;
    later(run, cx, async move {
        let rows = administration.rows(&jid, &[Kind::Roster]).await.map_err(refused)?;
        Ok(Some(named(&jid).to_element().with_child((administration.reading.roster)(&rows))))
    })
}

pub(super) fn last_login(
    domain: &mut Domain,
    run: &Run,
    form: Option<&Form>,
    cx: &mut Context<'_, Domain>,
) -> Result<Outcome, StanzaError> {
    let (jid, administration) = whose(domain, form)?;
    later(run, cx, async move {
        let rows = administration.rows(&jid, &[Kind::Setting]).await.map_err(refused)?;
        let here = administration.sessions.list(Some(jid.to_string())).await.sessions;
        let since = here.iter().map(|session| session.since).max();
        let last = since.or_else(|| (administration.reading.left)(&rows));
        let last = last.map(|seconds| datetime::format_seconds(seconds.saturating_mul(1_000_000)));
        let last = Field::new(FieldType::TextSingle, "lastlogin").with_values(last);
        Ok(Some(named(&jid).with(last).to_element()))
    })
}

pub(super) fn statistics(
    domain: &mut Domain,
    run: &Run,
    form: Option<&Form>,
    cx: &mut Context<'_, Domain>,
) -> Result<Outcome, StanzaError> {
    let (jid, administration) = whose(domain, form)?;
    later(run, cx, async move {
        let rows = administration.rows(&jid, &[Kind::Roster]).await.map_err(refused)?;
        let here = administration.sessions.list(Some(jid.to_string())).await.sessions;
        let many =
            |var, values: Vec<String>| Field::new(FieldType::TextMulti, var).with_values(values);
        let size = (administration.reading.roster)(&rows).children().count();
        let addresses = here.iter().map(|session| session.address.clone()).collect();
        let resources = here.iter().map(|session| session.jid.resource().to_owned()).collect();
        let form = tells()
            .with(many("ipaddresses", addresses))
            .with(Field::new(FieldType::TextSingle, "rostersize").with_value(size.to_string()))
            .with(many("onlineresources", resources));
        Ok(Some(form.to_element()))
    })
}

fn named(jid: &BareJid) -> Form {
    tells().with(Field::new(FieldType::JidMulti, "accountjids").with_value(jid.as_str()))
}

fn whose(
    domain: &Domain,
    form: Option<&Form>,
) -> Result<(BareJid, Arc<Administration>), StanzaError> {
    let administration = Arc::clone(administration(domain)?);
    match &whom(domain, form)?[..] {
        [jid] => Ok((jid.clone(), administration)),
        _ => {
            let error = StanzaError::from(StanzaCondition::NotAcceptable);
            Err(error.with_text("say one address at a time"))
        }
    }
}
