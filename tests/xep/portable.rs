//! XEP-0227 Portable Import/Export Format for XMPP-IM Servers.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use town::Client;
use town::client::Login;
use xmpp::{Element, ns};

use super::administration::Asker;
use crate::stage::{PASSWORD, Stage};

const EMBEDDED: &str = "[store]\nengine = 'embedded'\n";

/// As another server writes it: one mechanism, an item of a version, a private store, a list of denied addresses.
const FOREIGN: &str = "<?xml version='1.0' encoding='UTF-8'?>
<server-data xmlns='urn:xmpp:pie:0'>
 <host jid='localhost'>
  <user name='juliet' password='pencil'>
   <query xmlns='jabber:iq:roster' version='7'>
    <item jid='romeo@montague.example' subscription='both' name='R'><group>Friends</group></item>
   </query>
   <presence xmlns='jabber:client' type='subscribe' from='paris@verona.example' id='p'/>
   <vCard xmlns='vcard-temp'><FN>Juliet</FN></vCard>
   <query xmlns='jabber:iq:private'><prefs xmlns='urn:client:prefs'><nick>J</nick></prefs></query>
   <query xmlns='jabber:iq:privacy'>
    <default name='block'/>
    <list name='block'><item type='jid' value='tybalt@capulet.example' action='deny' order='1'/></list>
   </query>
   <offline-messages>
    <message xmlns='jabber:client' from='romeo@montague.example/orchard' to='juliet@localhost' type='chat'>
     <body>later</body><delay xmlns='urn:xmpp:delay' stamp='2020-07-10T23:08:25Z'/>
    </message>
   </offline-messages>
   <pubsub xmlns='http://jabber.org/protocol/pubsub#owner'>
    <configure node='http://jabber.org/protocol/nick'>
     <x xmlns='jabber:x:data' type='form'>
      <field var='FORM_TYPE' type='hidden'><value>http://jabber.org/protocol/pubsub#node_config</value></field>
      <field var='pubsub#access_model'><value>open</value></field>
      <field var='pubsub#of_another_server'><value>yes</value></field>
     </x>
    </configure>
   </pubsub>
   <pubsub xmlns='http://jabber.org/protocol/pubsub'>
    <items node='http://jabber.org/protocol/nick'>
     <item id='current'><nick xmlns='http://jabber.org/protocol/nick'>Jule</nick></item>
    </items>
   </pubsub>
   <archive xmlns='urn:xmpp:pie:0#mam'>
    <result xmlns='urn:xmpp:mam:2' id='a1'><forwarded xmlns='urn:xmpp:forward:0'>
     <delay xmlns='urn:xmpp:delay' stamp='2020-07-10T23:08:25Z'/>
     <message xmlns='jabber:client' from='romeo@montague.example/orchard' to='juliet@localhost' type='chat'><body>first</body></message>
    </forwarded></result>
    <result xmlns='urn:xmpp:mam:2' id='a2'><forwarded xmlns='urn:xmpp:forward:0'>
     <delay xmlns='urn:xmpp:delay' stamp='2020-07-10T23:09:32Z'/>
     <message xmlns='jabber:client' from='juliet@localhost/balcony' to='romeo@montague.example' type='chat'><body>second</body></message>
    </forwarded></result>
   </archive>
   <telegrams xmlns='urn:of:another:server'/>
  </user>
 </host>
</server-data>
";

fn log_in(stage: &Stage) -> Client {
    let (address, domain) = (stage.c2s, "localhost");
    let mut client = Client::log_in(&Login { address, domain, name: "juliet", password: PASSWORD });
    client.bind("desk");
    client
}

fn ask(client: &mut Client, ty: &str, payload: &str) -> Element {
    client.send(format!("<iq type='{ty}' id='q'>{payload}</iq>"));
    loop {
        let next = client.next().expect("an answer comes");
        if next.name() == "iq" && next.attr("id") == Some("q") {
            return next;
        }
    }
}

fn written(element: &Element) -> String {
    town::compare::show(element)
}

