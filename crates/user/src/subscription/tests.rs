//! The tables of RFC 6121 appendix A, row by row.

use super::State::{Both, From, FromOut, None as Nobody, NoneIn, NoneOut, NoneOutIn, To, ToIn};
use super::{Inbound, Outbound, Sight, Standing, State, SubscriptionType, inbound, outbound};

const ALL: [State; 9] = [Nobody, NoneOut, NoneIn, NoneOutIn, To, ToIn, From, FromOut, Both];

fn standing(state: State, approved: bool) -> Standing {
    Standing { state, approved }
}

/// Rows of an outbound table: existing state, routed, new state.
fn check_outbound(ty: SubscriptionType, rows: [(State, bool, State); 9]) {
    for (before, route, after) in rows {
        let step = outbound(standing(before, false), ty);
        assert_eq!((step.route, step.after.state), (route, after), "{ty:?} in {before:?}");
    }
    assert_eq!(rows.map(|row| row.0), ALL, "each state has its row");
}

/// Rows of an inbound table: existing state, delivered, new state, automatic reply.
fn check_inbound(ty: SubscriptionType, rows: [(State, bool, State, Option<SubscriptionType>); 9]) {
    for (before, deliver, after, reply) in rows {
        let step = inbound(standing(before, false), ty);
        assert_eq!(
            (step.deliver, step.after, step.reply),
            (deliver, standing(after, false), reply),
            "{ty:?} in {before:?}"
        );
    }
    assert_eq!(rows.map(|row| row.0), ALL, "each state has its row");
}

#[test]
fn table_2_outbound_subscribe() {
    check_outbound(
        SubscriptionType::Subscribe,
        [
            (Nobody, true, NoneOut),
            (NoneOut, true, NoneOut),
            (NoneIn, true, NoneOutIn),
            (NoneOutIn, true, NoneOutIn),
            (To, true, To),
            (ToIn, true, ToIn),
            (From, true, FromOut),
            (FromOut, true, FromOut),
            (Both, true, Both),
        ],
    );
}

#[test]
fn table_3_outbound_unsubscribe() {
    check_outbound(
        SubscriptionType::Unsubscribe,
        [
            (Nobody, true, Nobody),
            (NoneOut, true, Nobody),
            (NoneIn, true, NoneIn),
            (NoneOutIn, true, NoneIn),
            (To, true, Nobody),
            (ToIn, true, NoneIn),
            (From, true, From),
            (FromOut, true, From),
            (Both, true, From),
        ],
    );
}

#[test]
fn table_4_outbound_subscribed() {
    check_outbound(
        SubscriptionType::Subscribed,
        [
            (Nobody, false, Nobody),
            (NoneOut, false, NoneOut),
            (NoneIn, true, From),
            (NoneOutIn, true, FromOut),
            (To, false, To),
            (ToIn, true, Both),
            (From, false, From),
            (FromOut, false, FromOut),
            (Both, false, Both),
        ],
    );
}

#[test]
fn table_5_outbound_unsubscribed() {
    check_outbound(
        SubscriptionType::Unsubscribed,
        [
            (Nobody, false, Nobody),
            (NoneOut, false, NoneOut),
            (NoneIn, true, Nobody),
            (NoneOutIn, true, NoneOut),
            (To, false, To),
            (ToIn, true, To),
            (From, true, Nobody),
            (FromOut, true, NoneOut),
            (Both, true, To),
        ],
    );
}

#[test]
fn table_6_inbound_subscribe() {
    let yes = Some(SubscriptionType::Subscribed);
    check_inbound(
        SubscriptionType::Subscribe,
        [
            (Nobody, true, NoneIn, None),
            (NoneOut, true, NoneOutIn, None),
            (NoneIn, false, NoneIn, None),
            (NoneOutIn, false, NoneOutIn, None),
            (To, true, ToIn, None),
            (ToIn, false, ToIn, None),
            (From, false, From, yes),
            (FromOut, false, FromOut, yes),
            (Both, false, Both, yes),
        ],
    );
}

