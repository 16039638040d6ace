//! Owns the configuration form of a room: its fields shown, read back, and as the bytes that are kept
//! (XEP-0045 §10.1.3, §10.2, §16.5.3). Pure.

use bytes::Bytes;
use xmpp::forms::{Choice, Field, FieldType, Form, FormKind};
use xmpp::{Element, StanzaCondition, StanzaError, ns};

use crate::affiliation::Role;
use crate::links;
use crate::settings::{PrivateMessages, Readers, Roles, Settings};

/// The fields whose meaning is this server's own.
const REGISTRATION: &str = "rookery#roomconfig_registration";
const NICKS_LOCKED: &str = "rookery#roomconfig_nickslocked";
/// As other servers name it.
const ARCHIVED: &str = "muc#roomconfig_enablearchiving";
const SLOW: &str = "muc#roomconfig_slow_mode_duration";
const SUBSCRIPTIONS: &str = "muc#roomconfig_allow_subscription";
/// What is shown as `muc#roominfo_logs` and `muc#roominfo_ldapgroup` has no registered name here.
const LOGS: &str = "rookery#roomconfig_logs";
const LDAP_GROUP: &str = "rookery#roomconfig_ldapgroup";

/// The longest time between two messages, in seconds: a day.
pub(crate) const SLOW_MOST: u32 = 86_400;

/// Names, descriptions and passwords have at most this many bytes.
pub(crate) const TEXT_BYTES: usize = 1_024;

/// The form, with what holds now.
#[must_use]
pub(crate) fn form(kind: FormKind, settings: &Settings) -> Form {
    let form = Form::new(kind, ns::MUC_CONFIG);
    let form = texts(form, settings);
    let form = entrance(form, settings);
    let form = conversation(form, settings);
    elsewhere(form, settings)
}

fn texts(form: Form, settings: &Settings) -> Form {
    form.with(text("roomname", "Name", &settings.name))
        .with(text("roomdesc", "Description", &settings.description))
        .with(text("lang", "Language of discussion", &settings.lang))
        .with(yes_or_no("persistentroom", "Keep the room when it is empty", settings.persistent))
        .with(yes_or_no("publicroom", "Show the room in the list of rooms", settings.public))
}

fn entrance(form: Form, settings: &Settings) -> Form {
    let most = settings.occupants.map_or_else(|| "none".to_owned(), |most| most.to_string());
    let mut occupants = list("maxusers", "Most occupants", FieldType::ListSingle).with_value(&most);
    for number in ["10", "20", "50", "100", "200", "500", "1000", "none"] {
        occupants = occupants.with_option(number, number);
    }
    // The value that holds is always one of the options.
    if occupants.options.iter().all(|option| option.value != most) {
        occupants.options.push(Choice { label: None, value: most });
    }
    let whois = if settings.addresses_shown { "anyone" } else { "moderators" };
    form.with(yes_or_no("membersonly", "Only members may enter", settings.members_only))
        .with(yes_or_no(
            "passwordprotectedroom",
            "A password is needed",
            settings.password.is_some(),
        ))
        .with(
            Field::new(FieldType::TextPrivate, var("roomsecret"))
                .with_label("Password")
                .with_value(settings.password.as_deref().unwrap_or_default()),
        )
        .with(occupants)
        .with(
            list("whois", "Who sees real addresses", FieldType::ListSingle)
                .with_value(whois)
                .with_option("Moderators", "moderators")
                .with_option("Everybody", "anyone"),
        )
        .with(yes_or_no(
            "allowinvites",
            "Members may invite others where only members may enter",
            settings.allow_invites,
        ))
        .with(readers(settings.member_list))
        .with(
            Field::boolean(REGISTRATION, settings.registration)
                .with_label("People may register a nick and become members"),
        )
        .with(
            Field::boolean(NICKS_LOCKED, settings.nicks_locked)
                .with_label("Who has registered a nick must use it"),
        )
        .with(
            Field::boolean(SUBSCRIPTIONS, settings.subscriptions)
                .with_label("People may hear the room without being inside"),
        )
}

