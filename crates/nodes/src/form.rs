//! Owns the configuration of a node as a data form (XEP-0060 §16.4.4): offered, submitted, demanded as
//! preconditions of publishing (§7.1.5), and as it is kept.

use xmpp::forms::{Choice, Field, FieldType, Form, FormKind};
use xmpp::{StanzaCondition, StanzaError, ns};

use crate::collection::Place;
use crate::config::{
    AccessModel, Config, FullNode, NotificationType, PublishModel, SendLast, UpTo,
};
use crate::errors::error;

/// Longer texts are refused.
pub(crate) const TEXT_BYTES: usize = 2_048;

/// Most contacts, and most groups, of a node.
const LIST_MOST: usize = 100;

/// What is always so here; submitting anything else is refused.
const FIXED: [(&str, &str); 4] = [
    ("pubsub#node_type", "leaf"),
    ("pubsub#purge_offline", "0"),
    ("pubsub#presence_based_delivery", "0"),
    ("pubsub#tempsub", "0"),
];

const ACCESS: &[(&str, AccessModel)] = &[
    ("open", AccessModel::Open),
    ("presence", AccessModel::Presence),
    ("roster", AccessModel::Roster),
    ("authorize", AccessModel::Authorize),
    ("whitelist", AccessModel::Whitelist),
];
const PUBLISH: &[(&str, PublishModel)] = &[
    ("publishers", PublishModel::Publishers),
    ("subscribers", PublishModel::Subscribers),
    ("open", PublishModel::Open),
];
const FULL: &[(&str, FullNode)] = &[
    ("retract-oldest", FullNode::RetractOldest),
    ("discard-oldest", FullNode::DiscardOldest),
    ("reject", FullNode::Reject),
];
const SEND_LAST: &[(&str, SendLast)] = &[
    ("never", SendLast::Never),
    ("on_sub", SendLast::OnSub),
    ("on_sub_and_presence", SendLast::OnSubAndPresence),
];
const NOTIFICATION: &[(&str, NotificationType)] =
    &[("normal", NotificationType::Normal), ("headline", NotificationType::Headline)];

/// The word of an access model.
#[must_use]
pub(crate) fn access_word(model: AccessModel) -> &'static str {
    word(ACCESS, model)
}

/// The word of a publish model.
#[must_use]
pub(crate) fn publish_word(model: PublishModel) -> &'static str {
    word(PUBLISH, model)
}

/// The number, or `max`.
#[must_use]
pub(crate) fn up_to(value: UpTo) -> String {
    match value {
        UpTo::Number(number) => number.to_string(),
        UpTo::Max => "max".to_owned(),
    }
}

/// The form, with what holds now.
#[must_use]
pub(crate) fn write(config: &Config, kind: FormKind) -> Form {
    let form = Form::new(kind, ns::PUBSUB_CONFIG)
        .with(text("title", "Name", &config.title))
        .with(text("description", "Description", &config.description))
        .with(text("language", "Language", &config.language))
        .with(text("type", "Type of the payloads", &config.ty))
        .with(
            Field::new(FieldType::JidMulti, "pubsub#contact")
                .with_label("Whom to ask")
                .with_values(config.contact.iter().map(|jid| jid.as_str())),
        );
    let groups = Field::new(FieldType::TextMulti, "pubsub#roster_groups_allowed");
    let form = form
        .with(list("access_model", "Who may subscribe and read", ACCESS, config.access))
        .with(
            groups
                .with_label("Groups of the roster that may")
                .with_values(config.roster_groups.iter().cloned()),
        )
        .with(list("publish_model", "Who may publish", PUBLISH, config.publish))
        .with(yes_or_no("subscribe", "Subscriptions are allowed", config.subscribe));
    deliveries(storage(form, config), config)
}

fn storage(form: Form, config: &Config) -> Form {
    form.with(yes_or_no("persist_items", "Keep items", config.persist_items))
        .with(text("max_items", "Most items, or max", &up_to(config.max_items)))
        .with(text(
            "item_expire",
            "Seconds that items are kept, or max",
            &up_to(config.item_expire),
        ))
        .with(list("publish_node_full", "When there are most items", FULL, config.full))
        .with(text("max_payload_size", "Most bytes of an item", &payload_size(config)))
}

