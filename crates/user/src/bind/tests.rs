//! Binding on trial (RFC 6120 §7).

use proto::Body;
use proto::session::UserEvent;

use crate::config::Accounts;
use crate::stage::{ROMEO, Stage, put_account};

#[test]
fn a_resource_is_given_as_asked() {
    let mut stage = Stage::new();
    assert_eq!(stage.wish(Some("balcony")), [format!("start {ROMEO}/balcony")]);
}

#[test]
fn a_resource_that_the_server_makes_is_another_each_time() {
    let mut stage = Stage::new();
    let first = stage.wish(None);
    let second = stage.wish(None);
    let resource = first[0].strip_prefix(&format!("start {ROMEO}/")).unwrap();
    assert_eq!(resource.len(), 32);
    assert_ne!(first, second);
}

#[test]
fn a_name_without_an_account_binds_nothing() {
    let mut stage = Stage::without_account();
    assert_eq!(stage.wish(None), ["refused: auth not-authorized"]);
    assert!(stage.trial.closed);
}

#[test]
fn a_resource_that_cannot_be_is_a_bad_request() {
    let mut stage = Stage::new();
    assert_eq!(stage.wish(Some("\u{0}")), ["refused: modify bad-request"]);
    assert_eq!(stage.wish(Some(&"x".repeat(2_000))), ["refused: modify bad-request"]);
}

#[test]
fn a_resource_in_use_changes_hands() {
    let mut stage = Stage::new();
    let old = stage.available("r", 0);
    let other = stage.available("other", 0);
    let said = stage.wish(Some("r"));
    assert_eq!(said[0], "gone ends: conflict");
    assert!(said.contains(&"other: presence unavailable".to_owned()), "{said:?}");
    assert_eq!(said.last(), Some(&format!("start {ROMEO}/r")));
    let new = stage.uid("r");
    assert_ne!(old, new);
    assert!(stage.trial.entity.sessions.get(old).is_none());
    // What the old one gives back finds its way; that it ended is known.
    let said = stage
        .ends(old, &["<message from='b@y' to='romeo@x.org' type='chat'><body>m</body></message>"]);
    assert!(said.is_empty(), "the other session had it: {said:?}");
    assert!(stage.trial.entity.sessions.get(other).is_some());
}

#[test]
fn too_many_sessions_are_refused_unless_one_of_them_only_waits() {
    let mut stage = Stage::limited(Accounts { sessions: 2, ..Accounts::default() });
    let first = stage.bind("first");
    stage.bind("second");
    assert_eq!(stage.wish(Some("third")), ["refused: wait resource-constraint"]);
    stage.bind("second");
    let event = UserEvent::Attached { session: first, attached: false, unacknowledged: Vec::new() };
    stage.hears(Body::User(event));
    let said = stage.wish(Some("third"));
    assert_eq!(said, ["gone ends: resource-constraint", &format!("start {ROMEO}/third")]);
}

#[test]
fn an_account_that_is_removed_ends_its_sessions() {
    let mut stage = Stage::new();
    stage.bind("r");
    stage.hears(Body::User(UserEvent::AccountChanged));
    assert!(!stage.trial.closed);
    put_account(&stage.memory, None);
    let said = stage.hears(Body::User(UserEvent::AccountChanged));
    assert_eq!(said, ["gone ends: not-authorized"]);
    assert!(stage.trial.closed);
}
