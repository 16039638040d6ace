//! Owns RFC 6121 §8.5 for messages as a table: what becomes of a message to a local account. Pure.
//!
//! Where the RFC leaves a choice: messages to the bare address go to every resource of non-negative
//! priority, chat messages too, since today's clients expect it; what nobody is there to take is
//! stored; a message to a resource that is not there is an error, unless it is a headline, which
//! nobody waits for, or a chat message, which goes to the account.

use xmpp::MessageType;

/// Whom a message is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// The account (§8.5.2).
    Account,
    /// A resource that is available or connected (§8.5.3.1).
    Resource,
    /// A resource that is not there (§8.5.3.2).
    Nobody,
}

/// What becomes of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// To the resource that it names.
    ToOne,
    /// To every available resource of non-negative priority.
    ToAll,
    /// Into the offline store (XEP-0160).
    Store,
    /// Back to its sender as `service-unavailable`.
    Refuse,
    /// Silently ignored.
    Ignore,
}

/// What becomes of a message to an account that exists. `taken`: at least one available resource has a
/// non-negative priority.
pub(crate) fn fate(ty: MessageType, target: Target, taken: bool) -> Fate {
    use MessageType::{Chat, Error, Groupchat, Headline, Normal};
    match (target, ty, taken) {
        (Target::Resource, _, _) => Fate::ToOne,
        (_, Error, _) | (Target::Nobody, Headline, _) => Fate::Ignore,
        (_, Groupchat, _) | (Target::Nobody, Normal, _) => Fate::Refuse,
        (Target::Account, Headline, false) => Fate::Ignore,
        (Target::Account, Normal | Chat, false) | (Target::Nobody, Chat, false) => Fate::Store,
        (Target::Account, Normal | Chat | Headline, true) | (Target::Nobody, Chat, true) => {
            Fate::ToAll
        }
    }
}

/// What becomes of a message to a name that is no account (§8.5.1).
pub(crate) fn fate_without_account(ty: MessageType) -> Fate {
    match ty {
        MessageType::Normal | MessageType::Chat | MessageType::Groupchat => Fate::Refuse,
        MessageType::Headline | MessageType::Error => Fate::Ignore,
    }
}

#[cfg(test)]
mod tests {
    use MessageType::{Chat, Error, Groupchat, Headline, Normal};

    use super::*;

    /// One row per clause: section, type, target, whether somebody takes messages, fate.
    const CLAUSES: &[(&str, MessageType, Target, bool, Fate)] = &[
        ("8.5.2.1.1 normal, only negative", Normal, Target::Account, false, Fate::Store),
        ("8.5.2.1.1 normal, non-negative", Normal, Target::Account, true, Fate::ToAll),
        ("8.5.2.1.1 chat, only negative", Chat, Target::Account, false, Fate::Store),
        ("8.5.2.1.1 chat, non-negative", Chat, Target::Account, true, Fate::ToAll),
        ("8.5.2.1.1 groupchat", Groupchat, Target::Account, true, Fate::Refuse),
        ("8.5.2.1.1 headline, only negative", Headline, Target::Account, false, Fate::Ignore),
        ("8.5.2.1.1 headline, non-negative", Headline, Target::Account, true, Fate::ToAll),
        ("8.5.2.1.1 error", Error, Target::Account, true, Fate::Ignore),
        ("8.5.2.2.1 normal, nobody there", Normal, Target::Account, false, Fate::Store),
        ("8.5.2.2.1 chat, nobody there", Chat, Target::Account, false, Fate::Store),
        ("8.5.2.2.1 groupchat, nobody there", Groupchat, Target::Account, false, Fate::Refuse),
        ("8.5.2.2.1 headline, nobody there", Headline, Target::Account, false, Fate::Ignore),
        ("8.5.2.2.1 error, nobody there", Error, Target::Account, false, Fate::Ignore),
        ("8.5.3.1 normal", Normal, Target::Resource, true, Fate::ToOne),
        ("8.5.3.1 normal, negative", Normal, Target::Resource, false, Fate::ToOne),
        ("8.5.3.1 chat", Chat, Target::Resource, true, Fate::ToOne),
        ("8.5.3.1 chat, negative", Chat, Target::Resource, false, Fate::ToOne),
        ("8.5.3.1 groupchat", Groupchat, Target::Resource, true, Fate::ToOne),
        ("8.5.3.1 headline", Headline, Target::Resource, true, Fate::ToOne),
        ("8.5.3.1 error", Error, Target::Resource, true, Fate::ToOne),
        ("8.5.3.2.1 normal", Normal, Target::Nobody, true, Fate::Refuse),
        ("8.5.3.2.1 normal, nobody there", Normal, Target::Nobody, false, Fate::Refuse),
        ("8.5.3.2.1 groupchat", Groupchat, Target::Nobody, true, Fate::Refuse),
        ("8.5.3.2.1 headline", Headline, Target::Nobody, true, Fate::Ignore),
        ("8.5.3.2.1 chat, nobody there", Chat, Target::Nobody, false, Fate::Store),
        ("8.5.3.2.1 chat, only negative", Chat, Target::Nobody, false, Fate::Store),
        ("8.5.3.2.1 chat, non-negative", Chat, Target::Nobody, true, Fate::ToAll),
        ("8.5.3.2.1 error", Error, Target::Nobody, true, Fate::Ignore),
    ];

    #[test]
    fn every_clause_of_section_8_5_holds() {
        for &(clause, ty, target, taken, expected) in CLAUSES {
            assert_eq!(fate(ty, target, taken), expected, "{clause}");
        }
    }

    #[test]
    fn a_name_without_an_account_answers_as_section_8_5_1_says() {
        for (ty, expected) in [
            (Normal, Fate::Refuse),
            (Chat, Fate::Refuse),
            (Groupchat, Fate::Refuse),
            (Headline, Fate::Ignore),
            (Error, Fate::Ignore),
        ] {
            assert_eq!(fate_without_account(ty), expected, "{ty:?}");
        }
    }
}
