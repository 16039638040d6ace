//! What clients say to each other and a server only carries: it passes untouched, is copied, and stands in the archive
//! where it should.

use crate::stage::play;

/// The content of a message, and whether it is archived.
const CONTENTS: [(&str, bool); 11] = [
    // XEP-0308
    ("<body>But soft</body><replace id='bad1' xmlns='urn:xmpp:message-correct:0'/>", true),
    // XEP-0444 §6
    (
        "<reactions id='m' xmlns='urn:xmpp:reactions:0'><reaction>👋</reaction></reactions><store xmlns='urn:xmpp:hints'/>",
        true,
    ),
    // XEP-0461, XEP-0428
    (
        "<body>&gt; hi\nho</body><reply to='romeo@localhost/x' id='m' xmlns='urn:xmpp:reply:0'/><fallback xmlns='urn:xmpp:fallback:0' for='urn:xmpp:reply:0'><body start='0' end='5'/></fallback>",
        true,
    ),
    // XEP-0424 §4.1
    (
        "<retract id='m' xmlns='urn:xmpp:message-retract:1'/><fallback xmlns='urn:xmpp:fallback:0' for='urn:xmpp:message-retract:1'/><body>I took something back</body><store xmlns='urn:xmpp:hints'/>",
        true,
    ),
    // XEP-0066
    (
        "<body>https://files.example/a</body><x xmlns='jabber:x:oob'><url>https://files.example/a</url></x>",
        true,
    ),
    // XEP-0384, XEP-0380
    (
        "<encrypted xmlns='eu.siacs.conversations.axolotl'><header sid='1'/><payload>AAAA</payload></encrypted><encryption xmlns='urn:xmpp:eme:0' namespace='eu.siacs.conversations.axolotl'/><body>encrypted</body><store xmlns='urn:xmpp:hints'/>",
        true,
    ),
    // XEP-0373 §3.1
    (
        "<openpgp xmlns='urn:xmpp:openpgp:0'>BASE64\n  OF &lt;signcrypt/&gt; &amp;c.</openpgp><body>encrypted</body><store xmlns='urn:xmpp:hints'/>",
        true,
    ),
    // RFC 3923 §4: a MIME object as text, where every octet counts
    (
        "<body>encrypted</body><e2e xmlns='urn:ietf:params:xml:ns:xmpp-e2e'>Content-Type: application/pkcs7-mime;\n\tname=smime.p7m\n\nU2FsdGVk &lt;&quot;]]&gt;  X18=\n</e2e>",
        true,
    ),
    // XEP-0245
    ("<body>/me waves</body>", true),
    // XEP-0085
    ("<composing xmlns='http://jabber.org/protocol/chatstates'/>", false),
    // XEP-0047: bytes in messages of their own
    (
        "<data xmlns='http://jabber.org/protocol/ibb' sid='s' seq='0'>AAAA</data><no-store xmlns='urn:xmpp:hints'/>",
        false,
    ),
];

#[test]
fn what_servers_only_carry_passes_untouched() {
    let mut story = "
        romeo/phone   connects
        juliet/garden connects
        juliet/house  connects
        juliet/house  sends    <iq type='set' id='c'><enable xmlns='urn:xmpp:carbons:2'/></iq>
        juliet/house  receives <iq type='result' id='c'/>
    "
    .to_owned();
    let mut archived = String::new();
    for (number, (content, is_archived)) in CONTENTS.into_iter().enumerate() {
        let (id, content) = (format!("m{number}"), content.replace('\n', "&#10;"));
        let mark = if is_archived { "<stanza-id xmlns='urn:xmpp:sid:0'/>" } else { "" };
        story += &format!("
        romeo/phone   sends    <message to='{{juliet/garden}}' type='chat' id='{id}'>{content}</message>
        juliet/garden receives <message from='{{romeo/phone}}' type='chat' id='{id}'>{content}{mark}</message>
        juliet/house  receives <message><received xmlns='urn:xmpp:carbons:2'><forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client' id='{id}'>{content}{mark}</message></forwarded></received></message>
        ");
        if is_archived {
            archived += &format!("
        juliet/house  receives <message><result xmlns='urn:xmpp:mam:2'><forwarded xmlns='urn:xmpp:forward:0'><delay xmlns='urn:xmpp:delay'/><message xmlns='jabber:client' id='{id}'>{content}</message></forwarded></result></message>
            ");
        }
    }
    play(&format!(
        "{story}
        juliet/house  sends    <iq type='set' id='q'><query xmlns='urn:xmpp:mam:2'/></iq>
        {archived}
        juliet/house  receives <iq type='result' id='q'>…</iq>
        everyone      is quiet
    "
    ));
}
