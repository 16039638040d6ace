//! Owns one client that talks through every fault: it numbers what it says, keeps what is not acknowledged
//! (XEP-0198 §4), and when its stream is lost resumes on whichever member answers (§5).

use std::collections::{HashSet, VecDeque};
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cluster::clock::BootTime;
use town::Client;
use town::client::Login;
use xmpp::{Element, ns};

use crate::stage::PASSWORD;

/// Most messages that are said and not acknowledged.
const WINDOW: usize = 10;

/// A server that answers nothing for so long is as good as gone.
const SILENCE: Duration = Duration::from_secs(5);

/// Between attempts to reach a member.
const PAUSE: Duration = Duration::from_millis(50);

/// What all speakers of a history share.
pub(super) struct Scene {
    /// Where the members are now.
    pub(super) members: Mutex<Vec<SocketAddr>>,
    /// Nothing new is said any more; what was said is brought to its end.
    pub(super) ends: AtomicBool,
    /// Everybody may leave.
    pub(super) over: AtomicBool,
    /// Messages acknowledged, by all.
    pub(super) acknowledged: AtomicU64,
    /// Speakers with nothing unacknowledged after the end.
    pub(super) done: AtomicU64,
    /// Everything that was said is acknowledged: everybody asks for one more answer, behind which nothing comes.
    pub(super) asks: AtomicBool,
    /// Speakers that have got it.
    pub(super) answered: AtomicU64,
    /// When it began.
    pub(super) begun: BootTime,
    /// At which member each speaker is.
    pub(super) places: Vec<AtomicUsize>,
    /// For each speaker, when the last message was said that is acknowledged: microseconds since then.
    pub(super) served: Vec<AtomicU64>,
}

impl Scene {
    /// Microseconds since it began.
    pub(super) fn now(&self) -> u64 {
        u64::try_from(BootTime::now().since(self.begun).as_micros()).unwrap()
    }
}

/// One client.
pub(super) struct Speaker {
    name: String,
    partner: String,
    scene: Arc<Scene>,
    /// Its place among all.
    place: usize,
    /// Which member it tries next.
    at: usize,
    /// How often it has tried one.
    tries: usize,
    resumption: Option<String>,
    /// Stanzas that have come on this session.
    handled: u32,
    /// Stanzas of this session that the server has acknowledged.
    confirmed: u32,
    unacknowledged: VecDeque<Said>,
    next: u64,
    asked: bool,
    history: History,
}

/// A stanza that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    Presence,
    /// Of this number, said at this time.
    Message(u64, u64),
    /// A question to its own account.
    Question,
}

/// What a speaker saw.
#[derive(Debug, Default)]
pub(super) struct History {
    pub(super) acknowledged: Vec<u64>,
    pub(super) received: Vec<u64>,
    /// When, in microseconds since the beginning.
    pub(super) received_at: Vec<u64>,
    /// At which member its session began.
    pub(super) begun_at: usize,
    pub(super) resumed: usize,
    /// Sessions that could not be resumed.
    pub(super) lost_sessions: usize,
    /// Words of absence from the partner, who never goes.
    pub(super) absences: usize,
    pub(super) bounced: usize,
    /// What came back, and what was said once more in another session: it may be there or not, and more than once.
    pub(super) returned: HashSet<u64>,
    pub(super) said_again: HashSet<u64>,
    /// The last number that it said.
    pub(super) said: u64,
    /// What happened to its streams, for whoever must find out why.
    pub(super) notes: Vec<String>,
}

impl Speaker {
    pub(super) fn new(scene: &Arc<Scene>, (name, partner): (&str, &str), at: usize) -> Self {
        Self {
            name: name.to_owned(),
            partner: partner.to_owned(),
            scene: Arc::clone(scene),
            place: at,
            at,
            tries: 0,
            resumption: None,
            handled: 0,
            confirmed: 0,
            unacknowledged: VecDeque::new(),
            next: 1,
            asked: false,
            history: History::default(),
        }
    }

