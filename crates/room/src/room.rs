//! Owns the Room entity: its phases, and which stanza goes to which file.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use entity::{Context, Copy, Entity, LoadError, Mirror, Slots, Taken, Timer};
use proto::snapshot::SnapshotError;
use proto::{Body, Envelope, Now, Receipt, Route};
use store::{ArchiveId, Kind as RowKind, Row};
use xmpp::{BareJid, Head, Jid, Kind, MessageType, PresenceType, Stanza, StanzaCondition, kept};

use crate::affiliation::{Affiliation, Role};
use crate::affiliations::Affiliations;
use crate::birth::{self, Birth, Tombstone};
use crate::create::Asking;
use crate::deeds::Deeds;
use crate::extensions::slow_mode;
use crate::fan_out::FanOuts;
use crate::hats::Hats;
use crate::history::History;
use crate::occupant::{Occupant, Occupants};
use crate::queue::{Queue, Waiting};
use crate::rate::{self, Bucket};
use crate::refuse::{refuse, refuse_for_good, turn_away};
use crate::registrations::Registrations;
use crate::rules::Standing;
use crate::settings::Settings;
use crate::subscribers::Subscribers;
use crate::voices::Voices;
use crate::{Shared, ask, create, destroy, directory, enter, exit, form, hold, invite, iq};
use crate::{mirror, nick_change, order, past, private, snapshot, speak, voice};

/// A room. There is one even for a name that nobody has used: it says so to whoever asks.
pub struct Room {
    /// The address.
    pub jid: BareJid,
    /// Whether there is a room.
    pub(crate) phase: Phase,
    /// Who made it; none while there is none.
    pub birth: Option<Birth>,
    /// What its owner has chosen.
    pub settings: Settings,
    /// Who is what to it for long.
    pub affiliations: Affiliations,
    /// Who hears it without being inside.
    pub(crate) subscribers: Subscribers,
    /// Who wears which hat (XEP-0317).
    pub(crate) hats: Hats,
    /// Who has voice, or lacks it, unlike others.
    pub(crate) voices: Voices,
    /// Who waits for an admin to register.
    pub(crate) registrations: Registrations,
    /// The subject as it is shown to newcomers.
    pub subject: Option<Stanza>,
    /// Who is in it.
    pub(crate) occupants: Occupants,
    /// The hashes of its picture (XEP-0486 §3.3).
    pub(crate) avatar: Vec<String>,
    /// What newcomers are shown.
    pub(crate) history: History,
    /// The last id given to a row of its archive, or to anything else that was told. It grows for ever, and over every
    /// change of owner, since the last row is read before anything is said: the order of all that happens here.
    pub(crate) last_id: Cell<ArchiveId>,
    /// What waits.
    pub(crate) queue: Queue,
    /// What it says when its second copy knows why.
    pub(crate) held: hold::Held,
    /// Messages on their way to all.
    pub(crate) fan_outs: FanOuts,
    /// What all together may still send.
    pub(crate) rate: Bucket,
    /// What those may still send who have left.
    pub(crate) absent: rate::Absent,
    /// What extensions keep of it.
    pub(crate) slots: Slots,
    /// What its second copy does not know of these.
    pub(crate) deeds: Deeds,
    /// What all rooms share.
    pub(crate) shared: Arc<Shared>,
    opened: bool,
    /// How often its archive could not be read when it opened.
    pub(crate) past_failures: u32,
    rests: bool,
}

/// Whether there is a room.
pub(crate) enum Phase {
    /// There is none.
    Absent,
    /// Somebody wants to make it; the directory is asked.
    Asking(Box<Asking>),
    /// It is made, and waits for its first configuration (XEP-0045 §10.1.1).
    Locked,
    /// It is there.
    Open,
    /// It is being ended.
    Ending,
    /// It was destroyed (XEP-0045 §10.9).
    Destroyed(Box<Tombstone>),
}

impl Entity for Room {
    type Shared = Shared;

