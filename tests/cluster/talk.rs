//! Owns a conversation that goes on whatever happens to members: clients with stream management (XEP-0198) that
//! number what they say, come back elsewhere when their stream ends, and count what they hear.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use cluster::clock::BootTime;
use town::Client;
use town::client::Login;
use xmpp::{Element, ns};

use super::quarters::PATIENCE;
use crate::stage::PASSWORD;

const SM: &str = "urn:xmpp:sm:3";

/// The most stanzas that wait for an acknowledgement before somebody says more.
const MOST_UNACKNOWLEDGED: usize = 16;

/// Stands for the client's presence among what is not acknowledged.
const PRESENCE: usize = usize::MAX;

/// Stands for a question to its own account, behind whose answer nothing comes that others have said before.
const QUESTION: usize = usize::MAX - 1;

/// Conversations between pairs.
pub(super) struct Talk {
    shared: Arc<Shared>,
    talkers: Vec<JoinHandle<Report>>,
}

struct Shared {
    /// Where clients may connect.
    addresses: Mutex<Vec<SocketAddr>>,
    /// Nothing new is said.
    ends: AtomicBool,
    /// How many have nothing more that is not acknowledged.
    done: AtomicUsize,
    /// How many talk, and the time between two messages of one.
    all: usize,
    pace: Duration,
    /// What was heard by all.
    heard: AtomicUsize,
    /// Stanzas of each that are acknowledged.
    acknowledged: Vec<AtomicUsize>,
    /// What happened to clients, for whoever must find out why nothing comes, or not all.
    notes: Mutex<Vec<String>>,
    begun: BootTime,
}

/// What became of one client's conversation.
#[derive(Default)]
struct Report {
    name: String,
    said: usize,
    heard: Vec<usize>,
    /// It could not resume, and began anew.
    begun_anew: usize,
    /// Messages that came back.
    bounced: usize,
}

/// What went wrong with what all said, and how often clients resumed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) lost: usize,
    pub(super) doubled: usize,
    pub(super) reordered: usize,
    pub(super) begun_anew: usize,
    /// Messages that came back.
    pub(super) bounced: usize,
}

impl Talk {
    /// Lets each pair talk, as fast as they can; clients connect to one address after the other.
    pub(super) fn begin(pairs: &[(&str, &str)], addresses: Vec<SocketAddr>) -> Self {
        Self::paced(pairs, addresses, Duration::ZERO)
    }

    /// The same, each saying something once in this time.
    pub(super) fn paced(
        pairs: &[(&str, &str)],
        addresses: Vec<SocketAddr>,
        pace: Duration,
    ) -> Self {
        let shared = Arc::new(Shared {
            addresses: Mutex::new(addresses),
            ends: AtomicBool::new(false),
            done: AtomicUsize::new(0),
            all: pairs.len() * 2,
            pace,
            heard: AtomicUsize::new(0),
            acknowledged: (0..pairs.len() * 2).map(|_| AtomicUsize::new(0)).collect(),
            notes: Mutex::default(),
            begun: BootTime::now(),
        });
        let both = pairs.iter().flat_map(|(one, other)| [(*one, *other), (*other, *one)]);
        let talker = |(number, (name, peer)): (usize, (&str, &str))| {
            let talker = Talker {
                shared: Arc::clone(&shared),
                name: name.to_owned(),
                peer: peer.to_owned(),
                number,
                at: number,
                report: Report { name: name.to_owned(), ..Report::default() },
                unacknowledged: VecDeque::new(),
                said: BootTime::now(),
                acknowledged: 0,
                h: 0,
                resumption: None,
                stage: Stage::Talks,
            };
            thread::spawn(move || talker.run())
        };
        let talkers = both.enumerate().map(talker).collect();
        Self { shared, talkers }
    }

    /// Waits until so much more was heard.
    pub(super) fn go_on_for(&self, messages: usize) {
        let (begun, heard) = (BootTime::now(), || self.shared.heard.load(Ordering::Relaxed));
        let begin = heard();
        while heard() < begin + messages {
            let (waited, more) = (BootTime::now().since(begun), heard() - begin);
            let notes = || self.shared.notes.lock().unwrap().join("\n");
            assert!(waited < PATIENCE, "only {more} messages were heard\n{}", notes());
            thread::park_timeout(Duration::from_millis(25));
        }
    }

