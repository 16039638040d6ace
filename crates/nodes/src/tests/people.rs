//! Subscriptions and affiliations: asked for, approved, changed by owners.

use super::*;

const ROMEO: &str = "romeo@x.org/r";
const ANN: &str = "ann@b.org/r";

fn node(fields: &[(&str, &str)]) -> World {
    let mut world = World::new(Place::Service);
    let config = form("node_config", fields);
    let create = format!("<create node='n'/><configure>{config}</configure>");
    assert_eq!(condition(world.ask(ROMEO, "set", &create)), "ok");
    world
}

fn subscribe(world: &mut World, jid: &str) -> Result<Outcome, StanzaError> {
    world.ask(ANN, "set", &format!("<subscribe node='n' jid='{jid}'/>"))
}

// §6.1.3, §6.2.3
#[test]
fn one_subscribes_and_unsubscribes_oneself_alone() {
    let mut world = node(&[]);
    assert_eq!(condition(subscribe(&mut world, "bob@b.org")), "bad-request invalid-jid");
    assert_eq!(condition(subscribe(&mut world, "ann@b.org")), "ok");
    assert_eq!(condition(subscribe(&mut world, "ann@b.org/r")), "ok");
    let list = result(world.ask(ANN, "get", "<subscriptions/>"));
    assert_eq!(list.matches("subscription='subscribed'").count(), 2, "{list}");
    let leave = |jid: &str| format!("<unsubscribe node='n' jid='{jid}'/>");
    assert_eq!(condition(world.ask(ANN, "set", &leave("bob@b.org"))), "forbidden");
    assert_eq!(condition(world.ask(ANN, "set", &leave("ann@b.org"))), "ok");
    let twice = world.ask(ANN, "set", &leave("ann@b.org"));
    assert_eq!(condition(twice), "unexpected-request not-subscribed");
    // What a resource has subscribed that is gone now, another one may end.
    let other = world.ask("ann@b.org/other", "set", &leave("ann@b.org/r"));
    assert_eq!(condition(other), "ok");
    let mut world = node(&[("subscribe", "0")]);
    let unsupported = "feature-not-implemented unsupported subscribe";
    assert_eq!(condition(subscribe(&mut world, "ann@b.org")), unsupported);
}

// §6.1.7, §16.4.4
#[test]
fn a_newcomer_gets_the_last_item_where_the_node_says_so() {
    for (when, count) in [("never", 0), ("on_sub", 1), ("on_sub_and_presence", 1)] {
        let mut world = node(&[("send_last_published_item", when)]);
        world.publish(ROMEO, "n", "a").unwrap();
        assert_eq!(subscribe(&mut world, "ann@b.org").unwrap().newcomers.len(), count, "{when}");
        assert!(subscribe(&mut world, "ann@b.org").unwrap().newcomers.is_empty(), "once");
    }
}

// §6.3, §12.19
#[test]
fn options_say_whether_and_how_long_events_are_sent() {
    let mut world = node(&[]);
    subscribe(&mut world, "ann@b.org").unwrap();
    let options = |fields: &[(&str, &str)]| {
        let form = form("subscribe_options", fields);
        format!("<options node='n' jid='ann@b.org'>{form}</options>")
    };
    let told_at = |world: &mut World, id| told(&world.publish(ROMEO, "n", id).unwrap())[0].clone();
    assert_eq!(told_at(&mut world, "a"), "ann@b.org: item a");
    world.ask(ANN, "set", &options(&[("deliver", "0")])).unwrap();
    assert_eq!(told_at(&mut world, "b"), ": item b");
    let lease = [("deliver", "1"), ("expire", "1970-01-01T00:17:00Z")];
    world.ask(ANN, "set", &options(&lease)).unwrap();
    assert_eq!(told_at(&mut world, "c"), "ann@b.org: item c");
    let shown = result(world.ask(ANN, "get", "<options node='n' jid='ann@b.org'/>"));
    assert!(shown.contains("1970-01-01T00:17:00Z"), "{shown}");
    world.now += 60_000_000;
    assert_eq!(told_at(&mut world, "d"), ": item d");
    subscribe(&mut world, "ann@b.org").unwrap();
    let invalid = "bad-request invalid-options";
    assert_eq!(condition(world.ask(ANN, "set", &options(&lease))), invalid);
    for wrong in [("deliver", "odd"), ("expire", "presence"), ("digest", "1"), ("colour", "red")] {
        assert_eq!(condition(world.ask(ANN, "set", &options(&[wrong]))), invalid, "{wrong:?}");
    }
    let of_bob = "<options node='n' jid='bob@b.org'/>";
    assert_eq!(condition(world.ask(ANN, "get", of_bob)), "forbidden");
    assert_eq!(condition(world.ask(ANN, "get", "<options node='n'/>")), "bad-request jid-required");
}

fn decision(allow: &str) -> Element {
    let form = form(
        "subscribe_authorization",
        &[("node", "n"), ("subscriber_jid", "ann@b.org"), ("allow", allow)],
    );
    Element::parse(form.as_bytes()).unwrap()
}

// §8.6
#[test]
fn an_owner_is_asked_and_decides() {
    for (allow, state) in [("1", "subscribed"), ("0", "none")] {
        let mut world = node(&[("access_model", "authorize")]);
        assert_eq!(told(&subscribe(&mut world, "ann@b.org").unwrap()), ["romeo@x.org: form"]);
        let again = subscribe(&mut world, "ann@b.org");
        assert_eq!(condition(again), "not-authorized pending-subscription");
        let x = decision(allow);
        let stranger = world.turn(ANN, |collection, turn| collection.decide(&x, turn));
        assert_eq!(condition(stranger), "forbidden");
        let outcome = world.turn(ROMEO, |collection, turn| collection.decide(&x, turn)).unwrap();
        assert_eq!(told(&outcome), [format!("ann@b.org: subscription {state}")]);
        let twice = world.turn(ROMEO, |collection, turn| collection.decide(&x, turn)).unwrap();
        assert!(told(&twice).is_empty());
    }
}

