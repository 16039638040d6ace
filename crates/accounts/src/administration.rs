//! Owns what whoever runs a server may ask of it, on the command line, over HTTP and over XMPP alike: accounts,
//! sessions, invitations. Who may ask is known to whoever listens.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use meter::clock::unix_seconds;
use proto::session::UserEvent;
use proto::{Body, Route, SessionId};
use store::{Kind, Row};
use xmpp::{BareJid, Element, FullJid, StreamCondition, StreamError};

use crate::accounts::{AccountError, Accounts};
use crate::invitation::{Invitation, InviteError};
use crate::policy::{Admission, Policy};

/// What carries out an operator's commands. Shared by all threads.
#[derive(Clone)]
pub struct Administration {
    /// Accounts and invitations.
    pub accounts: Accounts,
    /// Sessions.
    pub sessions: Arc<dyn Sessions>,
    /// What is in rows of accounts.
    pub reading: Reading,
    /// Who is an administrator of which domain.
    pub admins: Arc<BTreeMap<BareJid, Vec<BareJid>>>,
    /// Who may register where.
    pub admissions: Arc<BTreeMap<BareJid, Admission>>,
    /// How long invitations hold, and whom people may invite.
    pub policy: Policy,
    /// Where pages about invitations are, by domain; none where HTTPS is closed.
    pub landing: Landing,
}

/// Where pages about invitations are, by domain.
pub type Landing = Arc<dyn Fn(&BareJid) -> Option<String> + Send + Sync>;

/// What is known of sessions, on all members.
pub trait Sessions: Send + Sync {
    /// The sessions of a full or bare address; all where none is named.
    fn list(&self, of: Option<String>) -> BoxFuture<'static, Seen>;

    /// Tells a session, or an account, something.
    fn order(&self, to: Route, body: Body);
}

/// Sessions of all members that have answered.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// By address.
    pub sessions: Vec<Session>,
    /// The names of members that have not.
    pub silent: Vec<String>,
}

/// A session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Which.
    pub id: SessionId,
    /// Its address.
    pub jid: FullJid,
    /// The client's network address.
    pub address: String,
    /// Since when, in seconds since 1970-01-01 UTC.
    pub since: u64,
    /// Its client has said that nobody looks at it (XEP-0352).
    pub idle: bool,
    /// Until when it waits to be resumed, in the same seconds, where it has no connection (XEP-0198).
    pub until: Option<u64>,
    /// The member that holds its connection, or the session where it has none.
    pub member: String,
}

/// Reads rows whose shape is known to whoever writes them.
#[derive(Clone, Copy)]
pub struct Reading {
    /// A roster, as its owner is shown it (RFC 6121 §2.1.4).
    pub roster: fn(&[Row]) -> Element,
    /// When the last client left, in seconds since 1970-01-01 UTC.
    pub left: fn(&[Row]) -> Option<u64>,
}

/// An invitation that was made.
#[derive(Clone, Debug)]
pub struct Made {
    /// The address that a client opens (RFC 5122).
    pub uri: String,
    /// The page that a browser opens.
    pub page: Option<String>,
    /// Until when, in seconds since 1970-01-01 UTC.
    pub expires: u64,
}

/// Why sessions cannot be ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EndError {
    /// There are none.
    #[error("nobody is logged in as {0}")]
    Nobody(String),
    /// Some may be unknown.
    #[error("{0} did not answer; try again")]
    Silent(String),
}

impl std::fmt::Debug for Administration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Administration").field("admins", &self.admins).finish_non_exhaustive()
    }
}

impl Administration {
    /// Whether somebody may administer a domain.
    #[must_use]
    pub fn is_admin(&self, domain: &BareJid, who: &BareJid) -> bool {
        self.admins.get(domain).is_some_and(|admins| admins.contains(who))
    }

    /// Ends the sessions of an account, or the one of a full address; says how many.
    ///
    /// # Errors
    /// There are none, or a member does not answer.
    pub async fn end_sessions(&self, of: &str) -> Result<usize, EndError> {
        let found = self.sessions.list(Some(of.to_owned())).await;
        if !found.silent.is_empty() {
            return Err(EndError::Silent(found.silent.join(", ")));
        }
        let Some(first) = found.sessions.first() else {
            return Err(EndError::Nobody(of.to_owned()));
        };
        for session in &found.sessions {
            let error = StreamError::from(StreamCondition::Reset);
            let end = UserEvent::End(error.with_text("ended by an administrator"));
            self.sessions.order(Route::Session(session.id.clone()), Body::User(end));
        }
        let (jid, count) = (&first.id.account, found.sessions.len());
        tracing::info!(%jid, "sessions ended by an administrator: {count}");
        Ok(count)
    }

    /// The rows of an account of these kinds.
    ///
    /// # Errors
    /// There is no such account.
    pub async fn rows(
        &self,
        jid: &BareJid,
        kinds: &'static [Kind],
    ) -> Result<Vec<Row>, AccountError> {
        self.accounts.is_enabled(jid).await?;
        let fence = self.accounts.fence(jid)?;
        Ok(self.accounts.store.load(fence, jid.clone(), kinds).await?)
    }

    /// An invitation as it holds here: nobody registers where nobody may, and it expires.
    #[must_use]
    pub fn invitation(&self, domain: &BareJid, inviter: Option<BareJid>) -> Invitation {
        let admission = self.admissions.get(domain).copied().unwrap_or_default();
        let may = inviter
            .as_ref()
            .is_none_or(|inviter| self.policy.people_invite || self.is_admin(domain, inviter));
        let (created, inviter_is_none) = (unix_seconds(), inviter.is_none());
        Invitation {
            domain: domain.to_string(),
            inviter: inviter.map(|jid| jid.to_string()),
            account: inviter_is_none,
            name: None,
            befriends: !inviter_is_none,
            registers: admission != Admission::Closed && may,
            uses: 1,
            created,
            expires: created + u64::from(self.policy.invitation_days) * 86_400,
        }
    }

    /// Keeps an invitation.
    ///
    /// # Errors
    /// As [`Accounts::invite`] has them.
    pub async fn invite(&self, invitation: &Invitation) -> Result<Made, InviteError> {
        let token = self.accounts.invite(invitation).await?;
        let domain = self.accounts.domain(&invitation.domain)?;
        let page = (self.landing)(&domain).map(|base| format!("{base}/invite/{token}"));
        let who = invitation.inviter.as_deref().unwrap_or("an operator");
        tracing::info!(jid = who, "made an invitation to {domain}");
        Ok(Made { uri: invitation.uri(&token), page, expires: invitation.expires })
    }
}
