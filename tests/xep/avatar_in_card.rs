//! XEP-0153 vCard-Based Avatars.

use crate::stage::play;

// XEP-0153 §3.1, XEP-0398 §4
#[test]
fn presence_says_the_hash_of_the_avatar_unless_it_says_that_there_is_none() {
    play("
        romeo/phone   connects
        romeo/phone   sends    <iq type='set' id='v1'><vCard xmlns='vcard-temp'><PHOTO><TYPE>image/gif</TYPE><BINVAL>R0lGODlhIG5vdCByZWFsbHk=</BINVAL></PHOTO></vCard></iq>
        romeo/phone   receives <iq type='result' id='v1'/>
        everyone      is quiet
        romeo/phone   sends    <presence><show>away</show></presence>
        romeo/phone   receives <presence from='{romeo/phone}'><show>away</show><x xmlns='vcard-temp:x:update'><photo>112b30e12063e66ac00da71d934a45b4fc6404fe</photo></x></presence>
        romeo/phone   sends    <presence><x xmlns='vcard-temp:x:update'/></presence>
        romeo/phone   receives <presence from='{romeo/phone}'><x xmlns='vcard-temp:x:update'><photo>112b30e12063e66ac00da71d934a45b4fc6404fe</photo></x></presence>
        romeo/phone   sends    <presence><x xmlns='vcard-temp:x:update'><photo/></x></presence>
        romeo/phone   receives <presence from='{romeo/phone}'><x xmlns='vcard-temp:x:update'><photo/></x></presence>
        juliet/garden connects
        romeo/phone   sends    <presence to='{juliet/garden}'/>
        juliet/garden receives <presence from='{romeo/phone}'><x xmlns='vcard-temp:x:update'><photo>112b30e12063e66ac00da71d934a45b4fc6404fe</photo></x></presence>
    ");
}
