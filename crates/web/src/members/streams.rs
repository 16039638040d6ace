//! Owns the streams of all members with other servers and components: this member's own, and what the others say.

use cluster::Peers;
use futures_util::future::join_all;
use proto::MemberId;
use tokio::time::timeout;

use super::pb::administration_client::AdministrationClient;
use super::{Members, PAGE, PATIENCE, pb};
use crate::federation::{ComponentRow, Doubt, FailureRow, InboundRow, OutboundRow, Reset, Streams};

impl Members {
    /// The streams of all members.
    pub(crate) async fn streams(&self) -> Streams {
        let me = self.router.member();
        let answers = self.present().into_iter().map(async |(id, name)| {
            let streams = match &self.peers {
                Some(peers) if id != me => ask(peers.clone(), id).await,
                _ => Some(self.federation.streams()),
            };
            (name, streams)
        });
        let mut all = Streams::default();
        for (name, streams) in join_all(answers).await {
            let Some(streams) = streams else {
                all.silent.push(name);
                continue;
            };
            let named = |row| OutboundRow { member: name.clone(), ..row };
            all.outbound.extend(streams.outbound.into_iter().map(named));
            let named = |row| InboundRow { member: name.clone(), ..row };
            all.inbound.extend(streams.inbound.into_iter().map(named));
            let named = |row| ComponentRow { member: name.clone(), ..row };
            all.components.extend(streams.components.into_iter().map(named));
            let named = |row| FailureRow { member: name.clone(), ..row };
            all.failures.extend(streams.failures.into_iter().map(named));
        }
        all.outbound
            .sort_by(|a, b| (&a.remote, &a.local, a.lane).cmp(&(&b.remote, &b.local, b.lane)));
        all.inbound.sort_by(|a, b| (&a.domains, &a.address).cmp(&(&b.domains, &b.address)));
        all.components.sort_by(|a, b| (&a.domain, &a.address).cmp(&(&b.domain, &b.address)));
        all.failures.sort_by(|a, b| (a.seconds, &a.domain).cmp(&(b.seconds, &b.domain)));
        all
    }

    /// Ends the streams of all members to a domain, or to all, and has them try anew. How many, and which members do not
    /// answer.
    pub(crate) async fn reset_streams(&self, domain: Option<&str>) -> Reset {
        let me = self.router.member();
        let counts = self.present().into_iter().map(async |(id, name)| {
            let count = match &self.peers {
                Some(peers) if id != me => reset(peers.clone(), id, domain).await,
                _ => Some(self.federation.reset(domain)),
            };
            (name, count)
        });
        let mut done = Reset::default();
        for (name, count) in join_all(counts).await {
            match count {
                Some(count) => done.streams += count,
                None => done.silent.push(name),
            }
        }
        done
    }
}

/// What another member says; none if it does not in time.
async fn ask(peers: Peers, member: MemberId) -> Option<Streams> {
    let runtime = peers.runtime().clone();
    let asked = runtime.spawn(timeout(PATIENCE, async move {
        let mut client = AdministrationClient::new(peers.connect(member).await.ok()?);
        let mut pages = client.streams(pb::Everything {}).await.ok()?.into_inner();
        let mut streams = Streams::default();
        while let Some(page) = pages.message().await.ok()? {
            streams.outbound.extend(page.outbound.into_iter().map(read_outbound));
            streams.inbound.extend(page.inbound.into_iter().map(read_inbound));
            streams.components.extend(page.components.into_iter().map(read_component));
            streams.failures.extend(page.failures.into_iter().map(read_failure));
        }
        Some(streams)
    }));
    asked.await.ok()?.ok()?
}

async fn reset(peers: Peers, member: MemberId, domain: Option<&str>) -> Option<usize> {
    let domain = domain.unwrap_or_default().to_owned();
    let runtime = peers.runtime().clone();
    let asked = runtime.spawn(timeout(PATIENCE, async move {
        let mut client = AdministrationClient::new(peers.connect(member).await.ok()?);
        let count = client.reset(pb::Remote { domain }).await.ok()?.into_inner().count;
        usize::try_from(count).ok()
    }));
    asked.await.ok()?.ok()?
}