    /// Talks until the scene is over.
    pub(super) fn talk(mut self) -> History {
        let mut told = false;
        while !self.scene.over.load(Ordering::Acquire) {
            let Some(mut client) = self.come_in() else {
                std::thread::park_timeout(PAUSE);
                continue;
            };
            let mut heard = BootTime::now();
            while !client.ended && !self.scene.over.load(Ordering::Acquire) {
                self.say_more(&mut client);
                if self.unacknowledged.is_empty() || BootTime::now().since(heard) > SILENCE {
                    if !self.unacknowledged.is_empty() {
                        // As any client does whose pings are not answered.
                        client.vanish();
                    }
                    heard = BootTime::now();
                }
                while let Some(element) = client.poll() {
                    heard = BootTime::now();
                    self.hear(&mut client, &element);
                }
                let ends = self.scene.ends.load(Ordering::Acquire);
                if ends && !told && self.unacknowledged.is_empty() {
                    told = true;
                    self.scene.done.fetch_add(1, Ordering::AcqRel);
                }
            }
        }
        self.history
    }

    fn say_more(&mut self, client: &mut Client) {
        let asks = self.scene.asks.load(Ordering::Acquire) && !self.asked;
        let ends = self.scene.ends.load(Ordering::Acquire);
        if (ends || self.unacknowledged.len() >= WINDOW) && !asks {
            return;
        }
        let said = match asks {
            true => Said::Question,
            false => Said::Message(self.next, self.scene.now()),
        };
        self.asked |= asks;
        self.history.said = self.next;
        self.next += 1;
        self.unacknowledged.push_back(said);
        self.say(client, said);
        client.send(format!("<r xmlns='{}'/>", ns::SM));
    }

    fn say(&self, client: &mut Client, said: Said) {
        match said {
            Said::Presence => client.send("<presence/>"),
            Said::Question => client.send(format!(
                "<iq type='get' id='last' to='{}@localhost'><ping xmlns='{}'/></iq>",
                self.name,
                ns::PING
            )),
            Said::Message(number, _) => client.send(format!(
                "<message to='{}@localhost' type='chat' id='{number}'><body>{number}</body></message>",
                self.partner
            )),
        }
    }

    fn hear(&mut self, client: &mut Client, element: &Element) {
        match (element.name(), element.ns()) {
            ("r", ns::SM) => client.send(format!("<a xmlns='{}' h='{}'/>", ns::SM, self.handled)),
            ("a", ns::SM) => self.acknowledge(element),
            ("message" | "presence" | "iq", _) => {
                self.handled = self.handled.wrapping_add(1);
                self.note(element);
            }
            _ => {}
        }
    }

    fn note(&mut self, stanza: &Element) {
        let from_partner =
            stanza.attr("from").is_some_and(|from| from.starts_with(&format!("{}@", self.partner)));
        match (stanza.name(), stanza.attr("type")) {
            ("message", Some("error")) => {
                self.history.bounced += 1;
                let number: Option<u64> = stanza.attr("id").and_then(|id| id.parse().ok());
                self.history.returned.extend(number);
                let since = BootTime::now().since(self.scene.begun);
                let error = stanza.child("error", "").cloned();
                self.history.notes.push(format!(
                    "{since:?} {} hears {:?} {error:?}",
                    self.name,
                    stanza.attr("id")
                ));
            }
            ("message", _) => {
                if let Some(number) = number(stanza) {
                    self.history.received.push(number);
                    self.history.received_at.push(self.scene.now());
                }
            }
            ("iq", _) if stanza.attr("id") == Some("last") => {
                self.scene.answered.fetch_add(1, Ordering::AcqRel);
            }
            ("presence", Some("unavailable")) if from_partner => self.history.absences += 1,
            _ => {}
        }
    }

