//! Sessions of BOSH, request by request.

use super::*;
use crate::Limits;
use crate::bosh::NS;

const SECOND: Duration = Duration::from_secs(1);

const MOST: Terms = Terms {
    wait: Duration::from_secs(60),
    hold: 1,
    inactivity: Duration::from_secs(30),
    polling: Duration::from_secs(5),
    max_pause: Duration::from_secs(120),
};

/// A session, and what became of its requests.
struct Play {
    session: Session,
    acts: Vec<Act>,
    now: Duration,
}

fn body(attributes: &str, content: &str) -> Body {
    let text = format!("<body xmlns='{NS}' {attributes}>{content}</body>");
    Body::parse(text.as_bytes(), Limits::default()).expect(attributes)
}

fn begun(attributes: &str) -> Play {
    begun_by(body(&format!("to='x' {attributes}"), ""))
}

fn begun_by(first: Body) -> Play {
    let session = Session::new("s".to_owned(), &first, MOST, Duration::ZERO);
    let mut play = Play { session, acts: Vec::new(), now: Duration::ZERO };
    play.session.take(first, 0, play.now, &mut play.acts);
    play
}

/// With the first request, number 100, answered.
fn opened(attributes: &str) -> Play {
    let mut play = begun(&format!("rid='100' {attributes}"));
    play.give("<features/>");
    play.acts.clear();
    play
}

impl Play {
    /// Request number 100 and so many has this ticket.
    fn ask(&mut self, number: u64, attributes: &str, content: &str) {
        let body = body(&format!("rid='{}' sid='s' {attributes}", 100 + number), content);
        self.session.take(body, number, self.now, &mut self.acts);
    }

    fn give(&mut self, content: &str) {
        assert!(self.session.can_give());
        self.session.give(content.as_bytes(), self.now, &mut self.acts);
    }

    fn heard(&self) -> usize {
        self.acts.iter().filter(|act| matches!(act, Act::Hear(_))).count()
    }

    /// What was answered since this was last asked, with the tickets.
    fn answers(&mut self) -> Vec<(u64, String)> {
        let answer = |act| match act {
            Act::Answer(ticket, text) => Some((ticket, String::from_utf8(text).unwrap())),
            Act::Hear(_) => None,
        };
        std::mem::take(&mut self.acts).into_iter().filter_map(answer).collect()
    }

    fn tickets(&mut self) -> Vec<u64> {
        self.answers().into_iter().map(|(ticket, _)| ticket).collect()
    }

    /// All that was asked is answered with this condition.
    #[track_caller]
    fn ends_with(&mut self, condition: &str) {
        let answers = self.answers();
        let end = format!("type='terminate' condition='{condition}'");
        assert!(!answers.is_empty());
        assert!(answers.iter().all(|(_, text)| text.contains(&end)), "{answers:?}");
        assert!(self.session.has_said_all());
    }
}

const HI: &str = "<message xmlns='jabber:client'><body>hi</body></message>";

// XEP-0124 §7.2
#[test]
fn the_first_response_says_on_what_is_agreed() {
    let mut play = begun("rid='7' wait='90' hold='1' ver='1.6'");
    assert!(
        matches!(&play.acts[..], [Act::Hear(Event::Open(header))] if header.to.as_deref() == Some("x"))
    );
    play.give("<features/>");
    let [(0, text)] = &play.answers()[..] else { panic!("one answer") };
    for part in [
        "sid='s'",
        "wait='60'",
        "requests='2'",
        "hold='1'",
        "inactivity='30'",
        "polling='5'",
        "maxpause='120'",
        "ver='1.6'",
        "from='x'",
        "xmpp:version='1.0'",
        "<features/></body>",
    ] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
}

#[test]
fn who_names_no_domain_is_told_none() {
    let mut play = begun_by(body("rid='7'", ""));
    play.give("<features/>");
    let [(0, text)] = &play.answers()[..] else { panic!("one answer") };
    assert!(!text.contains("from="), "{text}");
}

#[test]
fn requests_are_heard_in_order_and_the_oldest_is_answered_first() {
    let mut play = opened("hold='1'");
    play.ask(2, "", HI);
    assert_eq!((play.heard(), play.tickets()), (0, vec![]), "it came before its turn");
    play.ask(1, "", HI);
    assert_eq!(play.heard(), 2);
    assert_eq!(play.tickets(), [1], "only one is held");
    play.give(HI);
    assert_eq!(play.tickets(), [2]);
    assert!(!play.session.can_give());
}

// XEP-0124 §14.2
#[test]
fn a_request_outside_the_window_ends_the_session() {
    let mut play = opened("hold='1'");
    play.ask(3, "", HI);
    play.ends_with("item-not-found");
    assert_eq!(play.heard(), 0);
}

// XEP-0124 §14.3
#[test]
fn a_request_that_comes_again_gets_the_same_response_and_is_not_heard_again() {
    let mut play = opened("hold='1'");
    play.ask(1, "", HI);
    play.give("<a/>");
    let first = play.answers();
    play.ask(1, "", HI);
    assert_eq!(play.heard(), 0);
    assert_eq!(play.answers(), first);
    play.ask(2, "", "");
    play.ask(2, "", "");
    let answers = play.answers();
    assert!(matches!(&answers[..], [(2, text)] if text.contains("type='error'")), "{answers:?}");
    play.give("<b/>");
    play.ask(3, "", "");
    play.give("<c/>");
    play.acts.clear();
    play.ask(1, "", HI);
    play.ends_with("item-not-found");
}

