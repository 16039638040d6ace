//! Owns the User entity: the account's state, and which word goes to which file.

use std::sync::Arc;

use entity::{Context, Entity, LoadError, Slots, Timer};
use proto::session::{EdgeWord, UserWord};
use proto::{Body, Envelope, Route};
use store::{ArchiveId, Kind, Row};
use xmpp::BareJid;

use crate::config::Config;
use crate::roster::Roster;
use crate::sessions::Sessions;
use crate::{bind, extensions, inbound, offline, outbound, presence};

/// A local account. There is one even for a name without an account: it says so to whoever asks.
pub struct User {
    /// The address.
    pub jid: BareJid,
    /// Whether there is an account of this name, and it may be used.
    pub exists: bool,
    /// Its sessions.
    pub sessions: Sessions,
    /// Its roster and subscriptions (RFC 6121 §2, §3).
    pub roster: Roster,
    /// The last id given to a row of its archive or offline store.
    pub last_id: ArchiveId,
    /// What extensions keep of it.
    pub slots: Slots,
    /// Rows that extensions of this account loaded at start; each takes its own.
    pub rows: Vec<Row>,
}

impl Entity for User {
    type Shared = Config;

    const KINDS: &'static [Kind] =
        &[Kind::Account, Kind::Roster, Kind::Block, Kind::Setting, Kind::Pending];
    const NAME: &'static str = "user";

    fn load(route: &Route, rows: Vec<Row>, _: &Arc<Config>) -> Result<Self, LoadError> {
        let Route::User(jid) = route else {
            return Err(LoadError { kind: Kind::Account });
        };
        let exists = rows.iter().any(|row| row.kind == Kind::Account);
        let roster = Roster::load(&rows)?;
        let of_roster = |row: &Row| matches!(row.kind, Kind::Roster | Kind::Pending);
        let rows = rows.into_iter().filter(|row| !of_roster(row)).collect();
        let mut user = Self {
            jid: jid.clone(),
            exists,
            sessions: Sessions::default(),
            roster,
            last_id: ArchiveId(0),
            slots: Slots::default(),
            rows,
        };
        extensions::load(&mut user)?;
        Ok(user)
    }

    fn receive(&mut self, envelope: Envelope, cx: &mut Context<'_, Self>) {
        match envelope.body {
            Body::Stanza(stanza) => inbound::receive(self, stanza, cx),
            Body::User(UserWord::Outbound { session, stanza }) => {
                outbound::receive(self, session, stanza, cx);
            }
            Body::User(UserWord::Ended { session, unacknowledged }) => {
                presence::session_ended(self, session, cx);
                offline::give_back(self, unacknowledged, cx);
            }
            Body::User(UserWord::Attached { session, attached }) => {
                if let Some(entry) = self.sessions.get_mut(session) {
                    entry.attached = attached;
                }
            }
            Body::Edge(connection, EdgeWord::Bind { resource, iq_id }) => {
                bind::bind(self, bind::Wish { connection, resource, iq_id }, cx);
            }
            Body::Edge(..) | Body::Home(_) | Body::User(_) | Body::Woken => {
                debug_assert!(false, "a word for somebody else came to a user");
            }
        }
    }

    fn wake(&mut self, _: Timer, _: &mut Context<'_, Self>) {}

    fn may_sleep(&self) -> bool {
        self.sessions.is_empty()
    }
}
