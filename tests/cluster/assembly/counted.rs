//! Owns a stream that counts (XEP-0198): what is not acknowledged is said again, and when the stream is lost the
//! session goes on at whichever member answers.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cluster::clock::BootTime;
use town::Client;
use town::client::Login;
use xmpp::{Element, ns};

use crate::stage::PASSWORD;

/// Where the members are now.
pub(super) type Members = Arc<Mutex<Vec<SocketAddr>>>;

/// A server that acknowledges nothing for so long is as good as gone.
const SILENCE: Duration = Duration::from_secs(5);

/// Between attempts to reach a member.
const PAUSE: Duration = Duration::from_millis(50);

/// One client, over all its streams.
pub(super) struct Counted {
    pub(super) name: String,
    members: Members,
    /// Which member it tries next.
    at: usize,
    client: Option<Client>,
    resumption: Option<String>,
    /// Stanzas that have come on this session.
    handled: u32,
    /// Stanzas of this session that the server has acknowledged.
    confirmed: u32,
    unacknowledged: VecDeque<String>,
    heard: BootTime,
    pub(super) resumed: usize,
    /// Sessions that were begun, the first one too.
    pub(super) begun: usize,
    /// What became of its streams, for whoever must find out why something is missing.
    pub(super) notes: Vec<String>,
}

impl Counted {
    pub(super) fn new(name: &str, at: usize, members: &Members) -> Self {
        Self {
            name: name.to_owned(),
            members: Arc::clone(members),
            at,
            client: None,
            resumption: None,
            handled: 0,
            confirmed: 0,
            unacknowledged: VecDeque::new(),
            heard: BootTime::now(),
            resumed: 0,
            begun: 0,
            notes: Vec::new(),
        }
    }

    /// How much is said and not acknowledged.
    pub(super) fn waiting(&self) -> usize {
        self.unacknowledged.len()
    }

    /// Says something, now or as soon as there is a stream.
    pub(super) fn say(&mut self, stanza: String) {
        if self.unacknowledged.is_empty() {
            self.heard = BootTime::now();
        }
        if let Some(client) = &mut self.client {
            client.send(format!("{stanza}<r xmlns='{}'/>", ns::SM));
        }
        self.unacknowledged.push_back(stanza);
    }

    /// The next stanza that comes in this time.
    pub(super) fn hear(&mut self, patience: Duration) -> Option<Element> {
        if self.client.is_none() {
            self.client = self.come_in();
            self.heard = BootTime::now();
        }
        let Some(client) = &mut self.client else {
            std::thread::park_timeout(PAUSE);
            return None;
        };
        let waits = !self.unacknowledged.is_empty();
        let came = client.poll_for(patience);
        if came.is_none()
            && (client.ended || (waits && BootTime::now().since(self.heard) > SILENCE))
        {
            client.vanish();
            self.client = None;
        }
        let came = came?;
        self.heard = BootTime::now();
        match (came.name(), came.ns()) {
            ("r", ns::SM) => self.answer(),
            ("a", ns::SM) => self.acknowledge(&came),
            ("message" | "presence" | "iq", _) => {
                self.handled = self.handled.wrapping_add(1);
                return Some(came);
            }
            (what, _) => self.notes.push(format!("{}: {what}", self.name)),
        }
        None
    }

    fn answer(&mut self) {
        let h = self.handled;
        if let Some(client) = &mut self.client {
            client.send(format!("<a xmlns='{}' h='{h}'/>", ns::SM));
        }
    }

    fn acknowledge(&mut self, element: &Element) {
        let Some(h) = element.attr("h").and_then(|h| h.parse::<u32>().ok()) else { return };
        let (name, before, waiting) = (&self.name, self.confirmed, self.unacknowledged.len());
        let more = usize::try_from(h.wrapping_sub(before)).unwrap_or(usize::MAX);
        assert!(more <= waiting, "{name}: h={h} of {before}+{waiting}: {:#?}", self.notes);
        self.unacknowledged.drain(..more);
        self.confirmed = h;
    }

    /// Comes in at the next member: resumes, or begins anew.
    fn come_in(&mut self) -> Option<Client> {
        let address = {
            let members = self.members.lock().unwrap();
            members[self.at % members.len()]
        };
        self.at += 1;
        let login = Login { address, domain: "localhost", name: &self.name, password: PASSWORD };
        let mut client = Client::try_log_in(&login).ok()?;
        if let Some(id) = &self.resumption {
            let h = self.handled;
            client.send(format!("<resume xmlns='{}' previd='{id}' h='{h}'/>", ns::SM));
            let answer = client.await_next().ok()??;
            self.notes.push(format!("{} at {h}: {answer:?}", self.name));
            if answer.is("resumed", ns::SM) {
                self.resumed += 1;
                self.acknowledge(&answer);
                self.say_again(&mut client);
                return Some(client);
            }
            if !answer.is("failed", ns::SM) {
                return None;
            }
            self.resumption = None;
        }
        self.begin(client)
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
        self.begun += 1;
        self.say_again(&mut client);
        Some(client)
    }

    fn say_again(&self, client: &mut Client) {
        for said in &self.unacknowledged {
            client.send(said);
        }
        client.send(format!("<r xmlns='{}'/>", ns::SM));
    }
}
