//! Rules about rows: put, get, delete, load, scan, owners, and what a batch and a call promise.

use bytes::Bytes;
use xmpp::BareJid;

use super::{batch, commit, fence, get, jid, juliet, keep, key, put, romeo};
use crate::{Batch, Cursor, Error, Key, Kind, MAX_WAITING_BYTES, Row, SharedStore, Write};

pub(super) async fn what_was_put_is_got_until_it_is_deleted(store: SharedStore) {
    let vcard = key(&juliet(), Kind::Vcard, "");
    assert_eq!(get(&store, &vcard).await, None);
    put(&store, &vcard, "card").await;
    assert_eq!(get(&store, &vcard).await.as_deref(), Some("card"));
    keep(&store, batch(&juliet()).with(Write::Delete(vcard.clone()))).await;
    assert_eq!(get(&store, &vcard).await, None);
    keep(&store, batch(&juliet()).with(Write::Delete(vcard))).await;
}

pub(super) async fn a_put_replaces_the_value(store: SharedStore) {
    let vcard = key(&juliet(), Kind::Vcard, "");
    put(&store, &vcard, "the first, which is longer").await;
    put(&store, &vcard, "the second").await;
    assert_eq!(get(&store, &vcard).await.as_deref(), Some("the second"));
}

pub(super) async fn rows_may_be_empty_and_large(store: SharedStore) {
    let empty = key(&juliet(), Kind::Vcard, "");
    put(&store, &empty, "").await;
    assert_eq!(get(&store, &empty).await.as_deref(), Some(""));

    let large = Key::new(juliet(), Kind::Private, vec![0xff; Key::ITEM_BYTES_MAX]);
    let value: Bytes = (0..1u32 << 18).flat_map(u32::to_be_bytes).collect::<Vec<_>>().into();
    let write = Write::Put(large.clone(), value.clone());
    keep(&store, batch(&juliet()).with(write)).await;
    let got = store.get(fence(&juliet(), 1), large).await.expect("is answered");
    assert!(got == Some(value));
}

pub(super) async fn kinds_are_kept_apart(store: SharedStore) {
    for kind in Kind::ALL {
        put(&store, &key(&juliet(), *kind, "item"), &format!("{kind:?}")).await;
    }
    for kind in Kind::ALL {
        let value = get(&store, &key(&juliet(), *kind, "item")).await;
        assert_eq!(value, Some(format!("{kind:?}")));
        let rows = store.scan(fence(&juliet(), 1), juliet(), *kind, None, 9).await;
        assert_eq!(rows.expect("is answered").len(), 1);
    }
}

pub(super) async fn owners_are_kept_apart_also_where_one_name_begins_another(store: SharedStore) {
    let owners = ["a@b.c", "a@b", "a@b.cc", "b", "b.c", "aa@b"].map(jid);
    for owner in &owners {
        put(&store, &key(owner, Kind::Roster, "item"), owner.as_str()).await;
    }
    for owner in &owners {
        let rows = store.load(fence(owner, 1), owner.clone(), Kind::ALL).await;
        let values: Vec<Bytes> = rows.expect("is answered").into_iter().map(|r| r.value).collect();
        assert_eq!(values, [owner.as_str()]);
    }
    let gone = key(&owners[1], Kind::Roster, "item");
    keep(&store, batch(&owners[1]).with(Write::Delete(gone.clone()))).await;
    assert_eq!(get(&store, &gone).await, None);
    let other = get(&store, &key(&owners[0], Kind::Roster, "item")).await;
    assert_eq!(other.as_deref(), Some("a@b.c"));
}

pub(super) async fn load_answers_the_rows_of_the_kinds_in_key_order(store: SharedStore) {
    for (kind, item) in [
        (Kind::Block, "z"),
        (Kind::Roster, "b"),
        (Kind::Account, ""),
        (Kind::Roster, ""),
        (Kind::Offline, "1"),
        (Kind::Roster, "a"),
        (Kind::Roster, "aa"),
    ] {
        put(&store, &key(&juliet(), kind, item), item).await;
    }
    put(&store, &key(&romeo(), Kind::Roster, "c"), "not hers").await;
    let kinds = &[Kind::Block, Kind::Account, Kind::Roster, Kind::Pending];
    let rows = store.load(fence(&juliet(), 1), juliet(), kinds).await.expect("is answered");
    let names: Vec<_> = rows.iter().map(|row| (row.kind, &row.item[..])).collect();
    assert_eq!(
        names,
        [
            (Kind::Account, &b""[..]),
            (Kind::Roster, b""),
            (Kind::Roster, b"a"),
            (Kind::Roster, b"aa"),
            (Kind::Roster, b"b"),
            (Kind::Block, b"z"),
        ]
    );
    assert!(rows.iter().all(|row| row.value == row.item));
    let none = store.load(fence(&juliet(), 1), juliet(), &[]).await;
    assert_eq!(none.expect("is answered"), []);
}

