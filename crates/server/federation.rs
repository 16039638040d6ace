//! Owns what operators see of the gates to other servers and to components: their figures in the words of the
//! administration interface.

use std::sync::{Arc, OnceLock};

use web::federation::{ComponentLine, Federation, InboundLine, OutboundLine, Streams};

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
            self.servers.set(gate.desk()).ok();
        }
        if let Some(gate) = components {
            self.components.set(gate.desk()).ok();
        }
    }
}

impl Federation for Watched {
    fn streams(&self) -> Streams {
        let servers = self.servers.get().map(|servers| servers.streams()).unwrap_or_default();
        let to = |line: s2s::status::OutboundLine| OutboundLine {
            member: String::new(),
            local: line.local,
            remote: line.remote,
            lane: line.lane,
            state: line.state.to_owned(),
            address: line.address,
            waiting: line.waiting,
            reason: line.reason,
            retry_seconds: line.retry_seconds,
        };
        let of = |line: s2s::status::InboundLine| InboundLine {
            member: String::new(),
            address: line.address,
            domains: line.domains,
        };
        let component = |line: component::status::Line| ComponentLine {
            member: String::new(),
            domain: line.domain.to_string(),
            address: line.address.to_string(),
            waiting: line.waiting,
        };
        let components = self.components.get().map(|it| it.lines()).unwrap_or_default();
        Streams {
            outbound: servers.outbound.into_iter().map(to).collect(),
            inbound: servers.inbound.into_iter().map(of).collect(),
            components: components.into_iter().map(component).collect(),
            silent: Vec::new(),
        }
    }

    fn reset(&self, domain: Option<&str>) -> usize {
        self.servers.get().map_or(0, |servers| servers.reset(domain))
    }
}
