//! XEP-0133 Service Administration, version 1.3.1, §4.24 to §4.28: what the domain tells each of its people once, when
//! a client comes: the message of the day, and a welcome to whoever has registered.

use accounts::notice::{NEWCOMER, Notice, Notices};
use bytes::Bytes;
use entity::extension::SessionEvent;
use entity::{Context, Extension, Slot};
use store::{Key, Kind, Write};
use xmpp::{Element, Head, Jid, Kind as StanzaKind, MessageType, Stanza};

use super::deliver;
use crate::User;

/// What the domain tells.
pub(crate) const TOLD: Extension<User> = Extension {
    number: "0133",
    title: "Service Administration",
    version: "1.3.1",
    session: Some(session),
    ..Extension::NONE
};

/// The name of the row that says which message of the day was told last.
const HEARD: &str = "day";

/// What the account has heard.
#[derive(Default)]
struct Heard {
    /// The number of the message of the day.
    day: u64,
    is_new: bool,
}

/// Comes out of the rows.
impl Slot for Heard {
    const NAME: &'static str = "heard";

    fn encode(&self) -> Option<Bytes> {
        None
    }

    fn decode(_: &[u8]) -> Option<Self> {
        None
    }
}

/// Takes the account's rows.
pub(super) fn load(user: &mut User) {
    let day = super::take_setting(user, HEARD);
    let day = day.and_then(|row| Some(u64::from_be_bytes(*row.value.first_chunk()?)));
    let is_new = super::take_setting(user, NEWCOMER).is_some();
    if day.is_some() || is_new {
        user.slots.get_or_make(|| Heard { day: day.unwrap_or_default(), is_new });
    }
}

fn session(user: &mut User, session: u64, event: SessionEvent, cx: &mut Context<'_, User>) {
    if event != SessionEvent::Available || user.gone {
        return;
    }
    let Some(accounts) = cx.shared.registration.invitations.clone() else { return };
    let domain = user.jid.domain();
    if let Some(notices) = accounts.notice_cache.lately(&domain, cx.now.unix_micros) {
        return tell(user, session, notices, cx);
    }
    cx.read(
        {
            let (accounts, domain) = (accounts.clone(), domain.clone());
            move |_, _| Box::pin(async move { Ok(accounts.notices(&domain).await) })
        },
        move |user, cx, read| {
            let Ok(Ok(notices)) = read else {
                return tracing::warn!(jid = %user.jid, "what the domain tells cannot be read");
            };
            accounts.notice_cache.learn(domain, cx.now.unix_micros, notices.clone());
            tell(user, session, notices, cx);
        },
    );
}

fn tell(user: &mut User, session: u64, notices: Notices, cx: &mut Context<'_, User>) {
    if user.sessions.get(session).is_none() {
        return;
    }
    let (mut writes, own) = (Vec::new(), user.jid.clone());
    let key = |item| Key::new(own.clone(), Kind::Setting, item);
    let (day, is_new) = user.slots.get::<Heard>().map_or((0, false), |it| (it.day, it.is_new));
    if is_new {
        writes.push(Write::Delete(key(NEWCOMER)));
        show(user, session, notices.welcome.as_ref(), cx);
    }
    let news = notices.day.filter(|notice| notice.number > day);
    if let Some(notice) = &news {
        writes.push(Write::Put(key(HEARD), notice.number.to_be_bytes().to_vec().into()));
        show(user, session, news.as_ref(), cx);
    }
    if writes.is_empty() {
        return;
    }
    let heard = user.slots.get_or_make(Heard::default);
    (heard.day, heard.is_new) = (news.map_or(day, |notice| notice.number), false);
    cx.commit_then(writes, |user, _, kept| {
        if let Err(error) = kept {
            tracing::warn!(jid = %user.jid, %error, "an account may be told something twice");
        }
    });
}

fn show(user: &User, session: u64, notice: Option<&Notice>, cx: &mut Context<'_, User>) {
    let Some((notice, entry)) = notice.zip(user.sessions.get(session)) else { return };
    let head = Head {
        kind: StanzaKind::Message(MessageType::Headline),
        id: None,
        from: Some(Jid::from(user.jid.domain())),
        to: Some(entry.jid.clone().into()),
        lang: None,
    };
    let body = Element::new("body", "").with_text(notice.text.clone());
    deliver(user, session, Stanza::build(head, &[body]), cx);
}
