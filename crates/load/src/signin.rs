//! What a client says from the opening of its stream until it is online (RFC 6120 §4-7, RFC 6121 §2-4).
//!
//! A plain machine: items of the stream in, bytes out. It knows no socket.

use crate::keys::Keys;
use crate::scan::{Item, attribute, holds, name};
use auth::scram::{Hash, ScramClient, ScramError};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use clap::ValueEnum;
use memchr::memchr;
use serde::Serialize;

/// How an account proves itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
pub enum Mechanism {
    /// RFC 4616.
    #[value(name = "PLAIN", alias = "plain")]
    #[serde(rename = "PLAIN")]
    Plain,
    /// RFC 5802.
    #[value(name = "SCRAM-SHA-1", alias = "scram-sha-1")]
    #[serde(rename = "SCRAM-SHA-1")]
    ScramSha1,
    /// RFC 7677.
    #[value(name = "SCRAM-SHA-256", alias = "scram-sha-256")]
    #[serde(rename = "SCRAM-SHA-256")]
    ScramSha256,
}

/// When TLS begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Security {
    /// Never.
    None,
    /// By STARTTLS inside the stream (RFC 6120 §5).
    Starttls,
    /// Before the stream (XEP-0368).
    Direct,
}

/// What every session does alike while it signs in.
#[derive(Clone, Debug)]
pub struct Manner {
    /// The domain of all accounts.
    pub domain: String,
    /// How they prove themselves.
    pub mechanism: Mechanism,
    /// Whether and how TLS begins.
    pub security: Security,
    /// Whether to fetch the roster and send presence, as a person's client does.
    pub presence: bool,
}

/// One sign-in under way.
#[derive(Debug)]
pub struct SignIn {
    user: String,
    /// Whether this session asks for stream management (XEP-0198 §3).
    management: bool,
    secured: bool,
    step: Step,
}

/// What a step works with.
#[derive(Debug)]
pub struct Context<'a> {
    /// How all sessions sign in.
    pub manner: &'a Manner,
    /// The keys of the one password.
    pub keys: &'a mut Keys,
    /// Where the client's bytes go.
    pub out: &'a mut Vec<u8>,
}

#[derive(Debug)]
enum Step {
    Features,
    Proceed,
    /// PLAIN has no exchange.
    Sasl(Option<Box<ScramClient>>),
    BindFeatures,
    Bind,
    Enable,
    Roster,
}

/// What the shell has to do after an item.
#[derive(Debug, PartialEq, Eq)]
pub enum Progress {
    /// Send what was written, if anything.
    Waits,
    /// Begin TLS, then call [`SignIn::open`] and read with a new scanner.
    StartTls,
    /// The stream begins anew: read it with a new scanner.
    Restart,
    /// Both sides count stanzas from here on (XEP-0198 §4); the roster request is the first of ours.
    Managed,
    /// Done; the last stanza written, if any, is the presence.
    Online,
}

