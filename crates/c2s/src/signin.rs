//! Owns signing in: drives one SASL negotiation after another (RFC 6120 §6.4) with accounts, throttle and
//! clock. Knows no XML and no socket.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use auth::token::{Attempt, TokenMechanism};
use auth::{Account, Context, Failure, Mechanism, Negotiation, Offer, PasswordCheck, Step};
use auth::{ChannelBinding, Terms, Throttle, Verdict};
use stream::Tokens;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use xmpp::{BareJid, Element, Jid};

use crate::accounts::Accounts;
use crate::config::{Config, ConfigError};
use crate::metrics::{self, Metrics};
use crate::tokens::{Given, TokenIssuer, Who};
use crate::upgrades::Tasks;

/// Addresses, and pairs of account and address, that the throttle remembers at least.
const THROTTLE_CAPACITY: usize = 16_384;
/// Passwords checked at a time; more wait. Each takes some milliseconds of a core.
const CHECKS_AT_A_TIME: usize = 4;

/// What all negotiations share.
pub(crate) struct Authenticator {
    accounts: Arc<dyn Accounts>,
    tokens: TokenIssuer,
    metrics: Arc<Metrics>,
    throttle: Mutex<Throttle>,
    /// Not in load tests.
    throttles: bool,
    checks: Semaphore,
    started: Instant,
    decoy_secret: Vec<u8>,
    iterations: u32,
    forbidden: Vec<Mechanism>,
    allow_plain_without_tls: bool,
    require_tls: bool,
    guests: Vec<BareJid>,
}

/// Who negotiates: what does not change over the attempts on one stream.
#[derive(Clone)]
pub(crate) struct ClientInfo {
    /// Where the connection comes from.
    pub(crate) address: IpAddr,
    /// The domain of the stream.
    pub(crate) domain: BareJid,
    /// What the stream was offered.
    pub(crate) offer: Offer,
    /// What it says of tokens; nothing where it logs in without the profile that has them.
    pub(crate) tokens: Tokens,
    /// The tasks that it would do (XEP-0480), the first one first.
    pub(crate) upgrades: Vec<String>,
}

/// A negotiation that waits for the client.
pub(crate) struct PendingNegotiation {
    client: ClientInfo,
    /// As the metrics name it.
    mechanism: &'static str,
    negotiation: Negotiation,
    /// The account that was found; none: it was not looked for yet, or is none.
    pub(crate) account: Option<Account>,
    /// What the client would do before it is in.
    pub(crate) tasks: Tasks,
}

impl PendingNegotiation {
    pub(crate) fn offer(&self) -> &Offer {
        &self.client.offer
    }

    pub(crate) fn domain(&self) -> &BareJid {
        &self.client.domain
    }

    pub(crate) fn mechanism(&self) -> &'static str {
        self.mechanism
    }

    /// Whether the client proves that it knows the password, and not something else.
    pub(crate) fn knows_password(&self) -> bool {
        self.mechanism.starts_with("SCRAM-") || self.mechanism == Mechanism::Plain.name()
    }
}

/// What the client is told next.
pub(crate) enum Answer {
    /// `<challenge/>` with these octets; the negotiation goes on.
    Challenge(Box<PendingNegotiation>, Vec<u8>),
    /// `<continue/>` with these octets and this task; the negotiation goes on.
    Continue(Box<PendingNegotiation>, Option<Vec<u8>>, String),
    /// `<task-data/>` with this; the negotiation goes on.
    TaskData(Box<PendingNegotiation>, Element),
    /// `<success/>`.
    Success {
        /// Who the client is.
        account: BareJid,
        /// The octets of the element, if any.
        additional: Option<Vec<u8>>,
        /// A token, for the next time.
        token: Option<Given>,
    },
    /// `<failure/>`. The client may try again.
    Failure(Failure),
}

