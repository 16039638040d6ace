//! Owns the administration interface: HTTP on a Unix socket that only the server's own user may open.
//! Everything that changes something is logged with who and what, never with a password.

use accounts::AccountError;
use accounts::administration::{EndError, Session};
use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};
use xmpp::BareJid;

use crate::serve::Shared;

/// A bound session, as a listing shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionRow {
    /// The full address.
    pub jid: String,
    /// The client's network address.
    pub address: String,
    /// Since when, in seconds since 1970-01-01 UTC.
    pub since: u64,
    /// Until when it waits to be resumed, in the same seconds, where it has no connection (XEP-0198).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<u64>,
    /// The member that holds its connection, or the session where it has none.
    pub member: String,
}

/// The sessions of all members.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionList {
    /// By address.
    pub sessions: Vec<SessionRow>,
    /// Members that did not answer: their sessions are missing.
    pub silent: Vec<String>,
}

/// A new account.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewAccount {
    /// The address.
    pub jid: String,
    /// The password.
    pub password: String,
}

/// A change of an account; what is absent stays.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Change {
    /// Another password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// Whether it may be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
}

/// What goes wrong, as it is answered.
#[derive(Debug, Serialize, Deserialize)]
pub struct Problem {
    /// One line, saying what to do.
    pub error: String,
}

#[derive(Deserialize)]
struct Page {
    after: Option<String>,
    limit: Option<usize>,
}

/// Most lines of one answer; more are asked for with `after`.
pub const PAGE: usize = 1_000;

pub(crate) fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/api/v1/accounts", web::get().to(list))
        .route("/api/v1/accounts", web::post().to(add))
        .route("/api/v1/accounts/{jid}", web::patch().to(change))
        .route("/api/v1/accounts/{jid}", web::delete().to(delete))
        .route("/api/v1/sessions", web::get().to(sessions))
        .route("/api/v1/sessions/{jid:.*}", web::delete().to(kick));
}

async fn list(shared: web::Data<Shared>, page: web::Query<Page>) -> HttpResponse {
    let after = match page
        .after
        .as_deref()
        .map(|after| shared.services.administration.accounts.address(after))
    {
        Some(Err(error)) => return problem(&error),
        after => after.and_then(Result::ok),
    };
    let limit = page.limit.unwrap_or(PAGE).min(PAGE);
    match shared.services.administration.accounts.list(after, limit).await {
        Ok(rows) => HttpResponse::Ok().json(rows),
        Err(error) => problem(&error),
    }
}

async fn add(shared: web::Data<Shared>, new: web::Json<NewAccount>) -> HttpResponse {
    let accounts = &shared.services.administration.accounts;
    let done = async {
        let jid = accounts.address(&new.jid)?;
        accounts.add(&jid, &new.password).await?;
        Ok(jid)
    };
    answer(done.await, "account added")
}

async fn change(
    shared: web::Data<Shared>,
    jid: web::Path<String>,
    change: web::Json<Change>,
) -> HttpResponse {
    let accounts = &shared.services.administration.accounts;
    let done = async {
        let jid = accounts.address(&jid)?;
        if let Some(password) = &change.password {
            accounts.set_password(&jid, password).await?;
        }
        if let Some(enabled) = change.enabled {
            accounts.set_enabled(&jid, enabled).await?;
        }
        Ok(jid)
    };
    answer(done.await, "account changed")
}

async fn delete(shared: web::Data<Shared>, jid: web::Path<String>) -> HttpResponse {
    let accounts = &shared.services.administration.accounts;
    let done = async {
        let jid = accounts.address(&jid)?;
        accounts.delete(&jid).await?;
        Ok(jid)
    };
    answer(done.await, "account deleted")
}

async fn sessions(shared: web::Data<Shared>) -> HttpResponse {
    let found = shared.services.administration.sessions.list(None).await;
    let row = |session: Session| SessionRow {
        jid: session.jid.to_string(),
        address: session.address,
        since: session.since,
        until: session.until,
        member: session.member,
    };
    let sessions = found.sessions.into_iter().map(row).collect();
    HttpResponse::Ok().json(SessionList { sessions, silent: found.silent })
}

/// Ends the sessions of an account, or the one of a full address.
async fn kick(shared: web::Data<Shared>, jid: web::Path<String>) -> HttpResponse {
    match shared.services.administration.end_sessions(&jid).await {
        Ok(_) => HttpResponse::NoContent().finish(),
        Err(error) => {
            let mut response = match error {
                EndError::Silent(_) => HttpResponse::ServiceUnavailable(),
                _ => HttpResponse::NotFound(),
            };
            response.json(Problem { error: error.to_string() })
        }
    }
}

fn answer(done: Result<BareJid, AccountError>, what: &'static str) -> HttpResponse {
    match done {
        Ok(jid) => {
            tracing::info!(%jid, "{what}");
            HttpResponse::NoContent().finish()
        }
        Err(error) => problem(&error),
    }
}

fn problem(error: &AccountError) -> HttpResponse {
    let mut response = match error {
        AccountError::Missing(_) => HttpResponse::NotFound(),
        AccountError::Exists(_) | AccountError::Busy(_) => HttpResponse::Conflict(),
        AccountError::Store(_)
        | AccountError::NoOwner(_)
        | AccountError::Leaving(_)
        | AccountError::Unreadable(_) => HttpResponse::ServiceUnavailable(),
        _ => HttpResponse::UnprocessableEntity(),
    };
    response.json(Problem { error: error.to_string() })
}
