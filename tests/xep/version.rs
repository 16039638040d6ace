//! XEP-0092 Software Version.

use crate::stage::play;

// XEP-0092 §3
#[test]
fn the_server_says_what_it_is() {
    play("
        romeo/phone connects
        romeo/phone sends    <iq type='get' to='{domain}' id='v1'><query xmlns='jabber:iq:version'/></iq>
        romeo/phone receives <iq type='result' from='{domain}' id='v1'><query xmlns='jabber:iq:version'><name>Rookery</name><version>{$version}</version></query></iq>
        everyone    is quiet
    ");
}
