//! What was acknowledged is kept: over kill -9 in the middle of traffic, and on a full disk.

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use town::Client;
use town::client::Login;
use xmpp::Element;

use super::bystander::{Bystander, cpu_time};
use super::wire::dropped;
use crate::stage::held::InProcess;
use crate::stage::{PASSWORD, Stage, rookery};

const ROUNDS: usize = 3;
/// Messages of one round.
const MESSAGES: usize = 250;

fn log_in(address: SocketAddr, name: &str) -> Client {
    let mut client =
        Client::log_in(&Login { address, domain: "localhost", name, password: PASSWORD });
    client.bind("x");
    client
}

/// A sender that counts what the server has taken responsibility for (XEP-0198 §4).
struct Sender {
    client: Client,
    sent: Vec<String>,
    acknowledged: usize,
}

impl Sender {
    fn new(address: SocketAddr) -> Self {
        let mut client = log_in(address, "romeo");
        client.send("<enable xmlns='urn:xmpp:sm:3'/>");
        let enabled = client.next().expect("enabling is answered");
        assert!(enabled.is("enabled", xmpp::ns::SM), "{enabled:?}");
        Self { client, sent: Vec::new(), acknowledged: 0 }
    }

    fn send(&mut self, id: String) {
        let to = "juliet@localhost";
        let body = format!("<body>{id}</body>");
        self.client.send(format!("<message to='{to}' type='chat' id='{id}'>{body}</message>"));
        self.sent.push(id);
    }

    fn ask(&mut self) {
        self.client.send("<r xmlns='urn:xmpp:sm:3'/>");
        while let Some(next) = self.client.poll() {
            self.hear(&next);
        }
    }

    fn hear(&mut self, next: &Element) {
        assert_ne!(next.attr("type"), Some("error"), "{next:?}");
        if next.is("a", xmpp::ns::SM) {
            self.acknowledged = next.attr("h").expect("h").parse().expect("a number");
        }
    }
}

/// Adds contacts, and notes which were added for sure (RFC 6121 §2.3).
struct Adder {
    client: Client,
    answered: Vec<String>,
}

impl Adder {
    fn add(&mut self, name: &str) {
        let item = format!("<item jid='{name}@localhost'/>");
        let query = format!("<query xmlns='jabber:iq:roster'>{item}</query>");
        self.client.send(format!("<iq type='set' id='{name}'>{query}</iq>"));
        while let Some(next) = self.client.poll() {
            self.hear(&next);
        }
    }

    fn hear(&mut self, next: &Element) {
        if next.attr("type") == Some("result") {
            self.answered.push(next.attr("id").expect("an id").to_owned());
        }
    }
}

/// Talks until the process is killed in the middle of it; what was acknowledged, of messages and contacts.
fn talk_until_killed(stage: &mut Stage, round: usize) -> (Vec<String>, Vec<String>) {
    let mut sender = Sender::new(stage.c2s);
    let mut adder = Adder { client: log_in(stage.c2s, "benvolio"), answered: Vec::new() };
    let begun = Instant::now();
    for number in 0..MESSAGES {
        sender.send(format!("m-{round}-{number}"));
        if number % 10 == 9 {
            sender.ask();
            adder.add(&format!("c-{round}-{number}"));
        }
    }
    while sender.acknowledged == 0 || adder.answered.is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(20), "nothing is ever acknowledged");
        sender.ask();
        adder.add("again");
    }
    // Some more that nobody waits for, so that writes are under way.
    (0..20).for_each(|number| sender.send(format!("m-{round}-more-{number}")));
    stage.kill();
    while let Some(next) = sender.client.next() {
        sender.hear(&next);
    }
    while let Some(next) = adder.client.next() {
        adder.hear(&next);
    }
    sender.sent.truncate(sender.acknowledged);
    (sender.sent, adder.answered)
}

