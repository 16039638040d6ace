//! Owns registration before log-in (XEP-0077 §3.1.1), with an invitation where the domain wants one (XEP-0445):
//! which request is answered how. Knows no stream: whoever has one keeps a [`Visit`] for it.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use auth::Account;
use proto::session::UserEvent;
use tokio::time::Instant;
use xmpp::{
    BareJid, Element, ErrorType, IqType, Jid, Kind, Stanza, StanzaCondition, StanzaError, ns,
};

use crate::accounts::{AccountError, Accounts};
use crate::form::{self, RegistrationRequest};
use crate::invitation::{Invitation, InviteError};
use crate::notice;
use crate::policy::{Admission, Policy};
use crate::rate::Rate;

/// Registers strangers. Shared by all streams.
pub struct Registrar {
    accounts: Accounts,
    policy: Policy,
    /// Which domains let whom register.
    admissions: BTreeMap<BareJid, Admission>,
    /// None where nothing is limited, for load tests.
    rate: Option<Mutex<Rate>>,
    started: Instant,
}

/// What a stream has come to.
#[derive(Clone, Debug, Default)]
pub struct Visit {
    /// The invitation that was shown, with its token. That it expires meanwhile does not matter (XEP-0445 §4).
    invitation: Option<(String, Invitation)>,
    /// An account was made.
    done: bool,
}

/// Who asks, and where.
#[derive(Clone, Debug)]
pub struct Stranger {
    /// Where the connection comes from.
    pub address: IpAddr,
    /// The domain of the stream.
    pub domain: BareJid,
}

impl Registrar {
    /// A registrar for these domains. `limits`: whether tries are counted.
    #[must_use]
    pub fn new(
        accounts: Accounts,
        policy: Policy,
        admissions: BTreeMap<BareJid, Admission>,
        limits: bool,
    ) -> Self {
        let rate = limits.then(|| Mutex::new(Rate::new(policy.per_minute)));
        Self { accounts, policy, admissions, rate, started: Instant::now() }
    }

    /// The domains at which anybody may register at all.
    pub fn domains(&self) -> impl Iterator<Item = &BareJid> {
        let open = self.admissions.iter().filter(|(_, it)| **it != Admission::Closed);
        open.map(|(domain, _)| domain)
    }

    /// Answers a request that came before log-in.
    pub async fn answer(
        self: Arc<Self>,
        mut visit: Visit,
        stranger: Stranger,
        request: Stanza,
    ) -> (Visit, Stanza) {
        let answer = self.judge(&mut visit, &stranger, &request).await;
        let answer = match answer {
            Ok(payload) => Some(request.result(payload.as_ref())),
            Err(error) => request.error(&error),
        };
        // A request always has an answer.
        (visit, answer.unwrap_or_else(|| request.result(None)))
    }

    async fn judge(
        &self,
        visit: &mut Visit,
        stranger: &Stranger,
        request: &Stanza,
    ) -> Result<Option<Element>, StanzaError> {
        let admission = self.admissions.get(&stranger.domain).copied().unwrap_or_default();
        if admission == Admission::Closed {
            return Err(StanzaCondition::ServiceUnavailable.into());
        }
        let mut children = request.children();
        let (Some(child), None) = (children.next(), children.next()) else {
            return Err(StanzaCondition::BadRequest.into());
        };
        let payload = child.parse().ok_or(StanzaCondition::BadRequest)?;
        match (request.kind(), payload.name(), payload.ns()) {
            (Kind::Iq(IqType::Set), "preauth", ns::PARS) => {
                self.show(visit, stranger, &payload).await.map(|()| None)
            }
            (Kind::Iq(IqType::Get), "query", ns::REGISTER) => {
                Ok(Some(form::asked(instructions(admission, visit))))
            }
            (Kind::Iq(IqType::Set), "query", ns::REGISTER) => {
                self.set(visit, stranger, admission, &payload).await.map(|()| None)
            }
            _ => Err(StanzaCondition::ServiceUnavailable.into()),
        }
    }

    /// XEP-0445 §4. A guess counts as a try.
    async fn show(
        &self,
        visit: &mut Visit,
        stranger: &Stranger,
        preauth: &Element,
    ) -> Result<(), StanzaError> {
        self.may_try(stranger)?;
        let token = preauth.attr("token").unwrap_or_default();
        let found = self.accounts.invitation(&stranger.domain, token).await.map_err(refused)?;
        let Some(invitation) = found.filter(|it| it.registers) else {
            tracing::info!(peer = %stranger.address, "an invitation was shown that is none");
            return Err(no_invitation());
        };
        visit.invitation = Some((token.to_owned(), invitation));
        Ok(())
    }

