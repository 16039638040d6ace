//! Owns playing a story: which client does a step, what is filled in, when everyone is quiet.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use xmpp::Element;

use crate::client::{Client, Login};
use crate::compare::{self, Taken};
use crate::story::{Act, Fate, Story, member_of, name_of};

/// Looks at all clients in turn, each of a few milliseconds at most, before a round has failed.
const MOST_LOOKS: usize = 4_000;

/// Where stories are played.
pub struct Town {
    /// The server's address for streams that begin in the clear; more than one: clients take turns.
    pub addresses: Vec<SocketAddr>,
    /// The domain; or one for each address, where the servers are each other's remote domains: then clients go where they live.
    pub domains: Vec<String>,
    /// What is put behind every account's name, so that stories do not meet.
    pub suffix: String,
    /// Every account's password.
    pub password: String,
}

/// A story being played.
pub struct Player<'a> {
    town: &'a Town,
    servers: Vec<SocketAddr>,
    /// The same servers' addresses of HTTP.
    http: Vec<SocketAddr>,
    /// Does what happens to the server; its addresses then.
    fate: &'a mut dyn FnMut(Fate) -> Vec<SocketAddr>,
    clients: BTreeMap<String, Client>,
    /// Where accounts live, of several.
    homes: BTreeMap<String, usize>,
    /// Where the next log-in goes, if not in turn.
    member: Option<usize>,
    /// Whether the next log-in is over a WebSocket.
    by_websocket: bool,
    /// Full addresses of clients, as the server bound them.
    addresses: BTreeMap<String, String>,
    /// Rooms and services that clients have written to: they have sent what they had to send when they answer a ping.
    rooms: BTreeMap<String, BTreeSet<String>>,
    taken: Taken,
    /// Counts rounds of quiet.
    rounds: usize,
}

impl Town {
    /// The accounts that a story needs, by name.
    pub fn accounts(&self, story: &Story) -> Vec<String> {
        story.people().into_iter().map(|name| format!("{name}{}", self.suffix)).collect()
    }

    /// The addresses of those accounts that live on this server, of several domains.
    pub fn addresses_on(&self, story: &Story, server: usize) -> Vec<String> {
        let homes = story.homes();
        let mut people = story.people();
        people.retain(|name| homes.get(*name).copied().unwrap_or_default() == server);
        let domain = &self.domains[server];
        people.into_iter().map(|name| format!("{name}{}@{domain}", self.suffix)).collect()
    }

    /// Plays a story whose accounts exist.
    ///
    /// # Panics
    /// At the first step that does not go as written, naming its line.
    pub fn play(&self, story: &Story) {
        self.play_with(story, &mut |fate| panic!("nobody knows how to do {fate:?} here"));
    }

    /// Plays a story in which something happens to the server; `fate` does that, and says at which
    /// addresses the server is then.
    ///
    /// # Panics
    /// As [`Town::play`].
    pub fn play_with(&self, story: &Story, fate: &mut dyn FnMut(Fate) -> Vec<SocketAddr>) {
        self.player(fate).play(story);
    }

    /// Plays a story in which clients come over WebSockets to servers with these addresses of HTTP.
    ///
    /// # Panics
    /// As [`Town::play`].
    pub fn play_with_web(&self, story: &Story, http: Vec<SocketAddr>) {
        let mut fate = |fate| panic!("nobody knows how to do {fate:?} here");
        Player { http, ..self.player(&mut fate) }.play(story);
    }

    fn player<'a>(&'a self, fate: &'a mut dyn FnMut(Fate) -> Vec<SocketAddr>) -> Player<'a> {
        Player {
            town: self,
            servers: self.addresses.clone(),
            http: Vec::new(),
            fate,
            clients: BTreeMap::new(),
            homes: BTreeMap::new(),
            member: None,
            by_websocket: false,
            addresses: BTreeMap::new(),
            rooms: BTreeMap::new(),
            taken: Taken::new(),
            rounds: 0,
        }
    }
}

