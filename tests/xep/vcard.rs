//! XEP-0054 vcard-temp.

use crate::stage::play;

// XEP-0054 §3
#[test]
fn everybody_reads_a_card_that_its_owner_wrote() {
    play("
        romeo/phone   connects
        juliet/garden connects
        romeo/phone   sends    <iq type='set' id='v1'><vCard xmlns='vcard-temp'><FN>Romeo Montague</FN></vCard></iq>
        romeo/phone   receives <iq type='result' id='v1'/>
        juliet/garden sends    <iq type='get' to='{romeo}' id='v2'><vCard xmlns='vcard-temp'/></iq>
        juliet/garden receives <iq type='result' from='{romeo}' id='v2'><vCard xmlns='vcard-temp'><FN>Romeo Montague</FN></vCard></iq>
        juliet/garden sends    <iq type='set' to='{romeo}' id='v3'><vCard xmlns='vcard-temp'><FN>Fool</FN></vCard></iq>
        juliet/garden receives <iq type='error' from='{romeo}' id='v3'>{error auth forbidden}…</iq>
        romeo/phone   sends    <iq type='get' id='v4'><vCard xmlns='vcard-temp'/></iq>
        romeo/phone   receives <iq type='result' id='v4'><vCard xmlns='vcard-temp'><FN>Romeo Montague</FN></vCard></iq>
        everyone      is quiet
    ");
}
