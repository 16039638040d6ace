//! XEP-0500 MUC Slow Mode.

use super::{enters, made_with};
use crate::stage::play;

// XEP-0500 §5.2, §6
#[test]
fn people_wait_between_messages_but_admins_do_not() {
    let say = |who: &str, id: &str, content: &str| {
        format!(
            "{who} sends <message type='groupchat' id='{id}' to='{{room coven}}'>{content}</message>"
        )
    };
    play(&format!(
        "
        crone/desktop connects
        hag/pda       connects
        {}
        {}
        hag/pda       sends    <iq type='get' id='i' to='{{room coven}}'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>
        hag/pda       receives <iq type='result' id='i'><query xmlns='http://jabber.org/protocol/disco#info'>…<x xmlns='jabber:x:data'>…<field var='muc#roominfo_slow_mode_duration' type='text-single'><value>60</value></field></x></query></iq>
        {}
        hag/pda       receives <message id='1'>…</message>
        crone/desktop receives <message id='1'>…</message>
        {}
        hag/pda       receives <message type='error' id='2'>{{error wait policy-violation}}</message>
        # A chat state is no message.
        {}
        hag/pda       receives <message id='3'>…</message>
        crone/desktop receives <message id='3'>…</message>
        {}
        {}
        hag/pda       receives <message id='4'>…</message>
        hag/pda       receives <message id='5'>…</message>
        crone/desktop receives <message id='4'>…</message>
        crone/desktop receives <message id='5'>…</message>
        # Another nick does not help.
        hag/pda       sends    <presence type='unavailable' to='{{room coven}}/hag'/>
        hag/pda       receives <presence type='unavailable'>…</presence>
        crone/desktop receives <presence type='unavailable'>…</presence>
        {}
        {}
        hag/pda       receives <message type='error' id='6'>{{error wait policy-violation}}</message>
        everyone is quiet
    ",
        made_with("crone/desktop", "coven", "first", &[("muc#roomconfig_slow_mode_duration", "60")]),
        enters("hag/pda", "coven", "hag", &["crone/desktop"]),
        say("hag/pda", "1", "<body>one</body>"),
        say("hag/pda", "2", "<body>two</body>"),
        say("hag/pda", "3", "<composing xmlns='http://jabber.org/protocol/chatstates'/>"),
        say("crone/desktop", "4", "<body>four</body>"),
        say("crone/desktop", "5", "<body>five</body>"),
        enters("hag/pda", "coven", "other", &["crone/desktop"]),
        say("hag/pda", "6", "<body>six</body>"),
    ));
}