    const KINDS: &'static [RowKind] = &[RowKind::Room, RowKind::Affiliation, RowKind::Subscriber];
    const NAME: &'static str = "room";
    const TIMERS: &'static [&'static str] =
        &[create::ASKING.0, create::UNCONFIGURED.0, create::TELL_AGAIN.0, past::AGAIN.0];

    fn load(route: &Route, rows: Vec<Row>, shared: &Arc<Shared>) -> Result<Self, LoadError> {
        let (Route::Room(jid), unreadable) = (route, LoadError { kind: RowKind::Room }) else {
            return Err(LoadError { kind: RowKind::Room });
        };
        let mut room = Self::absent(jid.clone(), Arc::clone(shared));
        if let Some(row) = birth::find(&rows, birth::BIRTH) {
            let birth = Birth::from_bytes(row).ok_or(unreadable)?;
            room.phase = if birth.locked { Phase::Locked } else { Phase::Open };
            room.birth = Some(birth);
            let settings = birth::find(&rows, birth::SETTINGS);
            room.settings = settings.and_then(|row| form::from_bytes(row)).ok_or(unreadable)?;
            let affiliations = Affiliations::load(&rows);
            room.affiliations = affiliations.ok_or(LoadError { kind: RowKind::Affiliation })?;
            let subscribers = Subscribers::load(&rows);
            room.subscribers = subscribers.ok_or(LoadError { kind: RowKind::Subscriber })?;
            room.hats = Hats::load(&rows).ok_or(unreadable)?;
            room.voices = Voices::load(&rows).ok_or(unreadable)?;
            room.registrations = Registrations::load(&rows).ok_or(unreadable)?;
            room.subject = birth::find(&rows, birth::SUBJECT).and_then(|row| kept::read(row));
            let avatar = birth::find(&rows, birth::AVATAR).and_then(|row| str::from_utf8(row).ok());
            room.avatar =
                avatar.into_iter().flat_map(str::split_whitespace).map(str::to_owned).collect();
        } else if let Some(row) = birth::find(&rows, birth::TOMBSTONE) {
            room.phase = Phase::Destroyed(Box::new(Tombstone::from_bytes(row).ok_or(unreadable)?));
        }
        Ok(room)
    }

    fn receive(&mut self, envelope: Envelope, cx: &mut Context<'_, Self>) {
        let stanza = match envelope.body {
            Body::Stanza(stanza) => stanza,
            Body::Woken => {
                self.fan_outs.look();
                if !cx.has_standby {
                    hold::let_all_out(self, cx);
                }
                return speak::go_on(self, cx);
            }
            _ => return debug_assert!(false, "a word for somebody else came to a room"),
        };
        if !self.opened {
            self.open(cx);
        }
        if directory::is_word(&stanza, &self.jid) {
            return create::hear(self, &stanza, cx);
        }
        if self.queue.holds(&stanza) {
            let waiting = Waiting::of_turn(stanza, cx);
            if let Err(refused) = self.queue.push(waiting) {
                self.held.pass();
                turn_away(self, &refused.stanza, StanzaCondition::ResourceConstraint, cx);
                // The answer holds a share of its own.
                refused.receipt.into_iter().for_each(Receipt::release);
            }
            return;
        }
        self.act(stanza, cx);
        self.close_if_absent(cx);
    }

    fn wake(&mut self, timer: Timer, cx: &mut Context<'_, Self>) {
        match timer {
            create::ASKING => create::nobody_answers(self, cx),
            create::UNCONFIGURED => create::nobody_configures(self, cx),
            create::TELL_AGAIN => create::tell_again(self, cx),
            past::AGAIN => past::read(self, cx),
            _ => {}
        }
    }

    fn may_sleep(&self, now: Now) -> bool {
        let is_idle = self.occupants.is_empty() && self.is_settled();
        is_idle && !self.fan_outs.is_under_way() && !self.remembers(now)
    }

    fn rest(&mut self) {
        self.rests = true;
    }

    fn snapshot(&self, now: Now) -> Option<Bytes> {
        snapshot::of(self, now)
    }

    fn restore(
        &mut self,
        snapshot: &[u8],
        cx: &mut Context<'_, Self>,
    ) -> Result<(), SnapshotError> {
        snapshot::restore(self, snapshot, cx.now)
    }

    fn mirror(&mut self, anew: bool, cx: &mut Context<'_, Self>) -> Mirror {
        let news = mirror::news(self, anew, cx.now);
        hold::after_turn(self, &news, cx);
        mirror::wait_for_it(self, cx);
        news.mirror
    }

    fn take_over(
        &mut self,
        copies: Vec<Copy>,
        claims: Vec<Bytes>,
        cx: &mut Context<'_, Self>,
    ) -> Result<(), SnapshotError> {
        mirror::take_over(self, copies, &claims, cx)
    }

    fn announce(&mut self, taken: &Taken<'_>, cx: &mut Context<'_, Self>) {
        ask::new_homes(self, taken, cx);
    }

    /// Whoever waits for the directory, or behind a message that is not kept yet, is not in a snapshot:
    /// their server has their stanza still.
    fn is_settled(&self) -> bool {
        self.queue.is_idle() && self.held.is_empty() && !matches!(self.phase, Phase::Asking(_))
    }
}

