//! Who may read, subscribe and publish, by access model, publish model and affiliation.

use super::*;

const ROMEO: &str = "romeo@x.org/r";

fn node(fields: &[(&str, &str)]) -> World {
    let mut world = World::new(Place::Account);
    let config = form("node_config", fields);
    let create = format!("<create node='n'/><configure>{config}</configure>");
    assert_eq!(condition(world.ask(ROMEO, "set", &create)), "ok");
    assert_eq!(condition(world.publish(ROMEO, "n", "a")), "ok");
    world
}

fn affiliate(world: &mut World, jid: &str, affiliation: &str) {
    let item = format!("<affiliation jid='{jid}' affiliation='{affiliation}'/>");
    let list = format!("<affiliations node='n'>{item}</affiliations>");
    assert_eq!(condition(world.ask_as_owner(ROMEO, "set", &list)), "ok");
}

// §4.5, §6.1.3, §6.5.9
#[test]
fn an_access_model_says_who_reads_and_subscribes() {
    let (no_presence, no_group) =
        ("not-authorized presence-subscription-required", "not-authorized not-in-roster-group");
    let rows = [
        ("open", "b@other.org", "ok", "ok"),
        ("presence", "a@friend.org", "ok", "ok"),
        ("presence", "b@other.org", no_presence, no_presence),
        ("roster", "a@friend.org", "ok", "ok"),
        ("roster", "b@other.org", no_group, no_group),
        ("whitelist", "a@friend.org", "not-allowed closed-node", "not-allowed closed-node"),
        ("authorize", "a@friend.org", "not-authorized not-subscribed", "ok"),
    ];
    for (model, who, reads, subscribes) in rows {
        let mut world = node(&[("access_model", model), ("roster_groups_allowed", "Friends")]);
        let full = format!("{who}/r");
        assert_eq!(condition(world.ask(&full, "get", "<items node='n'/>")), reads, "{model} {who}");
        let subscribe = format!("<subscribe node='n' jid='{who}'/>");
        assert_eq!(condition(world.ask(&full, "set", &subscribe)), subscribes, "{model} {who}");
    }
}

// §4.1 table 1
#[test]
fn an_affiliation_goes_before_the_model() {
    let rows = [
        ("outcast", "open", "forbidden", "forbidden"),
        ("none", "whitelist", "not-allowed closed-node", "forbidden"),
        ("member", "whitelist", "ok", "forbidden"),
        ("publish-only", "open", "forbidden", "ok"),
        ("publisher", "whitelist", "ok", "ok"),
        ("owner", "whitelist", "ok", "ok"),
    ];
    for (affiliation, model, reads, publishes) in rows {
        let mut world = node(&[("access_model", model)]);
        affiliate(&mut world, "b@other.org", affiliation);
        let read = world.ask("b@other.org/r", "get", "<items node='n'/>");
        assert_eq!(condition(read), reads, "{affiliation}");
        let publish = world.publish("b@other.org/r", "n", "b");
        assert_eq!(condition(publish), publishes, "{affiliation}");
    }
}

#[test]
fn a_publish_model_says_who_publishes_beside_publishers() {
    let mut world = node(&[("publish_model", "open"), ("access_model", "open")]);
    assert_eq!(condition(world.publish("b@other.org/r", "n", "b")), "ok");
    let mut world = node(&[("publish_model", "subscribers"), ("access_model", "open")]);
    assert_eq!(condition(world.publish("b@other.org/r", "n", "b")), "forbidden");
    let subscribe = "<subscribe node='n' jid='b@other.org'/>";
    assert_eq!(condition(world.ask("b@other.org/r", "set", subscribe)), "ok");
    assert_eq!(condition(world.publish("b@other.org/r", "n", "b")), "ok");
}

// §4.1 table 1, note; §7.2.3
#[test]
fn who_only_publishes_takes_back_only_what_he_published() {
    let rows =
        [("publish-only", "a", "forbidden"), ("publish-only", "b", "ok"), ("publisher", "a", "ok")];
    for (affiliation, id, said) in rows {
        let mut world = node(&[("max_items", "9")]);
        affiliate(&mut world, "b@other.org", affiliation);
        assert_eq!(condition(world.publish("b@other.org/r", "n", "b")), "ok");
        let retract = format!("<retract node='n'><item id='{id}'/></retract>");
        assert_eq!(
            condition(world.ask("b@other.org/r", "set", &retract)),
            said,
            "{affiliation} {id}"
        );
    }
}

// §8.1.3, §8.2.3.2, §8.4.3.1, §8.5.3.2, §8.8.1.3.2, §8.9.1.3.2
#[test]
fn only_owners_do_what_owners_do() {
    let mut world = node(&[("access_model", "open")]);
    affiliate(&mut world, "b@other.org", "publisher");
    let submit = form("node_config", &[("title", "T")]);
    let configure = format!("<configure node='n'>{submit}</configure>");
    for (ty, inner) in [
        ("get", "<configure node='n'/>"),
        ("set", configure.as_str()),
        ("set", "<purge node='n'/>"),
        ("get", "<subscriptions node='n'/>"),
        ("get", "<affiliations node='n'/>"),
        ("set", "<subscriptions node='n'/>"),
        ("set", "<affiliations node='n'/>"),
        ("set", "<delete node='n'/>"),
    ] {
        assert_eq!(
            condition(world.ask_as_owner("b@other.org/r", ty, inner)),
            "forbidden",
            "{inner}"
        );
        assert_eq!(condition(world.ask_as_owner(ROMEO, ty, inner)), "ok", "{inner}");
    }
    for inner in ["<configure node='n'/>", "<subscriptions node='n'/>", "<affiliations node='n'/>"]
    {
        assert_eq!(condition(world.ask_as_owner(ROMEO, "get", inner)), "item-not-found", "{inner}");
    }
}
