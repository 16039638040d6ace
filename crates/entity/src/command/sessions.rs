//! XEP-0050 Ad-Hoc Commands, version 1.3.0: owns who is in the midst of a command of two forms (§2.4.2): how far, and
//! until when. Pure.

use std::collections::VecDeque;

use xmpp::command::Fault;
use xmpp::{Jid, Origin};

/// Most commands that are open at once; the oldest is given up.
const MOST: usize = 100;
/// How long a form may be looked at, in microseconds: half an hour.
const LASTS: u64 = 30 * 60 * 1_000_000;

/// Commands that are open, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sessions {
    open: VecDeque<Open>,
    has_news: bool,
}

/// Somebody is in the midst of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Open {
    /// The `sessionid`.
    pub name: String,
    /// Who runs it.
    pub asker: Jid,
    /// Which command.
    pub node: String,
    /// Until when, in microseconds since 1970-01-01 UTC.
    pub until: u64,
    /// What the first form has led to; none: it is still to be filled in.
    pub about: Option<String>,
}

impl Sessions {
    /// These, as they were.
    pub fn restored(open: impl IntoIterator<Item = Open>) -> Self {
        let mut sessions = Self { open: open.into_iter().collect(), has_news: true };
        sessions.make_place(MOST);
        sessions
    }

    /// Those that are open now.
    pub fn open(&self, now: u64) -> impl Iterator<Item = &Open> {
        self.open.iter().filter(move |it| it.until > now)
    }

    /// Whether anything has changed since this was asked last.
    pub fn take_news(&mut self) -> bool {
        std::mem::take(&mut self.has_news)
    }

    /// Somebody begins a command; gives its name. What causes it may come again, from an owner that died before its copy knew
    /// of this: then it has the name that they have been given.
    pub(super) fn begin(&mut self, cause: Origin, asker: &Jid, node: &str, now: u64) -> String {
        let name = cause.to_string();
        self.open.retain(|it| it.until > now && it.name != name);
        self.make_place(MOST - 1);
        let (asker, node) = (asker.clone(), node.to_owned());
        let open = Open { name: name.clone(), asker, node, until: now + LASTS, about: None };
        self.open.push_back(open);
        self.has_news = true;
        name
    }

    /// How far a command is: what its first form has led to; none where that is still to be filled in.
    ///
    /// # Errors
    /// [`Fault::SessionExpired`] for one that is over, whether it was ended, given up or too slow (§4.4);
    /// [`Fault::BadSession`] for a name that we have not given, or not to this one, or for another command.
    pub(super) fn find(
        &self,
        name: &str,
        (asker, node): (&Jid, &str),
        now: u64,
    ) -> Result<Option<&str>, Fault> {
        let is_number = |part: &str| u64::from_str_radix(part, 16).is_ok();
        if !(name.split('.').count() == 3 && name.split('.').all(is_number)) {
            return Err(Fault::BadSession);
        }
        let open = self.open.iter().find(|it| it.name == name).ok_or(Fault::SessionExpired)?;
        if open.asker != *asker || open.node != node {
            return Err(Fault::BadSession);
        }
        match open.until > now {
            true => Ok(open.about.as_deref()),
            false => Err(Fault::SessionExpired),
        }
    }

    /// A command goes on to its second form, or back to the first; false where it is over.
    pub fn go_on(&mut self, name: &str, about: Option<&str>, now: u64) -> bool {
        let open = self.open.iter_mut().find(|it| it.name == name && it.until > now);
        if let Some(open) = open {
            open.about = about.map(str::to_owned);
            open.until = now + LASTS;
            self.has_news = true;
            return true;
        }
        false
    }

    /// A command is over.
    pub fn end(&mut self, name: &str) {
        self.open.retain(|it| it.name != name);
        self.has_news = true;
    }