impl Room {
    /// Whether there is a room of this name, configured or not.
    #[must_use]
    pub fn is_there(&self) -> bool {
        matches!(self.phase, Phase::Open | Phase::Locked)
    }

    /// Whether it knows something that is in no rows and holds whoever is inside: that somebody may not speak yet, who has
    /// invited whom, and where there is no archive, what was said.
    pub(crate) fn remembers(&self, now: Now) -> bool {
        let said = self.history.last().filter(|_| !self.settings.archived);
        self.is_there()
            && (said.is_some_and(|said| is_recent(said.0, now))
                || invite::may_decline(self, now)
                || slow_mode::makes_wait(self, now))
    }

    /// A name that nobody uses.
    pub(crate) fn absent(jid: BareJid, shared: Arc<Shared>) -> Self {
        let rate = Bucket::full(shared.config.rates.room, Duration::ZERO);
        Self {
            jid,
            phase: Phase::Absent,
            birth: None,
            settings: Settings::default(),
            affiliations: Affiliations::default(),
            subscribers: Subscribers::default(),
            hats: Hats::default(),
            voices: Voices::default(),
            registrations: Registrations::default(),
            subject: None,
            avatar: Vec::new(),
            occupants: Occupants::default(),
            history: History::default(),
            last_id: Cell::new(ArchiveId(0)),
            queue: Queue::default(),
            held: hold::Held::default(),
            fan_outs: FanOuts::default(),
            rate,
            absent: rate::Absent::default(),
            slots: Slots::default(),
            deeds: Deeds::default(),
            shared,
            opened: false,
            past_failures: 0,
            rests: false,
        }
    }

    /// Nothing has to be read any more.
    pub(crate) fn stay_open(&mut self) {
        self.opened = true;
    }

    /// Before anything else: the last messages are read, so that newcomers see them and ids go on from
    /// there. A room that does not stay, or was never configured, has ended with those who were in it.
    pub(crate) fn open(&mut self, cx: &mut Context<'_, Self>) {
        self.opened = true;
        match &self.phase {
            Phase::Destroyed(stone)
                if !stone.stands(self.shared.config.tombstone, cx.now.unix_micros) =>
            {
                self.phase = Phase::Absent;
            }
            Phase::Locked if self.occupants.is_empty() => destroy::end(self, None, None, cx),
            Phase::Open if !self.settings.persistent && self.is_empty() => {
                destroy::end(self, None, None, cx);
            }
            Phase::Open | Phase::Locked => past::read(self, cx),
            _ => {}
        }
    }

    /// Lets what waits have its turn.
    pub(crate) fn drain(&mut self, cx: &mut Context<'_, Self>) {
        while let Some(Waiting { stanza, origin, receipt }) = self.queue.next() {
            cx.set_cause(origin, receipt);
            self.act(stanza, cx);
        }
        self.close_if_absent(cx);
    }

    /// Whoever asks next finds what is stored then.
    fn close_if_absent(&self, cx: &mut Context<'_, Self>) {
        if matches!(self.phase, Phase::Absent) && self.queue.is_idle() {
            cx.close();
        }
    }

    fn act(&mut self, stanza: Stanza, cx: &mut Context<'_, Self>) {
        let Some(from) = stanza.head().from.clone() else { return };
        // What a room sends comes to no room.
        if from.bare_str() == self.jid.as_str() {
            return;
        }
        match &self.phase {
            Phase::Absent => self.act_absent(stanza, cx),
            Phase::Destroyed(stone) => {
                let may_again = stone.owners.contains(&from.bare());
                if may_again || self.is_served_by(&from.bare()) {
                    return self.act_absent(stanza, cx);
                }
                if !is_unavailable(&stanza) {
                    refuse_for_good(self, &stanza, stone, cx);
                }
            }
            // §17.2 rule 3; who wants to come in hears the same, and makes no room (§10.1.1).
            Phase::Locked if self.is_hidden_from(&from) && !is_entry(&stanza) => {
                self.act_absent(stanza, cx);
            }
            Phase::Locked | Phase::Open => self.act_here(stanza, &from, cx),
            Phase::Asking(_) | Phase::Ending => {
                debug_assert!(false, "a room that is not there acts on a stanza");
            }
        }
    }

