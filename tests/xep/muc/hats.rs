//! XEP-0317 Hats.

use super::{enters, made};
use crate::stage::play;

const COMMANDS: &str = "http://jabber.org/protocol/commands";
const NODE: &str = "urn:xmpp:hats:commands";
const HOST: &str = "http://example.com/hats#host";

fn command(name: &str, fields: &[(&str, &str)]) -> String {
    let fields: String = fields
        .iter()
        .map(|(var, value)| format!("<field var='{var}'><value>{value}</value></field>"))
        .collect();
    let form = match fields.as_str() {
        "" => String::new(),
        fields => format!(
            "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>{NODE}</value></field>{fields}</x>"
        ),
    };
    format!("<command xmlns='{COMMANDS}' node='{NODE}:{name}'>{form}</command>")
}

fn done(name: &str) -> String {
    format!("<command xmlns='{COMMANDS}' node='{NODE}:{name}' status='completed'/>")
}

const CHANGED: &str = "<message type='groupchat' from='{room coven}'><x xmlns='http://jabber.org/protocol/muc#user'><status code='104'/></x></message>";
const BARE: &str = "<presence from='{room coven}/hag'><occupant-id xmlns='urn:xmpp:occupant-id:0'/><x xmlns='http://jabber.org/protocol/muc#user'>…</x></presence>";

fn wearing(title: &str) -> String {
    format!(
        "<presence from='{{room coven}}/hag'>…<hats xmlns='urn:xmpp:hats:0'><hat title='{title}' uri='{HOST}' hue='120'/></hats><x xmlns='http://jabber.org/protocol/muc#user'>…</x></presence>"
    )
}

fn hat(title: &str) -> String {
    let fields = [("hats#title", title), ("hats#uri", HOST), ("hats#hue", "120")];
    command("create", &fields)
}

fn on_hag(name: &str) -> String {
    command(name, &[("hats#jid", "{hag}"), ("hats#uri", HOST)])
}

/// The admin makes a hat and gives it to the other one.
fn dressed() -> String {
    format!(
        "
        crone/desktop sends    <iq type='set' id='h1' to='{{room coven}}'>{}</iq>
        crone/desktop receives <iq type='result' id='h1'>{}</iq>
        crone/desktop receives {CHANGED}
        hag/pda       receives {CHANGED}
        crone/desktop sends    <iq type='set' id='h2' to='{{room coven}}'>{}</iq>
        crone/desktop receives <iq type='result' id='h2'>{}</iq>
        crone/desktop receives {}
        hag/pda       receives {}
        ",
        hat("Host"),
        done("create"),
        on_hag("assign"),
        done("assign"),
        wearing("Host"),
        wearing("Host"),
    )
}

// XEP-0317 §3.1, §3.2, §3.4, §3.5, §3.7
#[test]
fn admins_make_hats_and_give_them_to_people_and_everybody_sees_them() {
    let own = format!("<hats xmlns='urn:xmpp:hats:0'><hat title='Host' uri='{HOST}'/></hats>");
    let table = "xmlns='jabber:x:data' type='result'";
    play(&format!(
        "
        crone/desktop connects
        hag/pda       connects
        {}
        {}
        # Nobody takes a hat.
        hag/pda       sends    <presence to='{{room coven}}/hag'>{own}</presence>
        hag/pda       receives {BARE}
        crone/desktop receives {BARE}
        hag/pda       sends    <iq type='set' id='0' to='{{room coven}}'>{}</iq>
        hag/pda       receives <iq type='error' id='0'>{{error cancel forbidden}}</iq>
        {}
        hag/pda       sends    <iq type='set' id='1' to='{{room coven}}'>{}</iq>
        hag/pda       receives <iq type='result' id='1'><command xmlns='{COMMANDS}' status='completed'><x {table}><title>Hats</title><reported>…</reported><item><field var='hats#title'><value>Host</value></field><field var='hats#uri'><value>{HOST}</value></field><field var='hats#hue'><value>120</value></field></item></x></command></iq>
        crone/desktop sends    <iq type='set' id='2' to='{{room coven}}'>{}</iq>
        crone/desktop receives <iq type='result' id='2'><command xmlns='{COMMANDS}' status='completed'><x {table}><title>…</title><reported>…</reported><item><field var='hats#jid'><value>{{hag}}</value></field>…</item></x></command></iq>
        hag/pda       sends    <iq type='set' id='3' to='{{room coven}}'>{}</iq>
        hag/pda       receives <iq type='error' id='3'>{{error cancel forbidden}}</iq>
        everyone is quiet
    ",
        made("crone/desktop", "coven", "first"),
        enters("hag/pda", "coven", "hag", &["crone/desktop"]),
        hat("Host"),
        dressed(),
        command("list", &[]),
        command("list-assigned", &[]),
        command("list-assigned", &[]),
    ));
}

// XEP-0317 §3.2, §3.3, §3.6
#[test]
fn a_hat_changes_on_every_head_lasts_over_visits_and_goes() {
    play(&format!(
        "
        crone/desktop connects
        hag/pda       connects
        {}
        {}
        {}
        crone/desktop sends    <iq type='set' id='1' to='{{room coven}}'>{}</iq>
        crone/desktop receives <iq type='result' id='1'>{}</iq>
        crone/desktop receives {CHANGED}
        crone/desktop receives {chair}
        hag/pda       receives {CHANGED}
        hag/pda       receives {chair}
        hag/pda       sends    <presence type='unavailable' to='{{room coven}}/hag'/>
        hag/pda       receives <presence type='unavailable'>…</presence>
        crone/desktop receives <presence type='unavailable'>…</presence>
        hag/pda       sends    <presence to='{{room coven}}/hag'><x xmlns='http://jabber.org/protocol/muc'/></presence>
        hag/pda       finds    <message type='groupchat'>…<subject>…</subject></message>
        crone/desktop receives {chair}
        crone/desktop sends    <iq type='set' id='2' to='{{room coven}}'>{}</iq>
        crone/desktop receives <iq type='result' id='2'>{}</iq>
        crone/desktop receives {BARE}
        hag/pda       receives {BARE}
        crone/desktop sends    <iq type='set' id='3' to='{{room coven}}'>{}</iq>
        crone/desktop receives <iq type='result' id='3'>{}</iq>
        crone/desktop receives {CHANGED}
        hag/pda       receives {CHANGED}
        everyone is quiet
    ",
        made("crone/desktop", "coven", "first"),
        enters("hag/pda", "coven", "hag", &["crone/desktop"]),
        dressed(),
        hat("Chair"),
        done("create"),
        on_hag("unassign"),
        done("unassign"),
        command("destroy", &[("hats#uri", HOST)]),
        done("destroy"),
        chair = wearing("Chair"),
    ));
}