impl Authenticator {
    /// `decoy_secret` is the same on every member and over restarts.
    ///
    /// # Errors
    /// A mechanism that does not exist.
    pub(crate) fn new(
        config: &Config,
        accounts: Arc<dyn Accounts>,
        decoy_secret: Vec<u8>,
        metrics: Arc<Metrics>,
    ) -> Result<Self, ConfigError> {
        let allowed = config.auth.allowed()?;
        // Whether there are guests, the domains say.
        let may = |known: &Mechanism| *known == Mechanism::Anonymous || allowed.contains(known);
        let forbidden = Mechanism::ALL.into_iter().filter(|known| !may(known));
        let tokens = TokenIssuer::new(Arc::clone(&accounts), &decoy_secret, config.auth.token_days);
        Ok(Self {
            accounts,
            tokens,
            metrics,
            throttle: Mutex::new(Throttle::new(THROTTLE_CAPACITY)),
            throttles: config.limits.enabled,
            checks: Semaphore::new(CHECKS_AT_A_TIME),
            started: Instant::now(),
            decoy_secret,
            iterations: config.auth.scram_iterations,
            forbidden: forbidden.collect(),
            allow_plain_without_tls: config.c2s.allow_plain_without_tls,
            require_tls: config.c2s.require_tls,
            guests: config.guests.clone(),
        })
    }

    /// What a stream is offered; nothing where TLS must come first. `bindings` are those of its TLS
    /// connection; none without TLS. `addresses` are those that the client's certificate has.
    pub(crate) fn offer(
        &self,
        bindings: Option<Vec<ChannelBinding>>,
        addresses: Vec<String>,
    ) -> Offer {
        let tls = bindings.is_some();
        let forbidden =
            if self.require_tls && !tls { Mechanism::ALL.to_vec() } else { self.forbidden.clone() };
        Offer::new(Terms {
            tls: tls || self.allow_plain_without_tls,
            plain: true,
            downgrade_hash: tls,
            bindings: bindings.unwrap_or_default(),
            forbidden,
            addresses,
            guests: !self.guests.is_empty(),
        })
    }

    /// Whether somebody who has logged in is a guest.
    pub(crate) fn is_guest(&self, jid: &BareJid) -> bool {
        let is_name = jid.localpart().is_some_and(auth::guest::is_name);
        is_name && self.guests.iter().any(|domain| domain.as_str() == jid.domainpart())
    }

    /// The mechanisms of tokens that a stream with this offer is offered.
    pub(crate) fn offered_tokens(&self, offer: &Offer) -> Vec<String> {
        self.tokens.offered(offer)
    }

    /// `<auth/>` with this text.
    pub(crate) async fn begin(
        self: Arc<Self>,
        mut client: ClientInfo,
        mechanism: String,
        initial: String,
    ) -> Answer {
        if !self.guests.contains(&client.domain) {
            client.offer = client.offer.without_guests();
        }
        let label = metrics::mechanism(&mechanism);
        if client.offer.mechanisms().is_empty() {
            return self.count(label, Answer::Failure(Failure::EncryptionRequired));
        }
        let initial = match auth::encoding::decode_initial(&initial) {
            Ok(initial) => initial,
            Err(failure) => return self.count(label, Answer::Failure(failure)),
        };
        if let Some(mechanism) = self.tokens.choose(&mechanism, &client.offer) {
            let judged = self.judge(&client, mechanism, &initial.unwrap_or_default()).await;
            return self.count(label, judged.unwrap_or_else(Answer::Failure));
        }
        let mut nonce = [0; auth::server::NONCE_LEN];
        if getrandom::fill(&mut nonce).is_err() {
            return self.count(label, Answer::Failure(Failure::TemporaryAuthFailure));
        }
        let context = Context {
            domain: client.domain.as_str().to_owned(),
            offer: client.offer.clone(),
            nonce,
            decoy_secret: self.decoy_secret.clone(),
            iterations: self.iterations,
        };
        let (negotiation, step) = Negotiation::start(&mechanism, initial.as_deref(), context);
        let tasks = Tasks::of(std::mem::take(&mut client.upgrades));
        let pending = Box::new(PendingNegotiation {
            client,
            mechanism: label,
            negotiation,
            account: None,
            tasks,
        });
        let answer = self.run(pending, step).await;
        self.count(label, answer)
    }

    /// `<response/>` with this text.
    pub(crate) async fn go_on(
        self: Arc<Self>,
        mut pending: Box<PendingNegotiation>,
        response: String,
    ) -> Answer {
        let message = match auth::encoding::decode(&response) {
            Ok(message) => message,
            Err(failure) => return self.count(pending.mechanism, Answer::Failure(failure)),
        };
        let label = pending.mechanism;
        let proved = pending.negotiation.awaits_proof_of().map(str::to_owned);
        let delay = proved.map_or(Ok(None), |username| self.try_now(&pending.client, &username));
        match delay {
            Ok(None) => {}
            Ok(Some(delay)) => tokio::time::sleep(delay).await,
            Err(failure) => return self.count(label, Answer::Failure(failure)),
        }
        let step = pending.negotiation.step(&message);
        let answer = self.run(pending, step).await;
        self.count(label, answer)
    }

