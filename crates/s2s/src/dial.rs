//! Owns how a stream to another server comes about: find it, connect, negotiate. One attempt; what follows from a
//! failure, whoever asked decides.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls_pki_types::ServerName;
use stream::{Limits, Parser};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::{TlsConnector, TlsStream};

use crate::config::Policy;
use crate::failure::{Failure, Failures};
use crate::incoming::{Common, Question, Verdict};
use crate::outgoing::{Effect, Outgoing, Plan, Purpose};
use crate::pairs::PairId;
use crate::posh::PoshCache;
use crate::resolve::{ResolveError, Resolver, Target, TlsaRecords, ascii};
use crate::tls::{self, Certificates, Start};
use crate::trust::{Peer, Trusted};
use crate::wire::{self, Read, ReadError};

/// One address has this long to take a connection, so that others have their turn.
const CONNECT: Duration = Duration::from_secs(5);

/// Of the time for one attempt, what one address may take where others can be tried as well.
const SHARE: u32 = 3;

/// How often in a row servers may say that the domain is elsewhere.
const MOVES_MAX: usize = 3;

/// What an attempt was for.
enum Spoken {
    Opened(Box<Opened>),
    Verdict(Verdict),
}

/// Opens streams.
pub(crate) struct Dialer {
    pub(crate) common: Arc<Common>,
    pub(crate) resolver: Arc<Resolver>,
    pub(crate) certificates: Certificates,
    pub(crate) trust: Arc<Trusted>,
    /// What domains have published.
    pub(crate) cache: Arc<PoshCache>,
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
    /// What the other end has sent already; bounded by the machine.
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
    pub(crate) async fn open(&self, pair: &PairId) -> Result<Opened, Failure> {
        match self.attempt_in_time(pair, Purpose::Deliver).await? {
            Spoken::Opened(opened) => Ok(*opened),
            Spoken::Verdict(_) => Err(Failure::Closed),
        }
    }

    /// Asks the server of a domain about a key (XEP-0220 §2.1.2).
    pub(crate) async fn ask(&self, question: &Question) -> Result<Verdict, Failure> {
        match self.attempt_in_time(&question.pair, Purpose::Ask(question.clone())).await? {
            Spoken::Verdict(verdict) => Ok(verdict),
            Spoken::Opened(_) => Err(Failure::Closed),
        }
    }

    async fn attempt_in_time(&self, pair: &PairId, purpose: Purpose) -> Result<Spoken, Failure> {
        let plan = Plan { pair: pair.clone(), purpose, common: Arc::clone(&self.common) };
        timeout(self.patience, self.attempt(plan)).await.unwrap_or(Err(Failure::Silent))
    }

    /// Tries every server of a domain until one can be spoken with. Where none can, the failure that says most of why.
    async fn attempt(&self, plan: Plan) -> Result<Spoken, Failure> {
        if plan.policy() == Policy::Off {
            return Err(Failure::Policy);
        }
        let mut failures = Failures::default();
        let targets = self.resolver.targets(plan.pair.remote.as_str(), &mut random).await?;
        let mut targets = targets.into_iter().peekable();
        while let Some(target) = targets.next() {
            let (addresses, seals) = match self.resolver.reach(&target).await {
                Ok(reached) => reached,
                Err(error) => {
                    failures.note(error.into());
                    continue;
                }
            };
            let mut addresses = addresses.into_iter().peekable();
            while let Some(address) = addresses.next() {
                let is_last = targets.peek().is_none() && addresses.peek().is_none();
                let most = if is_last { self.patience } else { self.patience / SHARE };
                let spoken = timeout(most, self.speak(&plan, &target, &seals, address)).await;
                let spoken = match spoken.unwrap_or(Err(Failure::Silent)) {
                    Err(Failure::Moved(host)) => Box::pin(self.follow(&plan, host)).await,
                    spoken => spoken,
                };
                match spoken {
                    Ok(done) => return Ok(done),
                    Err(verdict) if verdict.is_verdict() => return Err(verdict),
                    Err(other) => failures.note(other),
                }
            }
        }
        Err(failures.most_telling())
    }

    /// Goes where a server of the domain says that it is instead (RFC 6120 §4.9.3.19), as if DNS had said so: private
    /// addresses are not connected to, and what is proved there must still be the domain.
    async fn follow(&self, plan: &Plan, mut host: String) -> Result<Spoken, Failure> {
        for _ in 0..MOVES_MAX {
            let target = Target::named(&host).ok_or_else(|| Failure::Moved(host.clone()))?;
            let (addresses, seals) = self.resolver.reach(&target).await?;
            let (mut failures, mut next) = (Failures::default(), None);
            for address in addresses {
                match self.speak(plan, &target, &seals, address).await {
                    Ok(done) => return Ok(done),
                    Err(verdict) if verdict.is_verdict() => return Err(verdict),
                    Err(Failure::Moved(to)) => {
                        next = Some(to);
                        break;
                    }
                    Err(other) => failures.note(other),
                }
            }
            host = next.ok_or_else(|| failures.most_telling())?;
        }
        Err(Failure::Moved(host))
    }

    async fn speak(
        &self,
        plan: &Plan,
        target: &Target,
        seals: &TlsaRecords,
        address: SocketAddr,
    ) -> Result<Spoken, Failure> {
        let unreachable = |why: String| Failure::Connect(format!("{address}: {why}"));
        let mut tcp = match timeout(CONNECT, TcpStream::connect(address)).await {
            Ok(Ok(tcp)) => tcp,
            Ok(Err(error)) => return Err(unreachable(error.to_string())),
            Err(_) => return Err(unreachable("it does not answer".to_owned())),
        };
        wire::tune(&tcp).map_err(|error| unreachable(error.to_string()))?;
        let mut effects = Vec::new();
        let mut parser = wire::parser();
        let remote = plan.pair.remote.as_str();
        let judge = async |io: &_| self.judge(&wire::chain(io), remote, target, seals).await;
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
                let opened =
                    Opened { io, parser, machine, managed, early, uncounted, peer, address };
                Ok(Spoken::Opened(Box::new(opened)))
            }
            Reached::Verdict(verdict) => Ok(Spoken::Verdict(verdict)),
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
        let config = tls::client(&self.certificates, plan.pair.local.as_str(), start)
            .map_err(|error| failed(&error))?;
        let remote = plan.pair.remote.as_str();
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
                Effect::LetIn => parser.set_limits(Limits::AFTER_LOGIN),
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
        written.map_err(|error| wire::lost(&error))?;
        let mut events = Vec::new();
        let came = wire::read(io, parser, &mut events).await;
        for event in events {
            machine.handle(event, &mut effects);
        }
        match came {
            Ok(Read::Some(_)) => {}
            Ok(Read::End) if effects.is_empty() => return Err(Failure::Closed),
            Ok(Read::End) => {}
            Err(ReadError::Lost(error)) => return Err(wire::lost(&error)),
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