/// The ids of all messages in an account's archive, in order.
fn archive(stage: &Stage, name: &str) -> Vec<String> {
    let mut client = log_in(stage.c2s, name);
    let (mut ids, mut after) = (Vec::new(), String::new());
    loop {
        let page =
            format!("<set xmlns='http://jabber.org/protocol/rsm'><max>100</max>{after}</set>");
        client.send(format!(
            "<iq type='set' id='q'><query xmlns='urn:xmpp:mam:2'>{page}</query></iq>"
        ));
        let fin = loop {
            let next = client.next().expect("the archive is read");
            if next.is("iq", "") {
                break next;
            }
            let result = next.child("result", xmpp::ns::MAM).expect("a result");
            after = format!("<after>{}</after>", result.attr("id").expect("an id"));
            ids.push(id_of_forwarded(result));
        };
        let fin = fin.child("fin", xmpp::ns::MAM).unwrap_or_else(|| panic!("{fin:?}"));
        if fin.attr("complete") == Some("true") {
            return ids;
        }
    }
}

fn id_of_forwarded(result: &Element) -> String {
    let forwarded = result.children().next().expect("what was forwarded");
    let message = forwarded.children().find(|child| child.name() == "message").expect("a message");
    message.attr("id").expect("an id").to_owned()
}

fn roster(stage: &Stage, name: &str) -> BTreeSet<String> {
    let mut client = log_in(stage.c2s, name);
    client.send("<iq type='get' id='g'><query xmlns='jabber:iq:roster'/></iq>");
    let answer = client.next().expect("the roster is read");
    let query = answer.children().next().expect("the roster");
    let names = query.children().filter_map(|item| item.attr("jid")?.split('@').next());
    names.map(str::to_owned).collect()
}

/// Everything acknowledged is there, once, in the order in which it was sent.
fn assert_kept(acknowledged: &[String], kept: &[String]) {
    let unique: BTreeSet<&String> = kept.iter().collect();
    assert_eq!(unique.len(), kept.len(), "a message was kept twice");
    let mut kept = kept.iter();
    for id in acknowledged {
        assert!(
            kept.any(|other| other == id),
            "{id} was acknowledged, and is lost or out of order"
        );
    }
}

#[test]
fn nothing_acknowledged_is_lost_when_the_process_is_killed_three_times() {
    let mut stage = Stage::start("[store]\nengine = 'embedded'");
    stage.add_accounts(&["romeo", "juliet", "benvolio"]);
    let (mut messages, mut contacts) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let (sent, added) = talk_until_killed(&mut stage, round);
        messages.extend(sent);
        contacts.extend(added);
        let begun = Instant::now();
        stage.kill_and_restart();
        let time = begun.elapsed();
        // Others may use the processor too, so that what the start took of it is what counts.
        let work = cpu_time(stage.pid());
        println!("kill -9: up again after {time:?}, {work:?} of the processor");
        assert!(work < Duration::from_secs(10), "up again after {work:?} of the processor");
        for account in ["romeo", "juliet"] {
            assert_kept(&messages, &archive(&stage, account));
        }
        let kept = roster(&stage, "benvolio");
        let lost: Vec<_> = contacts.iter().filter(|name| !kept.contains(*name)).collect();
        assert!(lost.is_empty(), "lost contacts: {lost:?}");
    }
    println!("kill -9: {} messages and {} contacts acknowledged", messages.len(), contacts.len());
}

