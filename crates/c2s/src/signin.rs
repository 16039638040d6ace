//! Owns signing in: drives one SASL negotiation after another (RFC 6120 §6.4) with accounts, throttle and
//! clock. Knows no XML and no socket.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use auth::{Account, Context, Failure, Mechanism, Negotiation, Offer, PasswordCheck, Step};
use auth::{ChannelBinding, Terms, Throttle, Verdict};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use xmpp::{BareJid, Jid};

use crate::accounts::Accounts;
use crate::config::{Config, ConfigError};
use crate::metrics::{self, Metrics};

/// Addresses, and pairs of account and address, that the throttle remembers at least.
const THROTTLE_CAPACITY: usize = 16_384;
/// Passwords checked at a time; more wait. Each takes some milliseconds of a core.
const CHECKS_AT_A_TIME: usize = 4;

/// What all negotiations share.
pub(crate) struct Desk {
    accounts: Arc<dyn Accounts>,
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
}

/// Who negotiates: what does not change over the attempts on one stream.
#[derive(Clone)]
pub(crate) struct Caller {
    /// Where the connection comes from.
    pub(crate) address: IpAddr,
    /// The domain of the stream.
    pub(crate) domain: BareJid,
    /// What the stream was offered.
    pub(crate) offer: Offer,
}

/// A negotiation that waits for the client.
pub(crate) struct Talk {
    caller: Caller,
    /// As the metrics name it.
    mechanism: &'static str,
    negotiation: Negotiation,
    /// False once an account was found that must not be used.
    enabled: bool,
}

/// What the client is told next.
pub(crate) enum Answer {
    /// `<challenge/>` with these octets; the talk goes on.
    Challenge(Box<Talk>, Vec<u8>),
    /// `<success/>`.
    Success {
        /// Who the client is.
        account: BareJid,
        /// The octets of the element, if any.
        additional: Option<Vec<u8>>,
    },
    /// `<failure/>`. The client may try again.
    Failure(Failure),
}

