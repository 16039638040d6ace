//! XEP-0133 Service Administration.

use town::Client;
use town::client::Login;
use xmpp::forms::Form;
use xmpp::{Element, ns};

use crate::stage::{PASSWORD, Stage};

const ADMIN: &str = "http://jabber.org/protocol/admin";

/// Somebody who is logged in, and asks.
pub(super) struct Asker(Client);

impl Asker {
    pub(super) fn new(stage: &Stage, name: &str) -> Self {
        let (address, domain, password) = (stage.c2s, "localhost", PASSWORD);
        let mut client = Client::log_in(&Login { address, domain, name, password });
        client.bind("desk");
        Self(client)
    }

    pub(super) fn send(&mut self, xml: &str) {
        self.0.send(xml);
    }

    pub(super) fn next(&mut self) -> Option<Element> {
        self.0.next()
    }

    /// The answer to a request to the server; what comes before it is passed over.
    pub(super) fn ask(&mut self, ty: &str, payload: &str) -> Element {
        self.0.send(format!("<iq type='{ty}' id='q' to='localhost'>{payload}</iq>"));
        loop {
            let next = self.0.next().expect("an answer comes");
            if next.name() == "iq" && next.attr("id") == Some("q") {
                return next;
            }
        }
    }

    /// What came of a command with these fields; or the condition of the error.
    pub(super) fn run(&mut self, node: &str, fields: &[(&str, &str)]) -> Result<Form, String> {
        let field = |(var, value): &(&str, &str)| {
            let values = value.split('|').map(|value| format!("<value>{value}</value>"));
            format!("<field var='{var}'>{}</field>", values.collect::<String>())
        };
        let fields: String = fields.iter().map(field).collect();
        let form = match fields.as_str() {
            "" => String::new(),
            fields => format!("<x xmlns='jabber:x:data' type='submit'>{fields}</x>"),
        };
        let payload = format!("<command xmlns='{}' node='{node}'>{form}</command>", ns::COMMANDS);
        let answer = self.ask("set", &payload);
        if let Some(error) = answer.child("error", "") {
            return Err(error.children().next().unwrap().name().to_owned());
        }
        let command = answer.child("command", ns::COMMANDS).unwrap();
        assert_eq!(command.attr("status"), Some("completed"), "{answer:?}");
        let x = command.child("x", ns::DATA_FORMS);
        Ok(x.map_or_else(
            || Form::new(xmpp::forms::FormKind::Result, ""),
            |x| Form::parse(x).unwrap(),
        ))
    }

    fn admin(&mut self, name: &str, fields: &[(&str, &str)]) -> Result<Form, String> {
        self.run(&format!("{ADMIN}#{name}"), fields)
    }
}

fn stage() -> Stage {
    let stage = Stage::start("[[domain]]\nname = 'localhost'\nadmins = ['bard@localhost']");
    stage.add_accounts(&["bard", "romeo"]);
    stage
}

fn values<'a>(form: &'a Form, var: &str) -> Vec<&'a str> {
    form.values(var).unwrap_or_default().iter().map(String::as_str).collect()
}

// XEP-0133 §3, §5, §6
#[test]
fn who_is_no_administrator_finds_no_command_and_runs_none() {
    let stage = stage();
    let (mut bard, mut romeo) = (Asker::new(&stage, "bard"), Asker::new(&stage, "romeo"));
    let query = format!("<query xmlns='{}' node='{}'/>", ns::DISCO_ITEMS, ns::COMMANDS);
    let nodes = |asker: &mut Asker| {
        let answer = asker.ask("get", &query);
        let items = answer.children().next().unwrap();
        items.children().filter(|item| item.attr("node").unwrap().starts_with(ADMIN)).count()
    };
    assert_eq!((nodes(&mut bard), nodes(&mut romeo)), (25, 0));
    for (name, fields) in [
        ("add-user", &[("accountjid", "x@localhost"), ("password", "p")][..]),
        ("delete-user", &[("accountjids", "bard@localhost")]),
        ("get-registered-users-num", &[]),
        ("announce", &[("announcement", "hear me")]),
    ] {
        assert_eq!(romeo.admin(name, fields).unwrap_err(), "forbidden", "{name}");
    }
    let elsewhere = bard.admin("delete-user", &[("accountjids", "romeo@montague.example")]);
    assert_eq!(elsewhere.unwrap_err(), "not-allowed");
}

