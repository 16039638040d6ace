//! Owns what a gate does while its member is cut off from the others: it waits for a while, since the lease may come
//! back, and then sends its clients elsewhere. Until then arbiters let nothing out, and connections do not read. When a
//! member is expelled, its clients' sessions hold their sockets for lost, so they are to come again at once; so are
//! those of one that has come back as another process before it was known here.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use crate::connection::registry;
use crate::gate::Shared;

/// How often to look at the lease.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Looks at the lease until the gate stops.
pub(crate) async fn watch(gate: Arc<Shared>, mut stopped: watch::Receiver<bool>) {
    let patience = Duration::from_secs(gate.config.c2s.isolation_seconds);
    let mut since = None;
    let mut known = gate.router.standing();
    loop {
        tokio::select! {
            _ = stopped.wait_for(|stopped| *stopped) => return,
            () = sleep(LOOK_EVERY) => {}
        }
        let now = gate.router.standing();
        if std::mem::replace(&mut known, now) != now {
            gate.everywhere(registry::isolate_all);
        }
        if gate.router.lease().holds() {
            since = None;
            continue;
        }
        let since = *since.get_or_insert_with(Instant::now);
        if since.elapsed() >= patience {
            gate.everywhere(registry::isolate_all);
        }
    }
}
