//! Owns what every engine must do, as a list of rules that its tests go through. Knows no engine: a rule
//! gets an empty store and may use nothing but the trait.

mod archives;
mod fences;
mod lifetimes;
mod queries;
mod rows;

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use futures_util::future::BoxFuture;
use xmpp::{BareJid, Bucket, Epoch, Fence, Origin};

use crate::{ArchiveId, ArchiveRow, Batch, Error, Key, Kind, SharedStore, Write};

/// One thing that every engine must do.
pub struct Rule {
    /// The rule as a sentence.
    pub name: &'static str,
    /// Checks it on an empty store; panics where it does not hold.
    pub check: fn(SharedStore) -> BoxFuture<'static, ()>,
}

macro_rules! rules {
    ($($module:ident::$rule:ident),* $(,)?) => {
        vec![$(Rule {
            name: stringify!($rule),
            check: |store| Box::pin($module::$rule(store)),
        }),*]
    };
}

/// Every rule.
#[must_use]
pub fn all() -> Vec<Rule> {
    rules![
        rows::what_was_put_is_got_until_it_is_deleted,
        rows::a_put_replaces_the_value,
        rows::rows_may_be_empty_and_large,
        rows::kinds_are_kept_apart,
        rows::owners_are_kept_apart_also_where_one_name_begins_another,
        rows::load_answers_the_rows_of_the_kinds_in_key_order,
        rows::scan_pages_through_a_kind_in_key_order,
        rows::the_last_write_of_a_row_wins_within_and_across_batches,
        rows::calls_are_kept_in_their_order,
        rows::a_dropped_answer_does_not_undo_the_call,
        rows::an_item_that_is_too_long_refuses_its_batch_alone,
        rows::more_than_may_wait_is_refused_whole,
        rows::owners_with_a_kind_are_listed_in_order_and_in_pages,
        rows::a_walk_meets_every_owner_with_a_kind_once,
        fences::a_claim_only_raises,
        fences::an_older_epoch_is_refused_by_every_call,
        fences::a_newer_epoch_needs_no_claim,
        fences::a_refused_batch_keeps_nothing_and_stops_no_other,
        fences::buckets_are_fenced_apart,
        archives::appended_rows_are_found_as_they_were,
        archives::archives_are_kept_apart_by_owner,
        archives::a_tombstone_takes_the_place_of_its_row_alone,
        archives::a_tombstone_may_name_another_peer,
        archives::a_removed_row_is_gone_from_every_query,
        archives::rows_and_archive_change_together,
        archives::changes_within_one_batch_follow_each_other,
        queries::pages_follow_each_other_forward_and_backward,
        queries::an_id_that_is_not_there_is_told,
        queries::a_limit_of_nothing_only_counts,
        queries::named_rows_come_in_order_of_time_and_once,
        queries::every_combination_of_filters_and_pages_answers_as_the_plain_reading_does,
        lifetimes::expired_rows_are_the_old_ones_of_all_owners_up_to_the_limit,
        lifetimes::an_erased_owner_leaves_nothing_and_the_others_everything,
        lifetimes::an_erased_owner_may_begin_anew,
        lifetimes::a_closed_store_refuses_every_call,
        lifetimes::closing_finishes_what_was_accepted,
        lifetimes::nothing_waits_once_everything_is_answered,
    ]
}

/// Checks every rule, each on a store of its own. Says which rule it is at, for the output of a failed test.
pub fn check(empty_store: &mut dyn FnMut() -> SharedStore) {
    for rule in all() {
        eprintln!("rule: {}", rule.name.replace('_', " "));
        block_on((rule.check)(empty_store()));
    }
}

/// Waits for a future on this thread.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(Thread);

    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(value) => return value,
            Poll::Pending => thread::park(),
        }
    }
}

/// An owner.
#[must_use]
pub fn juliet() -> BareJid {
    jid("juliet@capulet.example")
}

/// Another owner.
#[must_use]
pub fn romeo() -> BareJid {
    jid("romeo@montague.example")
}

/// An address.
///
/// # Panics
/// Where the text is none.
#[must_use]
pub fn jid(text: &str) -> BareJid {
    BareJid::parse(text).expect("an address that a test wrote")
}

/// The fence for an owner. The same owner is always in the same bucket, as in production.
#[must_use]
pub fn fence(owner: &BareJid, epoch: u64) -> Fence {
    let hash =
        owner.as_str().bytes().fold(17, |hash: u64, byte| hash.wrapping_mul(31) ^ u64::from(byte));
    Fence { bucket: Bucket::of_hash(hash), epoch: Epoch(epoch) }
}

/// An archive row, recognisable by its id.
#[must_use]
pub fn archive_row(id: u64, peer: &BareJid) -> ArchiveRow {
    ArchiveRow {
        id: ArchiveId(id),
        peer: peer.clone(),
        origin: Origin::Client { session: 7, seq: id, part: 1 },
        stanza: format!("<message><body>{id}</body></message>").into(),
    }
}

/// A batch of an owner, by epoch 1.
fn batch(owner: &BareJid) -> Batch {
    Batch::new(fence(owner, 1))
}

/// Commits one batch.
async fn commit(store: &SharedStore, batch: Batch) -> Result<(), Error> {
    let mut answers = store.commit(vec![batch]).await;
    assert_eq!(answers.len(), 1, "one answer per batch");
    answers.remove(0)
}

/// Commits one batch that must be kept.
async fn keep(store: &SharedStore, batch: Batch) {
    if let Err(error) = commit(store, batch).await {
        panic!("a plain batch was refused: {error}");
    }
}

/// Puts one row.
async fn put(store: &SharedStore, key: &Key, value: &str) {
    let write = Write::Put(key.clone(), value.to_owned().into());
    keep(store, batch(&key.owner).with(write)).await;
}

/// Gets one row as text.
async fn get(store: &SharedStore, key: &Key) -> Option<String> {
    let value = store.get(fence(&key.owner, 1), key.clone()).await;
    let value = value.expect("a plain get is answered")?;
    Some(String::from_utf8(value.to_vec()).expect("text was put"))
}

/// Appends rows with these ids and peers to an archive.
async fn append(store: &SharedStore, owner: &BareJid, rows: &[(u64, &BareJid)]) {
    let batch = rows.iter().fold(batch(owner), |batch, (id, peer)| {
        batch.with(Write::Append(owner.clone(), archive_row(*id, peer)))
    });
    keep(store, batch).await;
}

/// A row's name with text as item.
fn key(owner: &BareJid, kind: Kind, item: &str) -> Key {
    Key::new(owner.clone(), kind, item.to_owned())
}
