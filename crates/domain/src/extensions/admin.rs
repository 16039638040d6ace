//! XEP-0133 Service Administration, version 1.3.1: what administrators of a domain, as the configuration names them,
//! do over XMPP. The same is done on the command line, by the same code ([`accounts::Administration`]).
//!
//! | module | owns |
//! |---|---|
//! | `change` | accounts added, removed, disabled, enabled; sessions ended |
//! | `look` | what is known of one account |
//! | `count` | numbers and lists of accounts |
//! | `announce` | words to all who are there |
//! | `notices` | words to each, once |

mod announce;
mod change;
mod count;
mod look;
mod notices;

use accounts::AccountError;
use accounts::administration::EndError;
use entity::Extension;
use entity::command::{Command, Runs};
use xmpp::forms::{Field, FieldType, Form, FormKind};
use xmpp::{BareJid, StanzaCondition, StanzaError};

use count::{Which, how_many, list, number};

use super::commands::is_admin;
use crate::Domain;

/// Administration of the server.
pub const EXTENSION: Extension<Domain> = Extension {
    number: "0133",
    title: "Service Administration",
    version: "1.3.1",
    commands: COMMANDS,
    ..Extension::NONE
};

/// The `FORM_TYPE` of every form here (§8.2).
const ADMIN: &str = "http://jabber.org/protocol/admin";

const COMMANDS: &[Command<Domain>] = &[
    with("http://jabber.org/protocol/admin#add-user", "Add user", change::addition, change::add),
    with(
        "http://jabber.org/protocol/admin#delete-user",
        "Delete user",
        change::deletion,
        change::delete,
    ),
    with(
        "http://jabber.org/protocol/admin#disable-user",
        "Disable user",
        change::disabling,
        change::disable,
    ),
    with(
        "http://jabber.org/protocol/admin#reenable-user",
        "Re-enable user",
        change::enabling,
        change::enable,
    ),
    with(
        "http://jabber.org/protocol/admin#end-user-session",
        "End user session",
        change::ending,
        change::end,
    ),
    with(
        "http://jabber.org/protocol/admin#change-user-password",
        "Change user password",
        change::renewal,
        change::renew,
    ),
    with(
        "http://jabber.org/protocol/admin#get-user-roster",
        "Get user roster",
        look::whose_roster,
        look::roster,
    ),
    with(
        "http://jabber.org/protocol/admin#get-user-lastlogin",
        "Get user last login time",
        look::whose_login,
        look::last_login,
    ),
    with(
        "http://jabber.org/protocol/admin#user-stats",
        "Get user statistics",
        look::whose_statistics,
        look::statistics,
    ),
    alone(
        "http://jabber.org/protocol/admin#get-registered-users-num",
        "Get number of registered users",
        |domain, run, _, cx| number(domain, run, Which::Registered, cx),
    ),
    alone(
        "http://jabber.org/protocol/admin#get-disabled-users-num",
        "Get number of disabled users",
        |domain, run, _, cx| number(domain, run, Which::Disabled, cx),
    ),
    alone(
        "http://jabber.org/protocol/admin#get-online-users-num",
        "Get number of online users",
        |domain, run, _, cx| number(domain, run, Which::Online, cx),
    ),
    with(
        "http://jabber.org/protocol/admin#get-registered-users-list",
        "Get list of registered users",
        how_many,
        |domain, run, form, cx| list(domain, run, (Which::Registered, form), cx),
    ),
    with(
        "http://jabber.org/protocol/admin#get-disabled-users-list",
        "Get list of disabled users",
        how_many,
        |domain, run, form, cx| list(domain, run, (Which::Disabled, form), cx),
    ),
    with(
        "http://jabber.org/protocol/admin#get-online-users-list",
        "Get list of online users",
        how_many,
        |domain, run, form, cx| list(domain, run, (Which::Online, form), cx),
    ),
    with(
        "http://jabber.org/protocol/admin#announce",
        "Send announcement to online users",
        announce::words,
        announce::announce,
    ),
    with(
        "http://jabber.org/protocol/admin#set-motd",
        "Set message of the day",
        notices::day,
        notices::set_day,
    ),
    alone(
        "http://jabber.org/protocol/admin#edit-motd",
        "Edit message of the day",
        notices::edit_day,
    ),
    alone(
        "http://jabber.org/protocol/admin#delete-motd",
        "Delete message of the day",
        notices::delete_day,
    ),
    with(
        "http://jabber.org/protocol/admin#set-welcome",
        "Set welcome message",
        notices::welcome,
        notices::set_welcome,
    ),
    alone(
        "http://jabber.org/protocol/admin#delete-welcome",
        "Delete welcome message",
        notices::delete_welcome,
    ),
    alone(
        "http://jabber.org/protocol/admin#get-active-users-num",
        "Get number of active users",
        |domain, run, _, cx| number(domain, run, Which::Active, cx),
    ),
    alone(
        "http://jabber.org/protocol/admin#get-idle-users-num",
        "Get number of idle users",
        |domain, run, _, cx| number(domain, run, Which::Idle, cx),
    ),
    with(
        "http://jabber.org/protocol/admin#get-active-users",
        "Get list of active users",
        how_many,
        |domain, run, form, cx| list(domain, run, (Which::Active, form), cx),
    ),
    with(
        "http://jabber.org/protocol/admin#get-idle-users",
        "Get list of idle users",
        how_many,
        |domain, run, form, cx| list(domain, run, (Which::Idle, form), cx),
    ),
];

