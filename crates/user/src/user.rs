//! Owns the User entity: the account's state, and which event goes to which file.

use std::sync::Arc;

use auth::Account;
use bytes::Bytes;
use entity::extension::SessionEvent;
use entity::{Context, Entity, LoadError, Mirror, Slots, Taken, Timer};
use proto::session::{ConnectionEvent, UserEvent};
use proto::snapshot::{SnapshotError, UserSnapshot};
use proto::{Body, Envelope, Now, Route};
use store::{ArchiveId, Key, Kind, Row};
use xmpp::{BareJid, Kind as StanzaKind, Stanza, StreamCondition, StreamError};

use crate::befriend::befriend;
use crate::config::Config;
use crate::extensions::{guests, privilege, push};
use crate::offline::{Offline, drain, refused};
use crate::roster::{Roster, outbox};
use crate::sessions::Sessions;
use crate::{bind, extensions, inbound, leaving, offline, outbound, presence, snapshot, stages};

/// A local account. There is one even for a name without an account: it says so to whoever asks.
pub struct User {
    /// The address.
    pub(crate) jid: BareJid,
    /// Whether there is an account of this name, and it may be used.
    pub(crate) exists: bool,
    /// Whether there is none of this name, or it is being removed: nothing is kept for it.
    pub(crate) gone: bool,
    /// Whether it is a guest (XEP-0175), who is here while a session is.
    pub(crate) guest: bool,
    /// Its sessions.
    pub(crate) sessions: Sessions,
    /// Its roster and subscriptions (RFC 6121 §2, §3).
    pub(crate) roster: Roster,
    /// The last id given to a row of its archive or offline store, as far as is known.
    pub(crate) last_id: ArchiveId,
    /// Whether the archive's last row has been looked at since it was loaded. It is before the first row is
    /// written, so that ids grow also where the clock was set back meanwhile, or another member's is behind
    /// (XEP-0313 §3.1); who does not chat pays nothing for it.
    pub(crate) knows_last: bool,
    /// What it has in store for sessions to come (XEP-0160).
    pub(crate) offline: Offline,
    /// Whether it was being removed when it was loaded: the next turn goes on with that.
    pub(crate) leaves: bool,
    /// Whether that has begun.
    pub(crate) is_leaving: bool,
    /// Whether it has said again to contacts what it had said when it was last loaded.
    pub(crate) said_again: bool,
    /// What extensions keep of it.
    pub(crate) slots: Slots,
    /// Rows that extensions of this account loaded at start; each takes its own.
    pub(crate) rows: Vec<Row>,
}

impl Entity for User {
    type Shared = Config;

