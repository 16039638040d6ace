//! Owns the settings of one room as values, and what a change of them means to those who are in it (XEP-0045
//! §10.2). Pure. The form that shows them is [`crate::form`].

use crate::affiliation::{Affiliation, Role};

/// What the owner of a room may choose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// A name for people.
    pub name: String,
    /// What the room is about.
    pub description: String,
    /// The language of discussion, a tag; empty: not said.
    pub lang: String,
    /// The room stays when everybody has left.
    pub persistent: bool,
    /// The room is in the service's list.
    pub public: bool,
    /// What must be said to enter.
    pub password: Option<String>,
    /// Only members and above may enter.
    pub members_only: bool,
    /// Newcomers without affiliation only listen.
    pub moderated: bool,
    /// Participants may change the subject.
    pub change_subject: bool,
    /// Members of a members-only room may invite.
    pub allow_invites: bool,
    /// Who may send private messages.
    pub private_messages: PrivateMessages,
    /// Real addresses are shown to everybody (non-anonymous), not to moderators alone.
    pub addresses_shown: bool,
    /// Most occupants; none: as many as the service allows.
    pub occupants: Option<usize>,
    /// Messages that newcomers are shown.
    pub history: usize,
    /// Newcomers are warned that the discussion is logged in public.
    pub logged: bool,
    /// Messages are archived (XEP-0313).
    pub archived: bool,
    /// Whose presence is shown to others.
    pub broadcast: Roles,
    /// Who may see the list of members, where real addresses are shown.
    pub member_list: Readers,
    /// People may register a nick and become members.
    pub registration: bool,
    /// Who has registered a nick must use it.
    pub nicks_locked: bool,
    /// Seconds between two messages of one person; 0: any (XEP-0500).
    pub slow_seconds: u32,
    /// Whoever may enter may hear the room without being inside (MUC/Sub).
    pub subscriptions: bool,
    /// The URI of a pubsub node that belongs to the room; empty: none.
    pub pubsub: String,
    /// Where the public log is read, a URL; empty: not said.
    pub logs: String,
    /// The LDAP group that the room is for, a distinguished name; empty: none.
    pub ldap_group: String,
}

/// A set of roles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Roles {
    /// Moderators are in it.
    pub moderator: bool,
    /// Participants are.
    pub participant: bool,
    /// Visitors are.
    pub visitor: bool,
}

/// Who may see the list of members (`muc#roomconfig_getmemberlist`): whoever has one of these roles or affiliations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Readers {
    /// Of those who are inside.
    pub roles: Roles,
    /// Owners are among them; they see it anyway.
    pub owner: bool,
    /// Admins are, who see the list of members anyway.
    pub admin: bool,
    /// Members are.
    pub member: bool,
}

/// Who may send private messages (`muc#roomconfig_allowpm`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrivateMessages {
    /// Every occupant.
    Anyone,
    /// Participants and moderators.
    Participants,
    /// Moderators.
    Moderators,
    /// Nobody.
    Nobody,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            name: String::new(),
            description: String::new(),
            lang: String::new(),
            persistent: false,
            public: true,
            password: None,
            members_only: false,
            moderated: false,
            change_subject: false,
            allow_invites: false,
            private_messages: PrivateMessages::Anyone,
            addresses_shown: false,
            occupants: None,
            history: 20,
            logged: false,
            archived: true,
            broadcast: Roles::ALL,
            member_list: Roles::ALL.into(),
            registration: true,
            nicks_locked: false,
            slow_seconds: 0,
            subscriptions: true,
            pubsub: String::new(),
            logs: String::new(),
            ldap_group: String::new(),
        }
    }
}

impl Roles {
    /// Every role.
    pub const ALL: Self = Self { moderator: true, participant: true, visitor: true };

    /// Whether a role is in the set.
    #[must_use]
    pub fn has(self, role: Role) -> bool {
        match role {
            Role::Moderator => self.moderator,
            Role::Participant => self.participant,
            Role::Visitor => self.visitor,
            Role::None => false,
        }
    }

    /// The roles in the set.
    pub fn iter(self) -> impl Iterator<Item = Role> {
        Role::ALL.into_iter().filter(move |role| self.has(*role))
    }
}

impl From<Roles> for Readers {
    fn from(roles: Roles) -> Self {
        Self { roles, owner: false, admin: false, member: false }
    }
}

