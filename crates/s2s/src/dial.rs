//! Owns how a stream to another server comes about: find it, connect, negotiate. One attempt; what follows from a
//! failure, whoever asked decides.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls_pki_types::ServerName;
use stream::Parser;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::{TlsConnector, TlsStream};

use crate::config::Policy;
use crate::failure::Failure;
use crate::incoming::{Common, Question, Verdict};
use crate::outgoing::{Effect, Outgoing, Plan, Purpose};
use crate::posh::Shelf;
use crate::resolve::{ResolveError, Resolver, Seals, Target, ascii};
use crate::tls::{self, Certificates, Start};
use crate::trust::{Peer, Trusted};
use crate::wire::{self, Read, ReadError};
use xmpp::BareJid;

/// One address has this long to take a connection, so that others have their turn.
const CONNECT: Duration = Duration::from_secs(5);

/// Opens streams.
pub(crate) struct Dialer {
    pub(crate) common: Arc<Common>,
    pub(crate) resolver: Resolver,
    pub(crate) certificates: Certificates,
    pub(crate) trust: Arc<Trusted>,
    /// What domains have published.
    pub(crate) shelf: Shelf,
    /// For one attempt.
    pub(crate) patience: Duration,
}

/// A stream that stanzas may be sent on.
pub(crate) struct Opened {
    pub(crate) io: TlsStream<TcpStream>,
    pub(crate) parser: Parser,
    pub(crate) machine: Outgoing,
    /// Whether the other end acknowledges.
    pub(crate) managed: bool,
    /// What the other end has sent already.
    pub(crate) early: Vec<Effect>,
    /// How many stanzas of that came before it began to count.
    pub(crate) uncounted: usize,
    /// What its certificate says.
    pub(crate) peer: Peer,
    pub(crate) address: SocketAddr,
}

/// How far a negotiation came.
enum Reached {
    StartTls,
    Open { managed: bool, early: Vec<Effect>, uncounted: usize },
    Verdict(Verdict),
}

impl Dialer {
    /// A stream from a domain of ours.
    pub(crate) async fn open(&self, local: &BareJid, remote: &BareJid) -> Result<Opened, Failure> {
        let plan = self.plan(local, remote, Purpose::Deliver);
        match timeout(self.patience, self.attempt(plan)).await {
            Ok(Ok((Some(opened), _))) => Ok(opened),
            Ok(Ok(_)) => Err(Failure::Closed),
            Ok(Err(failure)) => Err(failure),
            Err(_) => Err(Failure::Silent),
        }
    }

    /// Asks the server of a domain about a key (XEP-0220 §2.1.2).
    pub(crate) async fn ask(&self, question: Question) -> Result<Verdict, Failure> {
        let (local, remote) = (question.local.clone(), question.remote.clone());
        let plan = self.plan(&local, &remote, Purpose::Ask(question));
        match timeout(self.patience, self.attempt(plan)).await {
            Ok(Ok((_, Some(verdict)))) => Ok(verdict),
            Ok(Ok(_)) => Err(Failure::Closed),
            Ok(Err(failure)) => Err(failure),
            Err(_) => Err(Failure::Silent),
        }
    }

    fn plan(&self, local: &BareJid, remote: &BareJid, purpose: Purpose) -> Plan {
        Plan {
            local: local.clone(),
            remote: remote.clone(),
            purpose,
            common: Arc::clone(&self.common),
        }
    }

    /// Tries every server of a domain until one can be spoken with.
    async fn attempt(&self, plan: Plan) -> Result<(Option<Opened>, Option<Verdict>), Failure> {
        if plan.policy() == Policy::Off {
            return Err(Failure::Policy);
        }
        let mut failure = Failure::Silent;
        for target in self.resolver.targets(plan.remote.as_str(), &mut random).await? {
            let (addresses, seals) = match self.resolver.reach(&target).await {
                Ok(reached) => reached,
                Err(error) => {
                    failure = error.into();
                    continue;
                }
            };
            for address in addresses {
                match self.speak(&plan, (&target, &seals), address).await {
                    Ok(done) => return Ok(done),
                    Err(final_one) if final_one.is_final() => return Err(final_one),
                    Err(other) => failure = other,
                }
            }
        }
        Err(failure)
    }

