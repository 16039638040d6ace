//! XEP-0401 Ad-hoc Account Invitation Generation, version 0.6.0: people invite contacts, administrators make
//! accounts that others name.

use std::sync::Arc;

use accounts::administration::Made;
use accounts::invitation::InviteError;
use accounts::{AccountError, Invitation};
use entity::command::{Command, Outcome, Run};
use entity::{Context, Extension};
use xmpp::forms::{Field, FieldType, Form, FormKind};
use xmpp::{Element, Jid, StanzaCondition, StanzaError, datetime};

use super::commands::{administration, is_admin, later};
use crate::Domain;

/// Invitations.
pub const EXTENSION: Extension<Domain> = Extension {
    number: "0401",
    title: "Ad-hoc Account Invitation Generation",
    version: "0.6.0",
    commands: &[
        Command {
            node: INVITE,
            name: "Invite a contact",
            may: is_local,
            form: None,
            run: invite,
            second: None,
        },
        Command {
            node: CREATE,
            name: "Create an account",
            may: is_admin,
            form: Some(creation),
            run: create,
            second: None,
        },
    ],
    ..Extension::NONE
};

const INVITE: &str = "urn:xmpp:invite#invite";
const CREATE: &str = "urn:xmpp:invite#create-account";
const RESULT: &str = "urn:xmpp:invite#invitation";

/// Whoever has an account here.
fn is_local(domain: &Domain, asker: &Jid) -> bool {
    domain.shared.administration.is_some()
        && asker.localpart().is_some()
        && asker.domainpart() == domain.jid.as_str()
}

/// §5.1
fn invite(
    domain: &mut Domain,
    run: &Run,
    _: Option<&Form>,
    cx: &mut Context<'_, Domain>,
) -> Result<Outcome, StanzaError> {
    let invitation = administration(domain)?.invitation(&domain.jid, Some(run.asker.bare()));
    make(domain, run, invitation, cx)
}

/// §5.4, example 6
fn creation(_: &Domain) -> Form {
    let name = Field::new(FieldType::TextSingle, "username").with_label("Name");
    Form::new(FormKind::Form, CREATE)
        .with_title("An account for somebody else", "Leave the name out to let them choose it.")
        .with(name)
        .with(Field::boolean("roster-subscription", false).with_label("Becomes a contact of yours"))
}

/// §5.4
fn create(
    domain: &mut Domain,
    run: &Run,
    form: Option<&Form>,
    cx: &mut Context<'_, Domain>,
) -> Result<Outcome, StanzaError> {
    let administration = administration(domain)?;
    let form = form.ok_or(StanzaCondition::BadRequest)?;
    let name = form.text("username")?.filter(|name| !name.is_empty());
    let name = name.map(|name| administration.policy.name(name)).transpose()?;
    let befriends = form.boolean("roster-subscription")?.unwrap_or(false);
    let invitation = administration.invitation(&domain.jid, Some(run.asker.bare()));
    if !invitation.registers {
        let error = StanzaError::from(StanzaCondition::NotAllowed);
        return Err(
            error.with_text("nobody may register here: see registration in the configuration")
        );
    }
    make(domain, run, Invitation { name, befriends, account: true, ..invitation }, cx)
}

fn make(
    domain: &Domain,
    run: &Run,
    invitation: Invitation,
    cx: &mut Context<'_, Domain>,
) -> Result<Outcome, StanzaError> {
    let administration = Arc::clone(administration(domain)?);
    later(run, cx, async move {
        let made = administration.invite(&invitation).await;
        made.map(|made| Some(told(&made))).map_err(refused)
    })
}

/// §5.1, example 4
fn told(made: &Made) -> Element {
    let field = |var, value: &str| Field::new(FieldType::TextSingle, var).with_value(value);
    let expire = datetime::format(made.expires.saturating_mul(1_000_000));
    let form = Form::new(FormKind::Result, RESULT).with(field("uri", &made.uri));
    let form = made.page.iter().fold(form, |form, page| form.with(field("landing-url", page)));
    form.with(field("expire", &expire)).to_element()
}

fn refused(error: InviteError) -> StanzaError {
    let condition = match &error {
        InviteError::Taken(_) => StanzaCondition::Conflict,
        InviteError::TooMany(_) => StanzaCondition::ResourceConstraint,
        InviteError::Account(AccountError::NoOwner(_)) => StanzaCondition::ResourceConstraint,
        _ => {
            tracing::error!(%error, "no invitation could be made");
            return StanzaCondition::InternalServerError.into();
        }
    };
    StanzaError::from(condition).with_text(error.to_string())
}
