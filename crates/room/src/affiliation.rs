//! Owns affiliations and roles: what somebody is to a room for long, and what while they are in it (XEP-0045
//! §5). Pure.

use std::cmp::Ordering;

/// What somebody is to a room for long (§5.2), from less to more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Affiliation {
    /// Banned.
    Outcast,
    /// Nothing.
    #[default]
    None,
    /// May enter a members-only room.
    Member,
    /// Bans, makes members and moderators.
    Admin,
    /// Configures and destroys the room.
    Owner,
}

/// What an occupant may do while they are in the room (§5.1), from less to more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Not in the room.
    #[default]
    None,
    /// Listens.
    Visitor,
    /// Speaks.
    Participant,
    /// Kicks, gives and takes voice.
    Moderator,
}

impl Affiliation {
    /// Every affiliation.
    pub const ALL: [Self; 5] = [Self::Outcast, Self::None, Self::Member, Self::Admin, Self::Owner];

    /// The value of the attribute.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Outcast => "outcast",
            Self::None => "none",
            Self::Member => "member",
            Self::Admin => "admin",
            Self::Owner => "owner",
        }
    }

    /// Reads the attribute.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.as_str() == text)
    }

    /// The role of somebody who enters (§5.1.2, table 4).
    #[must_use]
    pub fn role_on_entering(self, moderated: bool) -> Role {
        match (self, moderated) {
            (Self::Owner | Self::Admin, _) => Role::Moderator,
            (Self::Member, _) | (Self::None, false) => Role::Participant,
            (Self::None, true) => Role::Visitor,
            (Self::Outcast, _) => Role::None,
        }
    }

    /// The role of an occupant whose affiliation has changed from this one: what is gained is sure, what is
    /// lost was only lent (§5.1.3, note).
    #[must_use]
    pub fn role_after(self, now: Self, role: Role, moderated: bool) -> Role {
        let usual = now.role_on_entering(moderated);
        match now.cmp(&self) {
            Ordering::Less => role.min(usual),
            Ordering::Equal => role,
            Ordering::Greater => role.max(usual),
        }
    }
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 4] = [Self::None, Self::Visitor, Self::Participant, Self::Moderator];

    /// The value of the attribute.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Visitor => "visitor",
            Self::Participant => "participant",
            Self::Moderator => "moderator",
        }
    }

    /// Reads the attribute.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.as_str() == text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Affiliation::{Admin, Member, None, Outcast, Owner};

    // Table 4
    #[test]
    fn the_role_of_a_newcomer_follows_from_affiliation_and_room() {
        let cases = [
            (Outcast, Role::None, Role::None),
            (None, Role::Visitor, Role::Participant),
            (Member, Role::Participant, Role::Participant),
            (Admin, Role::Moderator, Role::Moderator),
            (Owner, Role::Moderator, Role::Moderator),
        ];
        for (affiliation, moderated, unmoderated) in cases {
            assert_eq!(affiliation.role_on_entering(true), moderated);
            assert_eq!(affiliation.role_on_entering(false), unmoderated);
        }
    }

    // Table 5, §5.1.3
    #[test]
    fn a_gained_affiliation_brings_its_role_and_a_lost_one_takes_it() {
        let cases = [
            (None, Admin, Role::Visitor, Role::Moderator),
            (None, Member, Role::Visitor, Role::Participant),
            (None, Member, Role::Moderator, Role::Moderator),
            (Admin, None, Role::Moderator, Role::Visitor),
            (Owner, Member, Role::Moderator, Role::Participant),
            (Owner, Admin, Role::Moderator, Role::Moderator),
            (Member, None, Role::Participant, Role::Visitor),
            (Member, Outcast, Role::Participant, Role::None),
            (Member, Member, Role::Moderator, Role::Moderator),
        ];
        for (before, now, role, after) in cases {
            let found = before.role_after(now, role, true);
            assert_eq!(found, after, "{before:?} {now:?} {role:?}");
        }
    }

    #[test]
    fn names_read_back() {
        for it in Affiliation::ALL {
            assert_eq!(Affiliation::parse(it.as_str()), Some(it));
        }
        for it in Role::ALL {
            assert_eq!(Role::parse(it.as_str()), Some(it));
        }
        assert_eq!(Affiliation::parse("king"), Option::None);
    }
}
