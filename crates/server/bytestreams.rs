//! Owns the proxy for bytestreams of this member: its listeners, and where clients are told to bring bytes.

use std::sync::Arc;

use proxy::gate::Bound;
use proxy::{Gate, Hub};

use crate::config::Config;

/// What listens already, and takes nobody in yet.
pub(crate) struct Ready {
    bound: Bound,
    pub(crate) shared: Arc<proxy::Shared>,
}

/// Begins to listen.
///
/// # Errors
/// An address cannot be listened on.
pub(crate) fn listen(config: &Config) -> anyhow::Result<Ready> {
    let services = config.services()?.proxies;
    let addresses = if services.is_empty() { &[][..] } else { &config.proxy.listen };
    let bound = proxy::gate::bind(addresses)?;
    let host = config.host_of_proxy(bound.port().unwrap_or_default());
    let hosts = services.into_iter().map(|service| (service, host.clone())).collect();
    let shared = Arc::new(proxy::Shared { hub: Hub::new(config.proxy.clone()), hosts });
    Ok(Ready { bound, shared })
}

impl Ready {
    /// Takes clients in; none where there is no service.
    pub(crate) fn start(self) -> Option<Gate> {
        let is_open = !self.bound.addresses().is_empty();
        is_open.then(|| Gate::start(self.bound, &self.shared.hub))
    }
}