/// What a client finds of the account.
fn finds_everything(stage: &Stage) {
    let mut juliet = log_in(stage);
    let roster = written(&ask(&mut juliet, "get", "<query xmlns='jabber:iq:roster'/>"));
    assert!(roster.contains("name='R'") && roster.contains("subscription='both'"), "{roster}");
    assert!(roster.contains("<group>Friends</group>"), "{roster}");
    let card = written(&ask(&mut juliet, "get", "<vCard xmlns='vcard-temp'/>"));
    assert!(card.contains("<FN>Juliet</FN>"), "{card}");
    let private = "<query xmlns='jabber:iq:private'><prefs xmlns='urn:client:prefs'/></query>";
    let private = written(&ask(&mut juliet, "get", private));
    assert!(private.contains("<nick>J</nick>"), "{private}");
    let blocked = written(&ask(&mut juliet, "get", "<blocklist xmlns='urn:xmpp:blocking'/>"));
    assert!(blocked.contains("tybalt@capulet.example"), "{blocked}");
    let items = format!(
        "<pubsub xmlns='{}'><items node='http://jabber.org/protocol/nick'/></pubsub>",
        ns::PUBSUB
    );
    let items = written(&ask(&mut juliet, "get", &items));
    assert!(items.contains("Jule") && items.contains("id='current'"), "{items}");
    let node = format!(
        "<pubsub xmlns='{}'><configure node='http://jabber.org/protocol/nick'/></pubsub>",
        ns::PUBSUB_OWNER
    );
    let node = ask(&mut juliet, "get", &node);
    let x = node.children().next().unwrap().children().next().unwrap().child("x", ns::DATA_FORMS);
    let form = xmpp::forms::Form::parse(x.unwrap()).unwrap();
    assert_eq!(form.text("pubsub#access_model").unwrap(), Some("open"));
    juliet.send(format!("<iq type='set' id='m'><query xmlns='{}'/></iq>", ns::MAM));
    let bodies = (0..2).map(|_| written(&juliet.next().unwrap())).collect::<String>();
    let (first, second) = (bodies.find("first").unwrap(), bodies.find("second").unwrap());
    assert!(first < second && bodies.contains("2020-07-10T23:08:25"), "{bodies}");
    juliet.next();
    juliet.send("<presence/>");
    let waiting: String = (0..3).map(|_| written(&juliet.next().unwrap())).collect();
    assert!(waiting.contains("paris@verona.example") && waiting.contains("later"), "{waiting}");
}

// XEP-0227 §4
#[test]
fn an_account_of_another_server_comes_in_and_what_is_not_known_is_named() {
    let stage = Stage::start("");
    let file = stage.dir.join("foreign.xml");
    fs::write(&file, FOREIGN).unwrap();
    let said = stage.run(&["import", file.to_str().unwrap(), "--json"]).unwrap();
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(said[0]["jid"], "juliet@localhost");
    assert_eq!(said[0]["archived"], 2);
    assert_eq!(said[0]["left_out"][0], "<telegrams xmlns='urn:of:another:server'>");
    let twice = stage.run(&["import", file.to_str().unwrap()]).unwrap_err();
    assert!(twice.contains("juliet@localhost exists already"), "{twice}");
    finds_everything(&stage);
}

// XEP-0227 §4, §6
#[test]
fn what_goes_out_comes_in_again_whole_with_and_without_a_server() {
    let mut stage = Stage::start(EMBEDDED);
    let (first, second) = (stage.dir.join("foreign.xml"), stage.dir.join("whole.xml"));
    fs::write(&first, FOREIGN).unwrap();
    stage.run(&["import", first.to_str().unwrap()]).unwrap();
    stage.run(&["export", "--output", second.to_str().unwrap()]).unwrap();
    assert_eq!(fs::metadata(&second).unwrap().permissions().mode() & 0o777, 0o600);
    let live = fs::read_to_string(&second).unwrap();
    assert!(live.contains("mechanism='SCRAM-SHA-256'") && !live.contains("password="), "{live}");
    stage.run(&["account", "delete", "juliet@localhost"]).unwrap();
    stage.terminate();
    assert_eq!(stage.run(&["account", "list"]).unwrap(), "");
    stage.run(&["import", second.to_str().unwrap()]).unwrap();
    let again = stage.run(&["export", "juliet@localhost"]).unwrap();
    assert_eq!(steady(&again), steady(&live));
    stage.restart();
    finds_everything(&stage);
}

