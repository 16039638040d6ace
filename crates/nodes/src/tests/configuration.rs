//! Nodes made, configured and deleted; preconditions.

use super::*;
use crate::config::{
    AccessModel, Config, FullNode, NotificationType, PublishModel, SendLast, UpTo,
};
use crate::form as forms;

const ROMEO: &str = "romeo@x.org/r";

fn publish_with(options: &[(&str, &str)]) -> String {
    let options = form("publish-options", options);
    format!(
        "<publish node='n'><item id='a'><e xmlns='u'/></item></publish>\
         <publish-options>{options}</publish-options>"
    )
}

// §7.1.5
#[test]
fn preconditions_make_a_node_and_hold_it_to_them() {
    let unmet = "conflict precondition-not-met";
    let rows: [(&[(&str, &str)], &str); 8] = [
        (&[("access_model", "open"), ("max_items", "max")], "ok"),
        (&[("persist_items", "true"), ("access_model", "open")], "ok"),
        (&[], "ok"),
        (&[("access_model", "presence")], unmet),
        (&[("max_items", "1000")], unmet),
        (&[("colour", "red")], unmet),
        (&[("node_type", "leaf"), ("purge_offline", "false")], "ok"),
        (&[("node_type", "collection")], unmet),
    ];
    let mut world = World::new(Place::Account);
    for (options, said) in rows {
        assert_eq!(condition(world.ask(ROMEO, "set", &publish_with(options))), said, "{options:?}");
    }
    let mut world = World::new(Place::Account);
    assert_eq!(condition(world.ask(ROMEO, "set", &publish_with(&[("colour", "red")]))), unmet);
    let odd = publish_with(&[("access_model", "odd")]);
    let unsupported = "not-acceptable unsupported-access-model";
    assert_eq!(condition(world.ask(ROMEO, "set", &odd)), unsupported);
    assert!(world.collection.is_empty());
}

fn every_other() -> Config {
    Config {
        title: "T".into(),
        description: "D".into(),
        language: "en".into(),
        ty: "urn:t".into(),
        contact: vec![Jid::parse("a@b.org").unwrap()],
        access: AccessModel::Roster,
        roster_groups: vec!["Friends".into(), "Foes".into()],
        publish: PublishModel::Open,
        full: FullNode::Reject,
        subscribe: false,
        deliver_notifications: false,
        deliver_payloads: false,
        notify_config: true,
        notify_delete: false,
        notify_retract: false,
        notify_sub: true,
        persist_items: false,
        max_items: UpTo::Max,
        item_expire: UpTo::Number(7),
        max_payload_size: 9,
        send_last: SendLast::Never,
        notification: NotificationType::Normal,
    }
}

#[test]
fn every_setting_survives_its_form() {
    for config in [every_other(), Config::of(Place::Account)] {
        let form = forms::write(&config, FormKind::Submit);
        let read = Form::parse(&form.to_element()).unwrap();
        assert_eq!(forms::read(&read, Place::Account), Ok(config.clone()));
        assert_eq!(forms::unmet(&read, &config), None);
    }
}

// §16.4.4
#[test]
fn a_service_offers_no_model_that_needs_a_roster() {
    let mut world = World::new(Place::Service);
    let form = result(world.ask_as_owner(ROMEO, "get", "<default/>"));
    assert!(form.contains("<value>authorize</value>") && !form.contains("<value>roster</value>"));
    let config = super::form("node_config", &[("access_model", "presence")]);
    let create = format!("<create node='n'/><configure>{config}</configure>");
    let unsupported = "not-acceptable unsupported-access-model";
    assert_eq!(condition(world.ask(ROMEO, "set", &create)), unsupported);
}

// §8.1.3, §6.3.7
#[test]
fn what_goes_along_follows_and_names_nothing_itself() {
    let mut world = World::new(Place::Service);
    let config = form("node_config", &[]);
    let options = form("subscribe_options", &[]);
    for inner in [
        format!("<configure>{config}</configure><create node='n'/>"),
        format!("<create node='n'/><configure node='n'>{config}</configure>"),
    ] {
        assert_eq!(condition(world.ask(ROMEO, "set", &inner)), "bad-request", "{inner}");
    }
    world.ask(ROMEO, "set", "<create node='n'/>").unwrap();
    let subscribe = "<subscribe node='n' jid='romeo@x.org'/>";
    for inner in [
        format!("<options>{options}</options>{subscribe}"),
        format!("{subscribe}<options node='n'>{options}</options>"),
        format!("{subscribe}<options jid='romeo@x.org'>{options}</options>"),
    ] {
        assert_eq!(condition(world.ask(ROMEO, "set", &inner)), "bad-request", "{inner}");
    }
    let inner = format!("{subscribe}<options>{options}</options>");
    assert_eq!(condition(world.ask(ROMEO, "set", &inner)), "ok");
}

// §8.1
#[test]
fn a_node_is_made_once_by_who_may() {
    let mut world = World::new(Place::Service);
    assert_eq!(condition(world.ask("a@other.org/r", "set", "<create node='n'/>")), "forbidden");
    assert_eq!(condition(world.ask(ROMEO, "set", "<create node='n'/>")), "ok");
    assert_eq!(condition(world.ask(ROMEO, "set", "<create node='n'/>")), "conflict");
    let made = result(world.ask(ROMEO, "set", "<create/><configure/>"));
    assert!(made.contains("<create node='fresh1'/>"), "{made}");
    for name in ["3", "4"] {
        assert_eq!(condition(world.ask(ROMEO, "set", &format!("<create node='{name}'/>"))), "ok");
    }
    assert_eq!(condition(world.ask(ROMEO, "set", "<create node='5'/>")), "resource-constraint");
    assert_eq!(condition(world.ask("b@x.org/r", "set", "<create node='5'/>")), "ok");
    assert_eq!(
        condition(world.ask("c@x.org/r", "set", "<create node='6'/>")),
        "resource-constraint"
    );
}

// §8.2, §8.4
#[test]
fn a_node_is_configured_and_deleted_and_leaves_no_row() {
    let mut world = World::new(Place::Service);
    world.ask(ROMEO, "set", "<create node='n'/>").unwrap();
    world.ask("a@b.org/r", "set", "<subscribe node='n' jid='a@b.org'/>").unwrap();
    for id in ["a", "b", "c"] {
        world.publish(ROMEO, "n", id).unwrap();
    }
    let submit = form("node_config", &[("max_items", "2"), ("notify_config", "1")]);
    let configure = format!("<configure node='n'>{submit}</configure>");
    let outcome = world.ask_as_owner(ROMEO, "set", &configure).unwrap();
    assert_eq!(told(&outcome), ["a@b.org: x"]);
    let items = world.ask(ROMEO, "get", "<items node='n'/>").unwrap();
    assert_eq!(world.ids(&items), "b c");
    let submit = form("node_config", &[("max_items", "many")]);
    let wrong = format!("<configure node='n'>{submit}</configure>");
    assert_eq!(condition(world.ask_as_owner(ROMEO, "set", &wrong)), "not-acceptable");
    let outcome = world.ask_as_owner(ROMEO, "set", "<delete node='n'/>").unwrap();
    assert_eq!(told(&outcome), ["a@b.org: delete"]);
    assert_eq!(world.rows(), 0);
}