impl Desk {
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
        let forbidden = Mechanism::ALL.into_iter().filter(|known| !allowed.contains(known));
        Ok(Self {
            accounts,
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
        })
    }

    /// What a stream is offered; nothing where TLS must come first. `bindings` are those of its TLS
    /// connection; none without TLS.
    pub(crate) fn offer(&self, bindings: Option<Vec<ChannelBinding>>) -> Offer {
        let tls = bindings.is_some();
        let forbidden =
            if self.require_tls && !tls { Mechanism::ALL.to_vec() } else { self.forbidden.clone() };
        Offer::new(Terms {
            tls: tls || self.allow_plain_without_tls,
            plain: true,
            downgrade_hash: tls,
            bindings: bindings.unwrap_or_default(),
            forbidden,
        })
    }

    /// `<auth/>` with this text.
    pub(crate) async fn begin(
        self: Arc<Self>,
        caller: Caller,
        mechanism: String,
        initial: String,
    ) -> Answer {
        let label = metrics::mechanism(&mechanism);
        if caller.offer.mechanisms().is_empty() {
            return self.count(label, Answer::Failure(Failure::EncryptionRequired));
        }
        let initial = match auth::encoding::decode_initial(&initial) {
            Ok(initial) => initial,
            Err(failure) => return self.count(label, Answer::Failure(failure)),
        };
        let mut nonce = [0; auth::server::NONCE_LEN];
        if getrandom::fill(&mut nonce).is_err() {
            return self.count(label, Answer::Failure(Failure::TemporaryAuthFailure));
        }
        let context = Context {
            domain: caller.domain.as_str().to_owned(),
            offer: caller.offer.clone(),
            nonce,
            decoy_secret: self.decoy_secret.clone(),
            iterations: self.iterations,
        };
        let (negotiation, step) = Negotiation::start(&mechanism, initial.as_deref(), context);
        let talk = Box::new(Talk { caller, mechanism: label, negotiation, enabled: true });
        let answer = self.run(talk, step).await;
        self.count(label, answer)
    }

    /// `<response/>` with this text.
    pub(crate) async fn go_on(self: Arc<Self>, mut talk: Box<Talk>, response: String) -> Answer {
        let message = match auth::encoding::decode(&response) {
            Ok(message) => message,
            Err(failure) => return self.count(talk.mechanism, Answer::Failure(failure)),
        };
        let label = talk.mechanism;
        let proved = talk.negotiation.awaits_proof_of().map(str::to_owned);
        let delay = proved.map_or(Ok(None), |username| self.try_now(&talk.caller, &username));
        match delay {
            Ok(None) => {}
            Ok(Some(delay)) => tokio::time::sleep(delay).await,
            Err(failure) => return self.count(label, Answer::Failure(failure)),
        }
        let step = talk.negotiation.step(&message);
        let answer = self.run(talk, step).await;
        self.count(label, answer)
    }

    /// Goes on until the client is asked or told.
    async fn run(&self, mut talk: Box<Talk>, mut step: Step) -> Answer {
        loop {
            let next = match step {
                Step::Challenge(data) => return Answer::Challenge(talk, data),
                Step::NeedCredentials { username } => self.look_up(&mut talk, &username).await,
                Step::NeedPasswordCheck(check) => self.check(&mut talk, check).await,
                Step::Success { username, additional } => {
                    return self.succeed(&talk, &username, additional);
                }
                Step::Failure(failure) => return Answer::Failure(failure),
            };
            match next {
                Ok(next) => step = next,
                Err(failure) => return Answer::Failure(failure),
            }
        }
    }

    async fn look_up(&self, talk: &mut Talk, username: &str) -> Result<Step, Failure> {
        let account = self.account(talk, username).await?;
        Ok(talk.negotiation.credentials(account.as_ref().map(|account| &account.credentials)))
    }

    async fn check(&self, talk: &mut Talk, check: PasswordCheck) -> Result<Step, Failure> {
        let account = self.account(talk, &check.username).await?;
        // First the place, then the throttle: who waits for a place has not tried yet. Never closed.
        let acquire = || self.checks.acquire();
        let mut place = acquire().await.map_err(|_| Failure::TemporaryAuthFailure)?;
        if let Some(delay) = self.try_now(&talk.caller, &check.username)? {
            drop(place);
            tokio::time::sleep(delay).await;
            place = acquire().await.map_err(|_| Failure::TemporaryAuthFailure)?;
        }
        let verify = move || check.verify(account.as_ref().map(|account| &account.credentials));
        let right = tokio::task::spawn_blocking(verify).await;
        drop(place);
        Ok(talk.negotiation.password_checked(right.map_err(|_| Failure::TemporaryAuthFailure)?))
    }

    /// That an account may not be used is told to those alone who prove that it is theirs.
    async fn account(&self, talk: &mut Talk, username: &str) -> Result<Option<Account>, Failure> {
        let Some(jid) = address(username, &talk.caller.domain) else { return Ok(None) };
        let account = self.accounts.account(jid).await.map_err(|error| {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            tracing::error!(%error, "log-in failed: {}", cause.unwrap_or_default());
            Failure::TemporaryAuthFailure
        })?;
        talk.enabled = account.as_ref().is_none_or(Account::may_be_used);
        Ok(account)
    }

    /// Asks the throttle, at the last moment before a proof is judged; answers how long to wait first.
    fn try_now(&self, caller: &Caller, username: &str) -> Result<Option<Duration>, Failure> {
        if !self.throttles {
            return Ok(None);
        }
        let key = throttle_key(username, &caller.domain);
        let now = self.started.elapsed();
        let verdict = self.throttle().attempt(now, caller.address, &key);
        if verdict != Verdict::Allow {
            self.metrics.logins_throttled.add_one();
        }
        match verdict {
            Verdict::Allow => Ok(None),
            Verdict::Delay(delay) => Ok(Some(delay)),
            Verdict::Refuse => Err(Failure::NotAuthorized),
        }
    }

    fn succeed(&self, talk: &Talk, username: &str, additional: Option<Vec<u8>>) -> Answer {
        let Caller { address: peer, domain, .. } = &talk.caller;
        self.throttle().succeeded(*peer, &throttle_key(username, domain));
        let Some(account) = address(username, domain) else {
            return Answer::Failure(Failure::NotAuthorized);
        };
        if !talk.enabled {
            return Answer::Failure(Failure::AccountDisabled);
        }
        Answer::Success { account, additional }
    }

    fn count(&self, mechanism: &str, answer: Answer) -> Answer {
        match &answer {
            Answer::Challenge(..) => {}
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
fn address(username: &str, domain: &BareJid) -> Option<BareJid> {
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
        let desk = Desk::new(config, accounts, vec![9; 32], metrics).unwrap();
        let address = IpAddr::from([192, 0, 2, 1]);
        let caller = Caller { address, domain: domain(), offer: desk.offer(None) };
        // Each name is new, so that no account is slowed down.
        (0..50).map(|number| desk.try_now(&caller, &format!("user{number}"))).collect()
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