    const KINDS: &'static [Kind] = &[
        Kind::Account,
        Kind::Roster,
        Kind::Block,
        Kind::Setting,
        Kind::Pending,
        Kind::Node,
        Kind::Subscription,
        Kind::Item,
    ];
    const NAME: &'static str = "user";
    const TIMERS: &'static [&'static str] = &[outbox::AGAIN.0, refused::AGAIN.0, drain::AGAIN.0];

    fn load(route: &Route, rows: Vec<Row>, config: &Arc<Config>) -> Result<Self, LoadError> {
        let Route::User(jid) = route else {
            return Err(LoadError { kind: Kind::Account });
        };
        let guest = account(&rows).is_none() && guests::may_be(jid, config);
        let exists = exists(&rows)? || guest;
        let (gone, leaves) = (is_gone(&rows), is_leaving(&rows));
        let roster = Roster::load(&rows)?;
        let offline = Offline::load(&rows);
        let of_roster = |row: &Row| matches!(row.kind, Kind::Roster | Kind::Pending);
        let rows = rows.into_iter().filter(|row| !of_roster(row)).collect();
        let mut user = Self {
            jid: jid.clone(),
            exists,
            gone,
            guest,
            leaves,
            is_leaving: false,
            sessions: Sessions::default(),
            roster,
            last_id: offline.last_id(),
            knows_last: false,
            offline,
            said_again: false,
            slots: Slots::default(),
            rows,
        };
        extensions::load(&mut user)?;
        // What nobody took is of no use any more: the account's own row.
        user.rows = Vec::new();
        Ok(user)
    }

    fn receive(&mut self, envelope: Envelope, cx: &mut Context<'_, Self>) {
        if !std::mem::replace(&mut self.said_again, true) {
            outbox::send_again(self, cx);
        }
        if std::mem::take(&mut self.leaves) {
            leaving::begin(self, None, cx);
        }
        match envelope.body {
            Body::Stanza(stanza) => inbound::receive(self, stanza, cx),
            Body::User(event) => self.handle_event(event, cx),
            Body::FromConnection(
                connection,
                ConnectionEvent::Bind { resource, iq_id, carbons },
            ) => {
                bind::bind(self, bind::BindRequest { connection, resource, iq_id, carbons }, cx);
            }
            Body::Woken => outbox::settle(self, cx),
            Body::ComponentConnected(domain) => privilege::component_connected(self, &domain, cx),
            Body::AskContacts(domain) => privilege::ask_contacts(self, &domain, cx),
            Body::FromConnection(..)
            | Body::ToConnection(_)
            | Body::MemberGone(_)
            | Body::Copy(_)
            | Body::Announced(_)
            | Body::Disclosed(_)
            | Body::HeldStreams(_) => {
                debug_assert!(false, "an event for somebody else came to a user");
            }
        }
        if (!self.exists || self.guest) && self.sessions.is_empty() && self.roster.outbox.is_empty()
        {
            // Whoever asks next finds the account that may be made or enabled meanwhile.
            cx.close();
        }
    }

    fn needs_last(&self, envelope: &Envelope) -> bool {
        let is_message = |stanza: &Stanza| matches!(stanza.kind(), StanzaKind::Message(_));
        let may_be_kept = match &envelope.body {
            Body::Stanza(stanza) | Body::User(UserEvent::Outbound { stanza, .. }) => {
                is_message(stanza)
            }
            Body::User(UserEvent::Ended { unacknowledged, .. }) => {
                unacknowledged.iter().any(is_message)
            }
            _ => false,
        };
        may_be_kept && self.exists && !self.guest && !self.knows_last
    }

    fn learn_last(&mut self, last: Option<ArchiveId>) {
        self.last_id = last.map_or(self.last_id, |last| last.max(self.last_id));
        self.knows_last = true;
    }

    fn wake(&mut self, timer: Timer, cx: &mut Context<'_, Self>) {
        match timer {
            outbox::AGAIN => outbox::send_again(self, cx),
            refused::AGAIN => refused::try_again(self, cx),
            drain::AGAIN => drain::go_on(self, cx),
            _ => {}
        }
    }

    fn may_sleep(&self, _: Now) -> bool {
        self.sessions.is_empty() && self.offline.may_sleep() && self.roster.outbox.is_empty()
    }

    fn snapshot(&self, _: Now) -> Option<Bytes> {
        snapshot::of(self).map(|snapshot| snapshot.encode())
    }

    fn restore(
        &mut self,
        snapshot: &[u8],
        cx: &mut Context<'_, Self>,
    ) -> Result<(), SnapshotError> {
        snapshot::restore(self, UserSnapshot::decode(snapshot)?, cx)?;
        if !self.exists {
            // It was removed while nobody looked.
            self.end_all(&StreamCondition::NotAuthorized.into(), cx);
        }
        Ok(())
    }

    fn announce(&mut self, taken: &Taken<'_>, cx: &mut Context<'_, Self>) {
        presence::directed::claim(self, taken, cx);
    }

    /// What it must know of its sessions is with them.
    fn mirror(&mut self, _: bool, cx: &mut Context<'_, Self>) -> Mirror {
        snapshot::keep(self, cx);
        Mirror::Nothing
    }

    fn is_settled(&self) -> bool {
        self.roster.outbox.is_empty()
    }
}