fn conversation(form: Form, settings: &Settings) -> Form {
    let mut private = list("allowpm", "Who may send private messages", FieldType::ListSingle);
    for (who, value) in PrivateMessages::ALL {
        private = private.with_option(value, value);
        if who == settings.private_messages {
            private = private.with_value(value);
        }
    }
    form.with(yes_or_no("moderatedroom", "Newcomers only listen", settings.moderated))
        .with(yes_or_no(
            "changesubject",
            "Participants may change the subject",
            settings.change_subject,
        ))
        .with(private)
        .with(roles("presencebroadcast", "Whose presence is shown", settings.broadcast))
        .with(yes_or_no("enablelogging", "The discussion is logged in public", settings.logged))
        .with(Field::boolean(ARCHIVED, settings.archived).with_label("Keep an archive"))
        .with(
            Field::new(FieldType::TextSingle, "muc#maxhistoryfetch")
                .with_label("Messages that newcomers are shown")
                .with_value(settings.history.to_string()),
        )
        .with(
            Field::new(FieldType::TextSingle, SLOW)
                .with_label("Seconds between two messages of one person")
                .with_desc("0 means that nobody has to wait.")
                .with_range(0, SLOW_MOST)
                .with_value(settings.slow_seconds.to_string()),
        )
}

fn elsewhere(form: Form, settings: &Settings) -> Form {
    let own = |var, label: &str, value: &str| {
        Field::new(FieldType::TextSingle, var).with_label(label).with_value(value)
    };
    form.with(text("pubsub", "URI of a pubsub node that belongs to the room", &settings.pubsub))
        .with(own(LOGS, "URL of the public log", &settings.logs))
        .with(own(LDAP_GROUP, "LDAP group of the room", &settings.ldap_group))
}

/// The settings after an answer; what it does not name stays. `history`: the most that the service allows.
///
/// # Errors
/// `not-acceptable` for a value that makes no sense, such as a password that is blank (§10.1.3).
pub(crate) fn read(
    form: &Form,
    before: &Settings,
    history: usize,
) -> Result<Settings, StanzaError> {
    let mut now = before.clone();
    read_texts(form, &mut now)?;
    read_entrance(form, &mut now)?;
    read_conversation(form, &mut now)?;
    read_elsewhere(form, &mut now)?;
    now.history = now.history.min(history);
    Ok(now)
}

fn read_texts(form: &Form, now: &mut Settings) -> Result<(), StanzaError> {
    for (name, place) in
        [("roomname", &mut now.name), ("roomdesc", &mut now.description), ("lang", &mut now.lang)]
    {
        let lines = form.lines(&var(name));
        if let Some(text) = lines {
            *place = bounded(text)?;
        }
    }
    set(&mut now.persistent, form.boolean(&var("persistentroom"))?);
    set(&mut now.public, form.boolean(&var("publicroom"))?);
    Ok(())
}

fn read_entrance(form: &Form, now: &mut Settings) -> Result<(), StanzaError> {
    set(&mut now.members_only, form.boolean(&var("membersonly"))?);
    let secret = form.text(&var("roomsecret"))?.filter(|secret| !secret.is_empty());
    let secret = secret.map(|secret| bounded(secret.to_owned())).transpose()?;
    match (form.boolean(&var("passwordprotectedroom"))?, secret) {
        (Some(false), _) => now.password = None,
        (Some(true), Some(secret)) => now.password = Some(secret),
        (Some(true), None) if now.password.is_none() || is_blank(form, "roomsecret") => {
            return Err(not_acceptable("a password is needed, but it is blank"));
        }
        (None, Some(secret)) if now.password.is_some() => now.password = Some(secret),
        _ => {}
    }
    let most = |text: &str| match text {
        "none" => Some(None),
        number => number.parse().ok().filter(|most| *most > 0).map(Some),
    };
    set(&mut now.occupants, form.choice(&var("maxusers"), most)?);
    let shown = |text: &str| match text {
        "anyone" => Some(true),
        "moderators" => Some(false),
        _ => None,
    };
    set(&mut now.addresses_shown, form.choice(&var("whois"), shown)?);
    set(&mut now.allow_invites, form.boolean(&var("allowinvites"))?);
    set(&mut now.member_list, read_readers(form)?);
    set(&mut now.registration, form.boolean(REGISTRATION)?);
    set(&mut now.nicks_locked, form.boolean(NICKS_LOCKED)?);
    set(&mut now.subscriptions, form.boolean(SUBSCRIPTIONS)?);
    Ok(())
}

fn read_conversation(form: &Form, now: &mut Settings) -> Result<(), StanzaError> {
    set(&mut now.moderated, form.boolean(&var("moderatedroom"))?);
    set(&mut now.change_subject, form.boolean(&var("changesubject"))?);
    let private = |text: &str| {
        let found = PrivateMessages::ALL.into_iter().find(|(_, value)| *value == text);
        found.map(|(who, _)| who)
    };
    set(&mut now.private_messages, form.choice(&var("allowpm"), private)?);
    set(&mut now.broadcast, read_roles(form, "presencebroadcast")?);
    set(&mut now.logged, form.boolean(&var("enablelogging"))?);
    set(&mut now.archived, form.boolean(ARCHIVED)?);
    let history = form.number("muc#maxhistoryfetch")?;
    set(&mut now.history, history.map(|it| usize::try_from(it).unwrap_or(usize::MAX)));
    let slow = form.number(SLOW)?;
    set(&mut now.slow_seconds, slow.map(|it| u32::try_from(it).unwrap_or(u32::MAX).min(SLOW_MOST)));
    Ok(())
}

