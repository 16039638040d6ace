//! Owns the state tables of presence subscriptions (RFC 6121 §3, appendix A). Pure: knows no roster, no
//! stanza and nobody's address.

#[cfg(test)]
mod tests;

use xmpp::PresenceType;

/// How an account and one contact stand to each other, seen from the account (RFC 6121 A.1). A contact
/// who is not in the roster is in [`State::None`] or [`State::NoneIn`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum State {
    /// Neither is subscribed to the other.
    #[default]
    None,
    /// As `None`; the account has asked.
    NoneOut,
    /// As `None`; the contact has asked.
    NoneIn,
    /// As `None`; both have asked.
    NoneOutIn,
    /// The account sees the contact's presence.
    To,
    /// As `To`; the contact has asked.
    ToIn,
    /// The contact sees the account's presence.
    From,
    /// As `From`; the account has asked.
    FromOut,
    /// Each sees the other's presence.
    Both,
}

/// State and pre-approval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Standing {
    /// The state.
    pub state: State,
    /// The account said yes before it was asked, and has not taken that back (RFC 6121 §3.4). It outlives
    /// the subscription that came of it, until the account sends `unsubscribed`.
    pub approved: bool,
}

/// The type of a subscription stanza: a presence by which somebody asks, grants, takes back or gives up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SubscriptionType {
    /// May I see your presence?
    Subscribe,
    /// I no longer want to see your presence.
    Unsubscribe,
    /// You may see my presence.
    Subscribed,
    /// You may not, or no longer, see my presence.
    Unsubscribed,
}

/// What follows from a subscription stanza of the account (RFC 6121 A.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Outbound {
    /// How they stand now.
    pub after: Standing,
    /// The contact gets the stanza.
    pub route: bool,
    /// What the contact may see of the account's presence changes.
    pub sight: Option<Sight>,
}

/// What follows from a subscription stanza of the contact (RFC 6121 A.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Inbound {
    /// How they stand now.
    pub after: Standing,
    /// The account's clients get the stanza.
    pub deliver: bool,
    /// What the server answers in the account's name.
    pub reply: Option<SubscriptionType>,
    /// What the contact may see of the account's presence changes.
    pub sight: Option<Sight>,
}

/// A change of what the contact may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sight {
    /// The contact gets the current presence of each available resource, after the approval (RFC 6121
    /// §3.1.5).
    Shown,
    /// The contact gets unavailable presence from each available resource, before the cancellation (RFC
    /// 6121 §3.2.2, §3.3.3).
    Hidden,
}

/// What a subscription stanza of the account does (RFC 6121 A.2, §3.4.2).
#[must_use]
pub(crate) fn outbound(before: Standing, ty: SubscriptionType) -> Outbound {
    let state = before.state;
    match ty {
        SubscriptionType::Subscribe => {
            Outbound { after: before.with(asked(state)), route: true, sight: None }
        }
        SubscriptionType::Unsubscribe => {
            Outbound { after: before.with(without_to(state)), route: true, sight: None }
        }
        SubscriptionType::Subscribed if state.is_pending_in() => {
            Outbound { after: before.with(granted(state)), route: true, sight: Some(Sight::Shown) }
        }
        SubscriptionType::Subscribed => Outbound {
            after: Standing { approved: before.approved || !state.is_from(), ..before },
            route: false,
            sight: None,
        },
        SubscriptionType::Unsubscribed => Outbound {
            after: Standing { state: without_from(state), approved: false },
            route: state.is_from() || state.is_pending_in(),
            sight: state.is_from().then_some(Sight::Hidden),
        },
    }
}

/// What a subscription stanza of the contact does (RFC 6121 A.3, §3.4.2).
#[must_use]
pub(crate) fn inbound(before: Standing, ty: SubscriptionType) -> Inbound {
    let state = before.state;
    match ty {
        SubscriptionType::Subscribe if state.is_from() || before.approved => Inbound {
            after: before.with(granted(state)),
            deliver: false,
            reply: Some(SubscriptionType::Subscribed),
            sight: Some(Sight::Shown),
        },
        SubscriptionType::Subscribe => delivered(before, request(state)),
        SubscriptionType::Subscribed => delivered(before, accepted(state)),
        SubscriptionType::Unsubscribed => delivered(before, without_to(state)),
        SubscriptionType::Unsubscribe => {
            let change = delivered(before, without_from(state));
            Inbound {
                reply: change.deliver.then_some(SubscriptionType::Unsubscribed),
                sight: state.is_from().then_some(Sight::Hidden),
                ..change
            }
        }
    }
}

/// The contact's stanza is delivered exactly when it changes the state (RFC 6121 A.3.2 to A.3.4; for
/// `subscribe` Table 6 says the same by its rows).
fn delivered(before: Standing, after: State) -> Inbound {
    Inbound { after: before.with(after), deliver: after != before.state, reply: None, sight: None }
}

