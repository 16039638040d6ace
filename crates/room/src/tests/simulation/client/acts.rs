//! Owns what clients in the simulation do, and what they are given.

use super::*;

impl World {
    /// What comes back to its sender, who may be gone.
    pub(in super::super) fn note_refusal(&mut self, stanza: &Stanza) {
        if stanza.kind() != Kind::Message(MessageType::Error) {
            return;
        }
        let number = stanza.head().id.as_deref().and_then(|id| id.parse().ok());
        let (number, error) = (number.unwrap(), stanza.child("error", "").unwrap());
        let is_full = error.child("resource-constraint", ns::STANZAS).is_some();
        holds(is_full, Wrong::Refused, || format!("{number} came back: {error:?}"));
        self.refused.insert(number);
    }

    /// A client is given something.
    pub(in super::super) fn client_hears(&mut self, whose: usize, stanza: &Stanza) {
        let client = &mut self.clients[whose];
        if client.vanished {
            return;
        }
        let from = stanza.head().from.clone().unwrap();
        let nick = from.resourcepart().map(str::to_owned);
        match (stanza.kind(), nick) {
            (Kind::Presence(_), Some(nick)) => {
                client.hears_presence(stanza, nick, &self.departures);
                // By an owner that is gone: see where that dies.
                if self.takeover.is_some() && client.is_refused() {
                    self.vanishes(whose);
                }
            }
            (Kind::Message(MessageType::Groupchat), Some(_)) if client.at == At::Inside => {
                let (Some(number), Some(heard)) = (number(stanza), client.heard.last_mut()) else {
                    return;
                };
                let is_known = heard.numbers.contains(&number);
                let about = || format!("{} heard {number} again", client.jid);
                holds(!is_known || heard.may_repeat, Wrong::Twice, about);
                heard.numbers.push(number);
            }
            _ => {}
        }
    }

    /// Somebody does something.
    pub(in super::super) fn somebody_acts(&mut self) {
        let whose = self.chance.below(self.clients.len());
        let client = &self.clients[whose];
        let home = &self.homes[client.home];
        if self.now.elapsed < home.opens {
            return;
        }
        if client.vanished {
            if home.is_at_rest() && self.chance.one_in(4) {
                self.homes[client.home].begins(client.place);
                self.clients[whose].begins_anew();
            }
            return;
        }
        match (client.at, self.chance.below(16)) {
            (At::Outside, 0..8) if client.unacknowledged.is_empty() => self.enters(whose),
            // Those who come in again at once; who has asked for a nick before could not tell the answers apart.
            (At::Leaving, 0..4) if self.takeover.is_none() && !client.asks() => self.enters(whose),
            (At::Inside, 0..10) => self.speaks(whose),
            (At::Inside, 10 | 11) if client.wanted.is_none() => self.changes_nick(whose),
            (At::Inside, 12 | 13) if whose > 0 => self.leaves(whose),
            (At::Inside | At::Entering, 14) if whose > 0 && self.chance.one_in(2) => {
                self.vanishes(whose);
            }
            _ => {}
        }
    }

    /// It is known what was asked for, and when.
    fn asks(&mut self, whose: usize, nick: String, children: &[Element]) {
        let client = &mut self.clients[whose];
        // No other session of this client has asked by the same id.
        let id = client.uid << 32 | (client.seq + 1);
        let kind = Kind::Presence(PresenceType::Available);
        let head = head(kind, &client.jid, occupant(&nick));
        let head = Head { id: Some(id.to_string().into()), ..head };
        client.wanted = Some((nick, id));
        self.says(whose, Stanza::build(head, children));
    }

    fn enters(&mut self, whose: usize) {
        let others = self.homes[self.clients[whose].home].clients.clone();
        let inside = |it: &&usize| **it != whose && self.clients[**it].at == At::Inside;
        let other = others.iter().find(inside).map(|it| self.clients[*it].nick.clone());
        let any = format!("n{}", self.chance.below(NICKS));
        let nick = other.filter(|_| self.chance.one_in(2)).unwrap_or(any);
        let client = &mut self.clients[whose];
        client.is_hasty = client.at == At::Leaving;
        (client.at, client.people, client.nick) = (At::Entering, BTreeSet::new(), nick.clone());
        (client.told_gone, client.entered) = (BTreeMap::new(), self.now.elapsed);
        self.asks(whose, nick, &[Element::new("x", ns::MUC)]);
    }

    fn changes_nick(&mut self, whose: usize) {
        let nick = format!("n{}", self.chance.below(NICKS));
        if nick != self.clients[whose].nick {
            self.asks(whose, nick, &[]);
        }
    }

    fn speaks(&mut self, whose: usize) {
        let number = self.speakers.len();
        self.speakers.push(whose);
        let kind = Kind::Message(MessageType::Groupchat);
        let head = head(kind, &self.clients[whose].jid, stage::room().into());
        let head = Head { id: Some(number.to_string().into()), ..head };
        self.says(whose, Stanza::new(head, format!("<body>{number}</body>")));
    }

    fn leaves(&mut self, whose: usize) {
        self.goes(whose);
        let client = &mut self.clients[whose];
        client.at = At::Leaving;
        let kind = Kind::Presence(PresenceType::Unavailable);
        let head = head(kind, &client.jid, occupant(&client.nick));
        self.says(whose, Stanza::new(head, ""));
    }

    /// Without a word.
    pub(in super::super) fn vanishes(&mut self, whose: usize) {
        self.goes(whose);
        let client = &mut self.clients[whose];
        (client.vanished, client.at) = (true, At::Outside);
        client.unacknowledged.clear();
        self.homes[client.home].loses(client.place, self.now.elapsed);
    }

    fn goes(&mut self, whose: usize) {
        for nick in self.clients[whose].nicks() {
            self.departures.entry(nick).or_default().push(self.now.elapsed);
        }
        self.clients[whose].wanted = None;
    }

    fn says(&mut self, whose: usize, stanza: Stanza) {
        let client = &mut self.clients[whose];
        client.seq += 1;
        let fate = Arc::<Fate>::default();
        client.unacknowledged.push_back((client.seq, stanza.clone(), Arc::clone(&fate)));
        self.passes_on(
            whose,
            client_origin(&self.clients[whose], self.clients[whose].seq),
            &stanza,
            &fate,
            false,
        );
    }

    fn passes_on(
        &mut self,
        whose: usize,
        origin: Origin,
        stanza: &Stanza,
        fate: &Arc<Fate>,
        again: bool,
    ) {
        let Client { home, place, .. } = self.clients[whose];
        self.homes[home].outbound(place, stanza, origin, again, fate.receipt());
    }

    /// Its home has moved: it says again what is not acknowledged.
    pub(in super::super) fn resumes(&mut self, whose: usize) {
        let client = &mut self.clients[whose];
        for said in &mut client.unacknowledged {
            said.2 = Arc::default();
        }
        for (seq, stanza, fate) in client.unacknowledged.iter().cloned().collect::<Vec<_>>() {
            let origin = client_origin(&self.clients[whose], seq);
            self.passes_on(whose, origin, &stanza, &fate, true);
        }
    }

    /// What is safe it is told.
    pub(in super::super) fn acknowledge(&mut self) {
        for client in &mut self.clients {
            while let Some(said) = client.unacknowledged.pop_front_if(|said| said.2.is_safe()) {
                let number = Some(&said.1).filter(|it| matches!(it.kind(), Kind::Message(_)));
                client.acknowledged.extend(number.and_then(self::number));
            }
        }
    }
}

fn client_origin(client: &Client, seq: u64) -> Origin {
    Origin::Client { session: client.uid, seq, part: 0 }
}
