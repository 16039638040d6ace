//! XEP-0445 Pre-Authenticated In-Band Registration.

use super::invitation::{stage, token};
use crate::stage::play_on;

// XEP-0445 §3, §4
#[test]
fn a_token_that_is_shown_lets_register_once() {
    let stage = stage("invite", "");
    let made = stage.run(&["account", "invite"]).unwrap();
    let token = token(made.lines().next().unwrap());
    let opened = |who: &str| {
        format!("
        {who} opens a stream
        {who} receives <stream xmlns='http://etherx.jabber.org/streams'/>
        {who} receives <features xmlns='http://etherx.jabber.org/streams'>…<register xmlns='urn:xmpp:ibr-token:0'/><register xmlns='http://jabber.org/features/iq-register'/>…</features>
        ")
    };
    let show = |token: &str| {
        format!(
            "<iq type='set' id='p' to='{{domain}}'><preauth xmlns='urn:xmpp:pars:0' token='{token}'/></iq>"
        )
    };
    let register = "<iq type='set' id='r'><query xmlns='jabber:iq:register'><username>rosaline</username><password>r0m30myr0m30</password></query></iq>";
    play_on(&stage, &format!("
        {}
        stranger/x sends    {register}
        stranger/x receives <iq type='error' id='r'>{{error cancel not-allowed}}</iq>
        stranger/x sends    {}
        stranger/x receives <iq type='error' id='p' from='{{domain}}'>{{error cancel item-not-found}}</iq>
        stranger/x sends    {}
        stranger/x receives <iq type='result' id='p' from='{{domain}}'/>
        stranger/x sends    {register}
        stranger/x receives <iq type='result' id='r'/>
        {}
        second/x   sends    {}
        second/x   receives <iq type='error' id='p'>{{error cancel item-not-found}}</iq>
    ", opened("stranger/x"), show("aaaaaaaaaaaaaaaaaaaaaaaaaa"), show(token), opened("second/x"), show(token)));
}
