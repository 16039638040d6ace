//! Rules about fences: which epoch a bucket accepts, and what a refusal leaves.

use super::{append, archive_row, batch, commit, fence, get, juliet, keep, key, put, romeo};
use crate::{ArchiveQuery, Batch, Error, Kind, SharedStore, Write};

fn is_fenced<T>(answer: Result<T, Error>, by: u64) -> bool {
    matches!(answer, Err(Error::Fenced { current, .. }) if current == by)
}

pub(super) async fn a_claim_only_raises(store: SharedStore) {
    store.claim(fence(&juliet(), 5)).await.expect("the first claim");
    store.claim(fence(&juliet(), 5)).await.expect("the same claim again");
    assert!(is_fenced(store.claim(fence(&juliet(), 4)).await, 5));
    store.claim(fence(&juliet(), 6)).await.expect("a higher claim");
    assert!(is_fenced(store.claim(fence(&juliet(), 5)).await, 6));
}

pub(super) async fn an_older_epoch_is_refused_by_every_call(store: SharedStore) {
    let vcard = key(&juliet(), Kind::Vcard, "");
    put(&store, &vcard, "card").await;
    append(&store, &juliet(), &[(1, &romeo())]).await;
    store.claim(fence(&juliet(), 2)).await.expect("a higher claim");

    let old = fence(&juliet(), 1);
    for write in [
        Write::Put(vcard.clone(), "other".into()),
        Write::Delete(vcard.clone()),
        Write::Append(juliet(), archive_row(2, &romeo())),
        Write::Replace(juliet(), archive_row(1, &juliet())),
        Write::Remove(juliet(), archive_row(1, &romeo()).id),
    ] {
        assert!(is_fenced(commit(&store, Batch::new(old).with(write)).await, 2));
    }
    assert!(is_fenced(store.erase(old, juliet()).await, 2));
    assert!(is_fenced(store.get(old, vcard.clone()).await, 2));
    assert!(is_fenced(store.load(old, juliet(), Kind::ALL).await, 2));
    assert!(is_fenced(store.scan(old, juliet(), Kind::Vcard, None, 1).await, 2));
    assert!(is_fenced(store.query(old, juliet(), ArchiveQuery::default()).await, 2));

    let new = fence(&juliet(), 2);
    let card = store.get(new, vcard).await.expect("is answered");
    assert_eq!(card.expect("was not changed"), "card");
    let query = ArchiveQuery { limit: 9, ..ArchiveQuery::default() };
    let page = store.query(new, juliet(), query).await.expect("is answered");
    assert_eq!(page.rows, [archive_row(1, &romeo())]);
}

pub(super) async fn a_newer_epoch_needs_no_claim(store: SharedStore) {
    let vcard = key(&juliet(), Kind::Vcard, "");
    store.claim(fence(&juliet(), 1)).await.expect("the first claim");
    let newer = Batch::new(fence(&juliet(), 9)).with(Write::Put(vcard.clone(), "new".into()));
    keep(&store, newer).await;
    // And it raises nothing.
    assert_eq!(get(&store, &vcard).await.as_deref(), Some("new"));
}

pub(super) async fn a_refused_batch_keeps_nothing_and_stops_no_other(store: SharedStore) {
    let [first, second, third] = ["1", "2", "3"].map(|item| key(&juliet(), Kind::Roster, item));
    let [vcard, block] = [key(&juliet(), Kind::Vcard, ""), key(&juliet(), Kind::Block, "")];
    store.claim(fence(&juliet(), 3)).await.expect("the first claim");
    let by = |epoch, key: &crate::Key| {
        Batch::new(fence(&juliet(), epoch)).with(Write::Put(key.clone(), "".into()))
    };
    let answers = store
        .commit(vec![
            by(3, &first),
            by(2, &vcard).with(Write::Put(block.clone(), "".into())),
            by(4, &second),
            by(0, &vcard),
            by(3, &third),
        ])
        .await;
    assert!(
        matches!(
            answers[..],
            [
                Ok(()),
                Err(Error::Fenced { current: 3, .. }),
                Ok(()),
                Err(Error::Fenced { .. }),
                Ok(())
            ]
        ),
        "{answers:?}"
    );
    let rows = store.load(fence(&juliet(), 3), juliet(), Kind::ALL).await.expect("is answered");
    let items: Vec<_> = rows.iter().map(|row| (row.kind, &row.item[..])).collect();
    assert_eq!(items, [(Kind::Roster, &b"1"[..]), (Kind::Roster, b"2"), (Kind::Roster, b"3")]);
}

pub(super) async fn buckets_are_fenced_apart(store: SharedStore) {
    assert_ne!(fence(&juliet(), 1).bucket, fence(&romeo(), 1).bucket);
    store.claim(fence(&juliet(), 9)).await.expect("the first claim");
    put(&store, &key(&romeo(), Kind::Vcard, ""), "his").await;
    assert!(is_fenced(commit(&store, batch(&juliet())).await, 9));
}