#[test]
fn table_7_inbound_unsubscribe() {
    let no = Some(SubscriptionType::Unsubscribed);
    check_inbound(
        SubscriptionType::Unsubscribe,
        [
            (Nobody, false, Nobody, None),
            (NoneOut, false, NoneOut, None),
            (NoneIn, true, Nobody, no),
            (NoneOutIn, true, NoneOut, no),
            (To, false, To, None),
            (ToIn, true, To, no),
            (From, true, Nobody, no),
            (FromOut, true, NoneOut, no),
            (Both, true, To, no),
        ],
    );
}

#[test]
fn table_8_inbound_subscribed() {
    check_inbound(
        SubscriptionType::Subscribed,
        [
            (Nobody, false, Nobody, None),
            (NoneOut, true, To, None),
            (NoneIn, false, NoneIn, None),
            (NoneOutIn, true, ToIn, None),
            (To, false, To, None),
            (ToIn, false, ToIn, None),
            (From, false, From, None),
            (FromOut, true, Both, None),
            (Both, false, Both, None),
        ],
    );
}

#[test]
fn table_9_inbound_unsubscribed() {
    check_inbound(
        SubscriptionType::Unsubscribed,
        [
            (Nobody, false, Nobody, None),
            (NoneOut, true, Nobody, None),
            (NoneIn, false, NoneIn, None),
            (NoneOutIn, true, NoneIn, None),
            (To, true, Nobody, None),
            (ToIn, true, NoneIn, None),
            (From, false, From, None),
            (FromOut, true, From, None),
            (Both, true, From, None),
        ],
    );
}

#[test]
fn a_yes_before_the_question_is_noted_and_not_routed() {
    for state in ALL {
        let step = outbound(standing(state, false), SubscriptionType::Subscribed);
        let noted = matches!(state, Nobody | NoneOut | To);
        assert_eq!(step.after.approved, noted, "{state:?}");
        assert!(!(noted && step.route), "{state:?}");
    }
}

#[test]
fn a_pre_approved_question_is_answered_at_once_and_the_note_stays() {
    for (before, after) in [(Nobody, From), (NoneOut, FromOut), (To, Both)] {
        assert_eq!(
            inbound(standing(before, true), SubscriptionType::Subscribe),
            Inbound {
                after: standing(after, true),
                deliver: false,
                reply: Some(SubscriptionType::Subscribed),
                sight: Some(Sight::Shown),
            }
        );
    }
}

#[test]
fn a_no_takes_the_pre_approval_back_in_every_state() {
    for state in ALL {
        let step = outbound(standing(state, true), SubscriptionType::Unsubscribed);
        assert!(!step.after.approved, "{state:?}");
    }
    let silent = Outbound { after: standing(To, false), route: false, sight: None };
    assert_eq!(outbound(standing(To, true), SubscriptionType::Unsubscribed), silent);
}

#[test]
fn words_of_the_contact_leave_the_pre_approval_alone() {
    for ty in [
        SubscriptionType::Subscribe,
        SubscriptionType::Unsubscribe,
        SubscriptionType::Subscribed,
        SubscriptionType::Unsubscribed,
    ] {
        for state in ALL {
            assert!(inbound(standing(state, true), ty).after.approved, "{ty:?} in {state:?}");
        }
    }
}

#[test]
fn the_contact_sees_the_account_exactly_while_it_is_subscribed() {
    for ty in [
        SubscriptionType::Subscribe,
        SubscriptionType::Unsubscribe,
        SubscriptionType::Subscribed,
        SubscriptionType::Unsubscribed,
    ] {
        for state in ALL {
            let out = outbound(standing(state, false), ty);
            let back = inbound(standing(state, false), ty);
            for (after, sight) in [(out.after.state, out.sight), (back.after.state, back.sight)] {
                let lost = state.is_from() && !after.is_from();
                let won = !state.is_from() && after.is_from();
                assert_eq!(sight == Some(Sight::Hidden), lost, "{ty:?} in {state:?}");
                assert!(!won || sight == Some(Sight::Shown), "{ty:?} in {state:?}");
            }
        }
    }
}

#[test]
fn a_state_is_what_its_flags_say() {
    for state in ALL {
        let again = State::new(
            state.is_to(),
            state.is_from(),
            state.is_pending_out(),
            state.is_pending_in(),
        );
        assert_eq!(again, state);
    }
}