impl Player<'_> {
    fn play(mut self, story: &Story) {
        let homes = story.homes().into_iter();
        self.homes = homes.map(|(name, home)| (name.to_owned(), home)).collect();
        for (line, step) in &story.steps {
            self.step(&step.who, &step.act).unwrap_or_else(|why| {
                panic!("line {line}: {} {:?}\n  {why}", step.who, step.act);
            });
        }
    }

    fn step(&mut self, who: &str, act: &Act) -> Result<(), String> {
        match act {
            Act::LivesOn(_) => {}
            Act::On(member, act) => {
                self.member = Some(*member);
                self.step(who, act)?;
                self.member = None;
            }
            Act::ByWebSocket(act) => {
                self.by_websocket = true;
                self.step(who, act)?;
                self.by_websocket = false;
            }
            Act::LogsIn => self.log_in(who),
            Act::Dials => self.dial(who),
            Act::StartsOver => self.client(who).restart(),
            Act::OpensAStream => self.open_stream(who),
            Act::Binds => {
                self.log_in(who);
                self.bind(who);
            }
            Act::Connects => {
                self.log_in(who);
                self.bind(who);
                self.client(who).send("<presence/>");
                self.settle();
            }
            Act::Sends(xml) => {
                self.note_rooms(who, xml);
                let xml = self.fill(xml);
                self.client(who).send(&xml);
            }
            Act::SendsBytes(bytes) => self.client(who).send(bytes),
            Act::Receives(xml) => self.receive(who, xml)?,
            Act::Finds(xml) => self.find(who, xml)?,
            Act::Hears(all) => self.hear(who, all)?,
            Act::IsQuiet => self.quiet(who)?,
            Act::Leaves => self.client(who).leave(),
            Act::Vanishes => self.client(who).vanish(),
            Act::LosesTheStream => {
                if let Some(next) = self.client(who).await_next()? {
                    return Err(format!("came: {}", compare::show(&next)));
                }
            }
            Act::Server(fate) => self.servers = (self.fate)(*fate),
        }
        Ok(())
    }

    /// The server that a client goes to.
    fn turn(&self, who: &str) -> usize {
        match self.town.domains.len() {
            1 => self.member.unwrap_or(self.clients.len() % self.servers.len()),
            _ => self.home(name_of(who)),
        }
    }

    fn home(&self, name: &str) -> usize {
        self.homes.get(name).copied().unwrap_or_default()
    }

    fn domain_of(&self, name: &str) -> &str {
        self.town.domains.get(self.home(name)).unwrap_or(&self.town.domains[0])
    }

    fn log_in(&mut self, who: &str) {
        let turn = self.turn(who);
        let name = format!("{}{}", name_of(who), self.town.suffix);
        self.addresses.remove(who);
        let login = Login {
            address: if self.by_websocket { self.http[turn] } else { self.servers[turn] },
            domain: self.domain_of(name_of(who)),
            name: &name,
            password: &self.town.password,
        };
        let client = match self.by_websocket {
            true => Client::log_in_by_websocket(&login),
            false => Client::log_in(&login),
        };
        self.clients.insert(who.to_owned(), client);
    }

    fn dial(&mut self, who: &str) {
        let turn = self.turn(who);
        self.addresses.remove(who);
        let client = match self.by_websocket {
            true => Client::dial_websocket(self.http[turn]),
            false => Client::dial(self.servers[turn]),
        };
        self.clients.insert(who.to_owned(), client);
    }

    /// Behind a log-in, the stream that follows it.
    fn open_stream(&mut self, who: &str) {
        if self.clients.get(who).is_some_and(|client| !client.ended) {
            self.client(who).restart();
        } else {
            self.dial(who);
        }
        let domain = self.domain_of(name_of(who)).to_owned();
        self.client(who).open_stream(&domain);
    }

    fn receive(&mut self, who: &str, xml: &str) -> Result<(), String> {
        let pattern = compare::parse(&self.fill(xml));
        let next = loop {
            let next = self.next_of(who)?;
            if !is_question(&next) || is_question(&pattern) {
                break next;
            }
        };
        let result = compare::matches(&pattern, &next, &mut self.taken);
        result.map_err(|why| format!("{why}\n  came: {}", compare::show(&next)))?;
        if next.is("resumed", xmpp::ns::SM) {
            self.addresses.insert(who.to_owned(), self.word(who));
        }
        Ok(())
    }

    fn find(&mut self, who: &str, xml: &str) -> Result<(), String> {
        let pattern = compare::parse(&self.fill(xml));
        let mut passed = String::new();
        loop {
            let next = self.next_of(who).map_err(|why| format!("{why}\n  came: {passed}"))?;
            match compare::matches(&pattern, &next, &mut self.taken) {
                Ok(()) => return Ok(()),
                Err(why) => passed += &format!("\n    {} ({why})", compare::show(&next)),
            }
        }
    }

    /// Remembers the rooms and services that a client writes to.
    fn note_rooms(&mut self, who: &str, xml: &str) {
        for kind in ["{room ", "{pubsub "] {
            for (at, _) in xml.match_indices(kind) {
                let word = xml[at + 1..].split('}').next().unwrap_or_default();
                let room = self.word(word);
                self.rooms.entry(who.to_owned()).or_default().insert(room);
            }
        }
    }

    fn bind(&mut self, who: &str) {
        let resource = who.split_once('/').map_or("", |(_, resource)| resource).to_owned();
        let address = self.client(who).bind(&resource);
        self.addresses.insert(who.to_owned(), address);
    }

    fn client(&mut self, who: &str) -> &mut Client {
        self.clients.get_mut(who).unwrap_or_else(|| panic!("{who} is not connected"))
    }

    /// The next thing that is no ping of a round of quiet, nor an answer to one: another server that has started again
    /// may get it, and answer it, once more.
    fn next_of(&mut self, who: &str) -> Result<Element, String> {
        loop {
            let next = self.client(who).await_next()?.ok_or("the stream has ended")?;
            let is_answer = next.is("iq", "") && next.attr("type") != Some("get");
            let is_late = is_answer && next.attr("id").is_some_and(|id| id.starts_with("quiet-"));
            if !is_late && !self.answer_ping(who, &next) {
                return Ok(next);
            }
        }
    }

    fn hear(&mut self, who: &str, all: &[String]) -> Result<(), String> {
        let mut patterns: Vec<Element> =
            all.iter().map(|xml| compare::parse(&self.fill(xml))).collect();
        while !patterns.is_empty() {
            let next = self.next_of(who)?;
            if is_question(&next) {
                continue;
            }
            let taken = &mut self.taken;
            let found = patterns.iter().position(|it| compare::matches(it, &next, taken).is_ok());
            match found {
                Some(index) => drop(patterns.remove(index)),
                None => return Err(format!("nobody expected: {}", compare::show(&next))),
            }
        }
        Ok(())
    }

    /// Lets presence that log-ins cause come in, and sets it aside.
    fn settle(&mut self) {
        self.round();
        for client in self.clients.values_mut() {
            let rest = client.take_inbox().into_iter().filter(|it| !it.is("presence", ""));
            let rest = rest.collect();
            client.put_back(rest);
        }
    }

    fn quiet(&mut self, who: &str) -> Result<(), String> {
        self.round();
        for (name, client) in &mut self.clients {
            let listens = who == "everyone" || who == name;
            let inbox = client.take_inbox();
            if let Some(first) = inbox.iter().find(|it| listens && !is_question(it)) {
                return Err(format!("{name} got: {}", compare::show(first)));
            }
        }
        Ok(())
    }

    /// Each client pings every other and itself, and waits for the answers: what was sent before has then
    /// come, since order is kept per pair (RFC 6120 §10.1). Twice, since what came may have caused more.
    fn round(&mut self) {
        for _ in 0..2 {
            self.rounds += 1;
            let id = format!("quiet-{}", self.rounds);
            let names: Vec<String> = self
                .addresses
                .keys()
                .filter(|name| self.clients.get(*name).is_some_and(|client| !client.ended))
                .cloned()
                .collect();
            for from in &names {
                for to in &names {
                    let to = &self.addresses[to];
                    let ping = format!(
                        "<iq type='get' id='{id}' to='{to}'><ping xmlns='{}'/></iq>",
                        xmpp::ns::PING
                    );
                    self.client(from).send(&ping);
                }
                // The own account too: what it does for the client alone has then been done.
                let ping =
                    format!("<iq type='get' id='{id}'><ping xmlns='{}'/></iq>", xmpp::ns::PING);
                self.client(from).send(&ping);
                for room in self.rooms.get(from).cloned().unwrap_or_default() {
                    let ping = format!(
                        "<iq type='get' id='{id}' to='{room}'><ping xmlns='{}'/></iq>",
                        xmpp::ns::PING
                    );
                    self.client(from).send(&ping);
                }
            }
            self.await_round(&names, &id);
        }
    }

    /// Waits until every ping is answered, by its client or by an error. Looks at each client in turn,
    /// since the answers of one wait for another to be looked at.
    fn await_round(&mut self, names: &[String], id: &str) {
        let rooms = |name: &String| self.rooms.get(name).map_or(0, BTreeSet::len);
        let mut owed: BTreeMap<&str, usize> =
            names.iter().map(|name| (name.as_str(), names.len() + 1 + rooms(name))).collect();
        let mut kept: BTreeMap<&str, Vec<Element>> = BTreeMap::new();
        let mut looks = 0;
        while owed.values().any(|owed| *owed > 0) {
            looks += 1;
            assert!(looks < MOST_LOOKS, "not every ping was answered: {owed:?}");
            for name in names {
                while let Some(next) = self.client(name).poll() {
                    let of_round = next.is("iq", "") && next.attr("id") == Some(id);
                    match next.attr("type") {
                        Some("get") if of_round => drop(self.answer_ping(name, &next)),
                        Some("result" | "error") if of_round => {
                            owed.entry(name).and_modify(|owed| *owed = owed.saturating_sub(1));
                        }
                        _ => kept.entry(name).or_default().push(next),
                    }
                }
                if self.client(name).ended {
                    owed.remove(name.as_str());
                }
            }
        }
        for (name, elements) in kept {
            self.client(name).put_back(elements);
        }
    }

    fn answer_ping(&mut self, who: &str, next: &Element) -> bool {
        let id = next.attr("id").unwrap_or_default().to_owned();
        let is_ping = next.is("iq", "") && next.attr("type") == Some("get");
        if !is_ping || !id.starts_with("quiet-") {
            return false;
        }
        let to = next.attr("from").unwrap_or_default();
        let answer = format!("<iq type='result' id='{id}' to='{to}'/>");
        self.client(who).send(&answer);
        true
    }

    /// Fills in addresses and taken values.
    fn fill(&self, xml: &str) -> String {
        let mut out = String::new();
        let mut rest = xml;
        while let Some((before, after)) = rest.split_once('{') {
            out.push_str(before);
            let (word, after) = after.split_once('}').unwrap_or_else(|| panic!("no }} in {xml}"));
            out.push_str(&self.word(word));
            rest = after;
        }
        out + rest
    }

    fn word(&self, word: &str) -> String {
        if word == "domain" {
            return self.town.domains[0].clone();
        }
        if word == "none" {
            return "{none}".to_owned();
        }
        if let Some((kind, rest)) = word.split_once(' ') {
            return self.long_word(kind, rest);
        }
        if let Some(name) = word.strip_prefix('$') {
            return self.taken.get(name).cloned().unwrap_or_else(|| format!("{{${name}}}"));
        }
        if let Some(address) = self.addresses.get(word) {
            return address.clone();
        }
        let (name, resource) = word.split_once('/').map_or((word, ""), |(name, it)| (name, it));
        let slash = if resource.is_empty() { "" } else { "/" };
        format!("{name}{}@{}{slash}{resource}", self.town.suffix, self.domain_of(name))
    }

    /// The domain of the server of this letter.
    fn domain_at(&self, letter: &str) -> &str {
        &self.town.domains[member_of(letter)]
    }

    fn long_word(&self, kind: &str, rest: &str) -> String {
        match (kind, rest.split_once(' ')) {
            ("domain", None) => self.domain_at(rest).to_owned(),
            ("pubsub", None) => format!("pubsub.{}", self.domain_at(rest)),
            ("room", None) => {
                format!("{rest}{}@conference.{}", self.town.suffix, self.town.domains[0])
            }
            ("room", Some((name, place))) => {
                format!("{name}{}@conference.{}", self.town.suffix, self.domain_at(place))
            }
            ("error", Some((ty, condition))) => {
                format!("<error type='{ty}'><{condition} xmlns='{}'/>…</error>", xmpp::ns::STANZAS)
            }
            ("stream-error", None) => format!(
                "<error xmlns='{}'><{rest} xmlns='{}'/>…</error>",
                xmpp::ns::STREAM,
                xmpp::ns::STREAMS
            ),
            ("plain", None) => {
                let message = format!("\0{rest}{}\0{}", self.town.suffix, self.town.password);
                auth::encoding::encode(message.as_bytes())
            }
            _ => panic!("nobody knows what {{{kind} {rest}}} is"),
        }
    }
}

/// The server asks what has come (XEP-0198 §4).
fn is_question(element: &Element) -> bool {
    element.is("r", xmpp::ns::SM)
}
