//! XEP-0030 Service Discovery, version 2.5.0: what a room is (XEP-0045 §6.4), who is in it (§6.5), which nick
//! somebody has reserved (§7.12). With the form of XEP-0128, version 1.0.1.

use entity::extension::Handle;
use entity::{Answer, Context, Discovered, Request, command};
use xmpp::forms::{Field, FieldType, Form, FormKind};
use xmpp::rsm;
use xmpp::{Element, Jid, StanzaCondition, StanzaError, ns};

use crate::Room;
use crate::affiliation::{Affiliation, Role};
use crate::extensions::{EXTENSIONS, hats, register};
use crate::rules::Standing;

impl Discovered for Room {
    const INFO: Handle<Self> = info;
    const ITEMS: Handle<Self> = items;
}

/// The node of one's own reserved nick (§7.12).
const NICK_NODE: &str = "x-roomuser-item";
/// What a room without an archive cannot do: it gives no ids by which a message could be taken back either.
const OF_ARCHIVE: [&str; 7] = [
    ns::MAM,
    ns::MAM_EXTENDED,
    ns::MAM_GROUPCHAT,
    ns::STANZA_ID,
    ns::RETRACT,
    ns::TOMBSTONE,
    ns::MODERATE,
];
/// Most occupants of one page.
const PAGE_MOST: u32 = 200;

fn info(
    room: &mut Room,
    request: &Request,
    _: &mut Context<'_, Room>,
) -> Result<Answer, StanzaError> {
    let from = request.stanza.head().from.as_ref().ok_or(StanzaCondition::BadRequest)?;
    let standing = room.standing_of(from);
    match request.payload.attr("node") {
        None => Ok(Answer::Result(about(room, standing))),
        Some(NICK_NODE) => Ok(Answer::Result(own_nick(room, from))),
        // §18.1.1: nothing is discarded.
        Some(ns::MUC_TRAFFIC) => Err(StanzaCondition::ServiceUnavailable.into()),
        Some(node) => {
            let command = command::info(&EXTENSIONS, room, node, from);
            command.unwrap_or_else(|| Err(StanzaCondition::ItemNotFound.into())).map(Answer::Result)
        }
    }
}

fn about(room: &Room, asker: Standing) -> Element {
    let word = |name: &'static str| Element::new(name, ns::DISCO_INFO);
    let name = match room.settings.name.as_str() {
        "" => room.jid.localpart().unwrap_or_default(),
        name => name,
    };
    let identity = word("identity")
        .with_attr("category", "conference")
        .with_attr("type", "text")
        .with_attr("name", name);
    let registers = register::works_for(room, asker.affiliation);
    let works = |feature: &&str| match *feature {
        feature if OF_ARCHIVE.contains(&feature) => room.settings.archived,
        ns::MUCSUB => room.settings.subscriptions,
        feature => registers || !register::FEATURES.contains(&feature),
    };
    let own = EXTENSIONS.features().into_iter().filter(works);
    let searches = room.settings.archived && room.shared.config.archive_search;
    let search = searches.then_some(archive::fulltext::FEATURE);
    let features =
        own.chain(search).chain(types(room)).map(|var| word("feature").with_attr("var", var));
    word("query")
        .with_child(identity)
        .with_children(features)
        .with_child(form(room, asker.role).to_element())
}

/// The room's type (§4.2), as features.
fn types(room: &Room) -> [&'static str; 6] {
    let settings = &room.settings;
    let pick = |is: bool, yes, no| if is { yes } else { no };
    [
        pick(settings.password.is_some(), "muc_passwordprotected", "muc_unsecured"),
        pick(settings.public, "muc_public", "muc_hidden"),
        pick(settings.persistent, "muc_persistent", "muc_temporary"),
        pick(settings.members_only, "muc_membersonly", "muc_open"),
        pick(settings.moderated, "muc_moderated", "muc_unmoderated"),
        pick(settings.addresses_shown, "muc_nonanonymous", "muc_semianonymous"),
    ]
}

