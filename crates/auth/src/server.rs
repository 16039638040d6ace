//! One SASL negotiation, seen from the server (RFC 6120 §6.4): what a gate drives. It takes
//! decoded messages and answers with the next [`Step`]; it reads no store, waits for nothing and
//! knows no XML.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use crate::encoding::MAX_MESSAGE_BYTES;
use crate::guest;
use crate::identity::{self, Claim};
use crate::plain::{self, Password};
use crate::scram::keys::Keys;
use crate::scram::server::{Challenged, Named, ScramServer};
use crate::{Credentials, Failure, Mechanism, Offer};

/// Failed negotiations after which a gate closes the stream with policy-violation: RFC 6120 §6.4.5
/// wants at least 2 and no more than 5 retries.
pub const MAX_FAILURES_PER_CONNECTION: u32 = 5;

/// Random octets for the server's part of a nonce.
pub const NONCE_LEN: usize = 24;

/// What one negotiation needs to know.
#[derive(Clone)]
pub struct Context {
    /// The domain that the stream is for.
    pub domain: String,
    /// What the stream features offered.
    pub offer: Offer,
    /// Fresh random octets, used for this negotiation only (RFC 5802 §5.1).
    pub nonce: [u8; NONCE_LEN],
    /// The secret that decoys are made from: the same on every member and over restarts, at least
    /// 32 random octets.
    pub decoy_secret: Vec<u8>,
    /// The iterations that new credentials get, which decoys show.
    pub iterations: u32,
}

/// What the gate has to do next.
#[derive(Debug)]
pub enum Step {
    /// Send a challenge with these octets (perhaps none).
    Challenge(Vec<u8>),
    /// Look the account up, then call [`Negotiation::credentials`].
    NeedCredentials {
        /// The user name as the client gave it, decoded and prepared with SASLprep.
        username: String,
    },
    /// Look the account up, run [`PasswordCheck::verify`] where blocking is allowed, then call
    /// [`Negotiation::password_checked`].
    NeedPasswordCheck(PasswordCheck),
    /// The user is who the client says.
    Success {
        /// The user name as in [`Step::NeedCredentials`].
        username: String,
        /// Additional data for `<success/>` (RFC 6120 §6.4.6).
        additional: Option<Vec<u8>>,
    },
    /// The negotiation is over. The client may start another.
    Failure(Failure),
}

/// A password to be checked; owns all it needs, so that it can go to a thread that may block.
#[derive(Debug)]
pub struct PasswordCheck {
    /// The user name as in [`Step::NeedCredentials`].
    pub username: String,
    /// The password as it was sent.
    pub password: Password,
    decoy: Credentials,
}

impl PasswordCheck {
    /// Whether the password is right; none stands for an account that does not exist, and takes
    /// as long to refuse. Takes some milliseconds.
    #[must_use]
    pub fn verify(&self, credentials: Option<&Credentials>) -> bool {
        let credentials = credentials.unwrap_or(&self.decoy);
        credentials.verify_password(self.password.expose())
    }
}

/// One negotiation. After [`Step::Success`] or [`Step::Failure`] every further call is a failure.
pub struct Negotiation {
    context: Context,
    state: State,
}

enum State {
    /// The client's first message is awaited.
    Chosen(Mechanism),
    /// The keys of the named user are awaited. The decoy is made for every user, known or not.
    Named { username: String, scram: Named, decoy: Keys },
    /// The client's proof is awaited.
    Challenged { username: String, scram: Challenged },
    /// The client has proved who it is; whether there is such an account is awaited.
    Proved { username: String },
    /// The result of the password check is awaited.
    Checking { username: String },
    /// Over.
    Done,
}

impl Negotiation {
    /// Begins with the client's choice and its initial response, decoded, if it sent one. A
    /// mechanism that is unknown or not offered is a failure.
    #[must_use]
    pub fn start(mechanism: &str, initial: Option<&[u8]>, context: Context) -> (Self, Step) {
        let chosen = context.offer.choose(mechanism);
        let mut negotiation = Self { context, state: State::Done };
        let step = match (chosen, initial) {
            (Err(failure), _) => Step::Failure(failure),
            // Nothing need be said (RFC 4505 §2), and XEP-0175 §4 has nothing said.
            (Ok(Mechanism::Anonymous), None) => {
                negotiation.anonymous(b"").unwrap_or_else(Step::Failure)
            }
            (Ok(mechanism), None) => {
                negotiation.state = State::Chosen(mechanism);
                Step::Challenge(Vec::new())
            }
            (Ok(mechanism), Some(message)) => {
                negotiation.state = State::Chosen(mechanism);
                negotiation.step(message)
            }
        };
        (negotiation, step)
    }

    /// Takes the client's next message, decoded. A message that is not awaited is
    /// [`Failure::MalformedRequest`] and ends the negotiation.
    pub fn step(&mut self, message: &[u8]) -> Step {
        if message.len() > MAX_MESSAGE_BYTES {
            self.state = State::Done;
            return Step::Failure(Failure::MalformedRequest);
        }
        let step = match std::mem::replace(&mut self.state, State::Done) {
            State::Chosen(Mechanism::External) => self.external(message),
            State::Chosen(Mechanism::Plain) => self.plain(message),
            State::Chosen(Mechanism::Anonymous) => self.anonymous(message),
            State::Chosen(Mechanism::Scram(hash)) => {
                self.scram(ScramServer { hash, plus: false }, message)
            }
            State::Chosen(Mechanism::ScramPlus(hash)) => {
                self.scram(ScramServer { hash, plus: true }, message)
            }
            State::Challenged { username, scram } => scram
                .client_final(message)
                .map(|signature| Step::Success { username, additional: Some(signature) }),
            State::Named { .. } | State::Proved { .. } | State::Checking { .. } | State::Done => {
                Err(Failure::MalformedRequest)
            }
        };
        step.unwrap_or_else(Step::Failure)
    }

