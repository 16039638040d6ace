//! XEP-0431 Full Text Search in MAM.

use crate::stage::{play, play_with};

fn look_for(words: &str) -> String {
    format!(
        "<iq type='set' id='q'><query xmlns='urn:xmpp:mam:2'><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>urn:xmpp:mam:2</value></field><field var='&#123;urn:xmpp:fulltext:0&#125;fulltext'><value>{words}</value></field></x></query></iq>"
    )
}

// XEP-0431 §2, §3
#[test]
fn words_are_looked_for_where_the_configuration_lets_clients() {
    let result = |body: &str| {
        format!(
            "<message>…<result xmlns='urn:xmpp:mam:2'>…<forwarded xmlns='urn:xmpp:forward:0'>…<message xmlns='jabber:client'>…<body>{body}</body>…</message>…</forwarded>…</result>…</message>"
        )
    };
    play_with("[archive]\nsearch = true\n", &format!("
        juliet/balcony connects
        romeo/orchard  connects
        romeo/orchard  sends    <message to='{{juliet}}/balcony' type='chat'><body>But soft, what LIGHT</body></message>
        juliet/balcony receives <message from='{{romeo}}/orchard' type='chat'>…<body>But soft, what LIGHT</body>…</message>
        romeo/orchard  sends    <message to='{{juliet}}/balcony' type='chat'><body>It is the east</body></message>
        juliet/balcony receives <message from='{{romeo}}/orchard' type='chat'>…<body>It is the east</body>…</message>
        juliet/balcony sends    {}
        juliet/balcony receives {}
        juliet/balcony receives <iq type='result' id='q'>…</iq>
        juliet/balcony sends    {}
        juliet/balcony receives <iq type='result' id='q'>…</iq>
        juliet/balcony sends    <iq type='get' id='f'><query xmlns='urn:xmpp:mam:2'/></iq>
        juliet/balcony receives <iq type='result' id='f'><query xmlns='urn:xmpp:mam:2'><x xmlns='jabber:x:data' type='form'>…<field type='text-single' var='&#123;urn:xmpp:fulltext:0&#125;fulltext'/>…</x></query></iq>
        juliet/balcony sends    <iq type='get' id='d' to='{{juliet}}'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>
        juliet/balcony receives <iq type='result' id='d'><query xmlns='http://jabber.org/protocol/disco#info'>…<feature var='urn:xmpp:fulltext:0'/>…</query></iq>
        everyone       is quiet
    ", look_for("light soft"), result("But soft, what LIGHT"), look_for("light east")));
}

// XEP-0313 §4.1.5
#[test]
fn elsewhere_there_is_no_such_field() {
    play(&format!("
        juliet/balcony connects
        juliet/balcony sends    {}
        juliet/balcony receives <iq type='error' id='q'>{{error cancel feature-not-implemented}}</iq>
    ", look_for("light")));
}
