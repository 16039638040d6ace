//! Rules about queries over archives (XEP-0313 §4, XEP-0059 §2).

use xmpp::BareJid;

use super::{append, archive_row, fence, jid, juliet, romeo};
use crate::{ArchiveId, ArchivePage, ArchiveQuery, ArchiveRow, SharedStore, Slice};

async fn query(store: &SharedStore, query: &ArchiveQuery) -> ArchivePage {
    let page = store.query(fence(&juliet(), 1), juliet(), query.clone()).await;
    page.expect("a plain query is answered")
}

fn ids(page: &ArchivePage) -> Vec<u64> {
    page.rows.iter().map(|row| row.id.0).collect()
}

fn nurse() -> BareJid {
    // Its name begins with another peer's name.
    jid("romeo@montague.example.net")
}

pub(super) async fn pages_follow_each_other_forward_and_backward(store: SharedStore) {
    let romeo = romeo();
    let rows: Vec<_> = (1..=7).map(|id| (id * 10, &romeo)).collect();
    append(&store, &juliet(), &rows).await;
    let page = async |slice| {
        let wanted = ArchiveQuery { slice, limit: 3, ..ArchiveQuery::default() };
        let page = query(&store, &wanted).await;
        assert_eq!((page.count, page.unknown_id), (Some(7), false));
        (ids(&page), page.complete)
    };
    assert_eq!(page(Slice::First).await, (vec![10, 20, 30], false));
    assert_eq!(page(Slice::After(ArchiveId(30))).await, (vec![40, 50, 60], false));
    assert_eq!(page(Slice::After(ArchiveId(60))).await, (vec![70], true));
    assert_eq!(page(Slice::After(ArchiveId(70))).await, (vec![], true));
    assert_eq!(page(Slice::After(ArchiveId(40))).await, (vec![50, 60, 70], true));
    assert_eq!(page(Slice::Last).await, (vec![50, 60, 70], false));
    assert_eq!(page(Slice::Before(ArchiveId(50))).await, (vec![20, 30, 40], false));
    assert_eq!(page(Slice::Before(ArchiveId(40))).await, (vec![10, 20, 30], true));
    assert_eq!(page(Slice::Before(ArchiveId(20))).await, (vec![10], true));
    assert_eq!(page(Slice::Before(ArchiveId(10))).await, (vec![], true));
}

pub(super) async fn an_id_that_is_not_there_is_told(store: SharedStore) {
    append(&store, &juliet(), &[(10, &romeo()), (20, &nurse())]).await;
    append(&store, &romeo(), &[(15, &juliet())]).await;
    let unknown = ArchiveId(15);
    let base = ArchiveQuery { limit: 9, ..ArchiveQuery::default() };
    for wanted in [
        ArchiveQuery { slice: Slice::After(unknown), ..base.clone() },
        ArchiveQuery { slice: Slice::Before(unknown), ..base.clone() },
        ArchiveQuery { after_id: Some(unknown), ..base.clone() },
        ArchiveQuery { before_id: Some(unknown), ..base.clone() },
        ArchiveQuery { ids: vec![ArchiveId(10), unknown], ..base.clone() },
        ArchiveQuery { ids: vec![unknown], limit: 0, ..base.clone() },
    ] {
        let page = query(&store, &wanted).await;
        assert!(page.unknown_id && page.rows.is_empty(), "{wanted:?}");
    }
    // A row that the filters leave out is still there to be named.
    let named = ArchiveQuery { with: Some(romeo()), slice: Slice::Before(ArchiveId(20)), ..base };
    let page = query(&store, &named).await;
    assert_eq!((ids(&page), page.complete, page.unknown_id), (vec![10], true, false));
}

pub(super) async fn a_limit_of_nothing_only_counts(store: SharedStore) {
    let nothing = query(&store, &ArchiveQuery::default()).await;
    assert_eq!((nothing.count, nothing.complete), (Some(0), true));
    append(&store, &juliet(), &[(1, &romeo()), (2, &nurse()), (3, &romeo())]).await;
    let all = query(&store, &ArchiveQuery::default()).await;
    assert_eq!((ids(&all), all.count, all.complete), (vec![], Some(3), false));
    let some = ArchiveQuery {
        with: Some(romeo()),
        slice: Slice::After(ArchiveId(3)),
        ..ArchiveQuery::default()
    };
    let some = query(&store, &some).await;
    assert_eq!((ids(&some), some.count, some.complete), (vec![], Some(2), true));
}

