//! Owns the way in: the children of a `<user/>`, one after the other, as rows. What is not known is named, and left
//! out (§4).

use archive::Ids;
use auth::Credentials;
use auth::portable::Verifier;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use store::{ArchiveId, ArchiveRow, Key, Kind, Write};
use xmpp::{BareJid, Element, Jid, Origin, delay, kept, ns};

use super::{ARCHIVE, OWN, PIE, PRIVACY, SCRAM};
use crate::extensions::{preferences, private};
use crate::{offline, roster};

/// An account that is being read.
#[derive(Debug)]
pub struct Incoming {
    jid: BareJid,
    now: u64,
    /// The source of origins: a number that no session has.
    session: u64,
    ids: Ids,
    verifiers: Vec<Verifier>,
    disabled: bool,
    offline: offline::Stored,
    archived: ArchiveId,
    counted: u64,
    nodes: nodes::portable::Incoming,
    blocked: bool,
    unknown: Vec<String>,
}

/// What came of reading an account.
#[derive(Debug)]
pub struct Whole {
    /// Its row; none where the file has no credentials that can be used.
    pub credentials: Option<Credentials>,
    /// Whether it may be used.
    pub enabled: bool,
    /// Rows that are complete only at the end.
    pub writes: Vec<Write>,
    /// What was left out, each once.
    pub unknown: Vec<String>,
    /// Messages of its archive.
    pub archived: u64,
}

impl Incoming {
    /// Nothing was read yet. `now` in microseconds since 1970-01-01 UTC, `random` is nobody else's, `ids` are what rows
    /// of archives are called here.
    #[must_use]
    pub fn new(jid: BareJid, now: u64, random: u64, ids: Ids) -> Self {
        Self {
            nodes: nodes::portable::Incoming::new(jid.clone(), now),
            offline: offline::Stored::default(),
            jid,
            now,
            session: Origin::session_number(random),
            ids,
            verifiers: Vec::new(),
            disabled: false,
            archived: ArchiveId(0),
            counted: 0,
            blocked: false,
            unknown: Vec::new(),
        }
    }

    /// Takes a child of the `<user/>`; of an archive, a child of that. The rows that follow from it.
    pub fn take(&mut self, child: &Element) -> Vec<Write> {
        match (child.name(), child.ns()) {
            ("scram-credentials", SCRAM) => self.scram(child),
            ("account", OWN) => self.disabled = child.attr("disabled") == Some("true"),
            ("query", ns::ROSTER) => return roster::rows_of(&self.jid, child, self.now),
            ("presence", ns::CLIENT) => return self.request(child),
            ("query", ns::PRIVATE) => return private::rows_of(&self.jid, child),
            ("vCard", ns::VCARD) => return vec![self.put(Kind::Vcard, "", child.to_bytes())],
            ("offline-messages", PIE) => return self.offline(child),
            ("blocklist", ns::BLOCKING) => return self.block(child),
            ("query", PRIVACY) => return self.deny(child),
            ("prefs", ns::MAM) => return preferences::rows_of(&self.jid, child),
            ("pubsub", ns::PUBSUB_OWNER) => self.nodes.configure(child),
            ("pubsub", ns::PUBSUB) => return self.nodes.items(child),
            ("result", ns::MAM) => return self.archive(child),
            ("archive", ARCHIVE) => {
                return child.children().flat_map(|result| self.take(result)).collect();
            }
            (name, ns) => self.leave_out(format!("<{name} xmlns='{ns}'>")),
        }
        Vec::new()
    }

    /// All was read.
    #[must_use]
    pub fn finish(mut self) -> Whole {
        let verifiers = std::mem::take(&mut self.verifiers);
        let credentials = Credentials::of(verifiers).ok();
        let mut writes = self.nodes.finish();
        writes.extend(self.offline.meter(&self.jid));
        let (unknown, archived) = (self.unknown, self.counted);
        Whole { credentials, enabled: !self.disabled, writes, unknown, archived }
    }

    fn leave_out(&mut self, what: String) {
        if !self.unknown.contains(&what) && self.unknown.len() < 20 {
            self.unknown.push(what);
        }
    }

    fn put(&self, kind: Kind, item: &str, value: Vec<u8>) -> Write {
        Write::Put(Key::new(self.jid.clone(), kind, item.to_owned()), value.into())
    }

