//! RFC 6121 §2: the roster.

use crate::stage::play;

// RFC 6121 §2.1.3, §2.3, §2.4, §2.5
#[test]
fn a_contact_is_added_renamed_and_removed_and_interested_clients_hear_of_it() {
    play("
        romeo/phone  connects
        romeo/laptop connects
        romeo/phone  sends    <iq type='get' id='r1'><query xmlns='jabber:iq:roster'/></iq>
        romeo/phone  receives <iq type='result' id='r1'><query xmlns='jabber:iq:roster'/></iq>
        romeo/phone  sends    <iq type='set' id='r2'><query xmlns='jabber:iq:roster'><item jid='nurse@capulet.example' name='Nurse'><group>Servants</group></item></query></iq>
        romeo/phone  receives <iq type='result' id='r2'/>
        romeo/phone  receives <iq type='set' to='{romeo/phone}' id='{$push1}'><query xmlns='jabber:iq:roster' ver='{$v1}'>
                              <item jid='nurse@capulet.example' name='Nurse' subscription='none' ask='{none}'><group>Servants</group></item></query></iq>
        romeo/phone  sends    <iq type='result' id='{$push1}'/>
        romeo/phone  sends    <iq type='set' id='r3'><query xmlns='jabber:iq:roster'><item jid='nurse@capulet.example' name='Angelica'/></query></iq>
        romeo/phone  receives <iq type='result' id='r3'/>
        romeo/phone  receives <iq type='set'><query xmlns='jabber:iq:roster'><item jid='nurse@capulet.example' name='Angelica' subscription='none'/></query></iq>
        romeo/laptop sends    <iq type='get' id='r4'><query xmlns='jabber:iq:roster'/></iq>
        romeo/laptop receives <iq type='result' id='r4'><query xmlns='jabber:iq:roster'><item jid='nurse@capulet.example' name='Angelica' subscription='none'/></query></iq>
        romeo/laptop sends    <iq type='set' id='r5'><query xmlns='jabber:iq:roster'><item jid='nurse@capulet.example' subscription='remove'/></query></iq>
        romeo/laptop receives <iq type='result' id='r5'/>
        romeo/laptop receives <iq type='set'><query xmlns='jabber:iq:roster'><item jid='nurse@capulet.example' subscription='remove'/></query></iq>
        romeo/phone  receives <iq type='set'><query xmlns='jabber:iq:roster'><item jid='nurse@capulet.example' subscription='remove'/></query></iq>
        everyone     is quiet
    ");
}

// RFC 6121 §2.3.3, §2.5.3
#[test]
fn a_roster_set_that_is_wrong_is_refused() {
    play("
        romeo/phone connects
        romeo/phone sends    <iq type='set' id='r1'><query xmlns='jabber:iq:roster'><item jid='a@b.example'/><item jid='c@d.example'/></query></iq>
        romeo/phone receives <iq type='error' id='r1'>{error modify bad-request}…</iq>
        romeo/phone sends    <iq type='set' id='r2'><query xmlns='jabber:iq:roster'/></iq>
        romeo/phone receives <iq type='error' id='r2'>{error modify bad-request}…</iq>
        romeo/phone sends    <iq type='set' id='r3'><query xmlns='jabber:iq:roster'><item jid='a@b.example'><group>x</group><group>x</group></item></query></iq>
        romeo/phone receives <iq type='error' id='r3'>{error modify bad-request}…</iq>
        romeo/phone sends    <iq type='set' id='r4'><query xmlns='jabber:iq:roster'><item jid='a@b.example'><group/></item></query></iq>
        romeo/phone receives <iq type='error' id='r4'>{error modify not-acceptable}…</iq>
        romeo/phone sends    <iq type='set' id='r5'><query xmlns='jabber:iq:roster'><item jid='a@b.example' subscription='remove'/></query></iq>
        romeo/phone receives <iq type='error' id='r5'>{error cancel item-not-found}…</iq>
        everyone    is quiet
    ");
}

// RFC 6121 §2.1.5, §2.3.3 security warning
#[test]
fn nobody_reads_or_changes_the_roster_of_another() {
    play("
        romeo/phone   connects
        juliet/garden connects
        juliet/garden sends    <iq type='get' to='{romeo}' id='r1'><query xmlns='jabber:iq:roster'/></iq>
        juliet/garden receives <iq type='error' from='{romeo}' id='r1'>{error auth forbidden}…</iq>
        juliet/garden sends    <iq type='set' to='{romeo}' id='r2'><query xmlns='jabber:iq:roster'><item jid='{juliet}'/></query></iq>
        juliet/garden receives <iq type='error' from='{romeo}' id='r2'>{error auth forbidden}…</iq>
        everyone      is quiet
    ");
}

// RFC 6121 §2.6
#[test]
fn a_client_that_knows_the_roster_gets_only_what_is_new() {
    play("
        romeo/phone  connects
        romeo/phone  sends    <iq type='set' id='r1'><query xmlns='jabber:iq:roster'><item jid='a@b.example'/></query></iq>
        romeo/phone  receives <iq type='result' id='r1'/>
        romeo/phone  sends    <iq type='get' id='r2'><query xmlns='jabber:iq:roster' ver=''/></iq>
        romeo/phone  receives <iq type='result' id='r2'><query xmlns='jabber:iq:roster' ver='{$now}'><item jid='a@b.example'/></query></iq>
        romeo/laptop connects
        romeo/laptop sends    <iq type='get' id='r3'><query xmlns='jabber:iq:roster' ver='{$now}'/></iq>
        romeo/laptop receives <iq type='result' id='r3'/>
        everyone     is quiet
    ");
}

// RFC 6121 §2.1.6
#[test]
fn a_roster_push_of_a_stranger_does_not_arrive() {
    play("
        romeo/phone   connects
        juliet/garden connects
        juliet/garden sends    <iq type='set' to='{romeo/phone}' id='r1'><query xmlns='jabber:iq:roster'><item jid='{juliet}' subscription='both'/></query></iq>
        juliet/garden receives <iq type='error' id='r1'>{error cancel service-unavailable}…</iq>
        everyone      is quiet
    ");
}

// RFC 6121 §2.1.2, §2.3.3
#[test]
fn an_item_is_of_a_bare_address_that_is_not_ones_own() {
    play("
        romeo/phone connects
        romeo/phone sends    <iq type='set' id='r1'><query xmlns='jabber:iq:roster'><item jid='@'/></query></iq>
        romeo/phone receives <iq type='error' id='r1'>{error modify jid-malformed}…</iq>
        romeo/phone sends    <iq type='set' id='r2'><query xmlns='jabber:iq:roster'><item jid='{romeo}'/></query></iq>
        romeo/phone receives <iq type='error' id='r2'>{error cancel not-allowed}…</iq>
        romeo/phone sends    <iq type='set' id='r3'><query xmlns='jabber:iq:roster'><item/></query></iq>
        romeo/phone receives <iq type='error' id='r3'>{error modify bad-request}…</iq>
        everyone    is quiet
    ");
}

// RFC 6121 §2.1.2.5: the state of a subscription is the server's to say.
#[test]
fn nobody_subscribes_by_writing_into_the_roster() {
    play("
        romeo/phone connects
        romeo/phone sends    <iq type='get' id='r1'><query xmlns='jabber:iq:roster'/></iq>
        romeo/phone receives <iq type='result' id='r1'>…</iq>
        romeo/phone sends    <iq type='set' id='r2'><query xmlns='jabber:iq:roster'><item jid='a@b.example' subscription='both' ask='subscribe' approved='true'/></query></iq>
        romeo/phone receives <iq type='result' id='r2'/>
        romeo/phone receives <iq type='set'><query xmlns='jabber:iq:roster'><item jid='a@b.example' subscription='none' ask='{none}' approved='{none}'/></query></iq>
        everyone    is quiet
    ");
}
