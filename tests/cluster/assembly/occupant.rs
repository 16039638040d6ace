//! Owns one occupant of a room, who enters, perhaps speaks, and writes down what is heard and who is seen going.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use cluster::clock::BootTime;
use xmpp::{Element, ns};

use super::counted::Counted;

/// The room.
pub(super) const ROOM: &str = "assembly@conference.localhost";

/// Nicks of people who come and go begin so.
pub(super) const GUEST: &str = "guest";

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
    /// How often the owner of the room has died.
    pub(super) deaths: AtomicUsize,
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
    /// The messages that they said; in the end all of them are acknowledged.
    pub(super) said: Vec<String>,
    /// The messages that came from the room.
    pub(super) heard: Vec<String>,
    /// Presence from the room that nothing has caused.
    pub(super) flaps: Vec<Element>,
    /// Comings and goings of guests ([`passage`]).
    pub(super) passages: Vec<String>,
    /// How long he heard nothing after each death, at most.
    pub(super) silences: Vec<Duration>,
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

    /// They say the end.
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
                match body == END {
                    true => drop(self.scene.done.fetch_add(1, Ordering::AcqRel)),
                    false => self.wait_is_over(),
                }
                self.record.heard.push(body);
                if self.is_first {
                    self.scene.heard.fetch_add(1, Ordering::AcqRel);
                }
            }
            ("presence", kind) => self.see(stanza, kind),
            _ => {}
        }
    }

    /// A message has come: of all that is waited for after a death, the longest counts.
    fn wait_is_over(&mut self) {
        let now = BootTime::now();
        let (waited, deaths) = (now.since(self.heard), self.scene.deaths.load(Ordering::Acquire));
        self.heard = now;
        self.record.silences.resize(deaths, Duration::ZERO);
        if let Some(longest) = self.record.silences.last_mut() {
            *longest = waited.max(*longest);
        }
    }

    /// Each occupant is seen once, as they come; guests also as they go.
    fn see(&mut self, stanza: &Element, kind: Option<&str>) {
        let Some(nick) = nick(stanza) else { return };
        if nick.starts_with(GUEST) {
            self.record.passages.push(passage(stanza, nick));
        } else if kind.is_some() || !self.seen.insert(nick.to_owned()) {
            self.record.flaps.push(stanza.clone());
        } else if self.seen.len() == self.scene.all {
            self.scene.inside.fetch_add(1, Ordering::AcqRel);
        }
    }
}

/// The nick of whom a stanza of the room comes from.
pub(super) fn nick(stanza: &Element) -> Option<&str> {
    stanza.attr("from")?.strip_prefix(ROOM)?.strip_prefix('/')
}

/// What a presence says in short: `+nick` or `-nick`, and the status codes for others than himself (XEP-0045 §12).
pub(super) fn passage(stanza: &Element, nick: &str) -> String {
    let sign = if stanza.attr("type").is_some() { '-' } else { '+' };
    let codes = codes(stanza).into_iter().filter(|code| code != "110");
    [format!("{sign}{nick}")].into_iter().chain(codes).collect::<Vec<_>>().join(" ")
}

/// The status codes of a presence.
pub(super) fn codes(stanza: &Element) -> Vec<String> {
    let x = stanza.child("x", ns::MUC_USER);
    let all = x.into_iter().flat_map(Element::children).filter(|it| it.name() == "status");
    all.filter_map(|status| status.attr("code").map(str::to_owned)).collect()
}