    fn make_place(&mut self, most: usize) {
        while self.open.len() > most {
            self.open.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jid(text: &str) -> Jid {
        Jid::parse(text).unwrap()
    }

    fn cause(seq: u64) -> Origin {
        Origin::Client { session: 0xa, seq, part: 0 }
    }

    #[test]
    fn a_command_goes_on_for_whoever_has_begun_it_until_it_ends_or_time_is_up() {
        let (boss, hag) = (jid("boss@x.org/desk"), jid("hag@x.org/pda"));
        let mut sessions = Sessions::default();
        let name = sessions.begin(cause(7), &boss, "n", 0);
        assert_eq!((name.as_str(), sessions.take_news()), ("a.7.0", true));
        let find = |sessions: &Sessions, name: &str, asker, node, now| {
            sessions.find(name, (asker, node), now).map(|about| about.map(str::to_owned))
        };
        assert_eq!(find(&sessions, &name, &boss, "n", 1), Ok(None));
        assert_eq!(find(&sessions, &name, &hag, "n", 1), Err(Fault::BadSession));
        assert_eq!(find(&sessions, &name, &boss, "m", 1), Err(Fault::BadSession));
        assert_eq!(find(&sessions, "s", &boss, "n", 1), Err(Fault::BadSession));
        let strange = "a.7.g";
        assert_eq!(find(&sessions, strange, &boss, "n", 1), Err(Fault::BadSession));
        let unknown = "a.8.0";
        assert_eq!(find(&sessions, unknown, &boss, "n", 1), Err(Fault::SessionExpired));

        assert!(sessions.go_on(&name, Some("room"), LASTS - 1));
        assert_eq!(find(&sessions, &name, &boss, "n", LASTS), Ok(Some("room".to_owned())));
        let again = Sessions::restored(sessions.open(LASTS).cloned());
        assert_eq!(find(&again, &name, &boss, "n", LASTS), Ok(Some("room".to_owned())));
        assert!(sessions.go_on(&name, None, LASTS));
        assert_eq!(find(&sessions, &name, &boss, "n", LASTS), Ok(None));
        let late = 2 * LASTS;
        assert_eq!(find(&sessions, &name, &boss, "n", late), Err(Fault::SessionExpired));
        assert!(!sessions.go_on(&name, None, late) && sessions.open(late).next().is_none());

        // What comes again begins again, under the same name.
        assert!(sessions.go_on(&name, Some("room"), LASTS));
        assert_eq!(sessions.begin(cause(7), &boss, "n", LASTS), name);
        assert_eq!(find(&sessions, &name, &boss, "n", LASTS), Ok(None));
        assert_eq!(sessions.open(LASTS).count(), 1);

        sessions.end(&name);
        assert!(sessions.take_news() && !sessions.take_news());
        assert_eq!(find(&sessions, &name, &boss, "n", LASTS), Err(Fault::SessionExpired));
    }

    #[test]
    fn of_too_many_the_oldest_is_given_up() {
        let boss = jid("boss@x.org/desk");
        let mut sessions = Sessions::default();
        let begin = |sessions: &mut Sessions, number| sessions.begin(cause(number), &boss, "n", 0);
        let first = begin(&mut sessions, 0);
        let names: Vec<String> =
            (1..=MOST as u64).map(|number| begin(&mut sessions, number)).collect();
        assert_eq!(sessions.open(0).count(), MOST);
        assert_eq!(sessions.find(&first, (&boss, "n"), 0), Err(Fault::SessionExpired));
        assert!(names.iter().all(|name| sessions.find(name, (&boss, "n"), 0).is_ok()));
        // Those whose time is up take no place.
        sessions.begin(cause(1_000), &boss, "n", LASTS);
        assert_eq!((sessions.open.len(), sessions.open(LASTS).count()), (1, 1));
        let one = sessions.open(LASTS).next().cloned().unwrap();
        let many = vec![one; MOST + 1];
        assert_eq!(Sessions::restored(many).open(LASTS).count(), MOST);
    }
}