    fn act_absent(&mut self, stanza: Stanza, cx: &mut Context<'_, Self>) {
        match stanza.kind() {
            Kind::Presence(PresenceType::Available) if enter::is_knock(&stanza) => {
                create::ask(self, stanza, cx);
            }
            Kind::Presence(PresenceType::Available) => exit::not_inside(self, &stanza, cx),
            Kind::Presence(_) => {}
            Kind::Message(_) => refuse(self, &stanza, StanzaCondition::ItemNotFound, cx),
            Kind::Iq(ty) if ty.is_request() && order::is_one(&stanza, &self.jid) => {
                order::obey(self, stanza, cx);
            }
            Kind::Iq(ty) if ty.is_request() => {
                // Whoever believes to be inside must hear that they are not (XEP-0410 §3.2).
                let to_occupant = stanza.head().to.as_ref().is_some_and(|to| !to.is_bare());
                let condition = match to_occupant {
                    true => StanzaCondition::NotAcceptable,
                    false => StanzaCondition::ItemNotFound,
                };
                refuse(self, &stanza, condition, cx);
            }
            Kind::Iq(_) => {}
        }
    }

    fn act_here(&mut self, stanza: Stanza, from: &Jid, cx: &mut Context<'_, Self>) {
        let to_room = stanza.head().to.as_ref().is_none_or(|to| to.is_bare());
        if self.was_acted_on(&stanza, cx) {
            return;
        }
        match stanza.kind() {
            Kind::Presence(PresenceType::Available | PresenceType::Unavailable) => {
                let cause = cx.origin();
                self.presence(stanza, from, cx);
                self.fan_outs.acted(cause);
            }
            Kind::Presence(PresenceType::Subscribe) => self.deny(&stanza, cx),
            Kind::Presence(PresenceType::Error) => exit::ghost(self, &stanza, from, cx),
            Kind::Message(MessageType::Error) => {
                if to_room {
                    invite::bounced(self, &stanza, from, cx);
                }
                exit::ghost(self, &stanza, from, cx);
            }
            Kind::Presence(_) => {}
            Kind::Message(MessageType::Groupchat) if to_room => speak::speak(self, stanza, cx),
            Kind::Message(_) if to_room => self.message(stanza, cx),
            Kind::Message(_) => private::send(self, stanza, cx),
            Kind::Iq(ty) if ty.is_request() && order::is_one(&stanza, &self.jid) => {
                refuse(self, &stanza, order::taken(&self.jid), cx);
            }
            Kind::Iq(ty) if ty.is_request() && to_room => iq::answer(self, stanza, cx),
            Kind::Iq(ty) if ty.is_request() => iq::forward(self, stanza, cx),
            Kind::Iq(_) => iq::give_back(self, stanza, cx),
        }
    }

    /// Whether a former owner has dealt with this ([`crate::tell`]).
    fn was_acted_on(&self, stanza: &Stanza, cx: &Context<'_, Self>) -> bool {
        let is_known = match stanza.kind() {
            Kind::Presence(ty) => matches!(ty, PresenceType::Available | PresenceType::Unavailable),
            Kind::Iq(ty) => ty.is_request(),
            Kind::Message(_) => voice::is_form(stanza),
        };
        is_known && self.fan_outs.has_acted(cx.origin())
    }

    fn presence(&mut self, stanza: Stanza, from: &Jid, cx: &mut Context<'_, Self>) {
        if is_unavailable(&stanza) {
            return exit::leave(self, &stanza, from, cx);
        }
        match self.occupants.of_session(from).map(|occupant| occupant.number) {
            Some(number) => nick_change::presence(self, number, stanza, cx),
            None if enter::is_knock(&stanza) => enter::knock(self, &stanza, &[], cx),
            None => exit::not_inside(self, &stanza, cx),
        }
    }

    /// To the room itself, but not to all: an invitation, an answer to one, a form (§7.8.2, §7.13).
    fn message(&mut self, stanza: Stanza, cx: &mut Context<'_, Self>) {
        if invite::is_one(&stanza) {
            return invite::pass_on(self, &stanza, cx);
        }
        if voice::is_form(&stanza) {
            return voice::submitted(self, &stanza, cx);
        }
        refuse(self, &stanza, StanzaCondition::BadRequest, cx);
    }

