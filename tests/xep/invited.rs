//! XEP-0379 Pre-Authenticated Roster Subscription.

use town::compare::{self, Taken};

use super::administration::Asker;
use super::invitation::{stage, text, token};

/// What comes next must be this, in any order.
fn hears(asker: &mut Asker, all: &[&str]) {
    let mut expected: Vec<_> = all.iter().map(|xml| compare::parse(xml)).collect();
    while !expected.is_empty() {
        let next = asker.next().unwrap();
        let fits = |one: &xmpp::Element| compare::matches(one, &next, &mut Taken::new()).is_ok();
        let found = expected.iter().position(fits);
        expected.remove(found.unwrap_or_else(|| panic!("came: {}", compare::show(&next))));
    }
}

// XEP-0379 §3.4, §3.5, §4.1, §5.2
#[test]
fn who_was_invited_is_a_contact_at_once_and_the_token_is_good_for_one() {
    let stage = stage("closed", "");
    let mut romeo = Asker::new(&stage, "romeo");
    let mut juliet = Asker::new(&stage, "juliet");
    for asker in [&mut romeo, &mut juliet] {
        asker.send("<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>");
        asker.next();
        asker.send("<presence/>");
        asker.next();
    }
    let uri = text(&romeo.run("urn:xmpp:invite#invite", &[]).unwrap(), "uri");
    let ask = |token: &str| {
        format!(
            "<presence to='romeo@localhost' type='subscribe'><preauth xmlns='urn:xmpp:pars:0' token='{token}'/></presence>"
        )
    };
    juliet.send(&ask("aaaaaaaaaaaaaaaaaaaaaaaaaa"));
    hears(&mut juliet, &["<iq type='set'>…</iq>"]);
    hears(&mut romeo, &["<presence type='subscribe' from='juliet@localhost'>…</presence>"]);
    romeo.send("<presence type='unsubscribed' to='juliet@localhost'/>");
    hears(&mut juliet, &["<presence type='unsubscribed'/>", "<iq type='set'>…</iq>"]);
    juliet.send("<presence type='subscribed' to='romeo@localhost'/>");
    hears(&mut juliet, &["<iq type='set'>…</iq>"]);
    juliet.send(&ask(token(&uri)));
    let item = |jid: &str| {
        format!(
            "<iq type='set'><query xmlns='jabber:iq:roster'><item jid='{jid}' subscription='both' ask='{{none}}'/></query></iq>"
        )
    };
    let pushed = |asker: &mut Asker, jid: &str| loop {
        let next = asker.next().unwrap();
        let expected = compare::parse(&item(jid));
        if compare::matches(&expected, &next, &mut Taken::new()).is_ok() {
            break;
        }
        assert_ne!(next.attr("type"), Some("subscribe"), "nobody is asked");
    };
    pushed(&mut romeo, "juliet@localhost");
    pushed(&mut juliet, "romeo@localhost");
}
