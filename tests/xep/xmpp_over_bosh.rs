//! XEP-0206 XMPP Over BOSH. What streams say in requests of HTTP.

use town::Client;
use town::client::Login;

use super::bosh::{Bosh, juliet, message, post};
use crate::stage::{PASSWORD, shared};

// XEP-0206 §4, §5
#[test]
fn clients_by_bosh_and_tcp_talk_with_each_other() {
    let stage = shared();
    stage.add_accounts(&["romeo-bosh", "juliet-bosh"]);
    let mut romeo = Bosh::bound(stage, "romeo-bosh");
    let (mut juliet, jid) = juliet(stage, "juliet-bosh");
    // The request is held until there is something for it.
    let asking = std::thread::spawn(move || romeo.ask("", &message(&jid, "hi")));
    let heard = juliet.next().expect("a message");
    assert_eq!(heard.attr("from"), Some("romeo-bosh@localhost/web"));
    juliet.send(message("romeo-bosh@localhost/web", "ho"));
    let answer = asking.join().unwrap();
    assert!(
        answer.contains("<message xmlns='jabber:client' ") && answer.contains("<body>ho</body>"),
        "{answer}"
    );
}

// XEP-0206 §4
#[test]
fn a_session_begins_with_features_and_no_starttls() {
    let (_, offered) = Bosh::begin(shared().http, "");
    assert!(
        offered.contains("<stream:features xmlns:stream='http://etherx.jabber.org/streams'>"),
        "{offered}"
    );
    assert!(offered.contains("xmpp:version='1.0'") && offered.contains("xmpp:restartlogic='true'"));
    assert!(offered.contains("from='localhost'") && !offered.contains("starttls"), "{offered}");
}

// XEP-0206 §6
#[test]
fn a_stream_error_ends_the_session_with_it() {
    let namespaces = "xmlns='http://jabber.org/protocol/httpbind'";
    let answer = post(
        shared().http,
        &format!("<body rid='7' to='elsewhere.example' wait='9' hold='1' {namespaces}/>"),
    );
    assert!(answer.contains("type='terminate' condition='remote-stream-error'"), "{answer}");
    assert!(
        answer.contains("<stream:error xmlns:stream=") && answer.contains("<host-unknown "),
        "{answer}"
    );
    let (mut bosh, _) = Bosh::begin(shared().http, "");
    let answer = bosh.ask("", &message("juliet@localhost", "too early"));
    assert!(answer.contains("<not-authorized "), "{answer}");
}

// XEP-0198 §5
#[test]
fn a_session_that_was_lost_by_bosh_is_resumed_over_tcp() {
    let stage = shared();
    stage.add_accounts(&["romeo-resumes", "juliet-resumes"]);
    let mut romeo = Bosh::bound(stage, "romeo-resumes");
    let (mut juliet, jid) = juliet(stage, "juliet-resumes");
    let answer = romeo.ask("", "<enable xmlns='urn:xmpp:sm:3' resume='true'/>");
    let id = answer.split(" id='").nth(1).and_then(|rest| rest.split('\'').next()).expect(&answer);
    // A number that cannot be next: the session ends, and its client is lost.
    assert!(romeo.skip().contains("condition='item-not-found'"));
    juliet.send(message("romeo-resumes@localhost/web", "kept"));
    let (address, domain) = (stage.c2s, "localhost");
    let login = Login { address, domain, name: "romeo-resumes", password: PASSWORD };
    let mut phone = Client::log_in(&login);
    phone.send(format!("<resume xmlns='urn:xmpp:sm:3' previd='{id}' h='0'/>"));
    assert!(phone.next().is_some_and(|next| next.is("resumed", xmpp::ns::SM)));
    let kept = loop {
        let next = phone.next().expect("the message");
        if next.is("message", "") {
            break next;
        }
    };
    assert_eq!(kept.attr("from"), Some(jid.as_str()));
}
