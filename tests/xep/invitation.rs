//! XEP-0401 Ad-hoc Account Invitation Generation.

use town::compare;
use xmpp::forms::Form;

use super::administration::Asker;
use crate::commands::get;
use crate::security::wire::Wire;
use crate::stage::Stage;

const INVITE: &str = "urn:xmpp:invite#invite";
const CREATE: &str = "urn:xmpp:invite#create-account";

pub(super) fn stage(admission: &str, more: &str) -> Stage {
    let stage = Stage::start(&format!(
        "[[domain]]\nname = 'localhost'\nadmins = ['bard@localhost']\nregistration = '{admission}'\n{more}"
    ));
    stage.add_accounts(&["bard", "romeo", "juliet"]);
    stage
}

pub(super) fn text(form: &Form, var: &str) -> String {
    form.text(var).unwrap().unwrap_or_default().to_owned()
}

pub(super) fn token(uri: &str) -> &str {
    let (_, token) = uri.split_once("preauth=").unwrap();
    token.split(';').next().unwrap()
}

/// Shows a token and registers; the last answer.
pub(super) fn register(stage: &Stage, token: &str, name: &str) -> String {
    let mut wire = Wire::open(stage.c2s);
    wire.say(&format!(
        "<iq type='set' id='1'><preauth xmlns='urn:xmpp:pars:0' token='{token}'/></iq>"
    ));
    wire.until("id='1'");
    wire.say(&format!(
        "<iq type='set' id='2'><query xmlns='jabber:iq:register'><username>{name}</username>\
         <password>{}</password></query></iq>",
        crate::stage::PASSWORD
    ));
    let mut answer = wire.until("id='2'");
    if answer.contains("type='error'") {
        answer += &wire.until("</iq>");
    }
    answer
}

// XEP-0401 §3, §5.1
#[test]
fn people_invite_contacts_and_by_default_no_accounts() {
    let stage = stage("invite", "");
    let mut romeo = Asker::new(&stage, "romeo");
    let form = romeo.run(INVITE, &[]).unwrap();
    let uri = text(&form, "uri");
    assert!(uri.starts_with("xmpp:romeo@localhost?roster;preauth="), "{uri}");
    assert!(!uri.contains("ibr=y"), "{uri}");
    assert!(text(&form, "landing-url").ends_with(&format!("/invite/{}", token(&uri))));
    assert!(text(&form, "expire").ends_with('Z'));
    assert_eq!(romeo.run(CREATE, &[("username", "nurse")]).unwrap_err(), "forbidden");
    assert!(register(&stage, token(&uri), "rosaline").contains("not-allowed"));
}

// XEP-0401 §5.3.2, §5.5
#[test]
fn who_registers_with_an_invitation_has_a_contact_who_is_told_at_once() {
    let stage = stage("invite", "[registration]\npeople_invite = true\npassword_length = 6");
    let mut romeo = Asker::new(&stage, "romeo");
    romeo.send("<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>");
    romeo.next();
    romeo.send("<presence/>");
    romeo.next();
    let uri = text(&romeo.run(INVITE, &[]).unwrap(), "uri");
    assert!(uri.ends_with(";ibr=y"), "{uri}");
    assert!(register(&stage, token(&uri), "rosaline").contains("type='result'"));
    let push = romeo.next().unwrap();
    let expected = compare::parse(
        "<iq type='set'><query xmlns='jabber:iq:roster'><item jid='rosaline@localhost' subscription='both'/></query></iq>",
    );
    compare::matches(&expected, &push, &mut compare::Taken::new()).unwrap();
    let mut rosaline = Asker::new(&stage, "rosaline");
    rosaline.send("<presence/>");
    let from = |asker: &mut Asker| asker.next().unwrap().attr("from").unwrap().to_owned();
    let mut seen = [from(&mut rosaline), from(&mut rosaline)];
    seen.sort();
    assert_eq!(seen, ["romeo@localhost/desk", "rosaline@localhost/desk"]);
    assert_eq!(from(&mut romeo), "rosaline@localhost/desk");
    assert!(register(&stage, token(&uri), "tybalt").contains("not-allowed"), "it is used up");
}

// XEP-0401 §5.4, §6.2
#[test]
fn an_administrator_makes_an_account_that_somebody_else_gives_its_password() {
    let stage = stage("invite", "[registration]\npassword_length = 6");
    let mut bard = Asker::new(&stage, "bard");
    assert_eq!(bard.run(CREATE, &[("username", "romeo")]).unwrap_err(), "conflict");
    assert_eq!(bard.run(CREATE, &[("username", "a b")]).unwrap_err(), "jid-malformed");
    let uri = text(&bard.run(CREATE, &[("username", "Nurse")]).unwrap(), "uri");
    assert!(uri.starts_with("xmpp:nurse@localhost?register;preauth="), "{uri}");
    let any = text(&bard.run(CREATE, &[("username", "")]).unwrap(), "uri");
    assert!(any.starts_with("xmpp:localhost?register;preauth="), "{any}");
    assert!(register(&stage, token(&any), "nurse").contains("conflict"), "it is promised");
    assert!(register(&stage, token(&uri), "nurse").contains("type='result'"));
    Asker::new(&stage, "nurse");
}

// XEP-0401 §5.2, XEP-0379 §3.3
#[test]
fn a_page_says_what_the_invitation_is_and_keeps_it_secret() {
    let stage = stage("invite", "");
    let nobody = stage.run(&["account", "invite", "--contact", "nobody@localhost"]).unwrap_err();
    assert!(nobody.contains("there is no account nobody@localhost"), "{nobody}");
    let made = stage.run(&["account", "invite", "--name", "nurse", "--json"]).unwrap();
    let made: serde_json::Value = serde_json::from_str(&made).unwrap();
    let uri = made["uri"].as_str().unwrap();
    let path = format!("/invite/{}", token(uri));
    assert!(made["page"].as_str().unwrap().ends_with(&path));
    let page = crate::security::wire::get(stage.http, &path);
    let (head, body) = page.split_once("\r\n\r\n").unwrap();
    assert!(body.contains(&format!("href=\"{uri}\"")), "{body}");
    assert!(body.contains("nurse@localhost") && !body.contains("<script"), "{body}");
    let head = head.to_ascii_lowercase();
    for header in [
        "content-security-policy: default-src 'none'; style-src 'self'",
        "referrer-policy: no-referrer",
        "x-content-type-options: nosniff",
        "cache-control: no-store",
        "x-robots-tag: noindex",
    ] {
        assert!(head.contains(header), "{header} is not in {head}");
    }
    assert_eq!(get(&stage, "/invite/aaaaaaaaaaaaaaaaaaaaaaaaaa").0, 404);
    assert_eq!(get(&stage, "/invite/%3Cscript%3E").0, 404);
    let list = stage.run(&["account", "invitations"]).unwrap();
    assert!(list.contains("nurse@localhost  used 0 of 1") && !list.contains(token(uri)), "{list}");
    stage.run(&["account", "uninvite", list.split(' ').next().unwrap()]).unwrap();
    assert_eq!(get(&stage, &path).0, 404);
    assert_eq!(stage.run(&["account", "invitations", "--json"]).unwrap(), "[]\n");
}
