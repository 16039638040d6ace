//! Owns the conditions under which clients should come here, and those under which this process is past help.
//! What each of them means to an orchestrator stands in `web::health`.

use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::Duration;

use cluster::Lease;
use cluster::plan::Status;
use store::measured::Figures;
use web::Unmet;

use crate::canary::Canaries;
use crate::draining::Listening;
use crate::foundation::Foundation;

/// An arbiter that has done nothing for so long is busy beyond use; clients had better go elsewhere.
const BUSY: Duration = Duration::from_secs(5);
/// And for so long, it will not recover.
const DEAD: Duration = Duration::from_secs(60);

/// How often it is looked, for the log.
const LOOK: Duration = Duration::from_secs(1);

/// Where this member keeps its part in the plan, and how much must be free there.
pub(crate) struct Disk {
    pub(crate) data_dir: PathBuf,
    pub(crate) min_free_bytes: u64,
}

/// What is looked at.
pub(crate) struct Signs {
    pub(crate) canaries: Arc<Canaries>,
    pub(crate) measured: Arc<Figures>,
    pub(crate) disk: Disk,
    pub(crate) listening: Listening,
    /// Not held: it is taken down when nobody holds it.
    pub(crate) foundation: Weak<Foundation>,
}

impl Signs {
    /// Why clients should not come here.
    pub(crate) fn unready(&self) -> Vec<Unmet> {
        let busy = self.silent("arbiters", BUSY);
        busy.into_iter()
            .chain(self.refusing())
            .chain(self.crowded())
            .chain(self.listening.fault().map(|why| Unmet::new("listeners", why)))
            .chain(self.outside())
            .collect()
    }

    fn refusing(&self) -> Option<Unmet> {
        let store = self.foundation.upgrade().map(|it| Arc::clone(&it.store));
        let fault = store.as_ref().and_then(|store| store.fault());
        let can_keep = store.is_none_or(|store| store.can_keep());
        let why = match (fault, can_keep, self.measured.is_failing()) {
            (None, true, false) => return None,
            (Some(fault), ..) => fault,
            (None, false, _) => {
                "nothing more can be kept: the disk of data_dir has less than store.min_free_bytes left, or failed"
            }
            (None, true, true) => "the store refuses writes; the log says which and why",
        };
        Some(Unmet::new("store", why))
    }

    /// Whatever the store is, this member's part in the plan is kept in its data directory: without room there it ends
    /// when the plan changes.
    fn crowded(&self) -> Option<Unmet> {
        let free = store::free_bytes(&self.disk.data_dir).ok()?;
        let (least, dir) = (self.disk.min_free_bytes, self.disk.data_dir.display());
        (free < least).then(|| {
            let why = format!(
                "{free} bytes are free for {dir}, less than store.min_free_bytes ({least})"
            );
            Unmet::new("disk", why)
        })
    }

    /// Looks every second, for ever, and logs what changes: an operator must act when clients cannot be
    /// served.
    pub(crate) async fn watch(self: Arc<Self>, lease: Lease) {
        let mut before: Vec<Unmet> = Vec::new();
        loop {
            tokio::time::sleep(LOOK).await;
            let lost = (!lease.holds()).then(|| Unmet::new("lease", "no valid lease"));
            let now: Vec<Unmet> = self.unready().into_iter().chain(lost).collect();
            report(&before, &now);
            before = now;
        }
    }

    /// Why this process should be started again.
    pub(crate) fn dead(&self) -> Vec<Unmet> {
        self.silent("arbiters", DEAD).into_iter().collect()
    }

    fn silent(&self, condition: &'static str, patience: Duration) -> Option<Unmet> {
        let arbiter = self.canaries.silent(patience)?;
        let seconds = patience.as_secs();
        Some(Unmet::new(condition, format!("arbiter {arbiter} has done nothing for {seconds} s")))
    }

    /// The plan must know this member, and not have taken it out.
    fn outside(&self) -> Option<Unmet> {
        let foundation = self.foundation.upgrade()?;
        if foundation.cluster.is_relieved() {
            let why = "its arbiters were slow: others have its accounts until it is well";
            return Some(Unmet::new("membership", why));
        }
        let status = foundation.cluster.status();
        let own = status.members.iter().find(|row| row.id == status.member);
        match own.map(|row| row.status) {
            Some(Status::Up) => None,
            Some(other) => {
                Some(Unmet::new("membership", format!("the plan has this member as {other:?}")))
            }
            None => Some(Unmet::new("membership", "the plan does not know this member")),
        }
    }
}

fn report(before: &[Unmet], now: &[Unmet]) {
    for unmet in now.iter().filter(|it| before.iter().all(|known| known.condition != it.condition))
    {
        match unmet.condition {
            // The cluster sees to these by itself, or somebody has asked for it.
            "lease" | "membership" => tracing::warn!(error = unmet.why, "not ready for clients"),
            _ => tracing::error!(error = unmet.why, "not ready for clients"),
        }
    }
    for met in before.iter().filter(|it| now.iter().all(|known| known.condition != it.condition)) {
        tracing::info!("{} is well again", met.condition);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_condition_has_a_word_and_a_reason() {
        let measured = Arc::<Figures>::default();
        let canaries = Canaries::new(1, Arc::default());
        let disk = Disk { data_dir: PathBuf::from("/"), min_free_bytes: 0 };
        let listening = Listening::default();
        let mut signs = Signs { canaries, measured, disk, listening, foundation: Weak::new() };
        assert_eq!((signs.unready(), signs.dead()), (Vec::new(), Vec::new()));
        let unmet = signs.silent("arbiters", Duration::ZERO);
        signs.disk.min_free_bytes = u64::MAX;
        let crowded: Vec<_> = signs.unready().into_iter().map(|unmet| unmet.condition).collect();
        assert_eq!(crowded, ["disk"], "whichever engine the store is");
        signs.disk.min_free_bytes = 0;
        signs.listening.set(Some("somebody else has the port".to_owned()));
        let deaf = Unmet::new("listeners", "somebody else has the port");
        assert_eq!(signs.unready(), [deaf]);
        let reason = "arbiter 0 has done nothing for 0 s";
        assert!(unmet.is_none_or(|it| it.condition == "arbiters" && it.why == reason));
    }
}
