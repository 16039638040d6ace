//! XEP-0441 Message Archive Management Preferences, version 0.2.0: whose messages the account's owner
//! wants archived.

use bytes::Bytes;
use entity::extension::Who;
use entity::refuse::store_error;
use entity::{Answer, Context, Extension, Iq, LoadError, Request, Slot, SlotKind};
use store::{Key, Kind, Write};
use xmpp::{Element, IqType, Jid, StanzaCondition, StanzaError, ns};

use crate::User;
use crate::config::{ArchiveDefault, Config};
use crate::extensions::{again, reply, take_setting};

/// Archiving preferences of an account.
pub(crate) const EXTENSION: Extension<User> = Extension {
    number: "0441",
    title: "Message Archive Management Preferences",
    version: "0.2.0",
    iqs: &[
        Iq { ty: IqType::Get, name: "prefs", ns: ns::MAM, who: Who::Owner, handle: get },
        Iq { ty: IqType::Set, name: "prefs", ns: ns::MAM, who: Who::Owner, handle: set },
    ],
    slots: &[SlotKind::of::<Preferences>()],
    ..Extension::NONE
};

/// The row of [`Kind::Setting`]: a `<prefs/>`.
const ITEM: &str = "archive";

/// What the owner said.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Preferences {
    default: ArchiveDefault,
    always: Vec<Jid>,
    never: Vec<Jid>,
}

/// Comes out of the rows.
impl Slot for Preferences {
    const NAME: &'static str = "archive-preferences";

    fn encode(&self) -> Option<Bytes> {
        None
    }

    fn decode(_: &[u8]) -> Option<Self> {
        None
    }
}

/// Whether messages to and from this address are archived (§2.1, §2.3). An address in both lists is
/// never archived.
pub(crate) fn wants(user: &User, peer: &Jid, config: &Config) -> bool {
    let preferences = user.slots.get::<Preferences>();
    let names = |list: &[Jid]| {
        list.iter().any(|jid| jid == peer || jid.is_bare() && jid.as_str() == peer.bare_str())
    };
    if let Some(Preferences { always, never, .. }) = preferences {
        if names(never) {
            return false;
        }
        if names(always) {
            return true;
        }
    }
    match preferences.map_or(config.archive_default, |preferences| preferences.default) {
        ArchiveDefault::Always => true,
        ArchiveDefault::Never => false,
        ArchiveDefault::Roster => user.roster.contains(&peer.bare()),
    }
}

/// What the owner said, out of rows.
pub(crate) fn in_rows(rows: &[store::Row]) -> Option<Element> {
    let is = |row: &&store::Row| row.kind == Kind::Setting && row.item == ITEM.as_bytes();
    Element::parse(&rows.iter().find(is)?.value).ok()
}

/// The row of what a file says of it; none for what cannot be understood.
pub(crate) fn rows_of(owner: &xmpp::BareJid, prefs: &Element) -> Vec<Write> {
    let key = Key::new(owner.clone(), Kind::Setting, ITEM);
    let put = |_| Write::Put(key, prefs.to_bytes().into());
    Preferences::parse(prefs).ok().map(put).into_iter().collect()
}

/// Takes the account's row.
pub(super) fn load(user: &mut User) -> Result<(), LoadError> {
    let Some(row) = take_setting(user, ITEM) else {
        return Ok(());
    };
    let prefs = Element::parse(&row.value).ok().and_then(|prefs| Preferences::parse(&prefs).ok());
    let prefs = prefs.ok_or(LoadError { kind: Kind::Setting })?;
    user.slots.get_or_make(|| prefs);
    Ok(())
}

/// §2.1, example 1
fn get(user: &mut User, _: &Request, cx: &mut Context<'_, User>) -> Result<Answer, StanzaError> {
    let usual =
        Preferences { default: cx.shared.archive_default, always: Vec::new(), never: Vec::new() };
    let preferences = user.slots.get::<Preferences>().unwrap_or(&usual);
    Ok(Answer::Result(preferences.to_element()))
}

/// §2.1, example 4. In force at once; the answer waits for the store.
fn set(
    user: &mut User,
    request: &Request,
    cx: &mut Context<'_, User>,
) -> Result<Answer, StanzaError> {
    let preferences = Preferences::parse(&request.payload)?;
    if preferences.always.len() + preferences.never.len() > cx.shared.accounts.archive_preferences {
        let error = StanzaError::from(StanzaCondition::PolicyViolation);
        return Err(error.with_text("too many addresses in the archiving preferences"));
    }
    let before = user.slots.get::<Preferences>().cloned();
    replace(user, Some(preferences.clone()));
    let element = preferences.to_element();
    let key = Key::new(user.jid.clone(), Kind::Setting, ITEM);
    let writes = vec![Write::Put(key, element.to_bytes().into())];
    let request = again(request);
    cx.commit_then(writes, move |user, cx, result| {
        let answer = match result {
            Ok(()) => Ok(Some(element)),
            Err(error) => {
                replace(user, before);
                Err(store_error(&error))
            }
        };
        reply(user, &request, answer, cx);
    });
    Ok(Answer::Later)
}

fn replace(user: &mut User, preferences: Option<Preferences>) {
    user.slots.clear::<Preferences>();
    if let Some(preferences) = preferences {
        user.slots.get_or_make(|| preferences);
    }
}

impl Preferences {
    /// Reads a `<prefs/>`; a list that is missing is empty (§2.1.2, §2.1.3).
    fn parse(prefs: &Element) -> Result<Self, StanzaError> {
        let default = match prefs.attr("default") {
            Some("always") => ArchiveDefault::Always,
            Some("never") => ArchiveDefault::Never,
            Some("roster") => ArchiveDefault::Roster,
            _ => return Err(StanzaCondition::BadRequest.into()),
        };
        let (always, never) = (jids(prefs, "always")?, jids(prefs, "never")?);
        Ok(Self { default, always, never })
    }

    fn to_element(&self) -> Element {
        let default = match self.default {
            ArchiveDefault::Always => "always",
            ArchiveDefault::Never => "never",
            ArchiveDefault::Roster => "roster",
        };
        let jid = |jid: &Jid| Element::new("jid", ns::MAM).with_text(jid.as_str());
        let list = |name: &'static str, jids: &[Jid]| {
            Element::new(name, ns::MAM).with_children(jids.iter().map(jid))
        };
        Element::new("prefs", ns::MAM)
            .with_attr("default", default)
            .with_child(list("always", &self.always))
            .with_child(list("never", &self.never))
    }
}

fn jids(prefs: &Element, name: &str) -> Result<Vec<Jid>, StanzaError> {
    let Some(list) = prefs.child(name, ns::MAM) else {
        return Ok(Vec::new());
    };
    let parse = |jid: &Element| Jid::parse(jid.text().trim());
    let jids = list.children().filter(|child| child.is("jid", ns::MAM)).map(parse);
    jids.collect::<Result<_, _>>().map_err(|_| StanzaCondition::JidMalformed.into())
}