    /// §4.3
    fn scram(&mut self, element: &Element) {
        let text = |name| element.child(name, SCRAM).map(|it| it.text().trim().to_owned());
        let octets = |name| STANDARD.decode(text(name)?).ok();
        let read = || {
            Some(Verifier {
                mechanism: element.attr("mechanism")?.to_owned(),
                iterations: text("iter-count")?.parse().ok()?,
                salt: octets("salt")?,
                stored_key: octets("stored-key")?,
                server_key: octets("server-key")?,
            })
        };
        match read() {
            Some(verifier) => self.verifiers.push(verifier),
            None => self.leave_out("credentials that cannot be read".to_owned()),
        }
    }

    /// §4.9
    fn request(&mut self, presence: &Element) -> Vec<Write> {
        let stanza = kept::read(&presence.to_bytes());
        match stanza.and_then(|stanza| roster::row_of_request(&self.jid, &stanza)) {
            Some(write) => vec![write],
            None => {
                self.leave_out("a subscription request that cannot be read".to_owned());
                Vec::new()
            }
        }
    }

    /// §4.5
    fn offline(&mut self, messages: &Element) -> Vec<Write> {
        let mut writes = Vec::new();
        for message in messages.children().filter(|child| child.is("message", ns::CLIENT)) {
            match kept::read(&message.to_bytes()) {
                Some(stanza) => writes.push(self.offline.add(&self.jid, &stanza, self.now)),
                None => self.leave_out("a stored message that cannot be read".to_owned()),
            }
        }
        writes
    }

    /// XEP-0191 §3.2
    fn block(&mut self, list: &Element) -> Vec<Write> {
        self.blocked = true;
        let jids = list.children().filter_map(|item| Jid::parse(item.attr("jid")?).ok());
        jids.map(|jid| self.put(Kind::Block, jid.as_str(), Vec::new())).collect()
    }

    /// §4.8: what the default list denies wholly is blocked; more cannot be said here.
    fn deny(&mut self, query: &Element) -> Vec<Write> {
        if self.blocked {
            return Vec::new();
        }
        let default = query.child("default", PRIVACY).and_then(|it| it.attr("name"));
        let is_default = |list: &&Element| list.attr("name") == default && default.is_some();
        let lists = query.children().filter(|child| child.is("list", PRIVACY));
        let mut writes = Vec::new();
        for item in lists.filter(is_default).flat_map(Element::children) {
            let whole = item.children().next().is_none() && item.attr("type") == Some("jid");
            let jid = item.attr("value").and_then(|value| Jid::parse(value).ok());
            match (item.attr("action"), jid.filter(|_| whole)) {
                (Some("deny"), Some(jid)) => {
                    writes.push(self.put(Kind::Block, jid.as_str(), Vec::new()));
                }
                (Some("deny"), None) => {
                    self.leave_out("a privacy rule that is more than a blocked address".to_owned());
                }
                _ => {}
            }
        }
        writes
    }

    /// §4.11. Our own ids stay; others get one by their time.
    fn archive(&mut self, result: &Element) -> Vec<Write> {
        let Some(row) = self.archive_row(result) else {
            self.leave_out("an archived message that cannot be read".to_owned());
            return Vec::new();
        };
        (self.archived, self.counted) = (row.id, self.counted + 1);
        vec![Write::Append(self.jid.clone(), row)]
    }

    fn archive_row(&self, result: &Element) -> Option<ArchiveRow> {
        let forwarded = result.child("forwarded", ns::FORWARD)?;
        let at = forwarded.child("delay", ns::DELAY).and_then(delay::parse)?;
        let at = u64::try_from(at.unix_micros).ok()?;
        let message = forwarded.children().find(|child| child.is("message", ns::CLIENT))?;
        let stanza = kept::read(&message.to_bytes())?;
        let side = |jid: &Option<Jid>| jid.as_ref().map(Jid::bare);
        let (from, to) = (side(&stanza.head().from), side(&stanza.head().to));
        let peer = match (from, to) {
            (Some(from), Some(to)) if from == self.jid => to,
            (Some(from), _) => from,
            (None, Some(to)) => to,
            (None, None) => return None,
        };
        let own = result.attr("id").and_then(|id| self.ids.read(id));
        let own = own.filter(|id| id.0.abs_diff(at) < 1_000_000);
        let id = own.unwrap_or(ArchiveId(at)).max(ArchiveId(self.archived.0 + 1));
        let origin = Origin::Client { session: self.session, seq: self.counted, part: 0 };
        Some(ArchiveRow { id, peer, origin, stanza: kept::write(&stanza) })
    }
}
