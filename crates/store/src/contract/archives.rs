//! Rules about what is in an archive: append, replace, remove.

use xmpp::{BareJid, Epoch, Origin, Shard};

use super::{append, archive_row, batch, fence, get, jid, juliet, keep, key, romeo};
use crate::{ArchiveId, ArchivePage, ArchiveQuery, ArchiveRow, Kind, SharedStore, Slice, Write};

async fn query(store: &SharedStore, owner: &BareJid, query: ArchiveQuery) -> ArchivePage {
    let page = store.query(fence(owner, 1), owner.clone(), query).await;
    page.expect("a plain query is answered")
}

async fn everything(store: &SharedStore, owner: &BareJid) -> Vec<ArchiveRow> {
    let all = ArchiveQuery { limit: 1_000, ..ArchiveQuery::default() };
    query(store, owner, all).await.rows
}

async fn with(store: &SharedStore, owner: &BareJid, peer: &BareJid) -> ArchivePage {
    let with = ArchiveQuery { with: Some(peer.clone()), limit: 1_000, ..ArchiveQuery::default() };
    query(store, owner, with).await
}

pub(super) async fn appended_rows_are_found_as_they_were(store: SharedStore) {
    let by_client = archive_row(1_700_000_000_000_000, &romeo());
    let by_shard = ArchiveRow {
        id: ArchiveId(1_700_000_000_000_001),
        peer: jid("capulet.example"),
        origin: Origin::Shard {
            shard: Shard::new(4_095).expect("the last shard"),
            epoch: Epoch(u64::MAX - 1),
            counter: u64::MAX,
        },
        stanza: vec![0xf0; 100_000].into(),
    };
    let empty = ArchiveRow {
        id: ArchiveId(u64::MAX),
        stanza: "".into(),
        origin: Origin::Client { session: u64::MAX, seq: u64::MAX, part: u16::MAX },
        ..by_client.clone()
    };
    let rows = vec![by_client, by_shard, empty];
    let appends = rows.iter().map(|row| Write::Append(juliet(), row.clone()));
    keep(&store, appends.fold(batch(&juliet()), crate::Batch::with)).await;
    assert_eq!(everything(&store, &juliet()).await, rows);
    assert_eq!(with(&store, &juliet(), &jid("capulet.example")).await.rows, rows[1..2]);
    assert_eq!(everything(&store, &romeo()).await, []);
}

pub(super) async fn archives_are_kept_apart_by_owner(store: SharedStore) {
    let owners = ["a@b.c", "a@b", "a@b.cc", "b"].map(jid);
    for (id, owner) in (1..).zip(&owners) {
        append(&store, owner, &[(id, &romeo()), (id + 10, &owners[0])]).await;
    }
    for (id, owner) in (1..).zip(&owners) {
        let rows = [archive_row(id, &romeo()), archive_row(id + 10, &owners[0])];
        assert_eq!(everything(&store, owner).await, rows);
        assert_eq!(with(&store, owner, &romeo()).await.rows, rows[..1]);
    }
}

pub(super) async fn a_tombstone_takes_the_place_of_its_row_alone(store: SharedStore) {
    append(&store, &juliet(), &[(1, &romeo()), (2, &romeo()), (3, &romeo())]).await;
    let tombstone =
        ArchiveRow { stanza: "<message><retracted/></message>".into(), ..archive_row(2, &romeo()) };
    let unknown = ArchiveRow { id: ArchiveId(4), ..tombstone.clone() };
    let replace = batch(&juliet())
        .with(Write::Replace(juliet(), tombstone.clone()))
        .with(Write::Replace(juliet(), unknown));
    keep(&store, replace).await;
    let rows = [archive_row(1, &romeo()), tombstone, archive_row(3, &romeo())];
    assert_eq!(everything(&store, &juliet()).await, rows);
    assert_eq!(with(&store, &juliet(), &romeo()).await.rows, rows);
}

pub(super) async fn a_tombstone_may_name_another_peer(store: SharedStore) {
    append(&store, &juliet(), &[(1, &romeo()), (2, &romeo())]).await;
    let moved = archive_row(2, &jid("nurse@capulet.example"));
    keep(&store, batch(&juliet()).with(Write::Replace(juliet(), moved.clone()))).await;
    assert_eq!(with(&store, &juliet(), &moved.peer).await.rows, [moved]);
    let page = with(&store, &juliet(), &romeo()).await;
    assert_eq!((page.rows.len(), page.count), (1, Some(1)));
}

pub(super) async fn a_removed_row_is_gone_from_every_query(store: SharedStore) {
    append(&store, &juliet(), &[(1, &romeo()), (2, &romeo()), (3, &romeo())]).await;
    let remove = batch(&juliet())
        .with(Write::Remove(juliet(), ArchiveId(2)))
        .with(Write::Remove(juliet(), ArchiveId(9)));
    keep(&store, remove).await;
    let page = with(&store, &juliet(), &romeo()).await;
    assert_eq!(page.count, Some(2));
    assert_eq!(page.rows, [archive_row(1, &romeo()), archive_row(3, &romeo())]);
    assert_eq!(everything(&store, &juliet()).await, page.rows);
    let after =
        ArchiveQuery { slice: Slice::After(ArchiveId(2)), limit: 9, ..ArchiveQuery::default() };
    assert!(query(&store, &juliet(), after).await.unknown_id);
}

pub(super) async fn rows_and_archive_change_together(store: SharedStore) {
    let offline = key(&juliet(), Kind::Offline, "1");
    let both = batch(&juliet())
        .with(Write::Put(offline.clone(), "1".into()))
        .with(Write::Append(juliet(), archive_row(1, &romeo())));
    keep(&store, both).await;
    assert_eq!(get(&store, &offline).await.as_deref(), Some("1"));
    assert_eq!(everything(&store, &juliet()).await.len(), 1);
}

pub(super) async fn changes_within_one_batch_follow_each_other(store: SharedStore) {
    let tombstone =
        ArchiveRow { stanza: "".into(), ..archive_row(1, &jid("nurse@capulet.example")) };
    let changes = batch(&juliet())
        .with(Write::Append(juliet(), archive_row(1, &romeo())))
        .with(Write::Append(juliet(), archive_row(2, &romeo())))
        .with(Write::Replace(juliet(), tombstone.clone()))
        .with(Write::Remove(juliet(), ArchiveId(2)))
        .with(Write::Append(juliet(), archive_row(3, &romeo())));
    let more = batch(&juliet()).with(Write::Remove(juliet(), ArchiveId(3)));
    let answers = store.commit(vec![changes, more]).await;
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(everything(&store, &juliet()).await, std::slice::from_ref(&tombstone));
    assert_eq!(with(&store, &juliet(), &tombstone.peer).await.rows, [tombstone]);
    let page = with(&store, &juliet(), &romeo()).await;
    assert_eq!((page.rows, page.count), (vec![], Some(0)));
}