/// §16.5.4. The subject of a room that not everybody may enter is for those who are inside (§14.4).
fn form(room: &Room, role: Role) -> Form {
    let settings = &room.settings;
    let text = |var: &str, value: String| Field::new(FieldType::TextSingle, var).with_value(value);
    let may_invite = !settings.members_only || settings.allow_invites;
    let closed = settings.members_only || settings.password.is_some();
    let subject = room.subject.as_ref().and_then(|it| it.child("subject", ""));
    let subject = subject.filter(|_| !closed || role > Role::None).map(|it| it.text());
    let mut form = Form::new(FormKind::Result, ns::MUC_INFO)
        .with(text("muc#roominfo_description", settings.description.clone()))
        .with(text("muc#roominfo_occupants", room.occupants.len().to_string()))
        .with(text("muc#maxhistoryfetch", settings.history.to_string()))
        .with(Field::boolean("muc#roominfo_subjectmod", settings.change_subject))
        .with(Field::boolean("muc#roominfo_changesubject", settings.change_subject))
        .with(Field::boolean("muc#roomconfig_changesubject", settings.change_subject))
        .with(text("muc#roomconfig_allowpm", settings.private_messages.value().to_owned()))
        .with(Field::boolean("muc#roomconfig_allowinvites", may_invite))
        .with(text("muc#roominfo_slow_mode_duration", settings.slow_seconds.to_string()));
    if let Some(subject) = subject {
        form = form.with(text("muc#roominfo_subject", subject));
    }
    if !settings.lang.is_empty() {
        form = form.with(text("muc#roominfo_lang", settings.lang.clone()));
    }
    // Of a log that is not announced nobody is warned (§7.2.12).
    let logs = if settings.logged { settings.logs.as_str() } else { "" };
    for (var, value) in [
        ("muc#roominfo_logs", logs),
        ("muc#roominfo_ldapgroup", &settings.ldap_group),
        ("muc#roominfo_pubsub", &settings.pubsub),
        ("muc#roomconfig_pubsub", &settings.pubsub),
    ] {
        if !value.is_empty() {
            form = form.with(text(var, value.to_owned()));
        }
    }
    if let Some(hash) = hats::hash(room) {
        form = form.with(text("hats#hash", hash));
    }
    if !room.avatar.is_empty() {
        let hashes = room.avatar.iter();
        form = form
            .with(Field::new(FieldType::TextMulti, "muc#roominfo_avatarhash").with_values(hashes));
    }
    if settings.addresses_shown {
        let owners = room.affiliations.of_affiliation(Affiliation::Owner).take(10);
        let owners = owners.map(|(jid, _)| jid.as_str());
        let contact = Field::new(FieldType::JidMulti, "muc#roominfo_contactjid");
        form = form.with(contact.with_values(owners));
    }
    form
}

/// §7.12: empty where there is none.
fn own_nick(room: &Room, from: &Jid) -> Element {
    let query = Element::new("query", ns::DISCO_INFO).with_attr("node", NICK_NODE);
    let nick = room.affiliations.get(&from.bare()).and_then(|entry| entry.nick.as_deref());
    match nick {
        None => query,
        Some(nick) => query.with_child(
            Element::new("identity", ns::DISCO_INFO)
                .with_attr("category", "conference")
                .with_attr("type", "text")
                .with_attr("name", nick),
        ),
    }
}

/// §6.5: who is inside is told to those who are (§14.4).
fn items(
    room: &mut Room,
    request: &Request,
    _: &mut Context<'_, Room>,
) -> Result<Answer, StanzaError> {
    let from = request.stanza.head().from.as_ref().ok_or(StanzaCondition::BadRequest)?;
    match request.payload.attr("node") {
        None => {}
        Some(ns::COMMANDS) => {
            let commands = command::items(&EXTENSIONS, room, room.jid.as_str(), from);
            return Ok(Answer::Result(commands));
        }
        Some(_) => return Err(StanzaCondition::ItemNotFound.into()),
    }
    let query = Element::new("query", ns::DISCO_ITEMS);
    if room.standing_of(from).role == Role::None {
        return Ok(Answer::Result(query));
    }
    let broadcast = room.settings.broadcast;
    let shown = room.occupants.iter().filter(|it| broadcast.has(it.role));
    let list: Vec<&str> = shown.map(|occupant| occupant.jid.as_str()).collect();
    let asked = rsm::Request::parse(&request.payload)?;
    let is_partial = list.len() > PAGE_MOST as usize;
    let (range, set) = asked.clone().unwrap_or_default().page(&list, |jid| jid, PAGE_MOST)?;
    let item = |jid: &&str| Element::new("item", ns::DISCO_ITEMS).with_attr("jid", *jid);
    let query = query.with_children(list[range].iter().map(item));
    Ok(Answer::Result(match asked.is_some() || is_partial {
        true => query.with_child(set.to_element()),
        false => query,
    }))
}