/// The account asks.
fn asked(state: State) -> State {
    match state {
        State::None => State::NoneOut,
        State::NoneIn => State::NoneOutIn,
        State::From => State::FromOut,
        State::NoneOut
        | State::NoneOutIn
        | State::To
        | State::ToIn
        | State::FromOut
        | State::Both => state,
    }
}

/// The contact asks.
fn request(state: State) -> State {
    match state {
        State::None => State::NoneIn,
        State::NoneOut => State::NoneOutIn,
        State::To => State::ToIn,
        State::NoneIn
        | State::NoneOutIn
        | State::ToIn
        | State::From
        | State::FromOut
        | State::Both => state,
    }
}

/// The contact says yes to what the account asked.
fn accepted(state: State) -> State {
    match state {
        State::NoneOut => State::To,
        State::NoneOutIn => State::ToIn,
        State::FromOut => State::Both,
        State::None | State::NoneIn | State::To | State::ToIn | State::From | State::Both => state,
    }
}

/// The contact is subscribed, whether it has asked or not.
fn granted(state: State) -> State {
    match state {
        State::None | State::NoneIn | State::From => State::From,
        State::NoneOut | State::NoneOutIn | State::FromOut => State::FromOut,
        State::To | State::ToIn | State::Both => State::Both,
    }
}

/// The account's subscription, or its request for one, is gone.
fn without_to(state: State) -> State {
    match state {
        State::None | State::NoneOut | State::To => State::None,
        State::NoneIn | State::NoneOutIn | State::ToIn => State::NoneIn,
        State::From | State::FromOut | State::Both => State::From,
    }
}

/// The contact's subscription, or its request for one, is gone.
fn without_from(state: State) -> State {
    match state {
        State::None | State::NoneIn | State::From => State::None,
        State::NoneOut | State::NoneOutIn | State::FromOut => State::NoneOut,
        State::To | State::ToIn | State::Both => State::To,
    }
}

impl State {
    /// The state of a roster item and a request that waits.
    #[must_use]
    pub(crate) fn new(to: bool, from: bool, pending_out: bool, pending_in: bool) -> Self {
        match (to, from) {
            (true, true) => Self::Both,
            (true, false) if pending_in => Self::ToIn,
            (true, false) => Self::To,
            (false, true) if pending_out => Self::FromOut,
            (false, true) => Self::From,
            (false, false) => match (pending_out, pending_in) {
                (false, false) => Self::None,
                (true, false) => Self::NoneOut,
                (false, true) => Self::NoneIn,
                (true, true) => Self::NoneOutIn,
            },
        }
    }

    /// Whether the account is subscribed to the contact's presence.
    #[must_use]
    pub(crate) fn is_to(self) -> bool {
        matches!(self, Self::To | Self::ToIn | Self::Both)
    }

    /// Whether the contact is subscribed to the account's presence.
    #[must_use]
    pub(crate) fn is_from(self) -> bool {
        matches!(self, Self::From | Self::FromOut | Self::Both)
    }

    /// Whether the account has asked and has no answer: `ask='subscribe'`.
    #[must_use]
    pub(crate) fn is_pending_out(self) -> bool {
        matches!(self, Self::NoneOut | Self::NoneOutIn | Self::FromOut)
    }

    /// Whether the contact has asked and has no answer.
    #[must_use]
    pub(crate) fn is_pending_in(self) -> bool {
        matches!(self, Self::NoneIn | Self::NoneOutIn | Self::ToIn)
    }
}

impl Standing {
    fn with(self, state: State) -> Self {
        Self { state, ..self }
    }
}

impl SubscriptionType {
    /// What a presence type says, if it is of a subscription.
    #[must_use]
    pub(crate) fn of(ty: PresenceType) -> Option<Self> {
        match ty {
            PresenceType::Subscribe => Some(Self::Subscribe),
            PresenceType::Unsubscribe => Some(Self::Unsubscribe),
            PresenceType::Subscribed => Some(Self::Subscribed),
            PresenceType::Unsubscribed => Some(Self::Unsubscribed),
            PresenceType::Available
            | PresenceType::Unavailable
            | PresenceType::Probe
            | PresenceType::Error => None,
        }
    }

    /// The presence type that says it.
    #[must_use]
    pub(crate) fn presence_type(self) -> PresenceType {
        match self {
            Self::Subscribe => PresenceType::Subscribe,
            Self::Unsubscribe => PresenceType::Unsubscribe,
            Self::Subscribed => PresenceType::Subscribed,
            Self::Unsubscribed => PresenceType::Unsubscribed,
        }
    }
}