#[test]
fn what_accounts_have_outlives_an_orderly_restart() {
    let mut stage = Stage::start("[store]\nengine = 'embedded'");
    stage.add_accounts(&["romeo", "juliet"]);
    let mut romeo = log_in(stage.c2s, "romeo");
    for number in 0..3 {
        romeo.send(format!(
            "<message to='juliet@localhost' type='chat' id='m{number}'><body>hi</body></message>"
        ));
    }
    let said = [
        "<iq type='set' id='1'><query xmlns='jabber:iq:roster'><item jid='nurse@localhost'/></query></iq>",
        "<iq type='set' id='2'><block xmlns='urn:xmpp:blocking'><item jid='tybalt@localhost'/></block></iq>",
        "<iq type='set' id='3'><vCard xmlns='vcard-temp'><FN>Romeo</FN></vCard></iq>",
        "<iq type='set' id='4'><query xmlns='jabber:iq:private'><a xmlns='urn:a'>kept</a></query></iq>",
    ];
    for xml in said {
        romeo.send(xml);
        assert_eq!(romeo.next().expect("an answer").attr("type"), Some("result"), "{xml}");
    }
    stage.signal("TERM");
    assert!(stage.await_end().success());
    stage.kill_and_restart();
    let sent = ["m0", "m1", "m2"];
    assert_eq!(archive(&stage, "romeo"), sent);
    assert_eq!(archive(&stage, "juliet"), sent);
    assert_eq!(roster(&stage, "romeo"), BTreeSet::from(["nurse".to_owned()]));
    let mut romeo = log_in(stage.c2s, "romeo");
    let mut ask = |xml: &str| {
        romeo.send(xml);
        format!("{:?}", romeo.next().expect("an answer"))
    };
    let blocked = ask("<iq type='get' id='1'><blocklist xmlns='urn:xmpp:blocking'/></iq>");
    assert!(blocked.contains("tybalt@localhost"), "{blocked}");
    let card = ask("<iq type='get' id='2'><vCard xmlns='vcard-temp'/></iq>");
    assert!(card.contains("Romeo"), "{card}");
    let private = ask(
        "<iq type='get' id='3'><query xmlns='jabber:iq:private'><a xmlns='urn:a'/></query></iq>",
    );
    assert!(private.contains("kept"), "{private}");
    let mut juliet = log_in(stage.c2s, "juliet");
    juliet.send("<presence/>");
    for id in sent {
        let next = loop {
            let next = juliet.next().expect("stored messages come");
            if next.is("message", "") {
                break next;
            }
        };
        assert_eq!(next.attr("id"), Some(id));
    }
}

// XEP-0198 §4; RFC 6121 §2.3.2: kill -9 keeps what the system has taken, so it does not show whether anything
// is acknowledged too early; a disk that stands still does.
#[test]
fn nothing_is_acknowledged_while_the_disk_stands_still() {
    let server = InProcess::start(&["romeo", "juliet"]);
    let mut sender = Sender::new(server.c2s);
    server.store.hold(true);
    sender.send("m1".to_owned());
    sender.client.send(
        "<iq type='set' id='set'><query xmlns='jabber:iq:roster'><item jid='a@x'/></query></iq>",
    );
    // Whatever does not wait for the disk is answered meanwhile, again and again.
    for _ in 0..20 {
        sender.client.send("<iq type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq>");
        let pong = sender.client.next().expect("the stream stays open");
        assert_eq!(pong.attr("id"), Some("p"), "answered before it was kept: {pong:?}");
        assert_eq!(handled(&mut sender.client), 0, "acknowledged before it was kept");
    }
    server.store.hold(false);
    let set = sender.client.next().expect("the stream stays open");
    assert_eq!((set.attr("id"), set.attr("type")), (Some("set"), Some("result")));
    let begun = Instant::now();
    while handled(&mut sender.client) < 22 {
        assert!(begun.elapsed() < Duration::from_secs(20), "what was kept is never acknowledged");
    }
}

/// What the server says that it has handled.
fn handled(client: &mut Client) -> u32 {
    client.send("<r xmlns='urn:xmpp:sm:3'/>");
    loop {
        let next = client.next().expect("the stream stays open");
        if next.is("a", xmpp::ns::SM) {
            return next.attr("h").expect("h").parse().expect("a number");
        }
        assert!(next.is("r", xmpp::ns::SM), "{next:?}");
    }
}

/// A small file system of its own, gone with the test.
pub(crate) struct SmallDisk {
    dir: PathBuf,
}

impl SmallDisk {
    /// None where this user may not mount.
    pub(crate) fn over(dir: &Path) -> Option<Self> {
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=128m", "small"]).arg(dir);
        let mounted = mount.output().is_ok_and(|done| done.status.success());
        mounted.then(|| Self { dir: dir.to_owned() })
    }

    /// What takes the room.
    pub(crate) fn filler(&self) -> PathBuf {
        self.dir.join("filler")
    }