    fn acknowledge(&mut self, element: &Element) {
        let Some(h) = element.attr("h").and_then(|h| h.parse::<u32>().ok()) else { return };
        let (name, before, waiting) = (&self.name, self.confirmed, self.unacknowledged.len());
        let more = usize::try_from(h.wrapping_sub(before)).unwrap_or(usize::MAX);
        assert!(more <= waiting, "{name}: h={h} of {before}+{waiting}: {:#?}", self.history.notes);
        self.confirmed = h;
        for said in self.unacknowledged.drain(..more) {
            if let Said::Message(number, at) = said {
                self.history.acknowledged.push(number);
                self.scene.served[self.place].store(at, Ordering::Release);
                self.scene.acknowledged.fetch_add(1, Ordering::AcqRel);
            }
        }
    }

    /// Comes in at the next member: resumes, or begins anew. Not all go the same way, so that when a member dies that
    /// accounts live on, some of their clients are at others.
    fn come_in(&mut self) -> Option<Client> {
        let (at, address, others) = {
            let members = self.scene.members.lock().unwrap();
            let at = self.at % members.len();
            (at, members[at], members.len() - 1)
        };
        let any = BuildHasherDefault::<DefaultHasher>::new().hash_one((self.place, self.tries));
        let step = 1 + usize::try_from(any % others as u64).expect("it is no more");
        (self.at, self.tries) = (at + step, self.tries + 1);
        self.scene.places[self.place].store(at, Ordering::Release);
        let login = Login { address, domain: "localhost", name: &self.name, password: PASSWORD };
        let mut client = Client::try_log_in(&login).ok()?;
        if let Some(resumption) = &self.resumption {
            client.send(format!(
                "<resume xmlns='{}' previd='{resumption}' h='{}'/>",
                ns::SM,
                self.handled
            ));
            let answer = client.await_next().ok()??;
            if answer.is("resumed", ns::SM) {
                self.history.resumed += 1;
                self.note_stream(at, &answer);
                self.acknowledge(&answer);
                self.repeat(&mut client);
                return Some(client);
            }
            if !answer.is("failed", ns::SM) {
                return None;
            }
            self.note_stream(at, &answer);
            self.acknowledge(&answer);
            self.history.lost_sessions += 1;
            self.resumption = None;
        }
        self.history.begun_at = at;
        self.begin(client)
    }

    fn note_stream(&mut self, at: usize, answer: &Element) {
        let (said, heard) = (self.unacknowledged.len(), self.history.received.last());
        let since = BootTime::now().since(self.scene.begun);
        let (name, what, h) = (&self.name, answer.name(), answer.attr("h"));
        self.history.notes.push(format!(
            "{since:?} {name} at m{}: {what} h={h:?} of {}+{said}; it has {}, the last is {heard:?}",
            at + 1,
            self.confirmed,
            self.handled,
        ));
    }

    fn begin(&mut self, mut client: Client) -> Option<Client> {
        client.send(format!(
            "<iq type='set' id='bind'><bind xmlns='{}'><resource>x</resource></bind></iq>\
             <enable xmlns='{}' resume='true'/>",
            ns::BIND,
            ns::SM
        ));
        let bound = client.await_next().ok()??;
        if bound.attr("type") != Some("result") {
            return None;
        }
        let enabled = client.await_next().ok()??;
        self.resumption = Some(enabled.attr("id")?.to_owned());
        (self.handled, self.confirmed) = (0, 0);
        self.unacknowledged.retain(|said| *said != Said::Presence);
        if self.history.lost_sessions > 0 {
            let again = self.unacknowledged.iter().filter_map(|said| match said {
                Said::Message(number, _) => Some(*number),
                Said::Presence | Said::Question => None,
            });
            self.history.said_again.extend(again);
        }
        self.unacknowledged.push_front(Said::Presence);
        self.repeat(&mut client);
        Some(client)
    }

    fn repeat(&self, client: &mut Client) {
        for said in &self.unacknowledged {
            self.say(client, *said);
        }
        client.send(format!("<r xmlns='{}'/>", ns::SM));
    }
}

/// The number that a message says.
fn number(message: &Element) -> Option<u64> {
    message.child("body", "")?.text().parse().ok()
}