// XEP-0133 §4.1 to §4.5, §4.7
#[test]
fn an_account_is_added_disabled_enabled_renewed_and_deleted() {
    let stage = stage();
    let mut bard = Asker::new(&stage, "bard");
    let shown =
        bard.ask("set", &format!("<command xmlns='{}' node='{ADMIN}#add-user'/>", ns::COMMANDS));
    let command = shown.child("command", ns::COMMANDS).unwrap();
    assert_eq!(command.attr("status"), Some("executing"));
    let form = Form::parse(command.child("x", ns::DATA_FORMS).unwrap()).unwrap();
    assert_eq!(form.form_type(), Some(ADMIN));
    let add = |password: &'static str| {
        [("accountjid", "juliet@localhost"), ("password", PASSWORD), ("password-verify", password)]
    };
    assert_eq!(bard.admin("add-user", &add("another")).unwrap_err(), "not-acceptable");
    bard.admin("add-user", &add(PASSWORD)).unwrap();
    assert_eq!(bard.admin("add-user", &add(PASSWORD)).unwrap_err(), "conflict");
    let juliet = [("accountjids", "juliet@localhost")];
    let mut online = Asker::new(&stage, "juliet");
    bard.admin("end-user-session", &juliet).unwrap();
    assert!(online.next().unwrap().is("error", ns::STREAM));
    assert_eq!(bard.admin("end-user-session", &juliet).unwrap_err(), "item-not-found");
    let mut online = Asker::new(&stage, "juliet");
    bard.admin("disable-user", &juliet).unwrap();
    assert!(online.next().unwrap().is("error", ns::STREAM));
    assert_eq!(
        values(&bard.admin("get-disabled-users-num", &[]).unwrap(), "disabledusersnum"),
        ["1"]
    );
    let list = bard.admin("get-disabled-users-list", &[("max_items", "25")]).unwrap();
    assert_eq!(values(&list, "disableduserjids"), ["juliet@localhost"]);
    bard.admin("reenable-user", &juliet).unwrap();
    Asker::new(&stage, "juliet");
    let renew = [("accountjid", "juliet@localhost"), ("password", "another")];
    bard.admin("change-user-password", &renew).unwrap();
    bard.admin("delete-user", &[("accountjids", "juliet@localhost|romeo@localhost")]).unwrap();
    assert_eq!(stage.run(&["account", "list"]).unwrap(), "bard@localhost\n");
    assert_eq!(bard.admin("delete-user", &juliet).unwrap_err(), "item-not-found");
}

// XEP-0133 §4.8 to §4.10, §4.13, §4.15, §4.18, §4.20
#[test]
fn what_is_known_of_accounts_is_told() {
    let stage = stage();
    let mut bard = Asker::new(&stage, "bard");
    let mut romeo = Asker::new(&stage, "romeo");
    romeo.ask("get", "<ping xmlns='urn:xmpp:ping'/>");
    romeo.send("<iq type='set' id='r'><query xmlns='jabber:iq:roster'><item jid='juliet@x.example' name='J'/></query></iq>");
    assert_eq!(romeo.next().unwrap().attr("type"), Some("result"));
    let whom = [("accountjids", "romeo@localhost")];
    let payload = format!(
        "<command xmlns='{}' node='{ADMIN}#get-user-roster'><x xmlns='jabber:x:data' type='submit'><field var='accountjids'><value>romeo@localhost</value></field></x></command>",
        ns::COMMANDS
    );
    let answer = bard.ask("set", &payload);
    let x = answer.child("command", ns::COMMANDS).unwrap().child("x", ns::DATA_FORMS).unwrap();
    let item = x.child("query", ns::ROSTER).unwrap().children().next().unwrap();
    assert_eq!(item.attr("jid"), Some("juliet@x.example"));
    let figures = bard.admin("user-stats", &[("accountjid", "romeo@localhost")]).unwrap();
    assert_eq!(values(&figures, "rostersize"), ["1"]);
    assert_eq!(values(&figures, "onlineresources"), ["desk"]);
    assert_eq!(values(&figures, "ipaddresses").len(), 1);
    let last = bard.admin("get-user-lastlogin", &whom).unwrap();
    assert_eq!(values(&last, "lastlogin").len(), 1);
    let registered = bard.admin("get-registered-users-num", &[]).unwrap();
    assert_eq!(values(&registered, "registeredusersnum"), ["2"]);
    let online = bard.admin("get-online-users-list", &[("max_items", "none")]).unwrap();
    assert_eq!(values(&online, "onlineuserjids"), ["bard@localhost", "romeo@localhost"]);
    let all = |after: &[(&str, &str)], bard: &mut Asker| {
        let fields = [&[("max_items", "25")], after].concat();
        let list = bard.admin("get-registered-users-list", &fields);
        values(&list.unwrap(), "registereduserjids").join(" ")
    };
    assert_eq!(all(&[], &mut bard), "bard@localhost romeo@localhost");
    assert_eq!(all(&[("after", "bard@localhost")], &mut bard), "romeo@localhost");
    let missing = bard.admin("user-stats", &[("accountjid", "nobody@localhost")]);
    assert_eq!(missing.unwrap_err(), "item-not-found");
}

// XEP-0133 §4.23
#[test]
fn an_announcement_comes_to_everybody_who_is_there() {
    let stage = stage();
    let (mut bard, mut romeo) = (Asker::new(&stage, "bard"), Asker::new(&stage, "romeo"));
    romeo.send("<presence/>");
    romeo.ask("get", "<ping xmlns='urn:xmpp:ping'/>");
    assert_eq!(bard.admin("announce", &[("announcement", "")]).unwrap_err(), "bad-request");
    bard.admin("announce", &[("announcement", "going down|in 2 minutes")]).unwrap();
    let message = romeo.next().unwrap();
    assert_eq!((message.attr("from"), message.attr("type")), (Some("localhost"), Some("headline")));
    assert_eq!(message.child("body", "").unwrap().text(), "going down\nin 2 minutes");
}
