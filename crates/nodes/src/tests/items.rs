//! What is published, what becomes of a full node, what is taken back.

use super::*;

const ROMEO: &str = "romeo@x.org/r";
const FAN: &str = "fan@friend.org";

/// Fields of a form.
type Fields<'a> = &'a [(&'a str, &'a str)];

fn node(fields: Fields<'_>) -> World {
    let mut world = World::new(Place::Account);
    let config = form("node_config", fields);
    let create = format!("<create node='n'/><configure>{config}</configure>");
    assert_eq!(condition(world.ask(ROMEO, "set", &create)), "ok");
    let subscribe = format!("<subscribe node='n' jid='{FAN}'/>");
    assert_eq!(condition(world.ask(&format!("{FAN}/r"), "set", &subscribe)), "ok");
    world
}

fn all(world: &mut World) -> String {
    let outcome = world.ask(ROMEO, "get", "<items node='n'/>").unwrap();
    world.ids(&outcome)
}

// §7.1.2.5, §7.1.3.4
#[test]
fn a_full_node_does_as_it_is_configured() {
    let rows = [
        ("retract-oldest", "b c", vec!["fan@friend.org: item c", "fan@friend.org: retract a"]),
        ("discard-oldest", "b c", vec!["fan@friend.org: item c"]),
    ];
    for (full, left, events) in rows {
        let mut world = node(&[("max_items", "2"), ("publish_node_full", full)]);
        world.publish(ROMEO, "n", "a").unwrap();
        world.publish(ROMEO, "n", "b").unwrap();
        let outcome = world.publish(ROMEO, "n", "c").unwrap();
        assert_eq!(told(&outcome), events, "{full}");
        assert_eq!(all(&mut world), left, "{full}");
    }
    let mut world = node(&[("max_items", "1"), ("publish_node_full", "reject")]);
    world.publish(ROMEO, "n", "a").unwrap();
    assert_eq!(condition(world.publish(ROMEO, "n", "b")), "conflict node-full");
    assert_eq!(condition(world.publish(ROMEO, "n", "a")), "ok");
}

// §7.1.3, note; §12.21
#[test]
fn an_item_of_the_same_id_takes_the_place_of_the_one_before_and_is_the_last() {
    let mut world = node(&[("max_items", "max")]);
    for id in ["a", "b", "a"] {
        world.publish(ROMEO, "n", id).unwrap();
    }
    assert_eq!(all(&mut world), "b a");
    let mut world = node(&[]);
    world.publish(ROMEO, "n", "a").unwrap();
    let outcome = world.publish(ROMEO, "n", "b").unwrap();
    assert_eq!(told(&outcome), ["fan@friend.org: item b"]);
    assert_eq!(all(&mut world), "b");
}