    /// Waits until something that everybody has said from now on is acknowledged: then whoever keeps second copies has
    /// those of their sessions.
    pub(super) fn all_go_on(&self) {
        let counts = || -> Vec<usize> {
            self.shared.acknowledged.iter().map(|count| count.load(Ordering::Relaxed)).collect()
        };
        // What is under way may have been said before, and a presence with it.
        let enough = |count: usize| count + MOST_UNACKNOWLEDGED + 2;
        let due: Vec<usize> = counts().into_iter().map(enough).collect();
        let begun = BootTime::now();
        while counts().iter().zip(&due).any(|(count, due)| count < due) {
            assert!(BootTime::now().since(begun) < PATIENCE, "{:?} of {due:?}", counts());
            thread::park_timeout(Duration::from_millis(25));
        }
    }

    /// From now on clients connect here.
    pub(super) fn move_to(&self, addresses: Vec<SocketAddr>) {
        *self.shared.addresses.lock().unwrap() = addresses;
    }

    /// Ends it when all was heard that was said, or nothing comes any more.
    pub(super) fn end(self) -> (Count, String) {
        self.shared.ends.store(true, Ordering::Release);
        let begun = BootTime::now();
        while !self.talkers.iter().all(JoinHandle::is_finished) {
            let notes = || self.shared.notes.lock().unwrap().join("\n");
            assert!(BootTime::now().since(begun) < PATIENCE, "somebody waits\n{}", notes());
            thread::park_timeout(Duration::from_millis(25));
        }
        let reports: Vec<Report> =
            self.talkers.into_iter().map(|talker| talker.join().unwrap()).collect();
        // Those of a pair stand side by side.
        let mut count = Count::default();
        for pair in reports.chunks(2) {
            for (from, to) in [(&pair[0], &pair[1]), (&pair[1], &pair[0])] {
                self.shared.notes.lock().unwrap().extend(to.misses(from.said));
                count.add(from.said, &to.heard);
                count.begun_anew += from.begun_anew;
                count.bounced += from.bounced;
            }
        }
        let notes = self.shared.notes.lock().unwrap().join("\n");
        (count, notes)
    }
}

impl Report {
    /// Where what came differs from what was said.
    fn misses(&self, said: usize) -> Option<String> {
        let heard = &self.heard;
        let at = (0..said).zip(heard).position(|(one, other)| one != *other);
        let at = at.or_else(|| (heard.len() != said).then(|| heard.len().min(said)))?;
        let around = &heard[at.saturating_sub(3)..(at + 20).min(heard.len())];
        Some(format!("{} heard {around:?} at place {at} of {said}", self.name))
    }
}

impl Count {
    fn add(&mut self, said: usize, heard: &[usize]) {
        let mut times = vec![0_usize; said];
        for number in heard {
            times[*number] += 1;
        }
        self.lost += times.iter().filter(|times| **times == 0).count();
        self.doubled += times.iter().filter(|times| **times > 1).count();
        self.reordered += heard.windows(2).filter(|two| two[0] > two[1]).count();
    }
}

struct Talker {
    shared: Arc<Shared>,
    name: String,
    peer: String,
    /// Its place among all.
    number: usize,
    /// Which address is next.
    at: usize,
    report: Report,
    /// Numbers that the server has not acknowledged, oldest first.
    unacknowledged: VecDeque<usize>,
    /// When it said something last.
    said: BootTime,
    /// Stanzas that it has acknowledged.
    acknowledged: u32,
    /// Stanzas that came.
    h: u32,
    resumption: Option<String>,
    stage: Stage,
}

/// How far the end has come for somebody.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Talks,
    /// All that it has said is acknowledged.
    Done,
    /// All that anybody has said is; it has asked the question.
    Asks,
    /// And has heard the answer, and with it everything.
    Knows,
}

impl Talker {
    fn run(mut self) -> Report {
        while self.stage != Stage::Knows {
            let Some(mut client) = self.connect() else {
                thread::park_timeout(Duration::from_millis(50));
                continue;
            };
            while !client.ended && self.stage != Stage::Knows {
                self.go_on(&mut client);
                if let Some(element) = client.poll() {
                    self.hear(&element, &mut client);
                }
            }
        }
        self.report
    }

    /// Says what is to be said now.
    fn go_on(&mut self, client: &mut Client) {
        let ends = self.shared.ends.load(Ordering::Acquire);
        match self.stage {
            Stage::Talks if !ends && self.unacknowledged.len() < MOST_UNACKNOWLEDGED => {
                let now = BootTime::now();
                if now.since(self.said) < self.shared.pace {
                    return;
                }
                self.said = now;
                let number = self.report.said;
                self.report.said += 1;
                self.say(client, number);
            }
            Stage::Talks if self.unacknowledged.is_empty() => {
                self.stage = Stage::Done;
                self.shared.done.fetch_add(1, Ordering::AcqRel);
            }
            Stage::Done if self.shared.done.load(Ordering::Acquire) == self.shared.all => {
                self.stage = Stage::Asks;
                self.say(client, QUESTION);
            }
            _ => {}
        }
    }

