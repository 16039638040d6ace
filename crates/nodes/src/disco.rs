//! Owns nodes and items as they are discovered (XEP-0060 §5.2 to §5.5), and which features there are (§10).

use xmpp::forms::{Field, FieldType, Form, FormKind};
use xmpp::{Element, StanzaError, datetime, ns, rsm};

use crate::access::{self, Asker};
use crate::affiliation::Affiliation;
use crate::collection::{Collection, Place};
use crate::form;
use crate::node::Node;

/// What this engine can do, for accounts and for services.
pub const FEATURES: &[&str] = &[
    ns::PUBSUB,
    "http://jabber.org/protocol/pubsub#config-node",
    "http://jabber.org/protocol/pubsub#config-node-max",
    "http://jabber.org/protocol/pubsub#create-and-configure",
    "http://jabber.org/protocol/pubsub#create-nodes",
    "http://jabber.org/protocol/pubsub#delete-items",
    "http://jabber.org/protocol/pubsub#delete-nodes",
    "http://jabber.org/protocol/pubsub#instant-nodes",
    "http://jabber.org/protocol/pubsub#item-ids",
    "http://jabber.org/protocol/pubsub#leased-subscription",
    "http://jabber.org/protocol/pubsub#manage-subscriptions",
    "http://jabber.org/protocol/pubsub#member-affiliation",
    "http://jabber.org/protocol/pubsub#meta-data",
    "http://jabber.org/protocol/pubsub#modify-affiliations",
    "http://jabber.org/protocol/pubsub#multi-items",
    "http://jabber.org/protocol/pubsub#outcast-affiliation",
    "http://jabber.org/protocol/pubsub#persistent-items",
    "http://jabber.org/protocol/pubsub#publish",
    "http://jabber.org/protocol/pubsub#publish-node-full",
    "http://jabber.org/protocol/pubsub#publish-only-affiliation",
    "http://jabber.org/protocol/pubsub#publish-options",
    "http://jabber.org/protocol/pubsub#publisher-affiliation",
    "http://jabber.org/protocol/pubsub#purge-nodes",
    "http://jabber.org/protocol/pubsub#retract-items",
    "http://jabber.org/protocol/pubsub#retrieve-affiliations",
    "http://jabber.org/protocol/pubsub#retrieve-default",
    "http://jabber.org/protocol/pubsub#retrieve-default-sub",
    "http://jabber.org/protocol/pubsub#retrieve-items",
    "http://jabber.org/protocol/pubsub#retrieve-subscriptions",
    "http://jabber.org/protocol/pubsub#rsm",
    "http://jabber.org/protocol/pubsub#subscribe",
    "http://jabber.org/protocol/pubsub#subscription-notifications",
    "http://jabber.org/protocol/pubsub#subscription-options",
    "http://jabber.org/protocol/pubsub#auto-create",
];

/// Most items of one page.
const PAGE_MOST: u32 = 200;

impl Collection {
    /// The nodes that somebody may read, each with its name for people (§5.2, XEP-0163 §6.2).
    pub fn readable<'a>(&'a self, asker: Asker<'a>) -> impl Iterator<Item = Element> + 'a {
        let may = move |node: &Node| access::read(node, asker).is_ok();
        self.iter().filter(move |(_, node)| may(node)).map(|(name, node)| {
            let title = Some(node.config.title.as_str()).filter(|title| !title.is_empty());
            Element::new("item", ns::DISCO_ITEMS)
                .with_attr("jid", self.owner.as_str())
                .with_attr("node", name)
                .with_attr_opt("name", title)
        })
    }

    /// What a node is (§5.3, §5.4).
    ///
    /// # Errors
    /// `item-not-found`; as of [`access::read`] for who may not read it.
    pub fn info(&self, name: &str, asker: Asker<'_>) -> Result<Element, StanzaError> {
        let node = self.node(name)?;
        access::read(node, asker)?;
        let word = |name: &'static str| Element::new(name, ns::DISCO_INFO);
        let identity = word("identity").with_attr("category", "pubsub").with_attr("type", "leaf");
        let features = [ns::PUBSUB, ns::DISCO_INFO, ns::DISCO_ITEMS];
        let features = features.map(|feature| word("feature").with_attr("var", feature));
        Ok(word("query")
            .with_attr("node", name)
            .with_child(identity)
            .with_children(features)
            .with_child(self.meta_data(node, asker.now).to_element()))
    }