    /// Rooms have no presence of their own (RFC 6121 §3.1.3).
    fn deny(&self, stanza: &Stanza, cx: &mut Context<'_, Self>) {
        let Head { from: Some(from), .. } = stanza.head() else { return };
        let head = Head {
            kind: Kind::Presence(PresenceType::Unsubscribed),
            id: None,
            from: Some(self.jid.clone().into()),
            to: Some(from.bare().into()),
            lang: None,
        };
        cx.send(Stanza::build(head, &[]));
    }

    /// What somebody is to the room; who administers the service is an owner of every room.
    #[must_use]
    pub(crate) fn affiliation_of(&self, who: &BareJid) -> Affiliation {
        if self.is_served_by(who) {
            return Affiliation::Owner;
        }
        self.affiliations.of(who)
    }

    /// Whether somebody is not to know that there is a room: it waits for its configuration.
    #[must_use]
    pub(crate) fn is_hidden_from(&self, who: &Jid) -> bool {
        matches!(self.phase, Phase::Locked)
            && self.affiliation_of(&who.bare()) < Affiliation::Owner
            && self.occupants.of_session(who).is_none()
    }

    /// Whether `who` has an owner's rights here without being listed: an administrator of the service, or the service.
    #[must_use]
    pub(crate) fn is_served_by(&self, who: &BareJid) -> bool {
        self.shared.is_admin(who) || *who == self.jid.domain()
    }

    /// What an asker may do here.
    #[must_use]
    pub(crate) fn standing_of(&self, jid: &Jid) -> Standing {
        let role = self.occupants.of_session(jid).map(|occupant| occupant.role);
        Standing { affiliation: self.affiliation_of(&jid.bare()), role: role.unwrap_or_default() }
    }

    /// What an occupant may do here.
    #[must_use]
    pub(crate) fn standing_inside(&self, occupant: &Occupant) -> Standing {
        Standing { affiliation: self.affiliation_of(&occupant.who), role: occupant.role }
    }

    /// Whether an occupant is shown real addresses (§7.2.3, §7.2.4).
    #[must_use]
    pub(crate) fn shows_addresses_to(&self, occupant: &Occupant) -> bool {
        self.settings.addresses_shown || occupant.role == Role::Moderator
    }

    /// Whether nobody is inside, or hears the room without being there.
    pub(crate) fn is_empty(&self) -> bool {
        self.occupants.is_empty() && self.subscribers.is_empty()
    }

    /// To whom a nick belongs, here or not: it is registered (§7.10), or is of whoever hears the room under it.
    pub(crate) fn owner_of_nick(&self, nick: &str) -> Option<&BareJid> {
        self.affiliations.owner_of_nick(nick).or_else(|| self.subscribers.owner_of_nick(nick))
    }

    /// The id of a row that is written now, or of what is told now: greater than every one before.
    pub(crate) fn next_id(&self, now: Now) -> ArchiveId {
        self.last_id.set(ArchiveId::next(self.last_id.get(), now.unix_micros));
        self.last_id.get()
    }

    /// Ids go on behind this one.
    pub(crate) fn go_on_behind(&self, id: ArchiveId) {
        self.last_id.set(self.last_id.get().max(id));
    }

    /// The number of the occupant that a stanza comes from.
    pub(crate) fn sender_of(&self, stanza: &Stanza) -> Option<u64> {
        let from = stanza.head().from.as_ref()?;
        self.occupants.of_session(from).map(|occupant| occupant.number)
    }

    /// Tells the figures how many are here.
    pub(crate) fn count(&self) {
        self.shared.count(&self.jid, self.occupants.len());
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        if !self.rests {
            self.shared.count(&self.jid, 0);
        }
    }
}

fn is_entry(stanza: &Stanza) -> bool {
    stanza.kind() == Kind::Presence(PresenceType::Available) && enter::is_knock(stanza)
}

/// So long a room in which nobody is keeps what it has in no rows.
const MEMORY: Duration = Duration::from_secs(86_400);

/// Whether a time is so short ago that it is kept in mind what was then.
pub(crate) fn is_recent(unix_micros: u64, now: Now) -> bool {
    u128::from(now.unix_micros.saturating_sub(unix_micros)) < MEMORY.as_micros()
}

fn is_unavailable(stanza: &Stanza) -> bool {
    stanza.kind() == Kind::Presence(PresenceType::Unavailable)
}
