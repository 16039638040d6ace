//! XEP-0172 User Nickname.

use crate::stage::play;

// XEP-0172 §4.5
#[test]
fn a_nick_is_for_those_who_may_see_presence() {
    play("
        romeo/phone   connects
        juliet/garden connects
        romeo/phone   sends    <iq type='set' id='p1'><pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='http://jabber.org/protocol/nick'><item id='current'><nick xmlns='http://jabber.org/protocol/nick'>Romy</nick></item></publish></pubsub></iq>
        romeo/phone   receives <iq type='result' id='p1'>…</iq>
        juliet/garden sends    <iq type='get' to='{romeo}' id='i1'><pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='http://jabber.org/protocol/nick'></items></pubsub></iq>
        juliet/garden receives <iq type='error' from='{romeo}' id='i1'>{error auth not-authorized}…</iq>
        romeo/phone   sends    <iq type='get' id='i2'><pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='http://jabber.org/protocol/nick'></items></pubsub></iq>
        romeo/phone   receives <iq type='result' id='i2'><pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='http://jabber.org/protocol/nick'><item id='current'><nick xmlns='http://jabber.org/protocol/nick'>Romy</nick></item></items></pubsub></iq>
        everyone      is quiet
    ");
}