    /// Goes on until the client is asked or told.
    async fn run(&self, mut pending: Box<PendingNegotiation>, mut step: Step) -> Answer {
        loop {
            let next = match step {
                Step::Challenge(data) => return Answer::Challenge(pending, data),
                Step::NeedCredentials { username } => self.look_up(&mut pending, &username).await,
                Step::NeedPasswordCheck(check) => self.check(&mut pending, check).await,
                Step::Success { username, additional } => {
                    return self.next_task(pending, username, additional).await;
                }
                Step::Failure(failure) => return Answer::Failure(failure),
            };
            match next {
                Ok(next) => step = next,
                Err(failure) => return Answer::Failure(failure),
            }
        }
    }

    async fn look_up(
        &self,
        pending: &mut PendingNegotiation,
        username: &str,
    ) -> Result<Step, Failure> {
        pending.account = self.account(&pending.client, username).await?;
        let credentials = pending.account.as_ref().map(|account| &account.credentials);
        Ok(pending.negotiation.credentials(credentials))
    }

    async fn check(
        &self,
        pending: &mut PendingNegotiation,
        check: PasswordCheck,
    ) -> Result<Step, Failure> {
        pending.account = self.account(&pending.client, &check.username).await?;
        // First the place, then the throttle: who waits for a place has not tried yet. Never closed.
        let acquire = || self.checks.acquire();
        let mut place = acquire().await.map_err(|_| Failure::TemporaryAuthFailure)?;
        if let Some(delay) = self.try_now(&pending.client, &check.username)? {
            drop(place);
            tokio::time::sleep(delay).await;
            place = acquire().await.map_err(|_| Failure::TemporaryAuthFailure)?;
        }
        let credentials = pending.account.as_ref().map(|account| account.credentials.clone());
        let verify = move || check.verify(credentials.as_ref());
        let right = tokio::task::spawn_blocking(verify).await;
        drop(place);
        Ok(pending.negotiation.password_checked(right.map_err(|_| Failure::TemporaryAuthFailure)?))
    }

    /// A token in place of a password: one message, one answer.
    async fn judge(
        &self,
        client: &ClientInfo,
        mechanism: TokenMechanism,
        message: &[u8],
    ) -> Result<Answer, Failure> {
        let attempt = Attempt::read(message, client.domain.as_str())?;
        if let Some(delay) = self.try_now(client, &attempt.username)? {
            tokio::time::sleep(delay).await;
        }
        let jid = address(&attempt.username, &client.domain).ok_or(Failure::NotAuthorized)?;
        let account = self.account(client, &attempt.username).await?;
        let (tokens, offer) = (&client.tokens, &client.offer);
        let who = Who { jid: &jid, account: account.as_ref(), tokens, offer };
        let (answer, token) = self.tokens.judge(who, &attempt, mechanism).await?;
        let key = throttle_key(&attempt.username, &client.domain);
        self.throttle().succeeded(client.address, &key);
        if !account.as_ref().is_some_and(Account::may_be_used) {
            return Err(Failure::AccountDisabled);
        }
        Ok(Answer::Success { account: jid, additional: Some(answer), token })
    }

    async fn account(
        &self,
        client: &ClientInfo,
        username: &str,
    ) -> Result<Option<Account>, Failure> {
        let Some(jid) = address(username, &client.domain) else { return Ok(None) };
        self.accounts.account(jid).await.map_err(|error| {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            tracing::error!(%error, "log-in failed: {}", cause.unwrap_or_default());
            Failure::TemporaryAuthFailure
        })
    }

    /// Asks the throttle, at the last moment before a proof is judged; answers how long to wait first.
    fn try_now(&self, client: &ClientInfo, username: &str) -> Result<Option<Duration>, Failure> {
        if !self.throttles {
            return Ok(None);
        }
        let key = throttle_key(username, &client.domain);
        let now = self.started.elapsed();
        let verdict = self.throttle().attempt(now, client.address, &key);
        if verdict != Verdict::Allow {
            self.metrics.logins_throttled.add_one();
        }
        match verdict {
            Verdict::Allow => Ok(None),
            Verdict::Delay(delay) => Ok(Some(delay)),
            Verdict::Refuse => Err(Failure::NotAuthorized),
        }
    }