    /// Goes on after [`Step::NeedCredentials`]; none stands for an account that does not exist,
    /// which the client cannot tell from a wrong password.
    pub fn credentials(&mut self, credentials: Option<&Credentials>) -> Step {
        match std::mem::replace(&mut self.state, State::Done) {
            State::Named { username, scram, decoy } => {
                let known = credentials.and_then(|credentials| credentials.keys(scram.hash()));
                let keys = known.unwrap_or(&decoy).clone();
                let nonce = STANDARD_NO_PAD.encode(self.context.nonce);
                let (scram, challenge) = scram.challenge(keys, &nonce);
                self.state = State::Challenged { username, scram };
                Step::Challenge(challenge)
            }
            State::Proved { username } if credentials.is_some() => {
                Step::Success { username, additional: None }
            }
            State::Proved { .. } => Step::Failure(Failure::NotAuthorized),
            _ => Step::Failure(Failure::TemporaryAuthFailure),
        }
    }

    /// Goes on after [`Step::NeedPasswordCheck`].
    pub fn password_checked(&mut self, outcome: bool) -> Step {
        match (std::mem::replace(&mut self.state, State::Done), outcome) {
            (State::Checking { username }, true) => Step::Success { username, additional: None },
            (State::Checking { .. }, false) => Step::Failure(Failure::NotAuthorized),
            _ => Step::Failure(Failure::TemporaryAuthFailure),
        }
    }

    /// Ends the negotiation at the client's wish (RFC 6120 §6.4.4).
    pub fn abort(&mut self) -> Step {
        self.state = State::Done;
        Step::Failure(Failure::Aborted)
    }

    /// The user whose proof the next [`Negotiation::step`] will judge: the moment to ask the
    /// throttle. For PLAIN that moment is [`Step::NeedPasswordCheck`].
    #[must_use]
    pub fn awaits_proof_of(&self) -> Option<&str> {
        match &self.state {
            State::Challenged { username, .. } => Some(username),
            _ => None,
        }
    }

    /// XEP-0178 §2: an address of the certificate at this domain; which one, the client must say where there are several.
    fn external(&mut self, message: &[u8]) -> Result<Step, Failure> {
        let wanted = std::str::from_utf8(message).map_err(|_| Failure::MalformedRequest)?;
        let domain = &self.context.domain;
        let is_here = |address: &&String| {
            address.rsplit_once('@').is_some_and(|(_, of)| of.eq_ignore_ascii_case(domain))
        };
        let mut own = self.context.offer.addresses().iter().filter(is_here);
        let address = match wanted {
            "" => own.next().filter(|_| own.next().is_none()).ok_or(Failure::InvalidAuthzid)?,
            _ => {
                let asked = identity::account(wanted, domain);
                let is_asked =
                    |it: &&String| asked.is_some() && identity::account(it, domain) == asked;
                own.find(is_asked).ok_or(Failure::InvalidAuthzid)?
            }
        };
        let username = Claim { authcid: address, authzid: None }.admit(domain)?;
        self.state = State::Proved { username: username.clone() };
        Ok(Step::NeedCredentials { username })
    }

    /// RFC 4505 §2: what the client says of itself is looked at, and forgotten.
    fn anonymous(&self, message: &[u8]) -> Result<Step, Failure> {
        if !guest::is_trace(message) {
            return Err(Failure::MalformedRequest);
        }
        let random = self.context.nonce.first_chunk().expect("a nonce is longer than a name");
        Ok(Step::Success { username: guest::name(*random), additional: None })
    }

    fn plain(&mut self, message: &[u8]) -> Result<Step, Failure> {
        let (claim, password) = plain::parse(message)?;
        let username = claim.admit(&self.context.domain)?;
        let Context { decoy_secret, iterations, .. } = &self.context;
        let decoy = Credentials::decoy(decoy_secret, &self.account(&username), *iterations);
        self.state = State::Checking { username: username.clone() };
        Ok(Step::NeedPasswordCheck(PasswordCheck { username, password, decoy }))
    }

    fn scram(&mut self, server: ScramServer, message: &[u8]) -> Result<Step, Failure> {
        let scram = server.client_first(message, &self.context.offer)?;
        let username = scram.claim().admit(&self.context.domain)?;
        let Context { decoy_secret, iterations, .. } = &self.context;
        let account = self.account(&username);
        let decoy = Keys::decoy(scram.hash(), decoy_secret, &account, *iterations);
        self.state = State::Named { username: username.clone(), scram, decoy };
        Ok(Step::NeedCredentials { username })
    }

    /// The spelling under which decoys are made, so that two spellings of a user who does not
    /// exist show one salt, as those of a user who does.
    fn account(&self, username: &str) -> String {
        identity::account(username, &self.context.domain).unwrap_or_else(|| username.to_owned())
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Context({}, {:?})", self.domain, self.offer)
    }
}

impl fmt::Debug for Negotiation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.state {
            State::Chosen(_) => "Negotiation(chosen)",
            State::Named { .. } => "Negotiation(named)",
            State::Challenged { .. } => "Negotiation(challenged)",
            State::Proved { .. } => "Negotiation(proved)",
            State::Checking { .. } => "Negotiation(checking)",
            State::Done => "Negotiation(done)",
        })
    }
}

#[cfg(test)]
mod tests;