fn read_elsewhere(form: &Form, now: &mut Settings) -> Result<(), StanzaError> {
    let read = |name: &str, place: &mut String, is_one: fn(&str) -> bool| {
        let Some(text) = form.text(name)? else { return Ok(()) };
        if !text.is_empty() && !is_one(text) {
            return Err(not_acceptable(&format!("{name} is not of the kind that is asked for")));
        }
        *place = bounded(text.to_owned())?;
        Ok(())
    };
    read(&var("pubsub"), &mut now.pubsub, links::is_node)?;
    read(LOGS, &mut now.logs, links::is_page)?;
    read(LDAP_GROUP, &mut now.ldap_group, links::is_group)
}

/// The settings as the bytes that are kept.
#[must_use]
pub(crate) fn to_bytes(settings: &Settings) -> Bytes {
    form(FormKind::Submit, settings).to_element().to_bytes().into()
}

/// The settings out of kept bytes.
#[must_use]
pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Settings> {
    let form = Form::parse(&Element::parse(bytes).ok()?).ok()?;
    read(&form, &Settings::default(), usize::MAX).ok()
}

fn set<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}

fn read_roles(form: &Form, name: &str) -> Result<Option<Roles>, StanzaError> {
    let Some(values) = form.values(&var(name)) else { return Ok(None) };
    let mut roles = Vec::new();
    for value in values.iter().filter(|value| !value.is_empty()) {
        let role = Role::parse(value).filter(|role| *role != Role::None);
        roles.push(role.ok_or_else(|| not_acceptable("a role that nobody knows"))?);
    }
    Ok(Some(roles.into_iter().collect()))
}

fn read_readers(form: &Form) -> Result<Option<Readers>, StanzaError> {
    let Some(values) = form.values(&var("getmemberlist")) else { return Ok(None) };
    let named = values.iter().map(String::as_str).filter(|value| !value.is_empty());
    let readers = Readers::read(named);
    readers.map(Some).ok_or_else(|| not_acceptable("a role or affiliation that nobody knows"))
}

fn is_blank(form: &Form, name: &str) -> bool {
    form.field(&var(name)).is_some_and(Field::is_blank)
}

fn bounded(text: String) -> Result<String, StanzaError> {
    if text.len() > TEXT_BYTES {
        return Err(not_acceptable("a text is too long"));
    }
    Ok(text)
}

fn not_acceptable(text: &str) -> StanzaError {
    StanzaError::from(StanzaCondition::NotAcceptable).with_text(text)
}

fn var(name: &str) -> String {
    format!("muc#roomconfig_{name}")
}

fn text(name: &str, label: &str, value: &str) -> Field {
    Field::new(FieldType::TextSingle, var(name)).with_label(label).with_value(value)
}

fn yes_or_no(name: &str, label: &str, value: bool) -> Field {
    Field::boolean(var(name), value).with_label(label)
}

fn list(name: &str, label: &str, ty: FieldType) -> Field {
    Field::new(ty, var(name)).with_label(label)
}

fn roles(name: &str, label: &str, set: Roles) -> Field {
    let field = list(name, label, FieldType::ListMulti).with_values(set.iter().map(Role::as_str));
    let options = [Role::Moderator, Role::Participant, Role::Visitor];
    options.into_iter().fold(field, |field, role| field.with_option(role.as_str(), role.as_str()))
}