    /// That an account may not be used is told to those alone who prove that it is theirs.
    pub(crate) async fn succeed(
        &self,
        pending: &PendingNegotiation,
        username: &str,
        additional: Option<Vec<u8>>,
    ) -> Answer {
        let ClientInfo { address: peer, domain, tokens, offer, .. } = &pending.client;
        self.throttle().succeeded(*peer, &throttle_key(username, domain));
        let Some(jid) = address(username, domain) else {
            return Answer::Failure(Failure::NotAuthorized);
        };
        if !pending.account.as_ref().is_none_or(Account::may_be_used) {
            return Answer::Failure(Failure::AccountDisabled);
        }
        let who = Who { jid: &jid, account: pending.account.as_ref(), tokens, offer };
        let token = self.tokens.give(who).await;
        Answer::Success { account: jid, additional, token }
    }

    pub(crate) fn accounts(&self) -> &dyn Accounts {
        &*self.accounts
    }

    /// Of new verifiers.
    pub(crate) fn iterations(&self) -> u32 {
        self.iterations
    }

    pub(crate) fn count(&self, mechanism: &str, answer: Answer) -> Answer {
        match &answer {
            Answer::Challenge(..) | Answer::Continue(..) | Answer::TaskData(..) => {}
            Answer::Success { .. } => self.metrics.logins.of(mechanism).add_one(),
            Answer::Failure(_) => self.metrics.logins_failed.of(mechanism).add_one(),
        }
        answer
    }

    fn throttle(&self) -> std::sync::MutexGuard<'_, Throttle> {
        self.throttle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The account that a user name means (RFC 6120 §6.3.8): its localpart, which clients write with the domain
/// at times. None for a name that no account can have.
pub(crate) fn address(username: &str, domain: &BareJid) -> Option<BareJid> {
    let localpart = match username.rsplit_once('@') {
        Some((localpart, of)) => {
            (BareJid::parse(of).as_ref() == Ok(domain)).then_some(localpart)?
        }
        None => username,
    };
    Some(Jid::from_parts(Some(localpart), domain.as_str(), None).ok()?.bare())
}

fn throttle_key(username: &str, domain: &BareJid) -> String {
    address(username, domain).map_or_else(|| username.to_owned(), |jid| jid.as_str().to_owned())
}

#[cfg(test)]
mod tests {
    use futures_util::future::BoxFuture;

    use super::*;
    use crate::LookupError;

    fn domain() -> BareJid {
        BareJid::parse("montague.example").unwrap()
    }

    struct Nobody;

    impl Accounts for Nobody {
        fn account(&self, _: BareJid) -> BoxFuture<'static, Result<Option<Account>, LookupError>> {
            Box::pin(async { Ok(None) })
        }
    }

    fn tries(config: &Config) -> Vec<Result<Option<Duration>, Failure>> {
        let (accounts, metrics) = (Arc::new(Nobody), Arc::default());
        let authenticator = Authenticator::new(config, accounts, vec![9; 32], metrics).unwrap();
        let address = IpAddr::from([192, 0, 2, 1]);
        let (offer, tokens) = (authenticator.offer(None, Vec::new()), Tokens::default());
        let client = ClientInfo { address, domain: domain(), offer, tokens, upgrades: Vec::new() };
        // Each name is new, so that no account is slowed down.
        (0..50).map(|number| authenticator.try_now(&client, &format!("user{number}"))).collect()
    }

    // XEP-0205 §4.3
    #[test]
    fn an_address_that_tries_too_often_is_refused() {
        let tries = tries(&Config::default());
        assert_eq!(tries.iter().position(Result::is_err), Some(30));
        assert_eq!(tries[30], Err(Failure::NotAuthorized));
    }

    #[test]
    fn a_load_test_may_try_as_often_as_it_likes() {
        let mut config = Config::default();
        config.limits.enabled = false;
        assert!(tries(&config).iter().all(|verdict| *verdict == Ok(None)));
    }

    #[test]
    fn a_user_name_is_the_localpart_with_or_without_the_domain() {
        let jid = |name: &str| address(name, &domain()).map(|jid| jid.as_str().to_owned());
        let romeo = Some("romeo@montague.example".to_owned());
        for name in ["romeo", "Romeo", "romeo@montague.example", "romeo@Montague.Example"] {
            assert_eq!(jid(name), romeo, "{name}");
        }
        for name in ["", "romeo@capulet.example", "romeo@", "@montague.example", "a b", "a/b"] {
            assert_eq!(jid(name), None, "{name}");
        }
    }
}
