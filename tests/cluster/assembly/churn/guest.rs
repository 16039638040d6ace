//! Owns one guest of a room: somebody who comes, goes, and is sent away, one thing at a time; what each of these must
//! bring about, and what he sees himself.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use cluster::clock::BootTime;
use xmpp::Element;

use super::super::counted::Counted;
use super::super::occupant::{END, ROOM, codes, nick, passage};

/// A command that is answered later than this has failed.
const PATIENCE: Duration = Duration::from_secs(90);

/// Where a guest is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Outside,
    Inside(String),
    Banned,
}

/// What is done by a guest, or to him.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Command {
    /// By himself (XEP-0045 §7.2, §7.6, §7.14).
    Enter(String),
    Rename(String),
    Leave,
    /// By somebody who is banned: it fails (§7.2.7).
    Knock,
    /// By a moderator (§8.2, §9.1, §9.2).
    Kick,
    Ban,
    Pardon,
}

/// What a guest did, and saw.
#[derive(Debug, Default)]
pub(super) struct Story {
    pub(super) name: String,
    /// The passages that everybody must have seen, those of each command, as [`passage`] says them.
    pub(super) passages: Vec<Vec<String>>,
    /// What he heard, each time that he was inside.
    pub(super) stays: Vec<Vec<String>>,
    /// Whom he sees inside.
    pub(super) view: BTreeSet<String>,
    /// Under which nick he is inside in the end.
    pub(super) inside: Option<String>,
    pub(super) is_banned: bool,
    pub(super) commands: usize,
    /// What must not have happened.
    pub(super) faults: Vec<String>,
    pub(super) has_ended: bool,
}

/// A command that was given, and what of it has been answered.
struct Pending {
    command: Command,
    since: BootTime,
    /// The guest, and the moderator, have heard of it.
    seen: bool,
    granted: bool,
}

/// A guest.
pub(super) struct Guest {
    pub(super) stream: Counted,
    pub(super) place: Place,
    pub(super) story: Story,
    /// Answers to requests, which whoever has asked takes.
    pub(super) answers: Vec<Element>,
    pending: Option<Pending>,
    /// What he has seen of each last.
    seen: HashMap<String, String>,
    /// When the last command was done.
    pub(super) done: BootTime,
    nicks: usize,
    begun: usize,
    /// Banned, he has tried to come in, and was refused.
    has_knocked: bool,
}

impl Command {
    /// Whether a moderator gives it.
    fn is_moderators(&self) -> bool {
        matches!(self, Self::Kick | Self::Ban | Self::Pardon)
    }

    /// What everybody sees of it.
    fn passages(&self, place: &Place) -> Vec<String> {
        let inside = match place {
            Place::Inside(nick) => Some(nick),
            _ => None,
        };
        let gone = |codes: &str| inside.map(|nick| format!("-{nick}{codes}"));
        let (gone, come) = match self {
            Self::Enter(nick) => (None, Some(nick)),
            Self::Rename(nick) => (gone(" 303"), Some(nick)),
            Self::Leave => (gone(""), None),
            Self::Kick => (gone(" 307"), None),
            Self::Ban => (gone(" 301"), None),
            Self::Knock | Self::Pardon => (None, None),
        };
        gone.into_iter().chain(come.map(|nick| format!("+{nick}"))).collect()
    }

    /// Where the guest is after it.
    fn leads_to(&self) -> Place {
        match self {
            Self::Enter(nick) | Self::Rename(nick) => Place::Inside(nick.clone()),
            Self::Leave | Self::Kick | Self::Pardon => Place::Outside,
            Self::Ban | Self::Knock => Place::Banned,
        }
    }
}

impl Guest {
    pub(super) fn new(stream: Counted) -> Self {
        Self {
            story: Story { name: stream.name.clone(), ..Story::default() },
            stream,
            place: Place::Outside,
            answers: Vec::new(),
            pending: None,
            seen: HashMap::new(),
            done: BootTime::now(),
            nicks: 0,
            begun: 0,
            has_knocked: false,
        }
    }

    /// A nick that nobody has had.
    pub(super) fn next_nick(&mut self) -> String {
        self.nicks += 1;
        format!("{}.{}", self.story.name, self.nicks)
    }

    pub(super) fn is_idle(&self) -> bool {
        self.pending.is_none()
    }

    /// Gives a command: his own he says himself.
    pub(super) fn begin(&mut self, command: Command) {
        let to = |nick: &str, more: &str| format!("<presence to='{ROOM}/{nick}'{more}");
        let knock =
            "><x xmlns='http://jabber.org/protocol/muc'><history maxstanzas='0'/></x></presence>";
        let said = match (&command, &self.place) {
            (Command::Enter(nick), _) => {
                self.story.view.clear();
                self.story.stays.push(Vec::new());
                Some(to(nick, knock))
            }
            (Command::Knock, _) => Some(to("guestbanned", knock)),
            (Command::Rename(nick), _) => Some(to(nick, "/>")),
            (Command::Leave, Place::Inside(nick)) => Some(to(nick, " type='unavailable'/>")),
            _ => None,
        };
        if let Some(said) = said {
            self.stream.say(said);
        }
        let is_moderators = command.is_moderators();
        let sees_it = !is_moderators || matches!(self.place, Place::Inside(_));
        let since = BootTime::now();
        self.pending = Some(Pending { command, since, seen: !sees_it, granted: !is_moderators });
    }