/// The list with which a request is not acceptable.
fn wrong(result: Result<Outcome, StanzaError>) -> String {
    let error = result.unwrap_err();
    assert_eq!(error.condition.name(), "not-acceptable");
    let pubsub = error.payload.unwrap();
    let list = pubsub.children().next().unwrap();
    String::from_utf8(list.to_bytes())
        .unwrap()
        .replace(" xmlns='http://jabber.org/protocol/pubsub#owner'", "")
}

// §8.8
#[test]
fn owners_change_subscriptions_all_or_none() {
    let mut world = node(&[]);
    let set = |inner: &str| format!("<subscriptions node='n'>{inner}</subscriptions>");
    let one = "<subscription jid='ann@b.org' subscription='subscribed'/>";
    let odd = "<subscription jid='bob@b.org' subscription='odd'/>";
    let both = set(&format!("{one}{odd}"));
    let failing = "<subscriptions node='n'><subscription jid='bob@b.org' subscription='none'/></subscriptions>";
    assert_eq!(wrong(world.ask_as_owner(ROMEO, "set", &both)), failing);
    let unchanged = set("<subscription jid='ann@b.org'/>");
    assert!(told(&world.ask_as_owner(ROMEO, "set", &unchanged).unwrap()).is_empty());
    let outcome = world.ask_as_owner(ROMEO, "set", &set(one)).unwrap();
    assert_eq!(told(&outcome), ["ann@b.org: subscription subscribed"]);
    let list = result(world.ask_as_owner(ROMEO, "get", "<subscriptions node='n'/>"));
    assert_eq!(list.matches("<subscription ").count(), 1);
    let none = set("<subscription jid='ann@b.org' subscription='none'/>");
    let outcome = world.ask_as_owner(ROMEO, "set", &none).unwrap();
    assert_eq!(told(&outcome), ["ann@b.org: subscription none"]);
    let four: String = (0..4).map(|n| one.replace("ann", &format!("ann{n}"))).collect();
    let full = world.ask_as_owner(ROMEO, "set", &set(&four));
    assert_eq!(condition(full), "policy-violation too-many-subscriptions");
}

// §8.9; §8.7.4, note
#[test]
fn affiliations_bring_subscriptions_in_line() {
    let set = |jid: &str, word: &str| {
        format!(
            "<affiliations node='n'><affiliation jid='{jid}' affiliation='{word}'/></affiliations>"
        )
    };
    let mut world = node(&[("access_model", "authorize")]);
    subscribe(&mut world, "ann@b.org").unwrap();
    let outcome = world.ask_as_owner(ROMEO, "set", &set("ann@b.org", "member")).unwrap();
    assert_eq!(told(&outcome), ["ann@b.org: subscription subscribed"]);
    let outcome = world.ask_as_owner(ROMEO, "set", &set("ann@b.org", "outcast")).unwrap();
    assert_eq!(told(&outcome), ["ann@b.org: subscription none"]);
    assert_eq!(condition(subscribe(&mut world, "ann@b.org")), "forbidden");
    let resigns = world.ask_as_owner(ROMEO, "set", &set("romeo@x.org", "none"));
    assert_eq!(wrong(resigns), set("romeo@x.org", "owner"));
    let odd = world.ask_as_owner(ROMEO, "set", &set("ann@b.org", "king"));
    assert_eq!(wrong(odd), set("ann@b.org", "outcast"));
    let twice = set("ann@b.org", "none")
        .replace("</affiliations>", "<affiliation jid='ann@b.org'/></affiliations>");
    assert_eq!(condition(world.ask_as_owner(ROMEO, "set", &twice)), "bad-request");
    let unchanged = set("ann@b.org", "").replace(" affiliation=''", "");
    assert_eq!(condition(world.ask_as_owner(ROMEO, "set", &unchanged)), "ok");
    assert_eq!(condition(subscribe(&mut world, "ann@b.org")), "forbidden");
    world.ask_as_owner(ROMEO, "set", &set("bob@b.org", "owner")).unwrap();
    world.ask_as_owner(ROMEO, "set", &set("romeo@x.org", "none")).unwrap();
    let list = result(world.ask_as_owner("admin@x.org/r", "get", "<affiliations node='n'/>"));
    assert!(list.contains("jid='bob@b.org' affiliation='owner'") && !list.contains("romeo"));
    let own = result(world.ask("bob@b.org/r", "get", "<affiliations/>"));
    assert!(own.contains("node='n' affiliation='owner'"), "{own}");
}

// §16.4.4 notify_sub
#[test]
fn owners_who_wish_are_told_of_subscriptions() {
    let mut world = node(&[("notify_sub", "1")]);
    let outcome = subscribe(&mut world, "ann@b.org").unwrap();
    assert_eq!(told(&outcome), ["romeo@x.org: subscription subscribed"]);
    let outcome = world.ask(ANN, "set", "<unsubscribe node='n' jid='ann@b.org'/>").unwrap();
    let none = ["ann@b.org: subscription none", "romeo@x.org: subscription none"];
    assert_eq!(told(&outcome), none);
}