const fn with(
    node: &'static str,
    name: &'static str,
    form: fn(&Domain) -> Form,
    run: Runs<Domain>,
) -> Command<Domain> {
    Command { node, name, may: is_admin, form: Some(form), run, second: None }
}

const fn alone(node: &'static str, name: &'static str, run: Runs<Domain>) -> Command<Domain> {
    Command { node, name, may: is_admin, form: None, run, second: None }
}

/// A form to fill in.
fn asks(title: &str, instructions: &str) -> Form {
    Form::new(FormKind::Form, ADMIN).with_title(title, instructions)
}

/// A form that asks for one account, or for several.
fn asks_whom(title: &str) -> Form {
    let field = Field::new(FieldType::JidMulti, "accountjids").with_label("Addresses of accounts");
    asks(title, "Say which accounts.").with(field.required())
}

/// A form that tells.
fn tells() -> Form {
    Form::new(FormKind::Result, ADMIN)
}

/// The accounts of a filled-in form: none is an error, and so is one of another domain.
fn whom(domain: &Domain, form: Option<&Form>) -> Result<Vec<BareJid>, StanzaError> {
    let form = form.ok_or(StanzaCondition::BadRequest)?;
    let jids = match form.jids("accountjids")? {
        Some(jids) => jids,
        None => form.jid("accountjid")?.into_iter().collect(),
    };
    if jids.is_empty() {
        return Err(StanzaCondition::BadRequest.into());
    }
    jids.iter().map(|jid| of_domain(domain, &jid.bare())).collect()
}

/// An administrator of one domain is nobody at another.
fn of_domain(domain: &Domain, jid: &BareJid) -> Result<BareJid, StanzaError> {
    let is_own = jid.localpart().is_some() && jid.domainpart() == domain.jid.as_str();
    let foreign = || {
        let error = StanzaError::from(StanzaCondition::NotAllowed);
        error.with_text(format!("{jid} is no account of {}", domain.jid))
    };
    is_own.then(|| jid.clone()).ok_or_else(foreign)
}

/// §5
fn refused(error: AccountError) -> StanzaError {
    let condition = match &error {
        AccountError::Exists(_) | AccountError::Busy(_) => StanzaCondition::Conflict,
        AccountError::Missing(_) => StanzaCondition::ItemNotFound,
        AccountError::Address(_) | AccountError::Name(_) => StanzaCondition::JidMalformed,
        AccountError::Password => StanzaCondition::NotAcceptable,
        AccountError::NoOwner(_) | AccountError::Leaving(_) => StanzaCondition::ResourceConstraint,
        _ => {
            tracing::error!(%error, "an administrator's command failed");
            return StanzaCondition::InternalServerError.into();
        }
    };
    StanzaError::from(condition).with_text(error.to_string())
}

fn not_ended(error: &EndError) -> StanzaError {
    let condition = match error {
        EndError::Silent(_) => StanzaCondition::ResourceConstraint,
        _ => StanzaCondition::ItemNotFound,
    };
    StanzaError::from(condition).with_text(error.to_string())
}
