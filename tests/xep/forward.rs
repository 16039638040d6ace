//! XEP-0297 Stanza Forwarding.

use crate::stage::play;

// XEP-0297 §3.1
#[test]
fn what_one_client_forwards_to_another_arrives_untouched() {
    play("
        romeo/phone   connects
        juliet/garden connects
        juliet/garden sends    <message to='{romeo/phone}' type='chat'><body>look</body><forwarded xmlns='urn:xmpp:forward:0'>
                               <delay xmlns='urn:xmpp:delay' stamp='2010-07-10T23:08:25Z'/>
                               <message xmlns='jabber:client' from='nurse@capulet.example/kitchen' to='{juliet}' type='chat'><body>anon</body></message></forwarded></message>
        romeo/phone   receives <message from='{juliet/garden}'><body>look</body><forwarded xmlns='urn:xmpp:forward:0'>
                               <delay xmlns='urn:xmpp:delay' stamp='2010-07-10T23:08:25Z'/>
                               <message xmlns='jabber:client' from='nurse@capulet.example/kitchen' to='{juliet}' type='chat'><body>anon</body></message></forwarded>
                               <stanza-id xmlns='urn:xmpp:sid:0'/></message>
        everyone      is quiet
    ");
}
