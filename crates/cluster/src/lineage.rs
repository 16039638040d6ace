//! Owns which generation of a cluster begins, and who was left behind: what the data directory, the Raft log and the
//! store that members share remember must agree.
//!
//! The store decides. A generation begins when its mark replaces the one before, which is one step; and none begins
//! while members of the one before act. So two halves that begin at once are one cluster, and a cluster whose disks are
//! all lost begins again as the same one, above everything that an earlier member may still write.

use std::fmt;
use std::io;
use std::sync::Arc;

use proto::MemberId;

use crate::Error;
use crate::config::Remembered;
use crate::hash::HashKey;
use crate::member::random;
use crate::plan::{Bootstrap, ClusterUuid, Entry, FEATURE_LEVEL, MemberInfo, Plan};

/// What a store that members share remembers of the cluster that its rows belong to. Both calls may block.
pub trait Marker: fmt::Debug + Send + Sync {
    /// What it remembers; none where its rows belong to no cluster yet.
    ///
    /// # Errors
    ///
    /// The store failed, or what it remembers cannot be read.
    fn recall(&self) -> io::Result<Option<Recalled>>;

    /// Remembers `next` if it remembers `before`, as one step; says whether it does now. From then on the cluster
    /// counts as alive for as long as a start may take.
    ///
    /// # Errors
    ///
    /// The store failed, and nobody knows what it remembers; or its rows are another cluster's.
    fn replace(&self, before: Option<Mark>, next: Mark) -> io::Result<bool>;
}

/// The mark of a generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// What is to be remembered.
    pub remembered: Remembered,
    /// The member that began the generation: tells one beginning from another.
    pub by: MemberId,
}

/// What a store says of its cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recalled {
    /// The mark of the last generation.
    pub mark: Mark,
    /// Whether members of it have used the store of late.
    pub is_alive: bool,
}

/// What is remembered, wherever it is.
#[derive(Clone, Debug)]
pub(crate) struct Lineage {
    pub(crate) marker: Option<Arc<dyn Marker>>,
    /// By the data directory.
    pub(crate) directory: Option<Remembered>,
}

/// What a generation is to follow.
pub(crate) struct Before {
    mark: Option<Mark>,
    known: Option<Remembered>,
}

impl Remembered {
    pub(crate) fn of(plan: &Plan) -> Self {
        Self { cluster: plan.cluster(), generation: plan.generation(), hash_key: *plan.hash_key() }
    }

    fn following(self) -> Result<Self, Error> {
        let generation = self.generation.checked_add(1).ok_or(Error::Generations)?;
        Ok(Self { generation, ..self })
    }

    /// The first entry of a plan with these members.
    pub(crate) fn bootstrap(self, members: Vec<MemberInfo>) -> Bootstrap {
        Bootstrap {
            cluster: self.cluster,
            generation: self.generation,
            hash_key: self.hash_key,
            feature_level: FEATURE_LEVEL,
            members,
        }
    }
}

impl Before {
    /// The generation that follows: of the same cluster, or the first one of a new cluster.
    pub(crate) fn next(&self) -> Result<Remembered, Error> {
        let last = match self.known {
            Some(known) => known,
            None => Remembered {
                cluster: ClusterUuid(u128::from_be_bytes(random()?).max(1)),
                generation: 0,
                hash_key: HashKey::new(random()?),
            },
        };
        last.following()
    }
}

impl Lineage {
    fn recall(&self) -> Result<Option<Recalled>, Error> {
        let Some(marker) = &self.marker else { return Ok(None) };
        marker.recall().map_err(Error::Marker)
    }

    fn replace(&self, before: Option<Mark>, next: Mark) -> Result<bool, Error> {
        let Some(marker) = &self.marker else { return Ok(true) };
        marker.replace(before, next).map_err(Error::Marker)
    }

