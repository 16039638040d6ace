//! XEP-0398 User Avatar to vCard-Based Avatars Conversion.

use crate::stage::play;

// XEP-0398 §3.1, §7
#[test]
fn a_published_avatar_is_the_photo_of_the_card_for_who_may_read_it() {
    play("
        romeo/phone   connects
        juliet/garden connects
        romeo/phone   sends    <iq type='set' id='v1'><vCard xmlns='vcard-temp'><FN>Romeo</FN></vCard></iq>
        romeo/phone   receives <iq type='result' id='v1'/>
        romeo/phone   sends    <iq type='set' id='p1'><pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='urn:xmpp:avatar:data'><item id='112b30e12063e66ac00da71d934a45b4fc6404fe'><data xmlns='urn:xmpp:avatar:data'>R0lGODlhIG5vdCByZWFsbHk=</data></item></publish></pubsub></iq>
        romeo/phone   receives <iq type='result' id='p1'>…</iq>
        romeo/phone   sends    <iq type='set' id='p2'><pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='urn:xmpp:avatar:metadata'><item id='112b30e12063e66ac00da71d934a45b4fc6404fe'><metadata xmlns='urn:xmpp:avatar:metadata'><info bytes='17' id='112b30e12063e66ac00da71d934a45b4fc6404fe' type='image/gif'/></metadata></item></publish></pubsub></iq>
        romeo/phone   receives <iq type='result' id='p2'>…</iq>
        everyone      is quiet
        romeo/phone   sends    <iq type='get' id='v2'><vCard xmlns='vcard-temp'/></iq>
        romeo/phone   receives <iq type='result' id='v2'><vCard xmlns='vcard-temp'><FN>Romeo</FN><PHOTO><TYPE>image/gif</TYPE><BINVAL>R0lGODlhIG5vdCByZWFsbHk=</BINVAL></PHOTO></vCard></iq>
        juliet/garden sends    <iq type='get' to='{romeo}' id='v3'><vCard xmlns='vcard-temp'/></iq>
        juliet/garden receives <iq type='result' from='{romeo}' id='v3'><vCard xmlns='vcard-temp'><FN>Romeo</FN></vCard></iq>
        romeo/phone   sends    <iq type='set' id='p3'><pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='urn:xmpp:avatar:metadata'><item id='none'><metadata xmlns='urn:xmpp:avatar:metadata'/></item></publish></pubsub></iq>
        romeo/phone   receives <iq type='result' id='p3'>…</iq>
        everyone      is quiet
        romeo/phone   sends    <iq type='get' id='v4'><vCard xmlns='vcard-temp'/></iq>
        romeo/phone   receives <iq type='result' id='v4'><vCard xmlns='vcard-temp'><FN>Romeo</FN></vCard></iq>
        everyone      is quiet
    ");
}

// XEP-0398 §3.2
#[test]
fn a_photo_in_a_card_is_published() {
    play("
        romeo/phone   connects
        juliet/garden connects
        romeo/phone   sends    <iq type='set' id='v1'><vCard xmlns='vcard-temp'><FN>Romeo</FN><PHOTO><TYPE>image/gif</TYPE><BINVAL>R0lGODlhIG5vdCByZWFsbHk=</BINVAL></PHOTO></vCard></iq>
        romeo/phone   receives <iq type='result' id='v1'/>
        everyone      is quiet
        juliet/garden sends    <iq type='get' to='{romeo}' id='i1'><pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='urn:xmpp:avatar:metadata'></items></pubsub></iq>
        juliet/garden receives <iq type='result' from='{romeo}' id='i1'><pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='urn:xmpp:avatar:metadata'><item id='112b30e12063e66ac00da71d934a45b4fc6404fe'><metadata xmlns='urn:xmpp:avatar:metadata'><info bytes='17' id='112b30e12063e66ac00da71d934a45b4fc6404fe' type='image/gif'/></metadata></item></items></pubsub></iq>
        juliet/garden sends    <iq type='get' to='{romeo}' id='i2'><pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='urn:xmpp:avatar:data'><item id='112b30e12063e66ac00da71d934a45b4fc6404fe'/></items></pubsub></iq>
        juliet/garden receives <iq type='result' from='{romeo}' id='i2'><pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='urn:xmpp:avatar:data'><item id='112b30e12063e66ac00da71d934a45b4fc6404fe'><data xmlns='urn:xmpp:avatar:data'>R0lGODlhIG5vdCByZWFsbHk=</data></item></items></pubsub></iq>
        juliet/garden sends    <iq type='get' to='{romeo}' id='v2'><vCard xmlns='vcard-temp'/></iq>
        juliet/garden receives <iq type='result' from='{romeo}' id='v2'><vCard xmlns='vcard-temp'><FN>Romeo</FN><PHOTO><TYPE>image/gif</TYPE><BINVAL>R0lGODlhIG5vdCByZWFsbHk=</BINVAL></PHOTO></vCard></iq>
    ");
}

// XEP-0054 §3.2, XEP-0084 §3.5
#[test]
fn a_photo_that_a_card_has_no_more_is_the_avatar_no_more() {
    play("
        romeo/phone   connects
        juliet/garden connects
        romeo/phone   sends    <iq type='set' id='v1'><vCard xmlns='vcard-temp'><FN>Romeo</FN><PHOTO><TYPE>image/gif</TYPE><BINVAL>R0lGODlhIG5vdCByZWFsbHk=</BINVAL></PHOTO></vCard></iq>
        romeo/phone   receives <iq type='result' id='v1'/>
        everyone      is quiet
        romeo/phone   sends    <iq type='set' id='v2'><vCard xmlns='vcard-temp'><FN>Romeo</FN></vCard></iq>
        romeo/phone   receives <iq type='result' id='v2'/>
        everyone      is quiet
        romeo/phone   sends    <iq type='get' id='v3'><vCard xmlns='vcard-temp'/></iq>
        romeo/phone   receives <iq type='result' id='v3'><vCard xmlns='vcard-temp'><FN>Romeo</FN></vCard></iq>
        juliet/garden sends    <iq type='get' to='{romeo}' id='i1'><pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='urn:xmpp:avatar:metadata'/></pubsub></iq>
        juliet/garden receives <iq type='result' from='{romeo}' id='i1'><pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='urn:xmpp:avatar:metadata'><item><metadata xmlns='urn:xmpp:avatar:metadata'/></item></items></pubsub></iq>
        romeo/phone   sends    <presence><show>away</show></presence>
        romeo/phone   receives <presence from='{romeo/phone}'><show>away</show></presence>
        everyone      is quiet
    ");
}

// XEP-0398 §3: clients that write cards need not know of avatars.
#[test]
fn a_card_without_a_photo_takes_no_avatar_back_that_was_published() {
    play("
        romeo/phone   connects
        romeo/phone   sends    <iq type='set' id='p1'><pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='urn:xmpp:avatar:data'><item id='112b30e12063e66ac00da71d934a45b4fc6404fe'><data xmlns='urn:xmpp:avatar:data'>R0lGODlhIG5vdCByZWFsbHk=</data></item></publish></pubsub></iq>
        romeo/phone   receives <iq type='result' id='p1'>…</iq>
        romeo/phone   sends    <iq type='set' id='p2'><pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='urn:xmpp:avatar:metadata'><item id='112b30e12063e66ac00da71d934a45b4fc6404fe'><metadata xmlns='urn:xmpp:avatar:metadata'><info bytes='17' id='112b30e12063e66ac00da71d934a45b4fc6404fe' type='image/gif'/></metadata></item></publish></pubsub></iq>
        romeo/phone   receives <iq type='result' id='p2'>…</iq>
        everyone      is quiet
        romeo/phone   sends    <iq type='set' id='v1'><vCard xmlns='vcard-temp'><FN>Romeo</FN></vCard></iq>
        romeo/phone   receives <iq type='result' id='v1'/>
        romeo/phone   sends    <iq type='get' id='v2'><vCard xmlns='vcard-temp'/></iq>
        romeo/phone   receives <iq type='result' id='v2'><vCard xmlns='vcard-temp'><FN>Romeo</FN><PHOTO><TYPE>image/gif</TYPE><BINVAL>R0lGODlhIG5vdCByZWFsbHk=</BINVAL></PHOTO></vCard></iq>
        everyone      is quiet
    ");
}
