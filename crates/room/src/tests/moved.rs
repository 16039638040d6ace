//! Rooms that have moved to another member as planned: what was done before, and comes again, is known.

use entity::Entity;
use proto::{Body, Envelope, Receipt, Route};
use xmpp::Origin;

use super::stage::{self, Stage};
use super::taken_over::Standby;

fn route() -> Route {
    Route::Room(stage::room())
}

/// The room as the next owner has it.
fn moved(stage: &mut Stage) -> Stage {
    stage.trial.settle(route());
    let snapshot = stage.trial.entity.snapshot(stage.trial.now).unwrap();
    let mut next = stage.again();
    next.trial.act(|room, cx| room.restore(&snapshot, cx).unwrap());
    next
}

fn release(sent: Vec<Envelope>) -> usize {
    let count = sent.len();
    sent.into_iter().filter_map(|it| it.receipt).for_each(Receipt::release);
    count
}

const fn origin(seq: u64) -> Origin {
    Origin::Client { session: 7, seq, part: 0 }
}

// The member of its sender's account died before it knew that the room had it, and the room moved before it came again.
#[test]
fn a_message_that_was_said_before_the_room_moved_is_heard_once() {
    for archived in ["1", "0"] {
        let mut stage = Stage::absent(crate::Config::default());
        stage.made(&format!(
            "<field var='muc#roomconfig_enablearchiving'><value>{archived}</value></field>"
        ));
        Standby::default().learns(&mut stage);
        let says = |seq: u64| {
            Body::Stanza(stage::stanza(&format!(
                "<message xmlns='jabber:client' type='groupchat' from='crone@x.org/desktop' to='coven@chat.x.org'><body>{seq}</body></message>"
            )))
        };
        assert_eq!(release(stage.trial.receive_as(route(), says(1), origin(1))), 1);
        let mut next = moved(&mut stage);
        assert_eq!(release(next.trial.receive_again(route(), says(1), origin(1))), 0, "{archived}");
        assert_eq!(release(next.trial.receive_again(route(), says(2), origin(2))), 1, "{archived}");
    }
}

#[test]
fn who_came_and_went_before_the_room_moved_does_not_come_again() {
    let mut stage = Stage::persistent();
    Standby::default().learns(&mut stage);
    let comes = || {
        Body::Stanza(stage::stanza(
            "<presence xmlns='jabber:client' from='hag@x.org/pda' to='coven@chat.x.org/hag'><x xmlns='http://jabber.org/protocol/muc'/></presence>",
        ))
    };
    let goes = || {
        Body::Stanza(stage::stanza(
            "<presence xmlns='jabber:client' type='unavailable' from='hag@x.org/pda' to='coven@chat.x.org/hag'/>",
        ))
    };
    assert!(release(stage.trial.receive_as(route(), comes(), origin(1))) > 0);
    assert!(release(stage.trial.receive_as(route(), goes(), origin(2))) > 0);
    let mut next = moved(&mut stage);
    assert_eq!(release(next.trial.receive_again(route(), comes(), origin(1))), 0);
    assert_eq!(release(next.trial.receive_again(route(), goes(), origin(2))), 0);
    assert_eq!(next.trial.entity.occupants.len(), 1);
}
