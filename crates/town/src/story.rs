//! Owns the steps of a script: what a line says. Knows no sockets.

use std::collections::BTreeMap;

/// A script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Story {
    /// Each step with the line that it stands on, from 1.
    pub steps: Vec<(usize, Step)>,
}

/// What happens in one step, and to whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// `name/resource`, `everyone`, or `server`.
    pub who: String,
    /// What.
    pub act: Act,
}

/// What a client does, or what happens to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// The account's home is to be this member, of several.
    LivesOn(usize),
    /// What a client does at this member, of several: whatever begins with a log-in.
    On(usize, Box<Act>),
    /// What a client does over a WebSocket: whatever begins with a log-in.
    ByWebSocket(Box<Act>),
    /// Logs in, binds, sends initial presence.
    Connects,
    /// Logs in and binds.
    Binds,
    /// Logs in.
    LogsIn,
    /// Sends the opening tag of a stream.
    OpensAStream,
    /// Awaits a new stream.
    StartsOver,
    /// Opens a socket.
    Dials,
    /// Sends this.
    Sends(String),
    /// Sends these bytes.
    SendsBytes(Vec<u8>),
    /// Gets this next.
    Receives(String),
    /// Gets these next, in any order.
    Hears(Vec<String>),
    /// Gets this, perhaps behind other things, which are passed over.
    Finds(String),
    /// Has got nothing else.
    IsQuiet,
    /// Closes the stream.
    Leaves,
    /// Drops the socket.
    Vanishes,
    /// Finds the stream ended by the server.
    LosesTheStream,
    /// What happens to the server itself.
    Server(Fate),
}

/// What happens to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is asked to stop.
    IsStopped,
    /// It ends as by a power cut.
    Dies,
    /// It has ended, and starts again.
    StartsAgain,
    /// This member ends as by a power cut, of several.
    MemberDies(usize),
    /// This one has ended, and starts again.
    MemberStartsAgain(usize),
}

impl Story {
    /// Reads a script.
    ///
    /// # Panics
    /// On a line that says nothing known: a story that cannot be read is a failed test.
    pub fn read(text: &str) -> Self {
        let mut lines: Vec<(usize, String)> = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            match lines.last_mut() {
                _ if line.is_empty() || line.starts_with('#') => {}
                Some((_, before)) if line.starts_with('<') => {
                    before.push('\n');
                    before.push_str(line);
                }
                _ => lines.push((number + 1, line.to_owned())),
            }
        }
        Self {
            steps: lines.into_iter().map(|(number, line)| (number, Step::read(&line))).collect(),
        }
    }

    /// The accounts that do something, by name.
    pub fn people(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.steps.iter().map(|(_, step)| name_of(&step.who)).collect();
        names.sort_unstable();
        names.dedup();
        names.retain(|name| !matches!(*name, "everyone" | "server"));
        names
    }

    /// The accounts whose homes the story names, and the number of each one's.
    pub fn homes(&self) -> BTreeMap<&str, usize> {
        let mut homes = BTreeMap::new();
        for (_, step) in &self.steps {
            if let Act::LivesOn(member) = step.act {
                homes.insert(step.who.as_str(), member);
            }
        }
        homes
    }
}

impl Step {
    fn read(line: &str) -> Self {
        let (who, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let rest = rest.trim_start();
        if let Some(bytes) = rest.strip_prefix("sends bytes ") {
            return Self { who: who.to_owned(), act: Act::SendsBytes(bytes_of(bytes)) };
        }
        let (words, xml) = match rest.find(['<', '{']) {
            Some(at) => (rest[..at].trim(), rest[at..].to_owned()),
            None => (rest.trim(), String::new()),
        };
        if let Some((words, member)) = words.rsplit_once(" on ") {
            let act = match words {
                "lives" => Act::LivesOn(member_of(member)),
                _ => {
                    Act::On(member_of(member), Box::new(Self::read(&format!("{who} {words}")).act))
                }
            };
            return Self { who: who.to_owned(), act };
        }
        if let Some(words) = words.strip_suffix(" by websocket") {
            let act = Self::read(&format!("{who} {words}")).act;
            return Self { who: who.to_owned(), act: Act::ByWebSocket(Box::new(act)) };
        }
        let act = match words {
            "connects" => Act::Connects,
            "binds" => Act::Binds,
            "logs in" => Act::LogsIn,
            "opens a stream" => Act::OpensAStream,
            "starts over" => Act::StartsOver,
            "dials" => Act::Dials,
            "sends" => Act::Sends(xml.replace('\n', "")),
            "receives" => Act::Receives(xml.replace('\n', "")),
            "finds" => Act::Finds(xml.replace('\n', "")),
            "hears" => Act::Hears(xml.lines().map(str::to_owned).collect()),
            "is quiet" => Act::IsQuiet,
            "leaves" => Act::Leaves,
            "vanishes" => Act::Vanishes,
            "loses the stream" => Act::LosesTheStream,
            "is stopped" => Act::Server(Fate::IsStopped),
            "dies" => Act::Server(Fate::Dies),
            "starts again" => Act::Server(Fate::StartsAgain),
            other => Self::fate(other)
                .unwrap_or_else(|| panic!("nobody knows how to do {other:?} in: {line}")),
        };
        Self { who: who.to_owned(), act }
    }

    /// What happens to one of several servers.
    fn fate(words: &str) -> Option<Act> {
        let (member, what) = words.split_once(' ')?;
        match what {
            "dies" => Some(Act::Server(Fate::MemberDies(member_of(member)))),
            "starts again" => Some(Act::Server(Fate::MemberStartsAgain(member_of(member)))),
            _ => None,
        }
    }
}

/// The account of a client.
pub(crate) fn name_of(who: &str) -> &str {
    who.split('/').next().unwrap_or(who)
}

/// Members are called a, b, c …
pub(crate) fn member_of(letter: &str) -> usize {
    let number = letter.bytes().next().and_then(|letter| letter.checked_sub(b'a'));
    number.filter(|_| letter.len() == 1).unwrap_or_else(|| panic!("no member: {letter}")).into()
}

fn bytes_of(hexadecimal: &str) -> Vec<u8> {
    let byte = |word| u8::from_str_radix(word, 16).unwrap_or_else(|_| panic!("no byte: {word}"));
    hexadecimal.split_whitespace().map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_xml_belong_to_the_step_before() {
        let story = Story::read(
            "
            # a comment
            romeo/phone connects
            romeo/phone hears <a/>
                              <b/>
            everyone    is quiet
            ",
        );
        let acts: Vec<_> = story.steps.into_iter().map(|(_, step)| step.act).collect();
        let heard = vec!["<a/>".to_owned(), "<b/>".to_owned()];
        assert_eq!(acts, [Act::Connects, Act::Hears(heard), Act::IsQuiet]);
    }

    #[test]
    fn what_happens_at_a_member_names_it_by_a_letter() {
        let story = Story::read(
            "
            romeo       lives on b
            romeo/phone logs in on c
            server      a dies
            ",
        );
        let acts: Vec<_> = story.steps.into_iter().map(|(_, step)| step.act).collect();
        let log_in = Act::On(2, Box::new(Act::LogsIn));
        assert_eq!(acts, [Act::LivesOn(1), log_in, Act::Server(Fate::MemberDies(0))]);
    }

    #[test]
    fn bytes_are_written_in_hexadecimal() {
        let story = Story::read("romeo/phone sends bytes 3c ff");
        assert_eq!(story.steps[0].1.act, Act::SendsBytes(vec![0x3c, 0xff]));
    }
}