pub(super) async fn scan_pages_through_a_kind_in_key_order(store: SharedStore) {
    // Items of bytes, not of text: the order is the order of bytes.
    let mut items: Vec<Bytes> = (0..=255u8).map(|byte| vec![byte, 0, byte].into()).collect();
    items.push(Bytes::new());
    items.push(vec![7].into());
    items.push(vec![7, 0].into());
    let writes = items
        .iter()
        .rev()
        .map(|item| Write::Put(Key::new(juliet(), Kind::Offline, item.clone()), item.clone()));
    keep(&store, writes.fold(batch(&juliet()), Batch::with)).await;
    put(&store, &key(&juliet(), Kind::Block, "x"), "before").await;
    put(&store, &key(&juliet(), Kind::Private, "x"), "behind").await;

    let mut after = None;
    let mut seen: Vec<Bytes> = Vec::new();
    loop {
        let page = store.scan(fence(&juliet(), 1), juliet(), Kind::Offline, after, 100);
        let page: Vec<Row> = page.await.expect("is answered");
        let Some(last) = page.last() else { break };
        assert!(page.len() <= 100);
        assert!(page.iter().all(|row| row.kind == Kind::Offline && row.item == row.value));
        after = Some(last.item.clone());
        seen.extend(page.into_iter().map(|row| row.item));
    }
    items.sort();
    assert_eq!(seen, items);
    let nothing = store.scan(fence(&juliet(), 1), juliet(), Kind::Offline, None, 0).await;
    assert_eq!(nothing.expect("is answered"), []);
    // What was deleted meanwhile is still a place to go on from.
    let behind =
        store.scan(fence(&juliet(), 1), juliet(), Kind::Offline, Some(vec![7, 1].into()), 1);
    assert_eq!(behind.await.expect("is answered")[0].item, vec![8, 0, 8]);
}

pub(super) async fn the_last_write_of_a_row_wins_within_and_across_batches(store: SharedStore) {
    let [vcard, block] = [key(&juliet(), Kind::Vcard, ""), key(&juliet(), Kind::Block, "x")];
    let first = batch(&juliet())
        .with(Write::Put(vcard.clone(), "1".into()))
        .with(Write::Delete(vcard.clone()))
        .with(Write::Put(vcard.clone(), "2".into()))
        .with(Write::Put(block.clone(), "1".into()));
    let second = batch(&juliet())
        .with(Write::Put(vcard.clone(), "3".into()))
        .with(Write::Delete(block.clone()));
    let answers = store.commit(vec![first, second]).await;
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(get(&store, &vcard).await.as_deref(), Some("3"));
    assert_eq!(get(&store, &block).await, None);
}

pub(super) async fn calls_are_kept_in_their_order(store: SharedStore) {
    let vcard = key(&juliet(), Kind::Vcard, "");
    let mut answers = Vec::new();
    for number in 0..200 {
        let write = Write::Put(vcard.clone(), number.to_string().into());
        answers.push(store.commit(vec![batch(&juliet()).with(write)]));
    }
    // Waited for in the wrong order.
    for answer in answers.into_iter().rev() {
        assert!(matches!(answer.await[..], [Ok(())]));
    }
    assert_eq!(get(&store, &vcard).await.as_deref(), Some("199"));
}

pub(super) async fn a_dropped_answer_does_not_undo_the_call(store: SharedStore) {
    let [vcard, block] = [key(&juliet(), Kind::Vcard, ""), key(&juliet(), Kind::Block, "x")];
    let write = Write::Put(vcard.clone(), "card".into());
    drop(store.commit(vec![batch(&juliet()).with(write)]));
    put(&store, &block, "behind it").await;
    assert_eq!(get(&store, &vcard).await.as_deref(), Some("card"));
}