fn readers(set: Readers) -> Field {
    let field = list("getmemberlist", "Who may see the list of members", FieldType::ListMulti);
    let options = Readers::VALUES.into_iter();
    options.fold(field.with_values(set.values()), |field, value| field.with_option(value, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Settings {
        Settings {
            name: "Coven".into(),
            description: "For witches".into(),
            lang: "en".into(),
            persistent: true,
            public: false,
            password: Some("cauldronburn".into()),
            members_only: true,
            moderated: true,
            change_subject: true,
            allow_invites: true,
            private_messages: PrivateMessages::Moderators,
            addresses_shown: true,
            occupants: Some(37),
            history: 7,
            logged: true,
            archived: false,
            broadcast: [Role::Moderator].into_iter().collect(),
            member_list: Readers { member: true, ..Roles::from_iter([Role::Moderator]).into() },
            registration: false,
            nicks_locked: true,
            slow_seconds: 9,
            subscriptions: false,
            pubsub: "xmpp:pubsub.x.org?;node=coven".into(),
            logs: "https://x.org/logs/coven".into(),
            ldap_group: "cn=witches,dc=x,dc=org".into(),
        }
    }

    fn submitted(fields: &[(&str, &str)]) -> Form {
        let form = Form::new(FormKind::Submit, ns::MUC_CONFIG);
        fields.iter().fold(form, |form, (name, value)| {
            let field = Field { var: (*name).to_owned(), ..Field::default() };
            form.with(field.with_value(*value))
        })
    }

    #[test]
    fn every_setting_is_kept() {
        let nobody = Readers::from(Roles::from_iter([]));
        let secret = Settings { member_list: nobody, ..all() };
        for settings in [all(), secret, Settings::default()] {
            assert_eq!(from_bytes(&to_bytes(&settings)), Some(settings));
        }
    }

    // §16.5.3
    #[test]
    fn every_registered_field_is_offered_with_a_label() {
        let form = form(FormKind::Form, &all());
        for name in [
            "muc#maxhistoryfetch",
            "muc#roomconfig_allowpm",
            "muc#roomconfig_allowinvites",
            "muc#roomconfig_changesubject",
            "muc#roomconfig_enablelogging",
            "muc#roomconfig_getmemberlist",
            "muc#roomconfig_lang",
            "muc#roomconfig_maxusers",
            "muc#roomconfig_membersonly",
            "muc#roomconfig_moderatedroom",
            "muc#roomconfig_passwordprotectedroom",
            "muc#roomconfig_persistentroom",
            "muc#roomconfig_presencebroadcast",
            "muc#roomconfig_publicroom",
            "muc#roomconfig_pubsub",
            "muc#roomconfig_roomdesc",
            "muc#roomconfig_roomname",
            "muc#roomconfig_roomsecret",
            "muc#roomconfig_whois",
        ] {
            assert!(form.field(name).is_some_and(|field| field.label.is_some()), "{name}");
        }
        let most = form.field("muc#roomconfig_maxusers").unwrap();
        assert!(most.options.iter().any(|option| option.value == "37"));
    }

    #[test]
    fn what_an_answer_does_not_name_stays() {
        let now = read(&submitted(&[("muc#roomconfig_roomname", "New")]), &all(), 50).unwrap();
        assert_eq!(now, Settings { name: "New".into(), ..all() });
        let most = read(&submitted(&[("muc#maxhistoryfetch", "900")]), &all(), 50).unwrap();
        assert_eq!(most.history, 50);
    }

    #[test]
    fn values_that_make_no_sense_are_not_acceptable() {
        let cases: [&[(&str, &str)]; 11] = [
            &[("muc#roomconfig_passwordprotectedroom", "1")],
            &[("muc#roomconfig_passwordprotectedroom", "1"), ("muc#roomconfig_roomsecret", "")],
            &[("muc#roomconfig_maxusers", "0")],
            &[("muc#roomconfig_whois", "nobody")],
            &[("muc#roomconfig_allowpm", "dogs")],
            &[("muc#roomconfig_membersonly", "perhaps")],
            &[("muc#roomconfig_presencebroadcast", "king")],
            &[("muc#roomconfig_getmemberlist", "outcast")],
            &[("muc#roomconfig_pubsub", "the-coven-node")],
            &[("rookery#roomconfig_logs", "file:///etc/passwd")],
            &[("rookery#roomconfig_ldapgroup", "witches")],
        ];
        for fields in cases {
            let error = read(&submitted(fields), &Settings::default(), 50).unwrap_err();
            assert_eq!(error.condition, StanzaCondition::NotAcceptable, "{fields:?}");
        }
        let long = "x".repeat(TEXT_BYTES + 1);
        assert!(read(&submitted(&[("muc#roomconfig_roomname", &long)]), &all(), 50).is_err());
    }

    #[test]
    fn a_password_stays_until_it_is_taken_off() {
        let on = [("muc#roomconfig_passwordprotectedroom", "1")];
        assert_eq!(read(&submitted(&on), &all(), 50).unwrap().password, all().password);
        let off = [("muc#roomconfig_passwordprotectedroom", "0")];
        assert_eq!(read(&submitted(&off), &all(), 50).unwrap().password, None);
        let secret = [("muc#roomconfig_roomsecret", "x")];
        assert_eq!(read(&submitted(&secret), &Settings::default(), 50).unwrap().password, None);
    }
}
