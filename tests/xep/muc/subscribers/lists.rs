//! MUC/Sub: who hears a room, and which rooms somebody hears.

use super::super::{made, made_with};
use super::{NS, asks, nodes, subscribes};
use crate::stage::{play, play_alone};

fn list(who: &str, to: &str, answer: &str) -> String {
    asks(who, "get", to, &format!("<subscriptions xmlns='{NS}'/>"), answer)
}

fn subscriptions(lines: &str) -> String {
    format!("<subscriptions xmlns='{NS}'>{lines}</subscriptions>")
}

fn line(jid: &str, nick: &str, to: &[&str]) -> String {
    format!("<subscription jid='{jid}' nick='{nick}'>{}</subscription>", nodes(to))
}

#[test]
fn moderators_see_who_hears_a_room_and_so_do_those_who_hear_it_without_addresses() {
    let to = ["messages", "subject"];
    let all = line("{hag}", "hag", &to);
    let hidden = line("{none}", "hag", &to);
    play(&format!(
        "
        crone/desktop connects
        hag/pda       connects
        bat/cave      connects
        {}
        {}
        {}{}{}
        everyone is quiet
    ",
        made("crone/desktop", "coven", "first"),
        subscribes("hag/pda", "coven", "hag", &to),
        list("crone/desktop", "{room coven}", &subscriptions(&all)),
        list("hag/pda", "{room coven}", &subscriptions(&hidden)),
        list("bat/cave", "{room coven}", "{error auth forbidden}…"),
    ));
}

#[test]
fn somebody_finds_his_rooms_at_the_service_and_nobody_elses() {
    let service = "conference.{domain}";
    let coven = line("{room coven}", "hag", &["messages"]);
    let heath = line("{room heath}", "witch", &["messages", "presence"]);
    let page = "<set xmlns='http://jabber.org/protocol/rsm'><max>1</max></set>";
    let set = "<set xmlns='http://jabber.org/protocol/rsm'><first index='0'>{room coven}</first><last>{room coven}</last><count>2</count></set>";
    play(&format!(
        "
        crone/desktop connects
        hag/pda       connects
        {}
        {}
        {}
        {}
        {}
        {}
        {}
        {}
        {}
        {}
        everyone is quiet
    ",
        made("crone/desktop", "coven", "first"),
        made("crone/desktop", "heath", "first"),
        list("hag/pda", service, &subscriptions("")),
        subscribes("hag/pda", "heath", "witch", &["messages", "presence"]),
        subscribes("hag/pda", "coven", "hag", &["messages"]),
        list("hag/pda", service, &subscriptions(&format!("{coven}{heath}"))),
        asks(
            "hag/pda",
            "get",
            service,
            &format!("<subscriptions xmlns='{NS}'>{page}</subscriptions>"),
            &subscriptions(&format!("{coven}{set}")),
        ),
        list("crone/desktop", service, &subscriptions("")),
        asks("hag/pda", "set", "{room heath}", &format!("<unsubscribe xmlns='{NS}'/>"), ""),
        list("hag/pda", service, &subscriptions(&coven)),
    ));
}

// A room that was destroyed is nobody's any more.
#[test]
fn a_room_that_ends_is_in_no_list() {
    let destroy = "<query xmlns='http://jabber.org/protocol/muc#owner'><destroy/></query>";
    play_alone(&format!(
        "
        crone/desktop connects
        hag/pda       connects
        {}
        {}
        crone/desktop sends    <iq type='set' id='d' to='{{room coven}}'>{destroy}</iq>
        crone/desktop hears    <presence type='unavailable'>…</presence>
                               <iq type='result' id='d'/>
        hag/pda       receives {}
        {}
        everyone is quiet
    ",
        made_with("crone/desktop", "coven", "first", &[("muc#roomconfig_persistentroom", "1")]),
        subscribes("hag/pda", "coven", "hag", &["messages", "config"]),
        super::event(
            "coven",
            "config",
            "<presence xmlns='jabber:client' type='unavailable' from='{room coven}'><x xmlns='http://jabber.org/protocol/muc#user'><destroy/></x></presence>"
        ),
        list("hag/pda", "conference.{domain}", &subscriptions("")),
    ));
}