    /// The cluster that this member belongs to, as far as it is known.
    pub(crate) fn cluster(&self) -> Result<Option<ClusterUuid>, Error> {
        let mark = self.recall()?.map(|recalled| recalled.mark);
        Ok(self.follows(mark)?.known.map(|known| known.cluster))
    }

    /// What the next generation is to follow; none while members of the last one act. One that `myself` began and did
    /// not live to see does not count as acting.
    pub(crate) fn before(&self, myself: Option<MemberId>) -> Result<Option<Before>, Error> {
        let recalled = self.recall()?;
        let acts = |recalled: &Recalled| recalled.is_alive && Some(recalled.mark.by) != myself;
        if recalled.as_ref().is_some_and(acts) {
            return Ok(None);
        }
        self.follows(recalled.map(|recalled| recalled.mark)).map(Some)
    }

    fn follows(&self, mark: Option<Mark>) -> Result<Before, Error> {
        let known = match (mark.map(|mark| mark.remembered), self.directory) {
            (Some(shared), Some(own)) if shared.cluster != own.cluster => {
                return Err(Error::ForeignStore(own.cluster));
            }
            (Some(shared), Some(own)) if shared.generation < own.generation => Some(own),
            (shared, own) => shared.or(own),
        };
        Ok(Before { mark, known })
    }

    /// Begins a generation, unless another member was faster.
    pub(crate) fn begin(
        &self,
        before: &Before,
        next: Remembered,
        by: MemberId,
    ) -> Result<bool, Error> {
        self.replace(before.mark, Mark { remembered: next, by })
    }

    /// Whether this member's plan is of the cluster and the generation that the store knows. Lets the store know of
    /// it where it knows of none yet, or has forgotten it.
    ///
    /// # Errors
    ///
    /// The store is another cluster's, or there is a later generation.
    pub(crate) fn agree(&self, plan: &Plan, by: MemberId) -> Result<(), Error> {
        let own = Remembered::of(plan);
        loop {
            let mark = self.recall()?.map(|recalled| recalled.mark);
            match mark.map(|mark| mark.remembered) {
                Some(known) if known.cluster != own.cluster => {
                    return Err(Error::ForeignStore(own.cluster));
                }
                Some(known) if known.generation > own.generation => return Err(Error::LeftBehind),
                Some(known) if known.generation == own.generation => return Ok(()),
                _ if self.replace(mark, Mark { remembered: own, by })? => return Ok(()),
                // Another member was faster: it has raised what the store knows.
                _ => {}
            }
        }
    }

    /// Begins the generation in which this member goes on alone by an operator's word. Again is the same, where it was
    /// begun and the log does not have it yet.
    ///
    /// # Errors
    ///
    /// Members act, another one goes on already, or the store is another cluster's.
    pub(crate) fn recover(&self, plan: &Plan, by: MemberId) -> Result<Remembered, Error> {
        let own = Remembered::of(plan);
        let next = Mark { remembered: own.following()?, by };
        let recalled = self.recall()?;
        let mark = recalled.map(|recalled| recalled.mark);
        match recalled {
            Some(Recalled { mark, .. }) if mark == next => {}
            Some(Recalled { mark, .. }) if mark.remembered.cluster != own.cluster => {
                return Err(Error::ForeignStore(own.cluster));
            }
            Some(Recalled { mark, .. }) if mark.remembered.generation > own.generation => {
                return Err(Error::LeftBehind);
            }
            Some(Recalled { is_alive: true, .. }) => return Err(Error::Acting),
            _ if self.replace(mark, next)? => {}
            _ => return Err(Error::LeftBehind),
        }
        Ok(next.remembered)
    }
}

/// The plan to begin a generation with.
pub(crate) fn first_plan(next: Remembered, members: Vec<MemberInfo>) -> Result<Plan, Error> {
    let mut plan = Plan::new();
    plan.apply(1, Entry::Bootstrap(next.bootstrap(members))).map_err(Error::Refused)?;
    Ok(plan)
}

#[cfg(test)]
pub(crate) mod tests;
