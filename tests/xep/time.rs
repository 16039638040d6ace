//! XEP-0202 Entity Time.

use crate::stage::play;

// XEP-0202 §3
#[test]
fn the_server_tells_the_time() {
    play("
        romeo/phone connects
        romeo/phone sends    <iq type='get' to='{domain}' id='t1'><time xmlns='urn:xmpp:time'/></iq>
        romeo/phone receives <iq type='result' from='{domain}' id='t1'><time xmlns='urn:xmpp:time'><tzo>{$tzo}</tzo><utc>{$utc}</utc></time></iq>
        everyone    is quiet
    ");
}