    async fn speak(
        &self,
        plan: &Plan,
        (target, seals): (&Target, &Seals),
        address: SocketAddr,
    ) -> Result<(Option<Opened>, Option<Verdict>), Failure> {
        let unreachable = |why: String| Failure::Connect(format!("{address}: {why}"));
        let mut tcp = match timeout(CONNECT, TcpStream::connect(address)).await {
            Ok(Ok(tcp)) => tcp,
            Ok(Err(error)) => return Err(unreachable(error.to_string())),
            Err(_) => return Err(unreachable("it does not answer".to_owned())),
        };
        wire::tune(&tcp).map_err(|error| unreachable(error.to_string()))?;
        let mut effects = Vec::new();
        let mut parser = wire::parser();
        let remote = plan.remote.as_str();
        let judge = async |io: &_| self.judge(&wire::chain(io), remote, (target, seals)).await;
        let (mut machine, mut io, peer) = if target.direct {
            let io = self.encrypt(tcp, plan, Start::Direct).await?;
            let peer = judge(&io).await;
            (Outgoing::begin(plan.clone(), Some(&peer), &mut effects), io, peer)
        } else {
            let mut machine = Outgoing::begin(plan.clone(), None, &mut effects);
            let begun = std::mem::take(&mut effects);
            negotiate(&mut tcp, &mut parser, &mut machine, begun).await?;
            let io = self.encrypt(tcp, plan, Start::Upgraded).await?;
            parser.reset();
            let peer = judge(&io).await;
            machine.tls_started(&peer, &mut effects);
            (machine, io, peer)
        };
        match negotiate(&mut io, &mut parser, &mut machine, effects).await? {
            Reached::Open { managed, early, uncounted } => {
                parser.set_limits(stream::Limits::AFTER_LOGIN);
                let opened =
                    Opened { io, parser, machine, managed, early, uncounted, peer, address };
                Ok((Some(opened), None))
            }
            Reached::Verdict(verdict) => Ok((None, Some(verdict))),
            Reached::StartTls => Err(Failure::Protocol("TLS twice")),
        }
    }

    async fn encrypt(
        &self,
        tcp: TcpStream,
        plan: &Plan,
        start: Start,
    ) -> Result<TlsStream<TcpStream>, Failure> {
        let failed = |error: &dyn std::fmt::Display| Failure::Tls(error.to_string());
        let config = tls::client(&self.certificates, plan.local.as_str(), start)
            .map_err(|error| failed(&error))?;
        let remote = plan.remote.as_str();
        let host = ascii(remote).unwrap_or_else(|| remote.trim_matches(['[', ']']).to_owned());
        let name = ServerName::try_from(host).map_err(|error| failed(&error))?;
        let connector = TlsConnector::from(Arc::new(config));
        let io = connector.connect(name, tcp).await.map_err(|error| failed(&error))?;
        Ok(TlsStream::Client(io))
    }
}

/// Does what the machine says until there is TLS, or nothing more to negotiate.
async fn negotiate<S: AsyncRead + AsyncWrite + Unpin>(
    io: &mut S,
    parser: &mut Parser,
    machine: &mut Outgoing,
    mut effects: Vec<Effect>,
) -> Result<Reached, Failure> {
    let mut early = Vec::new();
    loop {
        let (mut out, mut reached) = (Vec::new(), None);
        for effect in effects.drain(..) {
            match effect {
                Effect::Write(bytes) => out.extend_from_slice(&bytes),
                Effect::Restart => parser.reset(),
                Effect::StartTls => reached = Some(Ok(Reached::StartTls)),
                Effect::Open { managed } => {
                    let uncounted = early.len();
                    reached = Some(Ok(Reached::Open { managed, early: Vec::new(), uncounted }));
                }
                Effect::Stanza(_) | Effect::Refuse(..) => early.push(effect),
                Effect::Verdict(verdict) => reached = Some(Ok(Reached::Verdict(verdict))),
                Effect::Failed(failure) => reached = Some(Err(failure)),
                Effect::Ended => reached = Some(Err(Failure::Closed)),
                Effect::Handled(_) | Effect::Acknowledge | Effect::Another(..) => {}
            }
        }
        let written = wire::write(io, &out).await;
        if let Some(mut reached) = reached {
            if let Ok(Reached::Open { early: came, .. }) = &mut reached {
                *came = early;
            }
            return reached;
        }
        written.map_err(|error| Failure::Lost(error.to_string()))?;
        let mut events = Vec::new();
        let came = wire::read(io, parser, &mut events).await;
        for event in events {
            machine.handle(event, &mut effects);
        }
        match came {
            Ok(Read::Some(_)) => {}
            Ok(Read::End) if effects.is_empty() => return Err(Failure::Closed),
            Ok(Read::End) => {}
            Err(ReadError::Lost(error)) => return Err(Failure::Lost(error.to_string())),
            Err(ReadError::Xml(error)) => machine.break_off(error.condition, &mut effects),
        }
    }
}

/// A number below another one, that nobody can guess.
pub(crate) fn random(below: u32) -> u32 {
    let drawn = getrandom::u32().unwrap_or_default();
    drawn.checked_rem(below).unwrap_or(0)
}

impl From<ResolveError> for Failure {
    fn from(error: ResolveError) -> Self {
        match error {
            ResolveError::None(what) => Self::NotFound(what),
            ResolveError::Failed(what) => Self::Dns(what),
        }
    }
}