/// Why a sign-in failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignInError {
    /// The server does not offer what the run asks for.
    #[error("{0} is not offered")]
    NotOffered(&'static str),
    /// The server answered with an error.
    #[error("refused: {0}")]
    Refused(String),
    /// The server's part of SCRAM is wrong.
    #[error(transparent)]
    Scram(#[from] ScramError),
}

const SASL: &str = "urn:ietf:params:xml:ns:xmpp-sasl";

impl SignIn {
    /// A sign-in of `user` (a localpart), with stream management or without.
    pub fn new(user: String, manner: &Manner, management: bool) -> SignIn {
        SignIn {
            user,
            management,
            secured: manner.security != Security::Starttls,
            step: Step::Features,
        }
    }

    /// Writes the opening tag of the stream.
    pub fn open(&self, manner: &Manner, out: &mut Vec<u8>) {
        let domain = &manner.domain;
        let opening = format!(
            "<?xml version='1.0'?><stream:stream to='{domain}' version='1.0' \
             xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"
        );
        out.extend_from_slice(opening.as_bytes());
    }

    /// Takes the next item of the stream.
    pub fn item(
        &mut self,
        item: Item,
        bytes: &[u8],
        context: Context<'_>,
    ) -> Result<Progress, SignInError> {
        match (item, name(bytes)) {
            (Item::Opening, _) => return Ok(Progress::Waits),
            (Item::Closing, _) => {
                return Err(SignInError::Refused("the stream was closed".to_owned()));
            }
            (_, b"stream:error" | b"failure" | b"failed") => return Err(refused(bytes)),
            (_, b"iq") if holds(bytes, b"<error") => return Err(refused(bytes)),
            _ => {}
        }
        match (&self.step, name(bytes)) {
            (Step::Features, b"stream:features") if self.secured => {
                self.authenticate(bytes, context)
            }
            (Step::Features, b"stream:features") => self.start_tls(bytes, context.out),
            (Step::Proceed, b"proceed") => {
                self.secured = true;
                self.step = Step::Features;
                Ok(Progress::StartTls)
            }
            (Step::Sasl(_), b"challenge") => self.respond(bytes, context),
            (Step::Sasl(exchange), b"success") => {
                if let Some(exchange) = exchange {
                    exchange.verify(&decoded(content(bytes)))?;
                }
                self.open(context.manner, context.out);
                self.step = Step::BindFeatures;
                Ok(Progress::Restart)
            }
            (Step::BindFeatures, b"stream:features") => self.bind(context.out),
            (Step::Bind, b"iq") => Ok(self.bound(context.manner, context.out)),
            (Step::Enable, b"enabled") => {
                self.ask_roster(context.out);
                Ok(Progress::Managed)
            }
            (Step::Roster, b"iq") if attribute(bytes, b"id") == Some(b"roster1") => {
                context.out.extend_from_slice(b"<presence/>");
                Ok(Progress::Online)
            }
            _ => Ok(Progress::Waits),
        }
    }

    fn start_tls(&mut self, features: &[u8], out: &mut Vec<u8>) -> Result<Progress, SignInError> {
        if !holds(features, b"<starttls") {
            return Err(SignInError::NotOffered("STARTTLS"));
        }
        out.extend_from_slice(b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
        self.step = Step::Proceed;
        Ok(Progress::Waits)
    }

    fn authenticate(
        &mut self,
        features: &[u8],
        context: Context<'_>,
    ) -> Result<Progress, SignInError> {
        let (offer, hash) = match context.manner.mechanism {
            Mechanism::Plain => ("PLAIN", None),
            Mechanism::ScramSha1 => ("SCRAM-SHA-1", Some(Hash::Sha1)),
            Mechanism::ScramSha256 => ("SCRAM-SHA-256", Some(Hash::Sha256)),
        };
        if !holds(features, format!(">{offer}<").as_bytes()) {
            return Err(SignInError::NotOffered(offer));
        }
        let (exchange, initial) = match hash {
            None => (None, context.keys.plain(&self.user)),
            Some(hash) => {
                let exchange = context.keys.start(hash, &self.user)?;
                let first = BASE64.encode(exchange.first());
                (Some(Box::new(exchange)), first)
            }
        };
        let auth = format!("<auth xmlns='{SASL}' mechanism='{offer}'>{initial}</auth>");
        context.out.extend_from_slice(auth.as_bytes());
        self.step = Step::Sasl(exchange);
        Ok(Progress::Waits)
    }

    fn respond(&mut self, challenge: &[u8], context: Context<'_>) -> Result<Progress, SignInError> {
        let Step::Sasl(Some(exchange)) = &mut self.step else {
            return Err(refused(challenge));
        };
        let answer = exchange.answer(&decoded(content(challenge)))?;
        context.keys.keep(&self.user, exchange);
        let response = format!("<response xmlns='{SASL}'>{}</response>", BASE64.encode(answer));
        context.out.extend_from_slice(response.as_bytes());
        Ok(Progress::Waits)
    }

    fn bind(&mut self, out: &mut Vec<u8>) -> Result<Progress, SignInError> {
        out.extend_from_slice(
            b"<iq type='set' id='bind1'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>\
              <resource>load</resource></bind></iq>",
        );
        self.step = Step::Bind;
        Ok(Progress::Waits)
    }

    fn bound(&mut self, manner: &Manner, out: &mut Vec<u8>) -> Progress {
        if self.management {
            out.extend_from_slice(b"<enable xmlns='urn:xmpp:sm:3'/>");
            self.step = Step::Enable;
            return Progress::Waits;
        }
        if manner.presence {
            self.ask_roster(out);
            return Progress::Waits;
        }
        Progress::Online
    }

    fn ask_roster(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(
            b"<iq type='get' id='roster1'><query xmlns='jabber:iq:roster'/></iq>",
        );
        self.step = Step::Roster;
    }
}

/// The text directly inside an element.
fn content(element: &[u8]) -> &[u8] {
    let from = memchr(b'>', element).map_or(element.len(), |at| at + 1);
    let rest = element.get(from..).unwrap_or_default();
    rest.get(..memchr(b'<', rest).unwrap_or(0)).unwrap_or_default()
}

/// What base64 says; nothing if it is malformed, which the exchange then refuses.
fn decoded(text: &[u8]) -> Vec<u8> {
    BASE64.decode(text.trim_ascii()).unwrap_or_default()
}

fn refused(element: &[u8]) -> SignInError {
    let shown = element.get(..300).unwrap_or(element);
    SignInError::Refused(String::from_utf8_lossy(shown).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manner(mechanism: Mechanism, security: Security) -> Manner {
        Manner { domain: "localhost".to_owned(), mechanism, security, presence: true }
    }

    /// Plays the server's items and gives each step's progress and what the client wrote.
    fn play(manner: &Manner, management: bool, items: &[&str]) -> Vec<(Progress, String)> {
        let mut keys = Keys::new("secret");
        let mut sign_in = SignIn::new("load1".to_owned(), manner, management);
        let step = |item: &&str| {
            let mut out = Vec::new();
            let context = Context { manner, keys: &mut keys, out: &mut out };
            let progress = sign_in.item(Item::Stanza, item.as_bytes(), context).unwrap();
            (progress, String::from_utf8(out).unwrap())
        };
        items.iter().map(step).collect()
    }

    const MECHANISMS: &str =
        "<stream:features><mechanisms><mechanism>PLAIN</mechanism></mechanisms></stream:features>";
    const BIND: &str = "<stream:features><bind/></stream:features>";

    #[test]
    fn a_managed_session_signs_in_step_by_step() {
        let said = play(
            &manner(Mechanism::Plain, Security::Starttls),
            true,
            &[
                "<stream:features><starttls/></stream:features>",
                "<proceed/>",
                MECHANISMS,
                "<success/>",
                BIND,
                "<iq type='result' id='bind1'/>",
                "<enabled/>",
                "<iq type='result' id='roster1'/>",
            ],
        );
        let begins: Vec<&str> =
            said.iter().map(|(_, out)| out.split([' ', '/']).next().unwrap()).collect();
        assert_eq!(
            begins,
            ["<starttls", "", "<auth", "<?xml", "<iq", "<enable", "<iq", "<presence"]
        );
        assert!(said[2].1.contains(">AGxvYWQxAHNlY3JldA==<"));
        use Progress::{Managed, Online, Restart, StartTls, Waits};
        let progress: Vec<Progress> = said.into_iter().map(|(progress, _)| progress).collect();
        assert_eq!(progress, [Waits, StartTls, Waits, Restart, Waits, Waits, Managed, Online]);
    }

    #[test]
    fn without_presence_the_session_is_online_once_bound() {
        let mut manner = manner(Mechanism::Plain, Security::None);
        manner.presence = false;
        let said = play(&manner, false, &[MECHANISMS, "<success/>", BIND, "<iq type='result'/>"]);
        assert_eq!(said[3], (Progress::Online, String::new()));
    }

    #[test]
    fn a_server_that_does_not_prove_itself_is_left() {
        let manner = manner(Mechanism::ScramSha1, Security::None);
        let mut keys = Keys::new("secret");
        let mut sign_in = SignIn::new("load1".to_owned(), &manner, false);
        let mut say = |item: &str| {
            let mut out = Vec::new();
            let context = Context { manner: &manner, keys: &mut keys, out: &mut out };
            let progress = sign_in.item(Item::Stanza, item.as_bytes(), context);
            let said = String::from_utf8(decoded(content(&out))).unwrap();
            (progress, said)
        };
        let offer = MECHANISMS.replace("PLAIN", "SCRAM-SHA-1");
        let (_, first) = say(&offer);
        let nonce = first.strip_prefix("n,,n=load1,r=").unwrap();
        let challenge = BASE64.encode(format!("r={nonce}more,s=QSXCR+Q6sek8bf92,i=4096"));
        let (_, last) = say(&format!("<challenge xmlns='{SASL}'>{challenge}</challenge>"));
        assert!(last.starts_with(&format!("c=biws,r={nonce}more,p=")), "{last}");
        let forged = BASE64.encode("v=rmF9pqV8S7suAoZWja4dJRkFsKQ=");
        let (progress, _) = say(&format!("<success>{forged}</success>"));
        assert!(matches!(progress, Err(SignInError::Scram(ScramError::Server))));
    }

    #[test]
    fn what_is_not_offered_or_refused_is_an_error() {
        let manner = manner(Mechanism::ScramSha1, Security::None);
        let mut keys = Keys::new("secret");
        for item in [MECHANISMS, "<failure><not-authorized/></failure>", "<stream:error/>"] {
            let context = Context { manner: &manner, keys: &mut keys, out: &mut Vec::new() };
            let mut sign_in = SignIn::new("load1".to_owned(), &manner, false);
            assert!(sign_in.item(Item::Stanza, item.as_bytes(), context).is_err());
        }
    }
}