// §4.3 table 4, §7.1.3.5 to §7.1.3.7
#[test]
fn an_item_must_fit_the_nodes_event_type() {
    let large = format!("<item><e xmlns='urn:e'>{}</e></item>", "x".repeat(100));
    let (both, none) = ("<item><e xmlns='u'/><f xmlns='u'/></item>", "");
    let one = "<item id='a'><e xmlns='urn:e'/></item>";
    let rows: [(Fields<'_>, &str, &str); 9] = [
        (&[], one, "ok"),
        (&[], none, "bad-request item-required"),
        (&[], "<item/>", "bad-request payload-required"),
        (&[], both, "bad-request invalid-payload"),
        (&[], &large, "not-acceptable payload-too-big"),
        (&[("max_payload_size", "5")], one, "not-acceptable payload-too-big"),
        (&[("deliver_payloads", "0")], "<item id='a'/>", "ok"),
        (&[("deliver_payloads", "0"), ("persist_items", "0")], none, "ok"),
        (&[("deliver_payloads", "0"), ("persist_items", "0")], one, "bad-request item-forbidden"),
    ];
    for (config, item, said) in rows {
        let mut world = node(config);
        let publish = format!("<publish node='n'>{item}</publish>");
        assert_eq!(condition(world.ask(ROMEO, "set", &publish)), said, "{config:?} {item}");
    }
}

// §7.1.2.2, §4.3
#[test]
fn what_is_told_and_kept_is_as_configured() {
    let mut world = node(&[("deliver_payloads", "0")]);
    let outcome = world.publish(ROMEO, "n", "a").unwrap();
    let text = String::from_utf8(outcome.notices[0].stanza.inner().to_vec()).unwrap();
    assert!(text.contains("<item id='a'/>"), "{text}");
    let mut world = node(&[("persist_items", "0")]);
    assert_eq!(told(&world.publish(ROMEO, "n", "a").unwrap()), ["fan@friend.org: item a"]);
    assert_eq!(all(&mut world), "");
    let retract = "<retract node='n'><item id='a'/></retract>";
    let unsupported = "feature-not-implemented unsupported persistent-items";
    assert_eq!(condition(world.ask(ROMEO, "set", retract)), unsupported);
    assert_eq!(condition(world.ask_as_owner(ROMEO, "set", "<purge node='n'/>")), unsupported);
    let mut world = node(&[("deliver_notifications", "0")]);
    assert!(told(&world.publish(ROMEO, "n", "a").unwrap()).is_empty());
}

// §7.2
#[test]
fn an_item_is_taken_back_and_who_listens_is_told_if_somebody_wants_it() {
    let rows = [("1", "", true), ("0", "", false), ("0", " notify='true'", true)];
    for (config, asked, heard) in rows {
        let mut world = node(&[("notify_retract", config)]);
        world.publish(ROMEO, "n", "a").unwrap();
        let retract = format!("<retract node='n'{asked}><item id='a'/></retract>");
        let outcome = world.ask(ROMEO, "set", &retract).unwrap();
        assert_eq!(!told(&outcome).is_empty(), heard, "{config}{asked}");
        assert_eq!(all(&mut world), "");
    }
    let mut world = node(&[]);
    for (inner, said) in [
        ("<retract node='n'><item id='z'/></retract>", "item-not-found"),
        ("<retract node='n'><item/></retract>", "bad-request item-required"),
        ("<retract node='n'/>", "bad-request item-required"),
        ("<retract><item id='a'/></retract>", "bad-request nodeid-required"),
        ("<retract node='z'><item id='a'/></retract>", "item-not-found"),
    ] {
        assert_eq!(condition(world.ask(ROMEO, "set", inner)), said, "{inner}");
    }
}

// §12.11
#[test]
fn of_several_items_all_are_taken_back_or_none() {
    let mut world = node(&[("max_items", "max")]);
    for id in ["a", "b", "c"] {
        world.publish(ROMEO, "n", id).unwrap();
    }
    let retract =
        |last: &str| format!("<retract node='n'><item id='a'/><item id='{last}'/></retract>");
    assert_eq!(condition(world.ask(ROMEO, "set", &retract("z"))), "item-not-found");
    assert_eq!(condition(world.ask(ROMEO, "set", &retract(""))), "bad-request item-required");
    assert_eq!(all(&mut world), "a b c");
    let outcome = world.ask(ROMEO, "set", &retract("b")).unwrap();
    let text = String::from_utf8(outcome.notices[0].stanza.inner().to_vec()).unwrap();
    assert!(text.contains("<retract id='a'/><retract id='b'/>"), "{text}");
    assert_eq!(all(&mut world), "c");
}

#[test]
fn items_go_when_their_time_is_over() {
    let mut world = node(&[("max_items", "max"), ("item_expire", "60")]);
    world.publish(ROMEO, "n", "a").unwrap();
    world.now += 50_000_000;
    world.publish(ROMEO, "n", "b").unwrap();
    assert_eq!(all(&mut world), "a b");
    world.now += 11_000_000;
    assert_eq!(all(&mut world), "b");
}

#[test]
fn there_is_an_end_to_items_and_bytes() {
    let mut world = node(&[("max_items", "max")]);
    for id in 0..12 {
        world.publish(ROMEO, "n", &id.to_string()).unwrap();
    }
    assert_eq!(all(&mut world), "2 3 4 5 6 7 8 9 10 11");
    world.limits.items = 10;
    assert_eq!(condition(world.publish(ROMEO, "n", "12")), "ok");
    assert_eq!(condition(world.publish(ROMEO, "m", "0")), "resource-constraint");
    world.limits.items = 20;
    world.limits.bytes = world.collection.sizes().1 + 5;
    assert_eq!(condition(world.publish(ROMEO, "m", "0")), "resource-constraint");
    assert!(world.collection.get("m").is_none());
    world.limits.bytes += 100;
    assert_eq!(condition(world.publish(ROMEO, "m", "0")), "ok");
}
