//! Owns nodes that nobody made: what the server itself says. They are in memory alone, are read as others are, and cannot
//! be subscribed to, since what they say does not change while the server runs.

use bytes::Bytes;

use crate::collection::{Collection, Place};
use crate::config::{AccessModel, Config, PublishModel, UpTo};
use crate::node::{Head, Node};

impl Collection {
    /// Has a node say this, whoever has made one of its name. `now` in microseconds since 1970-01-01 UTC.
    pub fn say(&mut self, name: &str, title: &str, payload: &Bytes, now: u64) {
        let says =
            |node: &Node| matches!(&node.items[..], [head] if head.held.as_ref() == Some(payload));
        if self.get(name).is_some_and(says) {
            return;
        }
        let config = Config {
            title: title.to_owned(),
            access: AccessModel::Open,
            publish: PublishModel::Publishers,
            subscribe: false,
            max_items: UpTo::Number(1),
            ..Config::of(Place::Service)
        };
        let (owner, number) = (self.owner.clone(), self.next_number(now));
        let mut node = Node::new(config, owner.clone(), now);
        node.items.push(Head {
            id: "current".to_owned(),
            number,
            published: now,
            publisher: owner,
            bytes: payload.len(),
            held: Some(payload.clone()),
        });
        self.insert(name, node);
    }
}
