//! Owns what operators see of federation and may do about it.

use std::sync::Arc;
use std::time::Duration;

use crate::guests::{Entry, Guests};
use crate::pairs::{Pair, Pairs, Standing};
use crate::past::Fault;
use crate::posh::PoshCache;
use crate::resolve::Resolver;

/// A stream to another server, or what keeps it from being one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboundRow {
    /// The domain of ours.
    pub local: String,
    /// The other server's.
    pub remote: String,
    /// Which lane, where there are several.
    pub lane: Option<u8>,
    /// `idle`, `connecting`, `open`, `open, acknowledged`, `open, on a shared stream`, `failed`.
    pub state: &'static str,
    /// Where it leads.
    pub address: Option<String>,
    /// Stanzas that wait.
    pub waiting: usize,
    /// Why the last attempt failed, in plain words.
    pub reason: Option<String>,
    /// When it is tried again.
    pub retry_seconds: Option<u64>,
}

/// A stream of another server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboundRow {
    /// Where it comes from.
    pub address: String,
    /// The domains that it has proved to speak for.
    pub domains: Vec<String>,
    /// Of domains that it says it is from: why it is not believed, or not by its certificate.
    pub doubts: Vec<Doubt>,
}

/// Why a stream's other end is not believed to be a domain's server, or not by its certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Doubt {
    /// The domain.
    pub domain: String,
    /// In plain words.
    pub reason: String,
}

/// Why another server could not be spoken with, or a stream of it was of no use or ended: the last time within an hour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailureRow {
    /// Whether the stream was to be ours, to the other server.
    pub outbound: bool,
    /// The other server's domain, as it says where it is not proved.
    pub domain: String,
    /// In plain words.
    pub reason: String,
    /// So long ago.
    pub seconds: u64,
}

/// All streams of this member.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Streams {
    /// To other servers.
    pub outbound: Vec<OutboundRow>,
    /// Of other servers.
    pub inbound: Vec<InboundRow>,
    /// What has failed of late, the last first.
    pub failures: Vec<FailureRow>,
}

/// What can be asked of the gate.
pub struct Status {
    pairs: Arc<Pairs>,
    guests: Arc<Guests>,
    resolver: Arc<Resolver>,
    cache: Arc<PoshCache>,
}

impl Status {
    pub(crate) fn new(
        pairs: Arc<Pairs>,
        guests: Arc<Guests>,
        resolver: Arc<Resolver>,
        cache: Arc<PoshCache>,
    ) -> Self {
        Self { pairs, guests, resolver, cache }
    }

    /// All streams, by name.
    #[must_use]
    pub fn streams(&self) -> Streams {
        let now = self.pairs.now();
        let outbound = |pair: &Arc<Pair>| {
            let lanes = self.pairs.lanes(&pair.id.remote).get();
            outbound(pair, (lanes > 1 || pair.lane > 0).then_some(pair.lane), now)
        };
        let mut streams = Streams {
            outbound: self.pairs.all().iter().map(outbound).collect(),
            inbound: self.guests.list().into_iter().map(inbound).collect(),
            failures: self.failures(now),
        };
        streams
            .outbound
            .sort_by(|a, b| (&a.remote, &a.local, a.lane).cmp(&(&b.remote, &b.local, b.lane)));
        streams.inbound.sort_by(|a, b| (&a.domains, &a.address).cmp(&(&b.domains, &b.address)));
        streams
    }

    fn failures(&self, now: Duration) -> Vec<FailureRow> {
        let row = |outbound: bool| {
            move |Fault { domain, reason, at }: Fault| {
                let seconds = now.saturating_sub(at).as_secs();
                FailureRow { outbound, domain: domain.to_string(), reason, seconds }
            }
        };
        let ours = self.pairs.faults().into_iter().map(row(true));
        let theirs = self.guests.faults(now).into_iter().map(row(false));
        let mut failures: Vec<_> = ours.chain(theirs).collect();
        failures.sort_by(|a, b| (a.seconds, &a.domain).cmp(&(b.seconds, &b.domain)));
        failures
    }

    /// Ends the streams to a domain, or to all where none is named; what waits is sent on new ones at once, to where DNS says by
    /// then. Documents of POSH are asked for again. How many.
    pub fn reset(&self, remote: Option<&str>) -> usize {
        self.resolver.forget();
        self.cache.forget();
        let is_meant = |name: &str| remote.is_none_or(|remote| remote == name);
        let pairs = self.pairs.all().into_iter().filter(|pair| is_meant(pair.id.remote.as_str()));
        pairs.map(|pair| pair.begins_anew()).count()
    }

    /// Stanzas that wait for other servers.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.pairs.waiting()
    }
}

fn outbound(pair: &Pair, lane: Option<u8>, now: Duration) -> OutboundRow {
    let (state, address, reason, retry) = match pair.standing() {
        Standing::Idle => ("idle", None, None, None),
        Standing::Connecting(failure) => {
            ("connecting", None, failure.map(|it| it.to_string()), None)
        }
        Standing::Open { address, managed } => {
            let state = if managed { "open, acknowledged" } else { "open" };
            (state, Some(address.to_string()), None, None)
        }
        Standing::Shared => ("open, on a shared stream", None, None, None),
        Standing::Failed { failure, until } => {
            let retry = Some(until.saturating_sub(now).as_secs());
            ("failed", None, Some(failure.to_string()), retry)
        }
    };
    OutboundRow {
        local: pair.id.local.to_string(),
        remote: pair.id.remote.to_string(),
        lane,
        state,
        address,
        waiting: pair.waiting(),
        reason,
        retry_seconds: retry,
    }
}

fn inbound(Entry { address, domains, doubts }: Entry) -> InboundRow {
    let domains = domains.iter().map(ToString::to_string).collect();
    let doubts = doubts.into_iter();
    let doubts = doubts.map(|it| Doubt { domain: it.domain.to_string(), reason: it.why }).collect();
    InboundRow { address: address.to_string(), domains, doubts }
}
