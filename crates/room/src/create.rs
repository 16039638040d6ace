//! Owns the making of a room (XEP-0045 §7.2.11, §10.1): who may, the directory's leave, the first rows, and
//! the time until it is configured.

use std::time::Duration;

use entity::{Context, Timer};
use proto::Receipt;
use store::Write;
use xmpp::{
    BareJid, Element, Jid, Kind, MessageType, Origin, Stanza, StanzaCondition, StanzaError, ns,
};

use crate::affiliation::Affiliation;
use crate::affiliations::{Affiliations, Entry};
use crate::birth::{self, Birth, NS};
use crate::config::Create;
use crate::enter::{self, Knock};
use crate::refuse::refuse;
use crate::room::{Phase, Room};
use crate::settings::Settings;
use crate::{directory, exit, form, presence};

/// The directory does not answer.
pub(crate) const ASKING: Timer = Timer("asking", 0);
/// Nobody configures the room.
pub(crate) const UNCONFIGURED: Timer = Timer("unconfigured", 0);

/// The directory did not take what it was told.
pub(crate) const TELL_AGAIN: Timer = Timer("tell again", 0);

/// The directory answers at once where its member lives; longer than this, and it does not.
const PATIENCE: Duration = Duration::from_secs(10);

/// Who waits at the door until there is a room.
pub(crate) struct Asking {
    knock: Stanza,
    origin: Origin,
    receipt: Option<Receipt>,
}

/// Somebody knocks where there is no room.
pub(crate) fn ask(room: &mut Room, knock: Stanza, cx: &mut Context<'_, Room>) {
    let who = knock.head().from.as_ref().map(Jid::bare);
    let allowed = match (Knock::read(room, &knock), &who) {
        (Err(error), _) => Err(error),
        (Ok(_), Some(who)) if may_create(room, who, cx) => Ok(()),
        _ => Err(StanzaError::from(StanzaCondition::NotAllowed)
            .with_text("not everybody may make rooms here")),
    };
    if let Err(error) = allowed {
        return refuse(room, &knock, error, cx);
    }
    let creator = who.as_ref().map(|who| who.as_str()).unwrap_or_default();
    directory::tell(room, Element::new("create", NS).with_attr("creator", creator), cx);
    let (origin, receipt) = (cx.origin(), cx.receipt());
    room.phase = Phase::Asking(Box::new(Asking { knock, origin, receipt }));
    room.queue.block();
    // Somebody may have asked before whether there is a room.
    cx.stay();
    cx.set_timer(ASKING, PATIENCE);
}

/// §10.1.1
fn may_create(room: &Room, who: &BareJid, cx: &Context<'_, Room>) -> bool {
    room.shared.is_admin(who)
        || match room.shared.config.create {
            Create::Anyone => true,
            Create::Local => cx.hosts.serves(who.domainpart()),
            Create::Admins => false,
        }
}

/// The directory says something.
pub(crate) fn hear(room: &mut Room, word: &Stanza, cx: &mut Context<'_, Room>) {
    if word.find("stop", NS).is_some() {
        return exit::stop(room, cx);
    }
    if matches!(room.phase, Phase::Asking(_)) {
        let refusal = word.child("error", "").map(|error| {
            let full = error.child(StanzaCondition::ResourceConstraint.name(), ns::STANZAS);
            match full {
                Some(_) => StanzaError::from(StanzaCondition::ResourceConstraint),
                None => StanzaError::from(StanzaCondition::NotAllowed),
            }
            .with_text("there are too many rooms")
        });
        return match refusal {
            None if word.find("created", NS).is_some() => make(room, cx),
            Some(error) => give_up(room, error, cx),
            None => {}
        };
    }
    if word.find("look", NS).is_some() {
        return tell_again(room, cx);
    }
    // It did not take what it was told: again, when it may have room.
    if word.kind() == Kind::Message(MessageType::Error) {
        cx.set_timer(TELL_AGAIN, PATIENCE);
    }
}

/// The directory is told once more what the room is, or that it is not.
pub(crate) fn tell_again(room: &Room, cx: &mut Context<'_, Room>) {
    match (&room.birth, &room.phase) {
        (Some(_), Phase::Open) => directory::list(room, cx),
        (None, Phase::Absent | Phase::Destroyed(_)) => {
            directory::tell(room, Element::new("ended", NS), cx);
        }
        _ => {}
    }
}

pub(crate) fn nobody_answers(room: &mut Room, cx: &mut Context<'_, Room>) {
    if matches!(room.phase, Phase::Asking(_)) {
        give_up(room, StanzaCondition::RemoteServerTimeout.into(), cx);
    }
}

fn give_up(room: &mut Room, error: StanzaError, cx: &mut Context<'_, Room>) {
    let Some(knock) = take_knock(room, cx) else { return };
    refuse(room, &knock, error, cx);
    room.phase = Phase::Absent;
    room.queue.unblock();
    room.drain(cx);
}

/// Goes on as if the knock came now.
fn take_knock(room: &mut Room, cx: &mut Context<'_, Room>) -> Option<Stanza> {
    cx.cancel_timer(ASKING);
    match std::mem::replace(&mut room.phase, Phase::Ending) {
        Phase::Asking(asking) => {
            let Asking { knock, origin, receipt } = *asking;
            cx.set_cause(origin, receipt);
            Some(knock)
        }
        other => {
            room.phase = other;
            None
        }
    }
}

