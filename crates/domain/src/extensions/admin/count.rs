//! XEP-0133 §4.13 to §4.22: how many accounts there are, and which.

use std::collections::BTreeSet;
use std::sync::Arc;

use accounts::{AccountError, Administration};
use entity::Context;
use entity::command::{Outcome, Run};
use xmpp::forms::{Field, FieldType, Form};
use xmpp::{BareJid, StanzaCondition, StanzaError};

use super::{asks, refused, tells};
use crate::Domain;
use crate::extensions::commands::{administration, later};

/// Accounts that are looked at together.
const PAGE: usize = 1_000;
/// The most that one answer lists, whatever is asked for; behind which one to go on can be said.
const LIST_MOST: usize = 1_000;
/// What can be asked for (example 56).
const CHOICES: [&str; 6] = ["25", "50", "75", "100", "150", "200"];

/// Which accounts.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    Registered,
    Disabled,
    Online,
    /// Online, and some client of theirs is looked at (XEP-0352).
    Active,
    /// Online, and none is.
    Idle,
}

impl Which {
    /// The fields of the number and of the list, with words for people.
    fn fields(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Registered => ("registeredusersnum", "registereduserjids", "Registered users"),
            Self::Disabled => ("disabledusersnum", "disableduserjids", "Disabled users"),
            Self::Online => ("onlineusersnum", "onlineuserjids", "Online users"),
            Self::Active => ("activeusersnum", "activeuserjids", "Active users"),
            Self::Idle => ("idleusersnum", "idleuserjids", "Idle users"),
        }
    }
}

/// How many to list. Where the list goes on, the last address is given back as `after`: a field beside those of the
/// XEP, as §4.18 allows.
pub(super) fn how_many(_: &Domain) -> Form {
    let most = Field::new(FieldType::ListSingle, "max_items").with_label("At most so many");
    let most = CHOICES.into_iter().fold(most, |field, choice| field.with_option(choice, choice));
    let after = Field::new(FieldType::JidSingle, "after").with_label("Behind this one");
    asks("Asking for users", "Say how many to list.")
        .with(most.with_option("None", "none"))
        .with(after)
}

/// How many there are.
pub(super) fn number(
    domain: &Domain,
    run: &Run,
    which: Which,
    cx: &mut Context<'_, Domain>,
) -> Result<Outcome, StanzaError> {
    let (administration, own) = (Arc::clone(administration(domain)?), domain.jid.clone());
    later(run, cx, async move {
        let (mut count, mut after) = (0, None);
        loop {
            let found =
                find(&administration, &own, which, after.take(), PAGE).await.map_err(refused)?;
            count += found.len();
            if found.len() < PAGE {
                break;
            }
            after = found.into_iter().next_back();
        }
        let (var, _, label) = which.fields();
        let field = Field::new(FieldType::TextSingle, var).with_label(label);
        Ok(Some(tells().with(field.with_value(count.to_string())).to_element()))
    })
}

/// Which there are.
pub(super) fn list(
    domain: &Domain,
    run: &Run,
    (which, form): (Which, Option<&Form>),
    cx: &mut Context<'_, Domain>,
) -> Result<Outcome, StanzaError> {
    let form = form.ok_or(StanzaCondition::BadRequest)?;
    let most = match form.text("max_items")? {
        None | Some("none") => LIST_MOST,
        Some(number) => number.parse().map_err(|_| StanzaCondition::NotAcceptable)?,
    };
    let after = form.jid("after")?.map(|jid| jid.bare());
    let (administration, own) = (Arc::clone(administration(domain)?), domain.jid.clone());
    later(run, cx, async move {
        let most = most.clamp(1, LIST_MOST);
        let found = find(&administration, &own, which, after, most).await.map_err(refused)?;
        let (_, var, label) = which.fields();
        let more = found.last().filter(|_| found.len() == most).map(ToString::to_string);
        let jids = found.iter().map(ToString::to_string);
        let field = Field::new(FieldType::JidMulti, var).with_label(label).with_values(jids);
        let more = Field::new(FieldType::JidSingle, "after").with_values(more);
        Ok(Some(tells().with(field).with(more).to_element()))
    })
}

/// Accounts of a domain behind one of them, in order, at most so many.
async fn find(
    administration: &Administration,
    domain: &BareJid,
    which: Which,
    mut after: Option<BareJid>,
    most: usize,
) -> Result<Vec<BareJid>, AccountError> {
    let is_own = |jid: &BareJid| jid.domainpart() == domain.as_str();
    if matches!(which, Which::Online | Which::Active | Which::Idle) {
        let here = administration.sessions.list(None).await.sessions;
        let active: BTreeSet<BareJid> =
            here.iter().filter(|it| !it.idle).map(|it| it.id.account.clone()).collect();
        let is_meant = |jid: &BareJid| match which {
            Which::Active => active.contains(jid),
            Which::Idle => !active.contains(jid),
            _ => true,
        };
        let here = here.into_iter().map(|session| session.id.account).filter(is_meant);
        let accounts: BTreeSet<BareJid> = here.collect();
        let behind = accounts.into_iter().filter(|jid| after.as_ref().is_none_or(|it| jid > it));
        return Ok(behind.filter(is_own).take(most).collect());
    }
    let mut found = Vec::new();
    while found.len() < most {
        let lines = administration.accounts.list(after.take(), PAGE).await?;
        let is_last = lines.len() < PAGE;
        after = lines.last().and_then(|line| BareJid::parse(&line.jid).ok());
        let wanted = lines.into_iter().filter(|line| which == Which::Registered || !line.enabled);
        found.extend(wanted.filter_map(|line| BareJid::parse(&line.jid).ok()).filter(is_own));
        if is_last {
            break;
        }
    }
    found.truncate(most);
    Ok(found)
}