pub(super) async fn named_rows_come_in_order_of_time_and_once(store: SharedStore) {
    append(&store, &juliet(), &[(1, &romeo()), (2, &nurse()), (3, &romeo())]).await;
    let named = ArchiveQuery {
        ids: [3, 1, 3, 2].map(ArchiveId).into(),
        limit: 9,
        ..ArchiveQuery::default()
    };
    let page = query(&store, &named).await;
    assert_eq!((ids(&page), page.count, page.complete), (vec![1, 2, 3], Some(3), true));
    let filtered = ArchiveQuery { with: Some(romeo()), slice: Slice::Last, limit: 1, ..named };
    let page = query(&store, &filtered).await;
    assert_eq!((ids(&page), page.count, page.complete), (vec![3], Some(2), false));
}

/// What a query means, read as plainly as possible.
fn plain_reading(rows: &[ArchiveRow], query: &ArchiveQuery) -> ArchivePage {
    if query.named_ids().any(|id| rows.iter().all(|row| row.id != id)) {
        return ArchivePage::unknown_id();
    }
    let of_query: Vec<_> = rows.iter().filter(|row| query.selects(row)).cloned().collect();
    let of_slice: Vec<_> = of_query
        .iter()
        .filter(|row| match query.slice {
            Slice::First | Slice::Last => true,
            Slice::After(id) => row.id > id,
            Slice::Before(id) => row.id < id,
        })
        .cloned()
        .collect();
    let beyond = of_slice.len().saturating_sub(query.limit);
    let from = match query.slice {
        Slice::First | Slice::After(_) => 0,
        Slice::Last | Slice::Before(_) => beyond,
    };
    ArchivePage {
        rows: of_slice.into_iter().skip(from).take(query.limit).collect(),
        complete: beyond == 0,
        count: Some(of_query.len()),
        unknown_id: false,
    }
}

/// One query of each combination; some contradict themselves, some name what is not there.
fn combinations() -> Vec<ArchiveQuery> {
    let id = |n: u64| Some(ArchiveId(n));
    let mut queries = vec![ArchiveQuery::default()];
    let vary = |queries: Vec<ArchiveQuery>, change: &[&dyn Fn(&mut ArchiveQuery)]| {
        let mut varied = Vec::with_capacity(queries.len() * (change.len() + 1));
        for query in queries {
            for change in change {
                let mut query = query.clone();
                change(&mut query);
                varied.push(query);
            }
            varied.push(query);
        }
        varied
    };
    queries = vary(queries, &[&|q| q.with = Some(romeo()), &|q| q.with = Some(juliet())]);
    queries = vary(queries, &[&|q| q.start = Some(105), &|q| q.start = Some(130)]);
    queries = vary(queries, &[&|q| q.end = Some(180), &|q| q.end = Some(104)]);
    queries = vary(queries, &[&|q| q.after_id = id(120), &|q| q.after_id = id(121)]);
    queries = vary(queries, &[&|q| q.before_id = id(190)]);
    queries = vary(queries, &[&|q| q.ids = [100, 150, 140, 190, 180].map(ArchiveId).into()]);
    queries = vary(
        queries,
        &[
            &|q| q.slice = Slice::After(ArchiveId(140)),
            &|q| q.slice = Slice::Last,
            &|q| q.slice = Slice::Before(ArchiveId(170)),
            &|q| q.slice = Slice::Before(ArchiveId(171)),
        ],
    );
    vary(queries, &[&|q| q.limit = 2, &|q| q.limit = 100])
}

pub(super) async fn every_combination_of_filters_and_pages_answers_as_the_plain_reading_does(
    store: SharedStore,
) {
    let peers = [romeo(), nurse(), romeo(), jid("montague.example")];
    let rows: Vec<_> = (100..=200)
        .step_by(10)
        .zip(peers.iter().cycle())
        .map(|(id, peer)| archive_row(id, peer))
        .collect();
    let appended: Vec<_> = rows.iter().map(|row| (row.id.0, &row.peer)).collect();
    append(&store, &juliet(), &appended).await;
    // Neighbours in whatever order an engine keeps owners.
    for other in ["juliet@capulet.exampl", "juliet@capulet.example.net", "a", "z"] {
        append(&store, &jid(other), &[(120, &romeo()), (125, &romeo())]).await;
    }
    for wanted in combinations() {
        assert_eq!(query(&store, &wanted).await, plain_reading(&rows, &wanted), "{wanted:?}");
    }
}