/// Nothing is left of an earlier room of this name; then the rows of this one.
fn make(room: &mut Room, cx: &mut Context<'_, Room>) {
    let Some(knock) = take_knock(room, cx) else { return };
    let Some(creator) = knock.head().from.as_ref().map(Jid::bare) else { return };
    let entry = Entry { affiliation: Affiliation::Owner, ..Entry::default() };
    let people = vec![(creator.clone(), entry)];
    let new = New { creator, people, settings: usual(room), locked: true };
    anew(room, new, cx, move |room, cx, made| match made {
        Ok(()) => {
            room.phase = Phase::Locked;
            enter::knock(room, &knock, &[201], cx);
            await_configuration(room, cx);
            room.queue.unblock();
            room.drain(cx);
        }
        Err(error) => failed(room, &knock, &error, cx),
    });
}

/// What a new room is like before its owner says otherwise.
pub(crate) fn usual(room: &Room) -> Settings {
    let config = &room.shared.config;
    let history = config.history.min(config.defaults.history);
    let slow_seconds = config.defaults.slow_seconds.min(form::SLOW_MOST);
    Settings { history, slow_seconds, ..config.defaults.clone() }
}

/// A room that is to be.
pub(crate) struct New {
    /// Who makes it.
    pub(crate) creator: BareJid,
    /// Who is what to it; somebody is an owner.
    pub(crate) people: Vec<(BareJid, Entry)>,
    /// What it is like.
    pub(crate) settings: Settings,
    /// It waits for its first configuration.
    pub(crate) locked: bool,
}

/// Keeps a new room, of which nothing is left of an earlier one; `then` opens it, or says why there is none.
pub(crate) fn anew(
    room: &Room,
    new: New,
    cx: &mut Context<'_, Room>,
    then: impl FnOnce(&mut Room, &mut Context<'_, Room>, Result<(), store::Error>) + 'static,
) {
    let owner = room.jid.clone();
    cx.read(
        move |store, fence| store.erase(fence, owner),
        move |room, cx, erased| match erased {
            Ok(()) => write(room, new, cx, then),
            Err(error) => then(room, cx, Err(error)),
        },
    );
}

fn write(
    room: &Room,
    new: New,
    cx: &mut Context<'_, Room>,
    then: impl FnOnce(&mut Room, &mut Context<'_, Room>, Result<(), store::Error>) + 'static,
) {
    let New { creator, people, settings, locked } = new;
    let mut secret = [0; 32];
    cx.random(&mut secret);
    let birth = Birth { creator, at: cx.now.unix_micros, secret, locked };
    let mut affiliations = Affiliations::default();
    let mut plan = affiliations.plan(&room.jid, people);
    let mut writes = std::mem::take(&mut plan.writes);
    affiliations.apply(&room.jid, plan);
    writes.push(birth::put(&room.jid, birth::BIRTH, birth.to_bytes()));
    writes.push(birth::put(&room.jid, birth::SETTINGS, form::to_bytes(&settings)));
    cx.commit_then(writes, move |room, cx, result| {
        if result.is_ok() {
            room.birth = Some(birth);
            room.fan_outs.start_after(room.last_id.get());
            room.settings = settings;
            room.affiliations = affiliations;
        }
        then(room, cx, result);
    });
}

/// It does not wait for its first configuration for ever (§10.1.1).
pub(crate) fn await_configuration(room: &Room, cx: &mut Context<'_, Room>) {
    cx.set_timer(UNCONFIGURED, room.shared.config.unconfigured);
}

fn failed(room: &mut Room, knock: &Stanza, error: &store::Error, cx: &mut Context<'_, Room>) {
    tracing::warn!(jid = %room.jid, %error, "a room could not be made");
    refuse(room, knock, StanzaCondition::InternalServerError, cx);
    directory::tell(room, Element::new("ended", NS), cx);
    room.phase = Phase::Absent;
    room.queue.unblock();
    room.drain(cx);
}

/// What is kept of a room that is being configured for the first time.
pub(crate) fn unlocking(room: &Room) -> Option<Write> {
    let birth = room.birth.clone().filter(|birth| birth.locked)?;
    Some(birth::put(&room.jid, birth::BIRTH, Birth { locked: false, ..birth }.to_bytes()))
}

/// From now on others may enter (§10.1.1 step 6).
pub(crate) fn unlock(room: &mut Room, cx: &mut Context<'_, Room>) {
    if matches!(room.phase, Phase::Locked) {
        cx.cancel_timer(UNCONFIGURED);
        room.phase = Phase::Open;
    }
    if let Some(birth) = &mut room.birth {
        birth.locked = false;
    }
}

/// The default configuration is taken for granted (§10.1.1 step 5), for as long as somebody is there, who is
/// told as of any other change (§10.2.1).
pub(crate) fn nobody_configures(room: &mut Room, cx: &mut Context<'_, Room>) {
    let Some(write) = unlocking(room) else { return };
    unlock(room, cx);
    cx.commit(vec![write]);
    presence::announce(room, &[presence::codes([104])], cx);
    directory::list(room, cx);
}
