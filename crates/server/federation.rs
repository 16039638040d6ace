//! Owns what operators see of the gates to other servers and to components: their figures in the words of the
//! administration interface.

use std::sync::{Arc, OnceLock};

use web::federation::{
    ComponentRow, Doubt, FailureRow, Federation, InboundRow, OutboundRow, Streams,
};

/// The gates, as far as there are any, for the administration interface.
#[derive(Default)]
pub(crate) struct Watched {
    servers: OnceLock<Arc<s2s::status::Status>>,
    components: OnceLock<Arc<component::Status>>,
}

impl Watched {
    /// The gates are open.
    pub(crate) fn watch(&self, servers: Option<&s2s::Gate>, components: Option<&component::Gate>) {
        // They are opened once.
        if let Some(gate) = servers {
            self.servers.set(gate.status()).ok();
        }
        if let Some(gate) = components {
            self.components.set(gate.status()).ok();
        }
    }
}

impl Federation for Watched {
    fn streams(&self) -> Streams {
        let servers = self.servers.get().map(|servers| servers.streams()).unwrap_or_default();
        let to = |row: s2s::status::OutboundRow| OutboundRow {
            member: String::new(),
            local: row.local,
            remote: row.remote,
            lane: row.lane,
            state: row.state.to_owned(),
            address: row.address,
            waiting: row.waiting,
            reason: row.reason,
            retry_seconds: row.retry_seconds,
        };
        let of = |row: s2s::status::InboundRow| InboundRow {
            member: String::new(),
            address: row.address,
            domains: row.domains,
            doubts: row.doubts.into_iter().map(doubt).collect(),
        };
        let failure = |row: s2s::status::FailureRow| FailureRow {
            member: String::new(),
            outbound: row.outbound,
            domain: row.domain,
            reason: row.reason,
            seconds: row.seconds,
        };
        let component = |row: component::status::StreamStatus| ComponentRow {
            member: String::new(),
            domain: row.domain.to_string(),
            address: row.address.to_string(),
            waiting: row.waiting,
        };
        let components = self.components.get().map(|it| it.streams()).unwrap_or_default();
        Streams {
            outbound: servers.outbound.into_iter().map(to).collect(),
            inbound: servers.inbound.into_iter().map(of).collect(),
            components: components.into_iter().map(component).collect(),
            failures: servers.failures.into_iter().map(failure).collect(),
            silent: Vec::new(),
        }
    }

    fn reset(&self, domain: Option<&str>) -> usize {
        self.servers.get().map_or(0, |servers| servers.reset(domain))
    }
}

fn doubt(s2s::status::Doubt { domain, reason }: s2s::status::Doubt) -> Doubt {
    Doubt { domain, reason }
}
