//! Owns the last resort of an operator who has lost most voters for good: one member goes on alone, as the
//! next generation of the cluster, whose epochs outrank whatever the lost ones may still do.

use std::path::Path;
use std::sync::Arc;

use proto::MemberId;

use super::{Cluster, RAFT_DIRECTORY, random};
use crate::Error;
use crate::clock::BootTime;
use crate::config::Remembered;
use crate::lease::Terms;
use crate::lineage::{Lineage, Marker};
use crate::plan::{Bootstrap, Entry, Plan};
use crate::raft::group::Group;
use crate::raft::log::RaftLog;
use crate::remembered;

impl Cluster {
    /// Makes the member whose log is in `data_dir` the only one of the next generation, of which the store that
    /// members share is told first. No server may run there. The others must lose their Raft logs before they may
    /// join again.
    ///
    /// # Errors
    ///
    /// There is no plan, a server runs, others act on the store or have gone on before, or the disk or store failed.
    pub fn recover(data_dir: &Path, marker: Option<Arc<dyn Marker>>) -> Result<Remembered, Error> {
        let mint = MemberId(u64::from_be_bytes(random()?).max(1));
        let log = RaftLog::open(&data_dir.join(RAFT_DIRECTORY), mint)?;
        let identity = log.identity();
        let mut group = Group::new(log, Terms::default())?;
        group.work(BootTime::now())?;
        let plan = group.plan().clone();
        let me = plan.member(identity.member).ok_or(Error::NothingToRecover)?.info.clone();
        let next = Lineage { marker, directory: None }.recover(&plan, identity.member)?;
        let first = Entry::Bootstrap(Bootstrap {
            feature_level: plan.feature_level(),
            ..next.bootstrap(vec![me])
        });
        let mut log = group.into_log();
        let mut recovered = Plan::new();
        recovered.apply(log.last_position() + 1, first).map_err(Error::Refused)?;
        log.restart(&[identity.member], recovered.index(), recovered.encode())?;
        remembered::remember(data_dir, next).map_err(Error::Remembered)?;
        Ok(next)
    }
}
