//! What store, directory and log remember, played through without a disk or a server.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::*;

/// A store in memory that members share.
#[derive(Debug, Default)]
pub(crate) struct Slate {
    held: Mutex<Option<Mark>>,
    /// Whether members act: set by every beginning.
    pub(crate) is_alive: AtomicBool,
    /// Whether it fails.
    pub(crate) is_broken: AtomicBool,
    /// How often it was asked.
    pub(crate) recalls: AtomicUsize,
}

impl Slate {
    pub(crate) fn held(&self) -> Option<Mark> {
        *self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nobody acts any more.
    pub(crate) fn rest(&self) {
        self.is_alive.store(false, Ordering::SeqCst);
    }

    fn works(&self) -> io::Result<()> {
        let is_broken = self.is_broken.load(Ordering::SeqCst);
        if is_broken { Err(io::ErrorKind::TimedOut.into()) } else { Ok(()) }
    }
}

impl Marker for Slate {
    fn recall(&self) -> io::Result<Option<Recalled>> {
        self.works()?;
        self.recalls.fetch_add(1, Ordering::SeqCst);
        let is_alive = self.is_alive.load(Ordering::SeqCst);
        Ok(self.held().map(|mark| Recalled { mark, is_alive }))
    }

    fn replace(&self, before: Option<Mark>, next: Mark) -> io::Result<bool> {
        self.works()?;
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let replaces = *held == before || *held == Some(next);
        if replaces {
            *held = Some(next);
            self.is_alive.store(true, Ordering::SeqCst);
        }
        Ok(replaces)
    }
}

const ONE: MemberId = MemberId(1);
const OTHER: MemberId = MemberId(2);

fn remembered(generation: u32) -> Remembered {
    Remembered { cluster: ClusterUuid(5), generation, hash_key: HashKey::new([5; 16]) }
}

fn plan(generation: u32) -> Plan {
    first_plan(remembered(generation), vec![MemberInfo::new(ONE, "m1")]).unwrap()
}

/// A store that remembers this, and a member that uses it with an empty directory.
fn slate(generation: u32) -> (Arc<Slate>, Lineage) {
    let slate = Arc::new(Slate::default());
    let mark = (generation > 0).then(|| Mark { remembered: remembered(generation), by: OTHER });
    *slate.held.lock().unwrap() = mark;
    let lineage = Lineage { marker: Some(slate.clone()), directory: None };
    (slate, lineage)
}

#[test]
fn of_two_that_begin_at_once_on_one_store_one_is_too_late() {
    for generation in [0, 3] {
        let (slate, lineage) = slate(generation);
        let [one, other] = [(); 2].map(|()| lineage.before(None).unwrap().unwrap());
        let next = one.next().unwrap();
        assert!(lineage.begin(&one, next, ONE).unwrap());
        assert!(!lineage.begin(&other, other.next().unwrap(), OTHER).unwrap());
        assert_eq!(slate.held(), Some(Mark { remembered: next, by: ONE }));
        assert_eq!(next.generation, generation + 1);
        // Nor does it begin the generation behind it, as long as the first one acts.
        assert!(lineage.before(None).unwrap().is_none());
    }
}

#[test]
fn a_cluster_that_lost_its_disks_goes_on_as_the_same_one() {
    let (slate, lineage) = slate(7);
    slate.is_alive.store(true, Ordering::SeqCst);
    assert!(lineage.before(None).unwrap().is_none(), "its members act");
    slate.rest();
    let before = lineage.before(None).unwrap().unwrap();
    assert_eq!(before.next().unwrap(), remembered(8));
    assert_eq!(lineage.cluster().unwrap(), Some(ClusterUuid(5)));
}

#[test]
fn a_generation_that_oneself_began_and_did_not_live_to_see_holds_nobody_up() {
    let (slate, lineage) = slate(7);
    slate.is_alive.store(true, Ordering::SeqCst);
    assert!(lineage.before(Some(ONE)).unwrap().is_none());
    assert_eq!(lineage.before(Some(OTHER)).unwrap().unwrap().next().unwrap(), remembered(8));
}

#[test]
fn directory_and_store_must_be_of_one_cluster_and_the_later_generation_counts() {
    for (own, next) in [(9, 10), (2, 8)] {
        let (_, mut lineage) = slate(7);
        lineage.directory = Some(remembered(own));
        let before = lineage.before(None).unwrap().unwrap();
        assert_eq!(before.next().unwrap().generation, next);
    }
    let (_, mut lineage) = slate(7);
    lineage.directory = Some(Remembered { cluster: ClusterUuid(6), ..remembered(1) });
    assert!(matches!(lineage.before(None), Err(Error::ForeignStore(ClusterUuid(6)))));
}

#[test]
fn a_store_learns_what_it_has_forgotten_and_tells_who_was_left_behind() {
    for known in [0, 1] {
        let (slate, lineage) = slate(known);
        lineage.agree(&plan(2), ONE).unwrap();
        assert_eq!(slate.held(), Some(Mark { remembered: remembered(2), by: ONE }));
        lineage.agree(&plan(2), OTHER).unwrap();
        assert_eq!(slate.held().unwrap().by, ONE);
        assert!(matches!(lineage.agree(&plan(1), OTHER), Err(Error::LeftBehind)));
    }
    let (_, lineage) = slate(1);
    let foreign = Remembered { cluster: ClusterUuid(6), ..remembered(1) };
    let foreign = first_plan(foreign, vec![MemberInfo::new(ONE, "m1")]).unwrap();
    assert!(matches!(lineage.agree(&foreign, ONE), Err(Error::ForeignStore(_))));
}

#[test]
fn of_two_that_go_on_alone_the_second_is_refused() {
    let (slate, lineage) = slate(1);
    slate.is_alive.store(true, Ordering::SeqCst);
    assert!(matches!(lineage.recover(&plan(1), ONE), Err(Error::Acting)));
    slate.rest();
    assert_eq!(lineage.recover(&plan(1), ONE).unwrap(), remembered(2));
    // Its log did not get to know of it: once more is the same.
    assert_eq!(lineage.recover(&plan(1), ONE).unwrap(), remembered(2));
    slate.rest();
    assert!(matches!(lineage.recover(&plan(1), OTHER), Err(Error::LeftBehind)));
    assert_eq!(slate.held(), Some(Mark { remembered: remembered(2), by: ONE }));
}