fn payload_size(config: &Config) -> String {
    match config.max_payload_size {
        0 => String::new(),
        bytes => bytes.to_string(),
    }
}

fn deliveries(form: Form, config: &Config) -> Form {
    form.with(yes_or_no("deliver_notifications", "Send events", config.deliver_notifications))
        .with(yes_or_no("deliver_payloads", "Send payloads in events", config.deliver_payloads))
        .with(yes_or_no("notify_config", "Tell of new configuration", config.notify_config))
        .with(yes_or_no("notify_delete", "Tell when the node is deleted", config.notify_delete))
        .with(yes_or_no("notify_retract", "Tell when items are removed", config.notify_retract))
        .with(yes_or_no("notify_sub", "Tell owners of subscriptions", config.notify_sub))
        .with(list(
            "send_last_published_item",
            "When the last item is sent",
            SEND_LAST,
            config.send_last,
        ))
        .with(list("notification_type", "Type of events", NOTIFICATION, config.notification))
}

/// Reads a form over what holds for the place.
///
/// # Errors
/// As of [`change`].
pub(crate) fn read(form: &Form, place: Place) -> Result<Config, StanzaError> {
    change(form, Config::of(place), place)
}

/// What holds after a form was submitted; what it does not name stays (§8.2.4). Fields that this server does not
/// know are passed over.
///
/// # Errors
/// `not-acceptable` for a value that makes no sense or cannot be had.
pub(crate) fn change(form: &Form, now: Config, place: Place) -> Result<Config, StanzaError> {
    for (var, value) in FIXED {
        if form.text(var)?.is_some_and(|text| !text.is_empty() && !same_word(text, value)) {
            return Err(not_acceptable(&format!("{var} is {value} here")));
        }
    }
    let access = access(form, now.access, place)?;
    let yes = |name: &str, now: bool| Ok::<bool, StanzaError>(form.boolean(name)?.unwrap_or(now));
    let config = Config {
        title: short(form, "pubsub#title", now.title)?,
        description: short(form, "pubsub#description", now.description)?,
        language: short(form, "pubsub#language", now.language)?,
        ty: short(form, "pubsub#type", now.ty)?,
        contact: form.jids("pubsub#contact")?.unwrap_or(now.contact),
        access,
        roster_groups: form
            .values("pubsub#roster_groups_allowed")
            .map_or(now.roster_groups, |groups| {
                groups.iter().filter(|it| !it.is_empty()).cloned().collect()
            }),
        publish: choice(form, "pubsub#publish_model", PUBLISH)?.unwrap_or(now.publish),
        full: choice(form, "pubsub#publish_node_full", FULL)?.unwrap_or(now.full),
        subscribe: yes("pubsub#subscribe", now.subscribe)?,
        deliver_notifications: yes("pubsub#deliver_notifications", now.deliver_notifications)?,
        deliver_payloads: yes("pubsub#deliver_payloads", now.deliver_payloads)?,
        notify_config: yes("pubsub#notify_config", now.notify_config)?,
        notify_delete: yes("pubsub#notify_delete", now.notify_delete)?,
        notify_retract: yes("pubsub#notify_retract", now.notify_retract)?,
        notify_sub: yes("pubsub#notify_sub", now.notify_sub)?,
        persist_items: yes("pubsub#persist_items", now.persist_items)?,
        max_items: form.choice("pubsub#max_items", number_or_max)?.unwrap_or(now.max_items),
        item_expire: form.choice("pubsub#item_expire", number_or_max)?.unwrap_or(now.item_expire),
        max_payload_size: form.number("pubsub#max_payload_size")?.unwrap_or(now.max_payload_size),
        send_last: choice(form, "pubsub#send_last_published_item", SEND_LAST)?
            .unwrap_or(now.send_last),
        notification: choice(form, "pubsub#notification_type", NOTIFICATION)?
            .unwrap_or(now.notification),
    };
    if config.contact.len() > LIST_MOST || config.roster_groups.len() > LIST_MOST {
        return Err(not_acceptable("a list is too long"));
    }
    Ok(config)
}