    async fn set(
        &self,
        visit: &mut Visit,
        stranger: &Stranger,
        admission: Admission,
        query: &Element,
    ) -> Result<(), StanzaError> {
        let (username, password) = match RegistrationRequest::read(query)? {
            RegistrationRequest::Set { username: Some(username), password: Some(password) } => {
                (username, password)
            }
            RegistrationRequest::Set { .. } => return Err(StanzaCondition::NotAcceptable.into()),
            RegistrationRequest::Cancel => return Ok(()),
            // §3.2, table 1: who is not known has no registration.
            RegistrationRequest::Remove => return Err(StanzaCondition::UnexpectedRequest.into()),
        };
        if visit.done {
            let error = StanzaError::from(StanzaCondition::NotAcceptable);
            return Err(error.with_text("you have registered; log in now"));
        }
        if admission == Admission::Invite && visit.invitation.is_none() {
            let error = StanzaError::from(StanzaCondition::NotAllowed);
            return Err(error.with_text("only who is invited can register here"));
        }
        let name = self.policy.name(&username)?;
        let promised = visit.invitation.as_ref().and_then(|(_, it)| it.name.as_deref());
        if promised.is_some_and(|promised| promised != name) {
            let error = StanzaError::from(StanzaCondition::NotAllowed);
            return Err(error.with_text("the invitation is for another name"));
        }
        self.policy.password(&name, &password)?;
        self.may_try(stranger)?;
        let jid = Jid::from_parts(Some(&name), stranger.domain.as_str(), None)
            .map_err(|_| StanzaCondition::JidMalformed)?
            .bare();
        self.register(visit, &jid, &password).await?;
        visit.done = true;
        tracing::info!(%jid, peer = %stranger.address, "an account was registered");
        Ok(())
    }

    /// A single-use token is used when the account is there, and not before (XEP-0445 §4).
    async fn register(
        &self,
        visit: &Visit,
        jid: &BareJid,
        password: &str,
    ) -> Result<(), StanzaError> {
        let (accounts, domain) = (&self.accounts, jid.domain());
        let token = visit.invitation.as_ref().map(|(token, _)| token.as_str());
        if accounts.is_promised(jid, token).await.map_err(refused)? {
            return Err(StanzaCondition::Conflict.into());
        }
        let claim = match token {
            Some(token) => {
                let claim = accounts.use_invitation(&domain, token).await.map_err(refused)?;
                Some(claim.ok_or_else(no_invitation)?)
            }
            None => None,
        };
        let made = match accounts.credentials(password).await {
            Ok(credentials) => {
                accounts.make(jid, &Account::new(credentials), vec![notice::newcomer(jid)]).await
            }
            Err(error) => Err(error),
        };
        if let Some(claim) = claim {
            let write = if made.is_ok() { claim.spend() } else { claim.release() };
            // What is not kept stays a claim for a while, and is free or used up then.
            accounts.settle_use(&domain, write).await.map_err(refused)?;
        }
        made.map_err(|error| refused(error.into()))?;
        if let Some((_, invitation)) = &visit.invitation {
            befriend(accounts, invitation, jid);
        }
        Ok(())
    }

    fn may_try(&self, stranger: &Stranger) -> Result<(), StanzaError> {
        let Some(rate) = &self.rate else { return Ok(()) };
        let mut rate = rate.lock().unwrap_or_else(PoisonError::into_inner);
        match rate.may_try(self.started.elapsed(), stranger.address) {
            true => Ok(()),
            false => Err(StanzaError::from(StanzaCondition::ResourceConstraint)
                .with_type(ErrorType::Wait)
                .with_text("too many tries from your address; wait a minute")),
        }
    }
}

/// XEP-0401 §5.3.2, §5.5: who invites and who is invited see each other.
fn befriend(accounts: &Accounts, invitation: &Invitation, invited: &BareJid) {
    let inviter = invitation.inviter.as_deref().filter(|_| invitation.befriends);
    let Some(inviter) = inviter.and_then(|inviter| BareJid::parse(inviter).ok()) else { return };
    accounts.tell(&inviter, UserEvent::Befriend(invited.clone()));
    accounts.tell(invited, UserEvent::Befriend(inviter));
}

fn instructions(admission: Admission, visit: &Visit) -> &'static str {
    match (admission, &visit.invitation) {
        (Admission::Invite, None) => {
            "Only who is invited can register here: open the invitation with your client."
        }
        _ => "Choose a name and a password.",
    }
}

fn no_invitation() -> StanzaError {
    StanzaError::from(StanzaCondition::ItemNotFound)
        .with_text("this invitation is unknown, used up or expired")
}

/// What a stranger is told; operators are told more.
fn refused(error: InviteError) -> StanzaError {
    let condition = match &error {
        InviteError::Account(AccountError::Exists(_) | AccountError::Busy(_)) => {
            StanzaCondition::Conflict
        }
        InviteError::Account(AccountError::Password) => StanzaCondition::NotAcceptable,
        InviteError::Account(AccountError::NoOwner(_)) => StanzaCondition::ResourceConstraint,
        InviteError::Store(store::Error::Full(_))
        | InviteError::Account(AccountError::Store(store::Error::Full(_))) => {
            StanzaCondition::ResourceConstraint
        }
        _ => {
            tracing::error!(%error, "an account could not be registered");
            StanzaCondition::InternalServerError
        }
    };
    condition.into()
}

#[cfg(test)]
mod tests;