impl Readers {
    /// The values of the field, in the order of the options.
    pub(crate) const VALUES: [&'static str; 6] =
        ["moderator", "participant", "visitor", "owner", "admin", "member"];

    /// Whether somebody is among them.
    #[must_use]
    pub fn has(self, role: Role, affiliation: Affiliation) -> bool {
        let named = match affiliation {
            Affiliation::Owner => self.owner,
            Affiliation::Admin => self.admin,
            Affiliation::Member => self.member,
            Affiliation::None | Affiliation::Outcast => false,
        };
        named || self.roles.has(role)
    }

    /// Those that hold.
    pub(crate) fn values(self) -> impl Iterator<Item = &'static str> {
        let Roles { moderator, participant, visitor } = self.roles;
        let all = [moderator, participant, visitor, self.owner, self.admin, self.member];
        Self::VALUES.into_iter().zip(all).filter(|(_, is)| *is).map(|(value, _)| value)
    }

    /// As a field names them; none for a value that nobody knows.
    pub(crate) fn read<'a>(values: impl Iterator<Item = &'a str>) -> Option<Self> {
        let named: Vec<&str> = values.collect();
        let is_known = named.iter().all(|value| Self::VALUES.contains(value));
        let [moderator, participant, visitor, owner, admin, member] =
            Self::VALUES.map(|value| named.contains(&value));
        let roles = Roles { moderator, participant, visitor };
        is_known.then_some(Self { roles, owner, admin, member })
    }
}

impl FromIterator<Role> for Roles {
    fn from_iter<I: IntoIterator<Item = Role>>(roles: I) -> Self {
        let mut set = Self { moderator: false, participant: false, visitor: false };
        for role in roles {
            match role {
                Role::Moderator => set.moderator = true,
                Role::Participant => set.participant = true,
                Role::Visitor => set.visitor = true,
                Role::None => {}
            }
        }
        set
    }
}

impl PrivateMessages {
    /// Each with the value of the field.
    pub const ALL: [(Self, &'static str); 4] = [
        (Self::Anyone, "anyone"),
        (Self::Participants, "participants"),
        (Self::Moderators, "moderators"),
        (Self::Nobody, "none"),
    ];

    /// The value of the field.
    #[must_use]
    pub fn value(self) -> &'static str {
        Self::ALL.iter().find(|(it, _)| *it == self).map_or("anyone", |(_, value)| value)
    }

    /// Whether an occupant of this role may send some.
    #[must_use]
    pub fn allow(self, role: Role) -> bool {
        match self {
            Self::Anyone => role >= Role::Visitor,
            Self::Participants => role >= Role::Participant,
            Self::Moderators => role >= Role::Moderator,
            Self::Nobody => false,
        }
    }
}

/// The status codes that tell occupants of a change (§10.2.1): privacy first, 104 for all else.
#[must_use]
pub fn codes_of_change(before: &Settings, now: &Settings) -> Vec<u16> {
    let mut codes = Vec::new();
    match (before.logged, now.logged) {
        (false, true) => codes.push(170),
        (true, false) => codes.push(171),
        _ => {}
    }
    match (before.addresses_shown, now.addresses_shown) {
        (false, true) => codes.push(172),
        (true, false) => codes.push(173),
        _ => {}
    }
    let rest =
        Settings { logged: now.logged, addresses_shown: now.addresses_shown, ..before.clone() };
    if rest != *now {
        codes.push(104);
    }
    codes
}

#[cfg(test)]
mod tests {
    use super::*;

    // §10.2.1
    #[test]
    fn a_change_of_privacy_has_a_code_of_its_own() {
        let plain = Settings::default();
        let logged = Settings { logged: true, ..plain.clone() };
        let shown = Settings { addresses_shown: true, ..plain.clone() };
        let named = Settings { name: "Coven".into(), logged: true, ..plain.clone() };
        let cases = [
            (&plain, &plain, vec![]),
            (&plain, &logged, vec![170]),
            (&logged, &plain, vec![171]),
            (&plain, &shown, vec![172]),
            (&shown, &plain, vec![173]),
            (&plain, &named, vec![170, 104]),
            (&logged, &shown, vec![171, 172]),
        ];
        for (before, now, codes) in cases {
            assert_eq!(codes_of_change(before, now), codes);
        }
    }
}