/// The access model, which must be one that the place knows (§8.1.2).
fn access(form: &Form, now: AccessModel, place: Place) -> Result<AccessModel, StanzaError> {
    let other = error(StanzaCondition::NotAcceptable, "unsupported-access-model");
    let access = choice(form, "pubsub#access_model", ACCESS).map_err(|_| other.clone())?;
    let access = access.unwrap_or(now);
    match place == Place::Service && matches!(access, AccessModel::Presence | AccessModel::Roster) {
        true => Err(other.with_text("a service has neither presence nor roster")),
        false => Ok(access),
    }
}

/// The first precondition that is not met, or that nobody knows (§7.1.5).
#[must_use]
pub(crate) fn unmet<'a>(options: &'a Form, config: &Config) -> Option<&'a str> {
    let now = write(config, FormKind::Submit);
    let wrong = |field: &&Field| {
        let fixed = FIXED.iter().find(|(var, _)| *var == field.var).map(|(_, value)| vec![*value]);
        let holds = now.field(&field.var).map(|it| it.values.iter().map(String::as_str).collect());
        let Some(mut holds): Option<Vec<&str>> = holds.or(fixed) else { return true };
        let mut asked: Vec<&str> = field.values.iter().map(String::as_str).collect();
        holds.sort_unstable();
        asked.sort_unstable();
        holds.len() != asked.len() || holds.iter().zip(&asked).any(|(a, b)| !same_word(a, b))
    };
    let fields = options.fields.iter().filter(|field| field.var != "FORM_TYPE");
    fields.filter(wrong).map(|field| field.var.as_str()).next()
}

/// Yes and no have two words each (XEP-0004 §3.3).
fn same_word(one: &str, other: &str) -> bool {
    let plain = |word| match word {
        "true" => "1",
        "false" => "0",
        word => word,
    };
    plain(one) == plain(other)
}

fn number_or_max(text: &str) -> Option<UpTo> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match text {
        "max" => Some(UpTo::Max),
        text if digits => text.parse().ok().map(UpTo::Number),
        _ => None,
    }
}

fn choice<T: Copy>(form: &Form, var: &str, words: &[(&str, T)]) -> Result<Option<T>, StanzaError> {
    form.choice(var, |text| words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value))
}

fn short(form: &Form, var: &str, now: String) -> Result<String, StanzaError> {
    let text = form.values(var).map_or(now, |values| values.join("\n"));
    match text.len() <= TEXT_BYTES {
        true => Ok(text),
        false => Err(not_acceptable(&format!("{var} is too long"))),
    }
}

fn word<T: Copy + PartialEq>(words: &[(&'static str, T)], value: T) -> &'static str {
    words.iter().find(|(_, it)| *it == value).map_or("", |(word, _)| word)
}

fn text(name: &str, label: &str, value: &str) -> Field {
    let field = Field::new(FieldType::TextSingle, format!("pubsub#{name}")).with_label(label);
    match value {
        "" => field,
        value => field.with_value(value),
    }
}

fn yes_or_no(name: &str, label: &str, value: bool) -> Field {
    Field::boolean(format!("pubsub#{name}"), value).with_label(label)
}

fn list<T: Copy + PartialEq>(
    name: &str,
    label: &str,
    words: &[(&'static str, T)],
    value: T,
) -> Field {
    let field = Field::new(FieldType::ListSingle, format!("pubsub#{name}"));
    let mut field = field.with_label(label).with_value(word(words, value));
    for (word, _) in words {
        field.options.push(Choice { label: None, value: (*word).to_owned() });
    }
    field
}

fn not_acceptable(text: &str) -> StanzaError {
    StanzaError::from(StanzaCondition::NotAcceptable).with_text(text)
}