    fn note(&self, what: String) {
        let since = BootTime::now().since(self.shared.begun);
        self.shared.notes.lock().unwrap().push(format!("{since:?} {}: {what}", self.name));
    }

    fn say(&mut self, client: &mut Client, number: usize) {
        self.unacknowledged.push_back(number);
        self.write(client, number);
    }

    fn write(&self, client: &mut Client, number: usize) {
        let (name, peer) = (&self.name, &self.peer);
        let stanza = match number {
            PRESENCE => "<presence/>".to_owned(),
            QUESTION => format!(
                "<iq to='{name}@localhost' type='get' id='last'><ping xmlns='{}'/></iq>",
                ns::PING
            ),
            number => format!(
                "<message to='{peer}@localhost' type='chat' id='{number}'><body>{number}</body>\
                 </message>"
            ),
        };
        client.send(format!("{stanza}<r xmlns='{SM}'/>"));
    }

    fn hear(&mut self, element: &Element, client: &mut Client) {
        let of_stream = element.ns() == SM;
        match element.name() {
            "r" if of_stream => client.send(format!("<a xmlns='{SM}' h='{}'/>", self.h)),
            "a" if of_stream => self.acknowledge(element),
            "message" if element.attr("type") == Some("error") => {
                self.h = self.h.wrapping_add(1);
                self.report.bounced += 1;
                self.note(format!("{element:?}"));
            }
            "message" => {
                self.h = self.h.wrapping_add(1);
                let body = element.child("body", "").map(Element::text);
                if let Some(number) = body.and_then(|body| body.parse().ok()) {
                    self.report.heard.push(number);
                    self.shared.heard.fetch_add(1, Ordering::Relaxed);
                }
            }
            "iq" | "presence" => {
                self.h = self.h.wrapping_add(1);
                if element.attr("id") == Some("last") {
                    self.stage = Stage::Knows;
                }
            }
            _ => self.note(format!("{element:?}")),
        }
    }

    fn acknowledge(&mut self, element: &Element) {
        let Some(h) = element.attr("h").and_then(|h| h.parse::<u32>().ok()) else { return };
        let news = h.wrapping_sub(self.acknowledged);
        for _ in 0..news {
            self.unacknowledged.pop_front();
        }
        self.acknowledged = h;
        self.shared.acknowledged[self.number].fetch_add(news as usize, Ordering::Relaxed);
    }

    /// Connects to the next address, and goes on where it was. None: nobody is there, or the stream ended.
    fn connect(&mut self) -> Option<Client> {
        let addresses = self.shared.addresses.lock().unwrap().clone();
        let address = addresses[self.at % addresses.len()];
        self.at += 1;
        let login = Login { address, domain: "localhost", name: &self.name, password: PASSWORD };
        let mut client = match Client::try_log_in(&login) {
            Ok(client) => client,
            Err(why) => {
                self.note(why);
                return None;
            }
        };
        match self.resumption.clone() {
            Some(id) => self.resume(&mut client, &id, address)?,
            None => self.bind(&mut client)?,
        }
        Some(client)
    }

    fn resume(&mut self, client: &mut Client, id: &str, address: SocketAddr) -> Option<()> {
        client.send(format!("<resume xmlns='{SM}' h='{}' previd='{id}'/>", self.h));
        let answer = client.await_next().ok()??;
        match answer.name() {
            "resumed" => {
                let (last, own) = (self.report.heard.last(), self.unacknowledged.front());
                self.note(format!(
                    "resumed at {address} by {answer:?}; has heard {}, the last is {last:?}, {own:?} is not acknowledged",
                    self.h
                ));
                self.acknowledge(&answer);
                self.write_again(client);
                Some(())
            }
            "failed" => {
                self.note(format!("{answer:?}"));
                self.report.begun_anew += 1;
                self.bind(client)
            }
            _ => None,
        }
    }

    fn bind(&mut self, client: &mut Client) -> Option<()> {
        client.send(format!(
            "<iq type='set' id='bind'><bind xmlns='{}'><resource>talk</resource></bind></iq>\
             <enable xmlns='{SM}' resume='true'/>",
            ns::BIND
        ));
        client.await_next().ok()??;
        let enabled = client.await_next().ok()??;
        self.resumption = enabled.attr("id").map(str::to_owned);
        (self.h, self.acknowledged) = (0, 0);
        self.unacknowledged.retain(|number| *number != PRESENCE);
        self.unacknowledged.push_front(PRESENCE);
        self.write_again(client);
        Some(())
    }

    fn write_again(&self, client: &mut Client) {
        for number in &self.unacknowledged {
            self.write(client, *number);
        }
    }
}