    /// A moderator's request about him is answered.
    pub(super) fn granted(&mut self, answer: &Element) {
        if answer.attr("type") != Some("result") {
            let command = self.pending.as_ref().map(|pending| &pending.command);
            self.story.faults.push(format!("{command:?} was answered by {answer:?}"));
        }
        if let Some(pending) = &mut self.pending {
            pending.granted = true;
        }
        self.look();
    }

    /// Hears for so long.
    pub(super) fn hear(&mut self, patience: Duration) {
        let came = self.stream.hear(patience);
        if self.begun < self.stream.begun {
            self.begun = self.stream.begun;
            self.stream.say("<presence/>".to_owned());
        }
        if let Some(stanza) = came {
            self.note(&stanza);
        }
        if let Some(late) =
            self.pending.as_ref().filter(|it| BootTime::now().since(it.since) > PATIENCE)
        {
            let (command, seen, granted) = (&late.command, late.seen, late.granted);
            panic!(
                "{command:?} is not answered (seen: {seen}, granted: {granted}): {:#?} {:#?}",
                self.story, self.stream.notes
            );
        }
    }

    fn note(&mut self, stanza: &Element) {
        if !stanza.attr("from").unwrap_or_default().starts_with(ROOM) {
            return;
        }
        let is_knocking =
            self.pending.as_ref().is_some_and(|pending| pending.command == Command::Knock);
        match (stanza.name(), stanza.attr("type")) {
            ("iq", _) => self.answers.push(stanza.clone()),
            ("presence", Some("error")) if is_knocking => {
                self.has_knocked = true;
                if !is_forbidden(stanza) {
                    self.story.faults.push(format!("banned, and told {stanza:?}"));
                }
                self.seen();
            }
            // A request of the moment in which the owner dies may be answered twice.
            ("presence", Some("error")) if self.has_knocked && is_forbidden(stanza) => {}
            (_, Some("error")) => self.story.faults.push(format!("{stanza:?}")),
            ("message", Some("groupchat")) => {
                let Some(body) = stanza.child("body", "").map(Element::text) else { return };
                self.story.has_ended |= body == END;
                match self.story.stays.last_mut().filter(|_| self.place != Place::Outside) {
                    Some(stay) if self.place != Place::Banned => stay.push(body),
                    _ => {
                        let pending = self.pending.as_ref().map(|pending| &pending.command);
                        let fault = format!("{body:?} was heard {:?}, {pending:?}", self.place);
                        self.story.faults.push(fault);
                    }
                }
            }
            ("presence", _) => self.see(stanza),
            _ => {}
        }
    }

    fn see(&mut self, stanza: &Element) {
        let Some(nick) = nick(stanza) else { return };
        let passage = passage(stanza, nick);
        match stanza.attr("type") {
            None => self.story.view.insert(nick.to_owned()),
            // Who comes in just when the owner dies may hear that somebody goes of whom he has not heard.
            Some(_) => self.story.view.remove(nick),
        };
        // What a newcomer is told may be told twice when the owner dies.
        if self.seen.insert(nick.to_owned(), passage.clone()).as_ref() == Some(&passage) {
            return;
        }
        if !codes(stanza).iter().any(|code| code == "110") {
            return;
        }
        let Some(pending) = &self.pending else {
            return self.story.faults.push(format!("of himself {passage}, for no reason"));
        };
        let due = pending.command.passages(&self.place);
        // Of himself alone a newcomer hears more: what sort of room it is (§7.2.12).
        let is = |due: &String| match due.starts_with('+') {
            true => passage.split(' ').next() == Some(due),
            false => passage == *due,
        };
        match due.last().is_some_and(is) {
            true => self.seen(),
            false if due.contains(&passage) => {}
            false => {
                self.story.faults.push(format!("of himself {passage} by {:?}", pending.command))
            }
        }
    }

    fn seen(&mut self) {
        if let Some(pending) = &mut self.pending {
            pending.seen = true;
            // From now on he hears the room, or does not, whatever a moderator is told.
            let place = pending.command.leads_to();
            let passages = pending.command.passages(&self.place);
            self.story.passages.push(passages);
            self.place = place;
        }
        self.look();
    }

    /// Whether the command is done.
    fn look(&mut self) {
        let Some(pending) = self.pending.take_if(|it| it.seen && it.granted) else { return };
        self.place = pending.command.leads_to();
        self.story.commands += 1;
        self.done = BootTime::now();
    }

    /// What became of him.
    pub(super) fn end(self) -> Story {
        let mut story = self.story;
        if self.stream.begun != 1 {
            story.faults.push(format!("a session was lost: {:?}", self.stream.notes));
        }
        story.is_banned = self.place == Place::Banned;
        if let Place::Inside(nick) = self.place {
            story.inside = Some(nick);
        }
        story
    }
}

/// Whether he is refused since he is banned (XEP-0045 §7.2.7).
fn is_forbidden(stanza: &Element) -> bool {
    stanza.child("error", "").is_some_and(|it| it.child("forbidden", xmpp::ns::STANZAS).is_some())
}
