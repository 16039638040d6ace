//! Rows that cannot be read, and requests that make no sense.

use store::Kind;

use super::*;

#[test]
fn a_row_that_cannot_be_read_stops_the_collection_from_loading() {
    let mut world = World::new(Place::Account);
    world.publish("romeo@x.org/r", "n", "a").unwrap();
    world.ask("a@friend.org/r", "set", "<subscribe node='n' jid='a@friend.org'/>").unwrap();
    for kind in crate::collection::KINDS {
        let row = |(key, value): &(store::Key, bytes::Bytes)| {
            let value = if key.kind == kind { value.slice(1..1) } else { value.clone() };
            Row { kind: key.kind, item: key.item.clone(), value }
        };
        let rows: Vec<Row> = world.rows.iter().map(row).collect();
        let loaded = Collection::load(world.collection.owner.clone(), Place::Account, &rows);
        assert_eq!(loaded.map(|_| ()), Err(crate::collection::Unreadable(kind)));
    }
    assert_eq!(world.rows.iter().filter(|(key, _)| key.kind == Kind::Payload).count(), 1);
}

#[test]
fn names_never_run_together() {
    let all = [("a", "bc"), ("ab", "c"), ("", "abc"), ("abc", "")];
    for (node, rest) in all {
        let item = crate::rows::join(node, rest);
        assert_eq!(crate::rows::split(&item), Some((node.to_owned(), rest.to_owned())));
    }
}

#[test]
fn requests_that_make_no_sense_are_refused() {
    let mut world = World::new(Place::Account);
    let long = "x".repeat(crate::rows::NAME_BYTES + 1);
    let long = format!("<publish node='{long}'><item><e xmlns='u'/></item></publish>");
    let rows = [
        ("set", "", "bad-request"),
        ("set", "<publish/>", "bad-request nodeid-required"),
        ("set", long.as_str(), "bad-request"),
        ("set", "<dance node='n'/>", "feature-not-implemented"),
        ("get", "<items/>", "bad-request nodeid-required"),
        ("get", "<items node='n'/>", "item-not-found"),
        ("get", "<publish node='n'/>", "feature-not-implemented"),
        ("set", "<subscribe node='n' jid='romeo@x.org'/>", "item-not-found"),
    ];
    for (ty, inner, said) in rows {
        assert_eq!(condition(world.ask("romeo@x.org/r", ty, inner)), said, "{inner}");
    }
}
