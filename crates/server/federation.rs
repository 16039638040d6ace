//! Owns what operators see of the gate to other servers: its figures in the words of the administration interface.

use std::sync::Arc;

use s2s::status::Status;
use web::federation::{Federation, InboundLine, OutboundLine, Streams};

/// The gate, for the administration interface.
pub(crate) struct Watched(pub(crate) Arc<Status>);

impl Federation for Watched {
    fn streams(&self) -> Streams {
        let s2s::status::Streams { outbound, inbound } = self.0.streams();
        let to = |line: s2s::status::OutboundLine| OutboundLine {
            local: line.local,
            remote: line.remote,
            state: line.state.to_owned(),
            address: line.address,
            waiting: line.waiting,
            reason: line.reason,
            retry_seconds: line.retry_seconds,
        };
        let of = |line: s2s::status::InboundLine| InboundLine {
            address: line.address,
            domains: line.domains,
        };
        Streams {
            outbound: outbound.into_iter().map(to).collect(),
            inbound: inbound.into_iter().map(of).collect(),
        }
    }

    fn reset(&self, domain: Option<&str>) -> usize {
        self.0.reset(domain)
    }
}