impl User {
    fn handle_event(&mut self, event: UserEvent, cx: &mut Context<'_, Self>) {
        match event {
            UserEvent::Outbound { session, stanza } => outbound::receive(self, session, stanza, cx),
            UserEvent::Ended { session, unacknowledged } => {
                let cut_off = self.sessions.get(session).filter(|entry| entry.attached);
                let cut_off = cut_off.map(|entry| entry.jid.clone());
                self.forget_session(session, cx);
                if let Some(client) = cut_off {
                    push::missed(self, client.resource(), &unacknowledged, cx);
                }
                if !self.gone {
                    offline::give_back(self, unacknowledged, cx);
                }
            }
            UserEvent::Attached { session, attached, unacknowledged } => {
                let Some(entry) = self.sessions.get_mut(session) else { return };
                entry.attached = attached;
                let client = entry.jid.clone();
                push::missed(self, client.resource(), &unacknowledged, cx);
            }
            UserEvent::ClientState { session, state } => {
                stages::announce(self, session, SessionEvent::State(state), cx);
            }
            UserEvent::Taken { session, mark } => offline::taken(self, session, mark, cx),
            UserEvent::End(error) => self.end_all(&error, cx),
            UserEvent::AccountChanged => self.look_again(cx),
            UserEvent::Befriend(contact) => befriend(self, contact, cx),
            UserEvent::Kept(session) => snapshot::take_back(self, *session, cx),
            UserEvent::Start { .. } | UserEvent::Stored { .. } => {
                debug_assert!(false, "an event for somebody else came to a user");
            }
        }
    }

    /// A session is over: whoever saw it is told, and nothing of it is kept.
    pub(crate) fn forget_session(&mut self, session: u64, cx: &mut Context<'_, Self>) {
        if self.sessions.get(session).is_none() {
            return;
        }
        presence::session_ended(self, session, cx);
        stages::announce(self, session, SessionEvent::Ended, cx);
        self.sessions.remove(session);
        offline::session_ended(self, session, cx);
    }

    /// The account was made, enabled, disabled or removed by administration.
    fn look_again(&mut self, cx: &mut Context<'_, Self>) {
        let key = Key::new(self.jid.clone(), Kind::Account, Bytes::new());
        cx.read(
            move |store, fence| store.get(fence, key),
            |user, cx, row| match row {
                Ok(Some(row)) if Account::is_leaving(&row) == Ok(true) => {
                    leaving::begin(user, None, cx);
                }
                Ok(row) => {
                    user.gone = row.is_none();
                    user.guest &= user.gone;
                    let may = row.is_some_and(|row| Account::is_enabled(&row) == Ok(true));
                    user.exists = may || user.guest;
                    if !user.exists {
                        user.end_all(&StreamCondition::NotAuthorized.into(), cx);
                    }
                }
                Err(error) => tracing::warn!(jid = %user.jid, %error, "an account cannot be read"),
            },
        );
    }

    /// Every session ends, and whoever asks next finds the account as it is stored then.
    fn end_all(&mut self, error: &StreamError, cx: &mut Context<'_, Self>) {
        let sessions: Vec<u64> = self.sessions.iter().map(|entry| entry.id.uid).collect();
        for session in sessions {
            bind::end(self, session, error.clone(), cx);
        }
        cx.close();
    }

    /// The id of a row that is written now: greater than every one before.
    pub fn next_id(&mut self, now: Now) -> ArchiveId {
        self.last_id = ArchiveId::next(self.last_id, now.unix_micros);
        self.last_id
    }
}

fn account(rows: &[Row]) -> Option<&Row> {
    rows.iter().find(|row| row.kind == Kind::Account)
}

fn is_leaving(rows: &[Row]) -> bool {
    account(rows).is_some_and(|row| Account::is_leaving(&row.value) == Ok(true))
}

fn is_gone(rows: &[Row]) -> bool {
    account(rows).is_none() || is_leaving(rows)
}

/// Whether there is an account among the rows, and it may be used.
fn exists(rows: &[Row]) -> Result<bool, LoadError> {
    let Some(row) = account(rows) else { return Ok(false) };
    Account::is_enabled(&row.value).map_err(|_| LoadError { kind: Kind::Account })
}
