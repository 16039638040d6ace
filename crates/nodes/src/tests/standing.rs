//! Subscriptions that follow what their owners may, and leases that end.

use super::*;

const ROMEO: &str = "romeo@x.org/r";
const ANN: &str = "ann@b.org/r";
const FAN: &str = "fan@friend.org/r";

fn node(place: Place, fields: &[(&str, &str)]) -> World {
    let mut world = World::new(place);
    let config = form("node_config", fields);
    let create = format!("<create node='n'/><configure>{config}</configure>");
    assert_eq!(condition(world.ask(ROMEO, "set", &create)), "ok");
    world
}

fn subscribe(world: &mut World, who: &str) -> Result<Outcome, StanzaError> {
    let bare = who.split('/').next().unwrap();
    world.ask(who, "set", &format!("<subscribe node='n' jid='{bare}'/>"))
}

fn configure(world: &mut World, fields: &[(&str, &str)]) -> Vec<String> {
    let config = form("node_config", fields);
    let configure = format!("<configure node='n'>{config}</configure>");
    told(&world.ask_as_owner(ROMEO, "set", &configure).unwrap())
}

// §14.3, §12.14
#[test]
fn who_may_not_read_any_more_is_not_subscribed_any_more() {
    let mut world = node(Place::Service, &[]);
    subscribe(&mut world, ANN).unwrap();
    let said = configure(&mut world, &[("access_model", "whitelist")]);
    assert_eq!(said, ["ann@b.org: subscription none"]);
    assert_eq!(told(&world.publish(ROMEO, "n", "a").unwrap()), [": item a"]);
}

#[test]
fn who_needs_no_owners_word_any_more_does_not_wait_for_it() {
    let mut world = node(Place::Service, &[("access_model", "authorize")]);
    subscribe(&mut world, ANN).unwrap();
    let said = configure(&mut world, &[("access_model", "open")]);
    assert_eq!(said, ["ann@b.org: subscription subscribed"]);
}

// §4.1 table 1
#[test]
fn an_owner_subscribes_nobody_who_may_not_read() {
    let mut world = node(Place::Service, &[]);
    let outcast = "<affiliations node='n'><affiliation jid='ann@b.org' affiliation='outcast'/></affiliations>";
    world.ask_as_owner(ROMEO, "set", outcast).unwrap();
    let entry = "<subscription jid='ann@b.org' subscription='subscribed'/>";
    let list = format!("<subscriptions node='n'>{entry}</subscriptions>");
    assert_eq!(condition(world.ask_as_owner(ROMEO, "set", &list)), "not-acceptable");
    assert_eq!(told(&world.publish(ROMEO, "n", "a").unwrap()), [": item a"]);
}

// §14.3: what is told does not wait until subscriptions are in line.
#[test]
fn an_event_goes_to_nobody_who_may_not_read_at_that_time() {
    let mut world = node(Place::Account, &[]);
    subscribe(&mut world, FAN).unwrap();
    assert_eq!(told(&world.publish(ROMEO, "n", "a").unwrap()), ["fan@friend.org: item a"]);
    world.friends = false;
    assert_eq!(told(&world.publish(ROMEO, "n", "b").unwrap()), [": item b"]);
}

// XEP-0163 §7.1
#[test]
fn a_contact_who_stands_otherwise_loses_his_subscription() {
    let mut world = node(Place::Account, &[]);
    subscribe(&mut world, FAN).unwrap();
    let fan = BareJid::parse("fan@friend.org").unwrap();
    let looked = |world: &mut World| {
        let outcome = world.turn(ROMEO, |nodes, turn| Ok(nodes.stands_otherwise(&fan, turn)));
        told(&outcome.unwrap())
    };
    assert!(looked(&mut world).is_empty());
    world.friends = false;
    assert_eq!(looked(&mut world), ["fan@friend.org: subscription none"]);
    let list = result(world.ask(FAN, "get", "<subscriptions/>"));
    assert!(!list.contains("jid="), "{list}");
}

// §12.19
#[test]
fn a_lease_that_is_over_is_no_subscription() {
    let mut world =
        node(Place::Service, &[("access_model", "authorize"), ("publish_model", "subscribers")]);
    let lease = form("subscribe_options", &[("expire", "1970-01-01T00:17:00Z")]);
    let member = "<subscriptions node='n'><subscription jid='ann@b.org' subscription='subscribed'/></subscriptions>";
    world.ask_as_owner(ROMEO, "set", member).unwrap();
    let options = format!("<options node='n' jid='ann@b.org'>{lease}</options>");
    world.ask(ANN, "set", &options).unwrap();
    assert_eq!(condition(world.publish(ANN, "n", "a")), "ok");
    world.now += 60_000_000;
    let read = world.ask(ANN, "get", "<items node='n'/>");
    assert_eq!(condition(read), "not-authorized not-subscribed");
    assert_eq!(condition(world.publish(ANN, "n", "b")), "forbidden");
    for list in [
        world.ask(ANN, "get", "<subscriptions/>"),
        world.ask_as_owner(ROMEO, "get", "<subscriptions node='n'/>"),
    ] {
        let list = result(list);
        assert!(!list.contains("jid="), "{list}");
    }
    let leave = "<unsubscribe node='n' jid='ann@b.org'/>";
    assert_eq!(condition(world.ask(ANN, "set", leave)), "unexpected-request not-subscribed");
    assert_eq!(told(&subscribe(&mut world, ANN).unwrap()), ["romeo@x.org: form"]);
    world.ask_as_owner(ROMEO, "set", member).unwrap();
    assert_eq!(told(&world.publish(ROMEO, "n", "c").unwrap()), ["ann@b.org: item c"]);
}

#[test]
fn the_row_of_a_lease_goes_when_something_is_published() {
    let mut world = node(Place::Service, &[]);
    let lease = form("subscribe_options", &[("expire", "1970-01-01T00:17:00Z")]);
    let leased = format!("<subscribe node='n' jid='ann@b.org'/><options>{lease}</options>");
    let before = world.rows();
    world.ask(ANN, "set", &leased).unwrap();
    world.now += 60_000_000;
    world.ask(ROMEO, "get", "<items node='n'/>").unwrap();
    assert_eq!(world.rows(), before);
}

// §8.4.2
#[test]
fn who_waits_for_an_owner_hears_that_the_node_is_deleted() {
    let mut world = node(Place::Service, &[("access_model", "authorize")]);
    subscribe(&mut world, ANN).unwrap();
    let outcome = world.ask_as_owner(ROMEO, "set", "<delete node='n'/>").unwrap();
    assert_eq!(told(&outcome), ["ann@b.org: delete"]);
}
