//! Owns the tasks of a log-in by which a client brings verifiers that its account lacks (XEP-0480).

use std::sync::Arc;

use auth::upgrade::{self, Upgrade};
use auth::{Account, Failure, Mechanism, Offer};
use xmpp::Element;

use crate::signin::{Answer, Authenticator, PendingNegotiation, address};

const NS: &str = "urn:xmpp:scram-upgrade:0";

/// How far the tasks of a log-in are.
#[derive(Debug, Default)]
pub(crate) struct Tasks {
    /// What the client would do, the first one last.
    wanted: Vec<String>,
    /// Who it has proved to be, once it has.
    proved: Option<String>,
    now: Option<Upgrade>,
}

impl Tasks {
    /// What a client would do, in order.
    pub(crate) fn of(mut wanted: Vec<String>) -> Self {
        wanted.reverse();
        Self { wanted, ..Self::default() }
    }
}

/// The names of tasks for what a stream is offered: where nobody listens.
pub(crate) fn offered(offer: &Offer) -> Vec<String> {
    let of = |mechanism: &Mechanism| match mechanism {
        Mechanism::Scram(hash) => Some(upgrade::task(*hash)),
        _ => None,
    };
    match offer.is_secure() {
        true => offer.mechanisms().iter().filter_map(of).collect(),
        false => Vec::new(),
    }
}

impl Authenticator {
    /// The client has proved who it is: it is asked for the next verifier that it would bring and its account lacks, or
    /// told that it is in.
    pub(crate) async fn next_task(
        &self,
        mut pending: Box<PendingNegotiation>,
        username: String,
        additional: Option<Vec<u8>>,
    ) -> Answer {
        let offered = offered(pending.offer());
        while let Some(name) = pending.tasks.wanted.pop() {
            let lacks = |account: &Account| {
                upgrade::hash_of(&name).filter(|hash| account.credentials.lacks(*hash))
            };
            let hash = pending.account.as_ref().filter(|it| it.may_be_used()).and_then(lacks);
            let Some(hash) = hash.filter(|_| pending.knows_password() && offered.contains(&name))
            else {
                continue;
            };
            let mut salt = [0; 16];
            if getrandom::fill(&mut salt).is_err() {
                continue;
            }
            pending.tasks.now = Some(Upgrade::new(hash, salt, self.iterations()));
            pending.tasks.proved = Some(username);
            return Answer::Continue(pending, additional, name);
        }
        self.succeed(&pending, &username, additional).await
    }

    /// The client begins a task, or, with a text, does it.
    pub(crate) async fn task(
        self: Arc<Self>,
        pending: Box<PendingNegotiation>,
        hash: Option<String>,
    ) -> Answer {
        let label = pending.mechanism();
        let answer = self.step(pending, hash).await.unwrap_or_else(Answer::Failure);
        self.count(label, answer)
    }

    async fn step(
        &self,
        mut pending: Box<PendingNegotiation>,
        hash: Option<String>,
    ) -> Result<Answer, Failure> {
        let Some(hash) = hash else {
            let (salt, iterations) =
                pending.tasks.now.as_ref().ok_or(Failure::MalformedRequest)?.question();
            let salt = Element::new("salt", NS)
                .with_attr("iterations", iterations.to_string())
                .with_text(salt);
            return Ok(Answer::TaskData(pending, salt));
        };
        let tasks = &mut pending.tasks;
        let (upgrade, username) =
            tasks.now.take().zip(tasks.proved.take()).ok_or(Failure::MalformedRequest)?;
        let before = pending.account.clone().ok_or(Failure::NotAuthorized)?;
        let credentials = upgrade.take(&before.credentials, &hash)?;
        let after = Account { credentials, ..before.clone() };
        let jid = address(&username, pending.domain()).ok_or(Failure::NotAuthorized)?;
        if let Err(error) = self.accounts().upgrade(jid.clone(), before, after.clone()).await {
            tracing::warn!(%jid, %error, "an account was not given another verifier");
            return Err(Failure::TemporaryAuthFailure);
        }
        tracing::info!(%jid, "an account has another verifier");
        pending.account = Some(after);
        Ok(self.next_task(pending, username, None).await)
    }
}
