//! XEP-0215 External Service Discovery.

use crate::stage::{Stage, play, play_on};

const NS: &str = "urn:xmpp:extdisco:2";

/// A server with a relay that shares a secret, and one that asks for nothing.
fn stage() -> Stage {
    let secret = std::env::temp_dir().join(format!("rookery-turn-{}", std::process::id()));
    std::fs::write(&secret, "north\n").unwrap();
    let stage = Stage::start(&format!(
        "
        [[turn]]
        host = 'turn.montague.example'
        secret_file = '{}'
        [[turn]]
        host = '192.0.2.1'
        port = 3479
        type = 'stun'
        transport = 'tcp'
    ",
        secret.display()
    ));
    std::fs::remove_file(secret).unwrap();
    stage
}

// XEP-0215 §3.1 to §3.3, §5
#[test]
fn people_find_relays_and_credentials_for_them() {
    let stage = stage();
    let relay = "<service type='turn' host='turn.montague.example' port='3478' transport='udp' username='{$name}' password='{$password}' expires='{$end}'/>";
    let plain =
        "<service type='stun' host='192.0.2.1' port='3479' transport='tcp' username='{none}'/>";
    play_on(&stage, &format!("
        romeo/phone connects
        romeo/phone sends    <iq type='get' to='{{domain}}' id='0'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>
        romeo/phone receives <iq type='result' id='0'><query xmlns='http://jabber.org/protocol/disco#info'>…<feature var='{NS}'/>…</query></iq>
        romeo/phone sends    <iq type='get' to='{{domain}}' id='1'><services xmlns='{NS}'/></iq>
        romeo/phone receives <iq type='result' id='1'><services xmlns='{NS}'>{relay}{plain}</services></iq>
        romeo/phone sends    <iq type='get' to='{{domain}}' id='2'><services xmlns='{NS}' type='stun'/></iq>
        romeo/phone receives <iq type='result' id='2'><services xmlns='{NS}' type='stun'>{plain}</services></iq>
        romeo/phone sends    <iq type='get' to='{{domain}}' id='3'><credentials xmlns='{NS}'><service host='turn.montague.example' type='turn'/></credentials></iq>
        romeo/phone receives <iq type='result' id='3'><credentials xmlns='{NS}'><service type='turn' host='turn.montague.example'/></credentials></iq>
        # The other one has none; another port is another service; a host alone says too little.
        romeo/phone sends    <iq type='get' to='{{domain}}' id='4'><credentials xmlns='{NS}'><service host='192.0.2.1' type='stun'/></credentials></iq>
        romeo/phone receives <iq type='error' id='4'>{{error cancel item-not-found}}</iq>
        romeo/phone sends    <iq type='get' to='{{domain}}' id='5'><credentials xmlns='{NS}'><service host='turn.montague.example' type='turn' port='1'/></credentials></iq>
        romeo/phone receives <iq type='error' id='5'>{{error cancel item-not-found}}</iq>
        romeo/phone sends    <iq type='get' to='{{domain}}' id='6'><credentials xmlns='{NS}'><service host='turn.montague.example'/></credentials></iq>
        romeo/phone receives <iq type='error' id='6'>{{error modify bad-request}}</iq>
        everyone    is quiet
    "));
}

#[test]
fn a_server_without_relays_does_not_claim_to_have_any() {
    play(&format!(
        "
        romeo/phone connects
        romeo/phone sends    <iq type='get' to='{{domain}}' id='1'><services xmlns='{NS}'/></iq>
        romeo/phone receives <iq type='error' id='1'>{{error cancel service-unavailable}}</iq>
        everyone    is quiet
    "
    ));
}