/// An export but for what differs from server to server: when a roster was written last, and what its archive calls
/// its rows.
fn steady(xml: &str) -> String {
    let without = |xml: String, mark: &str| {
        let mut parts = xml.split(mark);
        let first = parts.next().unwrap().to_owned();
        parts.fold(first, |out, part| out + part.split_once('\'').unwrap().1)
    };
    without(without(xml.to_owned(), " ver='"), "<result xmlns='urn:xmpp:mam:2' id='")
}

// XEP-0227 §4
#[test]
fn what_one_running_server_writes_another_running_server_reads_whole() {
    let (here, there) = (Stage::start(""), Stage::start(""));
    let (foreign, whole) = (here.dir.join("foreign.xml"), here.dir.join("whole.xml"));
    fs::write(&foreign, FOREIGN).unwrap();
    here.run(&["import", foreign.to_str().unwrap()]).unwrap();
    here.add_accounts(&["nurse"]);
    let one = here.run(&["export", "juliet@localhost"]).unwrap();
    assert!(one.contains("juliet") && !one.contains("nurse"), "{one}");
    here.run(&["export", "localhost", "--output", whole.to_str().unwrap()]).unwrap();
    let said = there.run(&["import", whole.to_str().unwrap(), "--json"]).unwrap();
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    let of = |at: usize| (said[at]["jid"].clone(), said[at]["left_out"].as_array().unwrap().len());
    assert_eq!([of(0), of(1)], [("juliet@localhost".into(), 0), ("nurse@localhost".into(), 0)]);
    let again = there.run(&["export"]).unwrap();
    assert_eq!(steady(&again), steady(&fs::read_to_string(&whole).unwrap()));
    assert!(again.matches("<scram-credentials").count() >= 4, "{again}");
    finds_everything(&there);
    Asker::new(&there, "nurse");
}

// XEP-0227 §4, §6
#[test]
fn an_export_that_cannot_be_whole_says_why_and_leaves_no_file() {
    let stage = Stage::start("");
    stage.add_accounts(&["juliet"]);
    let file = stage.dir.join("out.xml");
    let out = file.to_str().unwrap();
    let nobody = stage.run(&["export", "juliet@localhost", "romeo@localhost", "-o", out]);
    let said = nobody.unwrap_err();
    assert!(said.contains("romeo@localhost"), "{said}");
    assert!(!file.exists());
    let said = stage.run(&["export", "elsewhere.example", "-o", out]).unwrap_err();
    assert!(said.contains("no accounts of elsewhere.example") && !file.exists(), "{said}");
    stage.run(&["export", "-o", out]).unwrap();
    let said = stage.run(&["export", "-o", out]).unwrap_err();
    assert!(said.contains("cannot make"), "{said}");
    assert!(file.exists(), "what was there stays");
}

// XEP-0227 §4.2
#[test]
fn an_account_without_credentials_waits_for_a_password() {
    let stage = Stage::start("");
    let file = stage.dir.join("bare.xml");
    let xml = "<server-data xmlns='urn:xmpp:pie:0'><host jid='localhost'><user name='nurse'/></host></server-data>";
    fs::write(&file, xml).unwrap();
    let said = stage.run(&["import", file.to_str().unwrap()]).unwrap();
    assert!(said.contains("needs a password"), "{said}");
    assert_eq!(stage.run(&["account", "list"]).unwrap(), "nurse@localhost  (disabled)\n");
    stage.run(&["account", "password", "nurse@localhost", "--password", PASSWORD]).unwrap();
    stage.run(&["account", "enable", "nurse@localhost"]).unwrap();
    Asker::new(&stage, "nurse");
}