#[test]
fn a_request_is_held_for_as_long_as_was_agreed() {
    let mut play = opened("hold='1' wait='20'");
    play.ask(1, "", "");
    assert_eq!(play.session.deadline(), Some(20 * SECOND));
    assert!(!play.session.is_gone(19 * SECOND, &mut play.acts));
    assert_eq!(play.tickets(), []);
    assert!(!play.session.is_gone(20 * SECOND, &mut play.acts));
    assert_eq!(play.tickets(), [1]);
}

// XEP-0124 §10
#[test]
fn a_client_that_asks_nothing_for_too_long_is_gone_unless_it_paused() {
    let mut play = opened("hold='1'");
    assert!(!play.session.is_gone(29 * SECOND, &mut play.acts));
    assert!(play.session.is_gone(30 * SECOND, &mut play.acts));
    let mut play = opened("hold='1'");
    play.ask(1, "", "");
    play.ask(2, "pause='100'", "");
    assert_eq!(play.tickets(), [1, 2], "all are answered at once");
    assert!(!play.session.is_gone(99 * SECOND, &mut play.acts));
    play.now = 99 * SECOND;
    play.ask(3, "", "");
    play.give("<a/>");
    assert!(play.session.is_gone(129 * SECOND, &mut play.acts), "the pause is over");
    let mut play = opened("hold='1'");
    play.ask(1, "pause='121'", "");
    play.ends_with("policy-violation");
}

// XEP-0124 §12
#[test]
fn a_client_that_polls_is_answered_at_once_and_must_not_poll_too_often() {
    let mut play = opened("hold='0'");
    play.ask(1, "", "");
    assert_eq!(play.tickets(), [1]);
    play.now = 5 * SECOND;
    play.ask(2, "", "");
    play.now = 6 * SECOND;
    play.ask(3, "", HI);
    play.ask(4, "", "");
    assert_eq!(play.tickets(), [2, 3, 4], "it had something to say between");
    play.now = 8 * SECOND;
    play.ask(5, "", "");
    play.ends_with("policy-violation");
}

// XEP-0124 §15
#[test]
fn each_key_proves_the_one_before() {
    let (seed, other) = ("seed", "other");
    let sequence = |seed: &str| [hash(seed), hash(&hash(seed)), hash(&hash(&hash(seed)))];
    let [k1, k2, k3] = sequence(seed);
    let [l1, l2, _] = sequence(other);
    let mut play = opened(&format!("newkey='{}'", k3.to_uppercase()));
    play.ask(1, &format!("key='{k2}'"), HI);
    play.ask(2, &format!("key='{k1}' newkey='{l2}'"), HI);
    assert_eq!(play.heard(), 2);
    play.acts.clear();
    play.ask(3, &format!("key='{l1}'"), HI);
    assert_eq!(play.heard(), 1);
    for key in ["", &format!("key='{k1}'"), "key='guess'"] {
        let mut play = opened(&format!("newkey='{k3}'"));
        play.ask(1, key, HI);
        assert_eq!(play.heard(), 0, "{key}");
        play.ends_with("item-not-found");
    }
}

// XEP-0124 §13
#[test]
fn a_client_that_ends_the_session_is_heard_and_told() {
    let mut play = opened("hold='1'");
    play.ask(1, "", "");
    play.ask(2, "type='terminate'", "<presence xmlns='jabber:client' type='unavailable'/>");
    assert!(matches!(&play.acts[..], [Act::Hear(Event::Stanza(_)), Act::Hear(Event::Close)]));
    play.acts.clear();
    play.session.finish(None, b"", play.now, &mut play.acts);
    let answers = play.answers();
    let empty = format!("<body xmlns='{NS}'/>");
    assert_eq!(answers[0], (1, format!("<body xmlns='{NS}' type='terminate'/>")));
    assert_eq!(answers[1], (2, empty));
    assert!(play.session.has_said_all() && play.session.deadline().is_none());
}

#[test]
fn an_end_that_nobody_waits_for_is_told_with_the_next_request() {
    let mut play = opened("hold='1'");
    play.session.finish(Some("remote-stream-error"), b"<e/>", play.now, &mut play.acts);
    assert_eq!(play.tickets(), []);
    assert!(!play.session.has_said_all());
    play.ask(1, "", "");
    let [(1, text)] = &play.answers()[..] else { panic!("one answer") };
    assert!(text.contains("condition='remote-stream-error'") && text.contains("<e/>"), "{text}");
    play.ask(2, "", "");
    play.ends_with("item-not-found");
}

#[test]
fn a_stream_that_starts_anew_is_for_the_same_domain() {
    let mut play = opened("hold='1'");
    play.ask(1, "xmlns:xmpp='urn:xmpp:xbosh' xmpp:restart='true'", "");
    let [Act::Hear(Event::Open(header))] = &play.acts[..] else { panic!("{:?}", play.acts) };
    assert_eq!(header.to.as_deref(), Some("x"));
}