    /// Takes all room that is left.
    pub(crate) fn fill(&self) {
        use std::io::Write;
        let mut file = fs::File::create(self.filler()).unwrap();
        while file.write_all(&[0; 1 << 16]).is_ok() {}
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("--lazy").arg(&self.dir).status());
        drop(self.dir.parent().map(fs::remove_dir_all));
    }
}

/// Sends one message, and waits until it is acknowledged or refused; which.
fn is_taken(sender: &mut Sender, id: &str) -> bool {
    let before = sender.acknowledged;
    sender.send(id.to_owned());
    let mut refused = false;
    while sender.acknowledged == before {
        sender.client.send("<r xmlns='urn:xmpp:sm:3'/>");
        let next = sender.client.next().expect("the stream stays open");
        if next.attr("type") == Some("error") {
            assert_eq!(next.attr("id"), Some(id));
            refused = true;
        } else {
            sender.hear(&next);
        }
    }
    !refused
}

#[test]
fn a_full_disk_is_told_aloud_and_recovers_without_a_restart() {
    let mut stage = Stage::start("[store]\nengine = 'embedded'\nmin_free_bytes = 4194304");
    stage.kill();
    let Some(disk) = SmallDisk::over(&stage.dir.join("data")) else {
        return println!("skipped: mounting a small file system needs root");
    };
    stage.kill_and_restart();
    stage.add_accounts(&["romeo", "juliet"]);
    let bystander = Bystander::whispering(&stage);
    let mut sender = Sender::new(stage.c2s);
    let mut taken = Vec::new();
    let mut say = |sender: &mut Sender, id: String| {
        let is_taken = is_taken(sender, &id);
        taken.extend(is_taken.then_some(id));
        is_taken
    };
    assert!(say(&mut sender, "before".to_owned()), "there is room");
    disk.fill();
    let begun = Instant::now();
    let mut number = 0;
    while say(&mut sender, format!("full-{number}")) {
        number += 1;
        assert!(begun.elapsed() < Duration::from_secs(20), "{number} were taken on a full disk");
    }
    assert!(dropped(stage.http, &["not_archived", "not_stored"]) > 0);
    // Nor is it given to somebody who is there.
    let mut listener = log_in(stage.c2s, "juliet");
    listener.send("<presence/>");
    while listener.next().expect("what waited").attr("id") != Some("before") {}
    assert!(!say(&mut sender, "unheard".to_owned()), "what is not archived was acknowledged");
    fs::remove_file(disk.filler()).unwrap();
    let begun = Instant::now();
    while !say(&mut sender, format!("after-{number}")) {
        number += 1;
        assert!(begun.elapsed() < Duration::from_secs(20), "there is room again");
    }
    let last = format!("after-{number}");
    while let Some(heard) = listener.next().filter(|heard| heard.attr("id") != Some(&last)) {
        assert_ne!(heard.attr("id"), Some("unheard"), "{heard:?}");
    }
    listener.vanish();
    assert_kept(&taken, &archive(&stage, "juliet"));
    bystander.was_not_hurt("a full disk");
    stage.kill_and_restart();
    assert_kept(&taken, &archive(&stage, "juliet"));
    drop(stage);
}

#[test]
fn a_port_that_is_taken_is_named_in_one_line() {
    let stage = Stage::start("");
    let bystander = Bystander::beside(&stage);
    let dir = stage.dir.join("second");
    fs::create_dir_all(&dir).unwrap();
    let listen = format!("[listen]\nc2s = ['{}']\nc2s_tls = []\nhttp = []\n", stage.c2s);
    fs::write(dir.join("rookery.toml"), listen).unwrap();
    let second = rookery(&dir).arg("serve").output().unwrap();
    let error = String::from_utf8(second.stderr).unwrap();
    assert_eq!(second.status.code(), Some(1), "{error}");
    let last = error.lines().last().unwrap_or_default();
    assert!(last.contains(&stage.c2s.to_string()), "{error}");
    bystander.was_not_hurt("a second server");
}
