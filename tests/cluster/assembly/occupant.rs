//! Owns one occupant of a room: he enters, perhaps speaks, and writes down what he hears and whom he sees go.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use cluster::clock::BootTime;
use xmpp::Element;

use super::counted::Counted;

/// The room.
pub(super) const ROOM: &str = "assembly@conference.localhost";

/// What is said last of all.
pub(super) const END: &str = "end";

/// Most messages of one that are said and not acknowledged.
const WINDOW: usize = 4;

/// How long somebody listens who has something to say, and who has not.
const GLANCE: Duration = Duration::from_millis(10);
const LOOK: Duration = Duration::from_millis(200);

/// What all share.
#[derive(Default)]
pub(super) struct Scene {
    /// How many there are.
    pub(super) all: usize,
    /// Who see everybody inside.
    pub(super) inside: AtomicUsize,
    /// Speakers speak.
    pub(super) begins: AtomicBool,
    /// Nothing new is said.
    pub(super) ends: AtomicBool,
    /// Speakers with nothing unacknowledged after the end.
    pub(super) silent: AtomicUsize,
    /// Everything is acknowledged: the first one says the end.
    pub(super) closes: AtomicBool,
    /// Who have heard the end.
    pub(super) done: AtomicUsize,
    /// Everybody may leave.
    pub(super) over: AtomicBool,
    /// Messages that came to the first one.
    pub(super) heard: AtomicUsize,
    /// The longest that the first one has waited for a message, in milliseconds.
    pub(super) silence: AtomicU64,
}

/// One occupant.
pub(super) struct Occupant {
    scene: Arc<Scene>,
    stream: Counted,
    /// The first one says the end.
    is_first: bool,
    /// When the last message came.
    heard: BootTime,
    /// Between two messages, of somebody who speaks.
    pace: Option<Duration>,
    spoke: BootTime,
    is_silent: bool,
    has_closed: bool,
    seen: HashSet<String>,
    record: Record,
}

/// What an occupant saw.
#[derive(Debug, Default)]
pub(super) struct Record {
    pub(super) name: String,
    /// The messages that he said; in the end all of them are acknowledged.
    pub(super) said: Vec<String>,
    /// The messages that came from the room.
    pub(super) heard: Vec<String>,
    /// Presence from the room that nothing has caused.
    pub(super) flaps: Vec<Element>,
    /// Errors.
    pub(super) refused: Vec<Element>,
    pub(super) resumed: usize,
    pub(super) begun: usize,
    pub(super) notes: Vec<String>,
}

impl Occupant {
    pub(super) fn new(scene: &Arc<Scene>, stream: Counted, pace: Option<Duration>) -> Self {
        Self {
            scene: Arc::clone(scene),
            is_first: false,
            heard: BootTime::now(),
            pace,
            spoke: BootTime::now(),
            is_silent: false,
            has_closed: false,
            seen: HashSet::new(),
            record: Record { name: stream.name.clone(), ..Record::default() },
            stream,
        }
    }

    /// He says the end.
    pub(super) fn first(self) -> Self {
        Self { is_first: true, ..self }
    }

    /// Is there until it is over.
    pub(super) fn attend(mut self) -> Record {
        let look = if self.pace.is_some() { GLANCE } else { LOOK };
        let is = |flag: &AtomicBool| flag.load(Ordering::Acquire);
        while !is(&self.scene.over) {
            if let Some(stanza) = self.stream.hear(look) {
                self.note(&stanza);
            }
            if self.record.begun < self.stream.begun {
                self.record.begun = self.stream.begun;
                self.enter();
            }
            if is(&self.scene.begins) && self.pace.is_some() {
                self.speak();
            }
            if self.is_first && is(&self.scene.closes) && !self.has_closed {
                self.has_closed = true;
                self.tell(END.to_owned());
            }
        }
        self.record.resumed = self.stream.resumed;
        self.record.notes = self.stream.notes;
        self.record
    }

    fn enter(&mut self) {
        let name = &self.record.name;
        let knock = format!(
            "<presence to='{ROOM}/{name}'><x xmlns='http://jabber.org/protocol/muc'>\
             <history maxstanzas='0'/></x></presence>"
        );
        self.stream.say("<presence/>".to_owned());
        self.stream.say(knock);
    }

    fn speak(&mut self) {
        if self.scene.ends.load(Ordering::Acquire) {
            if self.stream.waiting() == 0 && !self.is_silent {
                self.is_silent = true;
                self.scene.silent.fetch_add(1, Ordering::AcqRel);
            }
            return;
        }
        let is_time = self.pace.is_some_and(|pace| BootTime::now().since(self.spoke) >= pace);
        if is_time && self.stream.waiting() < WINDOW {
            self.spoke = BootTime::now();
            let text = format!("{}:{}", self.record.name, self.record.said.len());
            self.record.said.push(text.clone());
            self.tell(text);
        }
    }

    fn tell(&mut self, text: String) {
        self.stream.say(format!(
            "<message to='{ROOM}' type='groupchat' id='{text}'><body>{text}</body></message>"
        ));
    }

    fn note(&mut self, stanza: &Element) {
        match (stanza.name(), stanza.attr("type")) {
            (_, Some("error")) => self.record.refused.push(stanza.clone()),
            ("message", Some("groupchat")) => {
                let Some(body) = stanza.child("body", "").map(Element::text) else { return };
                if body == END {
                    self.scene.done.fetch_add(1, Ordering::AcqRel);
                }
                self.record.heard.push(body);
                let waited = BootTime::now().since(self.heard);
                self.heard = BootTime::now();
                if self.is_first {
                    let waited = u64::try_from(waited.as_millis()).unwrap_or(u64::MAX);
                    self.scene.silence.fetch_max(waited, Ordering::AcqRel);
                    self.scene.heard.fetch_add(1, Ordering::AcqRel);
                }
            }
            ("presence", kind) => self.see(stanza, kind),
            _ => {}
        }
    }

    /// Each occupant is seen once, as he comes.
    fn see(&mut self, stanza: &Element, kind: Option<&str>) {
        let from = stanza.attr("from").unwrap_or_default();
        let Some(nick) = from.strip_prefix(ROOM) else { return };
        if kind.is_some() || !self.seen.insert(nick.to_owned()) {
            self.record.flaps.push(stanza.clone());
        } else if self.seen.len() == self.scene.all {
            self.scene.inside.fetch_add(1, Ordering::AcqRel);
        }
    }
}