pub(super) async fn an_item_that_is_too_long_refuses_its_batch_alone(store: SharedStore) {
    let long = Key::new(juliet(), Kind::Private, vec![b'x'; Key::ITEM_BYTES_MAX + 1]);
    let [vcard, block] = [key(&juliet(), Kind::Vcard, ""), key(&juliet(), Kind::Block, "x")];
    let refused = batch(&juliet())
        .with(Write::Put(vcard.clone(), "card".into()))
        .with(Write::Put(long.clone(), "value".into()));
    let kept = batch(&juliet()).with(Write::Put(block.clone(), "".into()));
    let answers = store.commit(vec![refused, kept]).await;
    assert!(matches!(answers[..], [Err(Error::TooLong(_)), Ok(())]), "{answers:?}");
    assert_eq!(get(&store, &vcard).await, None);
    assert_eq!(get(&store, &block).await.as_deref(), Some(""));
    let delete = commit(&store, batch(&juliet()).with(Write::Delete(long))).await;
    assert!(matches!(delete, Err(Error::TooLong(_))));
}

pub(super) async fn more_than_may_wait_is_refused_whole(store: SharedStore) {
    let [vcard, block] = [key(&juliet(), Kind::Vcard, ""), key(&juliet(), Kind::Block, "x")];
    let huge = Bytes::from(vec![0; MAX_WAITING_BYTES]);
    let small = batch(&juliet()).with(Write::Put(block.clone(), "".into()));
    let large = batch(&juliet()).with(Write::Put(vcard.clone(), huge));
    let answers = store.commit(vec![small, large]).await;
    assert!(matches!(answers[..], [Err(Error::Full(_)), Err(Error::Full(_))]));
    assert_eq!(get(&store, &vcard).await, None);
    assert_eq!(get(&store, &block).await, None);
    put(&store, &block, "room again").await;
}

pub(super) async fn owners_with_a_kind_are_listed_in_order_and_in_pages(store: SharedStore) {
    let owners = ["a@b", "a@b.c", "a@b.cc", "b", "juliet@capulet.example"].map(jid);
    for owner in owners.iter().rev() {
        put(&store, &key(owner, Kind::Account, ""), "").await;
        put(&store, &key(owner, Kind::Roster, "1"), "").await;
        put(&store, &key(owner, Kind::Roster, "2"), "").await;
    }
    put(&store, &key(&romeo(), Kind::Vcard, ""), "no account").await;
    put(&store, &key(&jid("a@b.ca"), Kind::Roster, ""), "no account").await;

    let all = store.owners(Kind::Account, None, 100).await;
    assert_eq!(all.expect("is answered"), owners);
    let first = store.owners(Kind::Account, None, 2).await;
    assert_eq!(first.expect("is answered"), owners[..2]);
    let next = store.owners(Kind::Account, Some(owners[1].clone()), 2).await;
    assert_eq!(next.expect("is answered"), owners[2..4]);
    let rest = store.owners(Kind::Account, Some(jid("a@b.d")), 100).await;
    assert_eq!(rest.expect("is answered"), owners[3..]);
    let none = store.owners(Kind::Account, None, 0).await;
    assert!(none.expect("is answered").is_empty());
    let cards = store.owners(Kind::Vcard, None, 100).await;
    assert_eq!(cards.expect("is answered"), [romeo()]);
}

pub(super) async fn a_walk_meets_every_owner_with_a_kind_once(store: SharedStore) {
    let owners: Vec<BareJid> = (0..23).map(|number| jid(&format!("a{number}@b.c"))).collect();
    for (number, owner) in owners.iter().enumerate() {
        // Half of them in one bucket.
        let placed = if number % 2 == 0 { juliet() } else { owner.clone() };
        let write = |kind| Write::Put(key(owner, kind, ""), "".into());
        let batch = batch(&placed).with(write(Kind::Account)).with(write(Kind::Roster));
        keep(&store, batch).await;
    }
    put(&store, &key(&romeo(), Kind::Roster, "1"), "no account").await;
    for limit in [0, 1, 2, 5, 22, 23, 24, 100] {
        let (mut met, mut next) = (Vec::new(), Some(Cursor::default()));
        while let Some(from) = next {
            let walked = store.walk(Kind::Account, from, limit).await.expect("is answered");
            assert!(walked.owners.len() <= limit.max(1), "{limit}: {walked:?}");
            let is_full = walked.owners.len() == limit.max(1);
            assert!(is_full || walked.next.is_none(), "{limit}: {walked:?}");
            met.extend(walked.owners);
            assert!(met.len() <= owners.len(), "{limit}: it goes in circles");
            next = walked.next;
        }
        met.sort_unstable();
        let mut all = owners.clone();
        all.sort_unstable();
        assert_eq!(met, all, "{limit} at a time");
    }
    let nobody = store.walk(Kind::Vcard, Cursor::default(), 9).await.expect("is answered");
    assert_eq!((nobody.owners.len(), nobody.next), (0, None));
}