/// Streams in messages of a bounded size.
pub(super) fn pages(streams: Streams) -> Vec<pb::Streams> {
    let outbound: Vec<_> = streams.outbound.into_iter().map(write_outbound).collect();
    let inbound: Vec<_> = streams.inbound.into_iter().map(write_inbound).collect();
    let components: Vec<_> = streams.components.into_iter().map(write_component).collect();
    let failures: Vec<_> = streams.failures.into_iter().map(write_failure).collect();
    let outbound = outbound
        .chunks(PAGE)
        .map(|page| pb::Streams { outbound: page.to_vec(), ..pb::Streams::default() });
    let inbound = inbound
        .chunks(PAGE)
        .map(|page| pb::Streams { inbound: page.to_vec(), ..pb::Streams::default() });
    let components = components
        .chunks(PAGE)
        .map(|page| pb::Streams { components: page.to_vec(), ..pb::Streams::default() });
    let failures = failures
        .chunks(PAGE)
        .map(|page| pb::Streams { failures: page.to_vec(), ..pb::Streams::default() });
    outbound.chain(inbound).chain(components).chain(failures).collect()
}

fn write_outbound(row: OutboundRow) -> pb::Outbound {
    let OutboundRow { local, remote, state, address, reason, retry_seconds, .. } = row;
    let (lane, waiting) = (row.lane.map(u32::from), row.waiting as u64);
    pb::Outbound { local, remote, state, address, waiting, reason, retry_seconds, lane }
}

fn read_outbound(row: pb::Outbound) -> OutboundRow {
    let pb::Outbound { local, remote, state, address, reason, retry_seconds, .. } = row;
    let (member, waiting) = (String::new(), count(row.waiting));
    let lane = row.lane.and_then(|lane| u8::try_from(lane).ok());
    OutboundRow { member, local, remote, lane, state, address, waiting, reason, retry_seconds }
}

fn write_inbound(row: InboundRow) -> pb::Inbound {
    let InboundRow { address, domains, doubts, .. } = row;
    let doubts = doubts.into_iter();
    let doubts = doubts.map(|Doubt { domain, reason }| pb::Doubt { domain, reason }).collect();
    pb::Inbound { address, domains, doubts }
}

fn read_inbound(pb::Inbound { address, domains, doubts }: pb::Inbound) -> InboundRow {
    let doubts = doubts.into_iter();
    let doubts = doubts.map(|pb::Doubt { domain, reason }| Doubt { domain, reason }).collect();
    InboundRow { member: String::new(), address, domains, doubts }
}

fn write_failure(row: FailureRow) -> pb::Failure {
    let FailureRow { outbound, domain, reason, seconds, .. } = row;
    pb::Failure { outbound, domain, reason, seconds }
}

fn read_failure(row: pb::Failure) -> FailureRow {
    let pb::Failure { outbound, domain, reason, seconds } = row;
    FailureRow { member: String::new(), outbound, domain, reason, seconds }
}

fn write_component(row: ComponentRow) -> pb::Component {
    let ComponentRow { domain, address, waiting, .. } = row;
    pb::Component { domain, address, waiting: waiting as u64 }
}

fn read_component(pb::Component { domain, address, waiting }: pb::Component) -> ComponentRow {
    ComponentRow { member: String::new(), domain, address, waiting: count(waiting) }
}

fn count(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_member_has_is_read_as_it_was_written() {
        let outbound = OutboundRow {
            member: String::new(),
            local: "a".to_owned(),
            remote: "b".to_owned(),
            lane: Some(2),
            state: "failed".to_owned(),
            address: None,
            waiting: 3,
            reason: Some("why".to_owned()),
            retry_seconds: Some(5),
        };
        let inbound = InboundRow {
            member: String::new(),
            address: "x".to_owned(),
            domains: vec!["c".to_owned()],
            doubts: vec![Doubt { domain: "c".to_owned(), reason: "why".to_owned() }],
        };
        let failure = FailureRow {
            member: String::new(),
            outbound: true,
            domain: "e".to_owned(),
            reason: "why not".to_owned(),
            seconds: 7,
        };
        let component = ComponentRow {
            member: String::new(),
            domain: "d".to_owned(),
            address: "y".to_owned(),
            waiting: 1,
        };
        let streams = Streams {
            outbound: vec![outbound.clone(); PAGE + 1],
            inbound: vec![inbound.clone()],
            components: vec![component.clone()],
            failures: vec![failure.clone()],
            silent: Vec::new(),
        };
        let pages = pages(streams);
        assert_eq!(pages.len(), 5);
        assert_eq!(read_outbound(pages[1].outbound[0].clone()), outbound);
        assert_eq!(read_inbound(pages[2].inbound[0].clone()), inbound);
        assert_eq!(read_component(pages[3].components[0].clone()), component);
        assert_eq!(read_failure(pages[4].failures[0].clone()), failure);
    }
}
