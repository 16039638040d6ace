//! Owns the last resort of an operator who has lost most voters for good: one member goes on alone, as the
//! next generation of the cluster, whose epochs outrank whatever the lost ones may still do.

use std::path::Path;

use proto::MemberId;

use super::{Cluster, RAFT_DIRECTORY, random};
use crate::Error;
use crate::clock::BootTime;
use crate::config::Remembered;
use crate::lease::Terms;
use crate::plan::{Bootstrap, Entry, Plan};
use crate::raft::group::Group;
use crate::raft::log::RaftLog;
use crate::remembered;

impl Cluster {
    /// Makes the member whose log is in `data_dir` the only one of the next generation. No server may run
    /// there. The others must lose their Raft logs before they may join again.
    ///
    /// # Errors
    ///
    /// There is no plan, a server runs, or the disk failed.
    pub fn recover(data_dir: &Path) -> Result<Remembered, Error> {
        let mint = MemberId(u64::from_be_bytes(random()?).max(1));
        let log = RaftLog::open(&data_dir.join(RAFT_DIRECTORY), mint)?;
        let identity = log.identity();
        let mut group = Group::new(log, Terms::default())?;
        group.work(BootTime::now())?;
        let plan = group.plan().clone();
        let me = plan.member(identity.member).ok_or(Error::NothingToRecover)?.info.clone();
        let next = Remembered {
            cluster: plan.cluster(),
            generation: plan.generation().checked_add(1).ok_or(Error::Generations)?,
            hash_key: *plan.hash_key(),
        };
        let first = Entry::Bootstrap(Bootstrap {
            cluster: next.cluster,
            generation: next.generation,
            hash_key: next.hash_key,
            feature_level: plan.feature_level(),
            members: vec![me],
        });
        let mut log = group.into_log();
        let mut recovered = Plan::new();
        recovered.apply(log.last_position() + 1, first).map_err(Error::Refused)?;
        log.restart(&[identity.member], recovered.index(), recovered.encode())?;
        remembered::remember(data_dir, next).map_err(Error::Remembered)?;
        Ok(next)
    }
}