    fn meta_data(&self, node: &Node, now: u64) -> Form {
        let config = &node.config;
        let texts = [
            ("type", config.ty.clone()),
            ("title", config.title.clone()),
            ("description", config.description.clone()),
            ("language", config.language.clone()),
            ("creation_date", datetime::format_seconds(node.created)),
            ("access_model", form::access_word(config.access).to_owned()),
            ("publish_model", form::publish_word(config.publish).to_owned()),
            ("max_items", form::up_to(config.max_items)),
            (
                "num_subscribers",
                node.current(now).filter(|(_, it)| !it.pending).count().to_string(),
            ),
        ];
        let meta = Form::new(FormKind::Result, ns::PUBSUB_META).with(
            Field::new(FieldType::JidSingle, "pubsub#creator").with_value(node.creator.as_str()),
        );
        let meta = texts.into_iter().filter(|(_, text)| !text.is_empty()).fold(
            meta,
            |meta, (name, text)| {
                meta.with(
                    Field::new(FieldType::TextSingle, format!("pubsub#{name}")).with_value(text),
                )
            },
        );
        let account = (self.place == Place::Account).then_some(&self.owner);
        let owners = account.into_iter().chain(node.owners()).map(|jid| jid.as_str());
        let publishers = node.affiliations.iter().filter(|(_, it)| **it == Affiliation::Publisher);
        meta.with(Field::new(FieldType::JidMulti, "pubsub#owner").with_values(owners))
            .with(
                Field::new(FieldType::JidMulti, "pubsub#publisher")
                    .with_values(publishers.map(|(jid, _)| jid.as_str())),
            )
            .with(
                Field::new(FieldType::JidMulti, "pubsub#contact")
                    .with_values(config.contact.iter().map(|jid| jid.as_str())),
            )
    }

    /// The items of a node by their ids (§5.5), by pages.
    ///
    /// # Errors
    /// As of [`Collection::info`], and of [`rsm::Request`].
    pub fn item_names(
        &self,
        name: &str,
        query: &Element,
        asker: Asker<'_>,
    ) -> Result<Element, StanzaError> {
        let node = self.node(name)?;
        access::read(node, asker)?;
        let asked = rsm::Request::parse(query)?;
        let said = asked.is_some() || node.items.len() > PAGE_MOST as usize;
        let (range, set) =
            asked.unwrap_or_default().page(&node.items, |head| head.id.as_str(), PAGE_MOST)?;
        let items = node.items[range].iter().map(|head| {
            Element::new("item", ns::DISCO_ITEMS)
                .with_attr("jid", self.owner.as_str())
                .with_attr("name", &head.id)
        });
        let answer = Element::new("query", ns::DISCO_ITEMS).with_attr("node", name);
        Ok(answer.with_children(items).with_children(said.then(|| set.to_element())))
    }

    /// A page of the service's nodes (§5.2).
    ///
    /// # Errors
    /// As of [`rsm::Request`].
    pub fn node_names(&self, query: &Element, asker: Asker<'_>) -> Result<Element, StanzaError> {
        let nodes: Vec<Element> = self.readable(asker).collect();
        let asked = rsm::Request::parse(query)?;
        let said = asked.is_some() || nodes.len() > PAGE_MOST as usize;
        let name = |item: &Element| item.attr("node").unwrap_or_default().to_owned();
        let names: Vec<String> = nodes.iter().map(name).collect();
        let (range, set) =
            asked.unwrap_or_default().page(&names, |name| name.as_str(), PAGE_MOST)?;
        let answer = Element::new("query", ns::DISCO_ITEMS);
        let answer = answer.with_children(nodes[range].iter().cloned());
        Ok(answer.with_children(said.then(|| set.to_element())))
    }
}
