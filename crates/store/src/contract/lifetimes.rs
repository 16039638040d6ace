//! Rules about ends: of old rows, of owners, of the store itself.

use xmpp::BareJid;

use super::{append, batch, fence, get, jid, juliet, key, put, romeo};
use crate::{ArchiveQuery, Error, Kind, SharedStore, Slice, Write};

async fn ids(store: &SharedStore, owner: &BareJid, with: Option<BareJid>) -> Vec<u64> {
    let query = ArchiveQuery { with, slice: Slice::First, limit: 100, ..ArchiveQuery::default() };
    let page = store.query(fence(owner, 1), owner.clone(), query).await;
    let page = page.expect("a plain query is answered");
    assert_eq!(page.count, Some(page.rows.len()));
    page.rows.iter().map(|row| row.id.0).collect()
}

pub(super) async fn expired_rows_are_the_old_ones_of_all_owners_up_to_the_limit(
    store: SharedStore,
) {
    let owners = ["a@b", "a@b.c", "c", "d"].map(jid);
    for owner in &owners[..3] {
        append(&store, owner, &[(10, &romeo()), (20, &juliet()), (30, &romeo())]).await;
    }
    append(&store, &owners[3], &[(25, &romeo())]).await;
    let expire = async |limit| store.expire(25, limit).await.expect("is answered");
    assert_eq!(expire(0).await, 0);
    assert_eq!(expire(4).await, 4);
    assert_eq!(expire(4).await, 2);
    assert_eq!(expire(4).await, 0);
    for owner in &owners[..3] {
        assert_eq!(ids(&store, owner, None).await, [30]);
        assert_eq!(ids(&store, owner, Some(romeo())).await, [30]);
        assert_eq!(ids(&store, owner, Some(juliet())).await, []);
    }
    assert_eq!(ids(&store, &owners[3], None).await, [25]);
    // What grows old later is found as well.
    append(&store, &owners[0], &[(40, &romeo())]).await;
    assert_eq!(store.expire(41, 100).await.expect("is answered"), 5);
}

pub(super) async fn an_erased_owner_leaves_nothing_and_the_others_everything(store: SharedStore) {
    let owners = ["a@b", "a@b.c", "a@b.cc"].map(jid);
    for owner in &owners {
        for kind in Kind::ALL {
            put(&store, &key(owner, *kind, "item"), "value").await;
        }
        append(&store, owner, &[(10, &romeo()), (20, &juliet())]).await;
    }
    let erased = &owners[1];
    store.erase(fence(erased, 1), erased.clone()).await.expect("is answered");
    for owner in &owners {
        let rows = store.load(fence(owner, 1), owner.clone(), Kind::ALL).await;
        let rows = rows.expect("is answered").len();
        let archived = ids(&store, owner, None).await;
        let with = ids(&store, owner, Some(romeo())).await;
        if owner == erased {
            assert_eq!((rows, archived, with), (0, vec![], vec![]));
        } else {
            assert_eq!((rows, archived, with), (Kind::ALL.len(), vec![10, 20], vec![10]));
        }
    }
    let left = store.owners(Kind::Account, None, 9).await.expect("is answered");
    assert_eq!(left, [owners[0].clone(), owners[2].clone()]);
    store.erase(fence(erased, 1), erased.clone()).await.expect("nothing left to erase");
}

pub(super) async fn an_erased_owner_may_begin_anew(store: SharedStore) {
    let vcard = key(&juliet(), Kind::Vcard, "");
    put(&store, &vcard, "old").await;
    append(&store, &juliet(), &[(10, &romeo())]).await;
    store.erase(fence(&juliet(), 1), juliet()).await.expect("is answered");
    put(&store, &vcard, "new").await;
    append(&store, &juliet(), &[(11, &romeo())]).await;
    assert_eq!(get(&store, &vcard).await.as_deref(), Some("new"));
    assert_eq!(ids(&store, &juliet(), Some(romeo())).await, [11]);
}

fn is_closed<T>(answer: Result<T, Error>) -> bool {
    matches!(answer, Err(Error::Closed))
}

pub(super) async fn a_closed_store_refuses_every_call(store: SharedStore) {
    let fence = fence(&juliet(), 1);
    let vcard = key(&juliet(), Kind::Vcard, "");
    put(&store, &vcard, "card").await;
    store.close().await.expect("is answered");
    assert!(is_closed(store.claim(fence).await));
    assert!(is_closed(store.load(fence, juliet(), Kind::ALL).await));
    assert!(is_closed(store.get(fence, vcard.clone()).await));
    assert!(is_closed(store.scan(fence, juliet(), Kind::Vcard, None, 1).await));
    assert!(is_closed(store.query(fence, juliet(), ArchiveQuery::default()).await));
    assert!(is_closed(store.owners(Kind::Vcard, None, 1).await));
    assert!(is_closed(store.erase(fence, juliet()).await));
    assert!(is_closed(store.expire(1, 1).await));
    let put = batch(&juliet()).with(Write::Put(vcard, "other".into()));
    let answers = store.commit(vec![put, batch(&juliet())]).await;
    assert!(matches!(answers[..], [Err(Error::Closed), Err(Error::Closed)]));
    store.close().await.expect("closing again is no fault");
}

pub(super) async fn closing_finishes_what_was_accepted(store: SharedStore) {
    let mut accepted = Vec::new();
    for number in 0..50 {
        let write = Write::Put(key(&juliet(), Kind::Roster, &number.to_string()), "".into());
        accepted.push(store.commit(vec![batch(&juliet()).with(write)]));
    }
    store.close().await.expect("is answered");
    for answer in accepted {
        assert!(matches!(answer.await[..], [Ok(())]));
    }
}

pub(super) async fn nothing_waits_once_everything_is_answered(store: SharedStore) {
    for number in 0..50 {
        put(&store, &key(&juliet(), Kind::Roster, &number.to_string()), "value").await;
    }
    append(&store, &juliet(), &[(1, &romeo())]).await;
    store.erase(fence(&juliet(), 1), juliet()).await.expect("is answered");
    store.expire(9, 9).await.expect("is answered");
    assert_eq!(store.waiting_bytes(), 0);
}
