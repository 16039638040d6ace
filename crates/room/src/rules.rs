//! Owns the rules of who may change whom (XEP-0045 §5, §8, §9, §10): pure decisions over affiliations and
//! roles. Knows no occupant and no list.

use xmpp::StanzaCondition;

use crate::affiliation::{Affiliation, Role};

/// Who asks, or who is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    /// What they are to the room.
    pub(crate) affiliation: Affiliation,
    /// What they may do now; none if they are not in the room.
    pub(crate) role: Role,
}

/// Whether `actor` may change the role of `target`; `own`: they are the same.
///
/// # Errors
/// `forbidden` for those who have nothing to say, `not-allowed` for a target that is above them,
/// `conflict` for one's own kick.
pub(crate) fn change_role(
    actor: Standing,
    target: Standing,
    to: Role,
    own: bool,
) -> Result<(), StanzaCondition> {
    let is_admin = actor.affiliation >= Affiliation::Admin;
    if actor.role < Role::Moderator && !is_admin {
        return Err(StanzaCondition::Forbidden);
    }
    if target.role == to {
        return Ok(());
    }
    match (target.role, to) {
        // §8.2
        (_, Role::None) if own => Err(StanzaCondition::Conflict),
        (_, Role::None) if target.affiliation > actor.affiliation => {
            Err(StanzaCondition::NotAllowed)
        }
        // Table 5: a moderator is kicked by an admin or owner.
        (Role::Moderator, Role::None) if !is_admin => Err(StanzaCondition::NotAllowed),
        (_, Role::None) => Ok(()),
        // §9.6
        (_, Role::Moderator) if !is_admin => Err(StanzaCondition::Forbidden),
        (_, Role::Moderator) => Ok(()),
        // §9.7
        (Role::Moderator, _) if target.affiliation >= Affiliation::Admin => {
            Err(StanzaCondition::NotAllowed)
        }
        (Role::Moderator, _) if !is_admin => Err(StanzaCondition::Forbidden),
        // §8.4: nobody takes the voice of admins and owners, nor of somebody at the actor's own level.
        (_, Role::Visitor) if keeps_voice(actor, target) => Err(StanzaCondition::NotAllowed),
        (_, Role::Visitor | Role::Participant) => Ok(()),
    }
}

/// Those without any affiliation stand on no level.
fn keeps_voice(actor: Standing, target: Standing) -> bool {
    target.affiliation >= Affiliation::Admin
        || (target.affiliation >= Affiliation::Member && target.affiliation >= actor.affiliation)
}

/// Whether `actor` may change the affiliation `from` to `to`; `own`: of themselves.
///
/// # Errors
/// `forbidden` for those who have nothing to say, `not-allowed` for a ban of somebody above, `conflict`
/// for one's own ban.
pub(crate) fn change_affiliation(
    actor: Affiliation,
    from: Affiliation,
    to: Affiliation,
    own: bool,
) -> Result<(), StanzaCondition> {
    if actor < Affiliation::Admin {
        return Err(StanzaCondition::Forbidden);
    }
    if from == to {
        return Ok(());
    }
    let of_owner_alone = from >= Affiliation::Admin || to >= Affiliation::Admin;
    match to {
        // §9.1
        Affiliation::Outcast if own => Err(StanzaCondition::Conflict),
        Affiliation::Outcast if of_owner_alone && actor < Affiliation::Owner => {
            Err(StanzaCondition::NotAllowed)
        }
        // §10.3 to §10.8, table 7
        _ if of_owner_alone && actor < Affiliation::Owner => Err(StanzaCondition::Forbidden),
        _ => Ok(()),
    }
}

/// Whether somebody may see the list of an affiliation (§9.2, §9.5, §10.5, §10.8). `members_see`: the room
/// shows the lists of its people to members.
#[must_use]
pub(crate) fn may_list_affiliation(actor: Standing, list: Affiliation, members_see: bool) -> bool {
    let belongs = actor.affiliation >= Affiliation::Member || actor.role >= Role::Visitor;
    match list {
        Affiliation::Outcast => actor.affiliation >= Affiliation::Admin,
        Affiliation::Member => actor.affiliation >= Affiliation::Admin || (members_see && belongs),
        Affiliation::Admin | Affiliation::Owner => {
            actor.affiliation >= Affiliation::Owner || (members_see && belongs)
        }
        Affiliation::None => false,
    }
}

/// Whether somebody may see the list of a role (§8.5, §9.8).
#[must_use]
pub(crate) fn may_list_role(actor: Standing) -> bool {
    actor.role == Role::Moderator || actor.affiliation >= Affiliation::Admin
}

#[cfg(test)]
mod tests {
    use super::*;
    use Affiliation::{Admin, Member, None as Nobody, Outcast, Owner};
    use Role::{Moderator, None as Out, Participant, Visitor};
    use StanzaCondition::{Conflict, Forbidden, NotAllowed};

    fn standing(affiliation: Affiliation, role: Role) -> Standing {
        Standing { affiliation, role }
    }

    // §8.2 to §8.5, §9.6 to §9.8, table 5
    #[test]
    fn roles_change_by_those_who_may_and_of_those_who_are_not_above() {
        let cases = [
            ((Nobody, Participant), (Nobody, Participant), Out, Err(Forbidden)),
            ((Nobody, Visitor), (Nobody, Visitor), Participant, Err(Forbidden)),
            ((Nobody, Moderator), (Nobody, Participant), Out, Ok(())),
            ((Nobody, Moderator), (Member, Participant), Out, Err(NotAllowed)),
            ((Nobody, Moderator), (Nobody, Moderator), Out, Err(NotAllowed)),
            ((Member, Moderator), (Admin, Moderator), Out, Err(NotAllowed)),
            ((Member, Moderator), (Nobody, Visitor), Out, Ok(())),
            ((Admin, Moderator), (Owner, Moderator), Out, Err(NotAllowed)),
            ((Admin, Moderator), (Nobody, Moderator), Out, Ok(())),
            ((Owner, Moderator), (Owner, Moderator), Out, Ok(())),
            ((Owner, Out), (Nobody, Participant), Out, Ok(())),
            ((Nobody, Moderator), (Nobody, Visitor), Participant, Ok(())),
            ((Nobody, Moderator), (Nobody, Participant), Visitor, Ok(())),
            ((Nobody, Moderator), (Member, Participant), Visitor, Err(NotAllowed)),
            ((Member, Moderator), (Member, Participant), Visitor, Err(NotAllowed)),
            ((Admin, Moderator), (Member, Participant), Visitor, Ok(())),
            ((Admin, Moderator), (Admin, Participant), Visitor, Err(NotAllowed)),
            ((Owner, Moderator), (Admin, Participant), Visitor, Err(NotAllowed)),
            ((Nobody, Moderator), (Nobody, Participant), Moderator, Err(Forbidden)),
            ((Admin, Moderator), (Nobody, Participant), Moderator, Ok(())),
            ((Nobody, Moderator), (Nobody, Moderator), Participant, Err(Forbidden)),
            ((Admin, Moderator), (Member, Moderator), Participant, Ok(())),
            ((Admin, Moderator), (Admin, Moderator), Participant, Err(NotAllowed)),
            ((Owner, Moderator), (Owner, Moderator), Visitor, Err(NotAllowed)),
            ((Owner, Moderator), (Admin, Moderator), Moderator, Ok(())),
        ];
        for (actor, target, to, expected) in cases {
            let (actor, target) = (standing(actor.0, actor.1), standing(target.0, target.1));
            let found = change_role(actor, target, to, false);
            assert_eq!(found, expected, "{actor:?} {target:?} {to:?}");
        }
        let moderator = standing(Nobody, Moderator);
        assert_eq!(change_role(moderator, moderator, Out, true), Err(Conflict));
    }

    // §9.1 to §9.5, §10.3 to §10.8, table 7
    #[test]
    fn affiliations_change_by_admins_and_those_of_admins_by_owners() {
        let all = Affiliation::ALL;
        for (from, to) in all.into_iter().flat_map(|from| all.map(|to| (from, to))) {
            for actor in [Outcast, Nobody, Member] {
                assert_eq!(change_affiliation(actor, from, to, false), Err(Forbidden));
            }
            assert_eq!(change_affiliation(Owner, from, to, false), Ok(()), "{from:?} {to:?}");
            let expected = match (from, to) {
                _ if from == to => Ok(()),
                (Admin | Owner, Outcast) => Err(NotAllowed),
                (Admin | Owner, _) | (_, Admin | Owner) => Err(Forbidden),
                _ => Ok(()),
            };
            assert_eq!(change_affiliation(Admin, from, to, false), expected, "{from:?} {to:?}");
        }
        for actor in [Admin, Owner] {
            assert_eq!(change_affiliation(actor, actor, Outcast, true), Err(Conflict));
        }
        assert_eq!(change_affiliation(Owner, Owner, Admin, true), Ok(()));
    }

    // §8.5, §9.2, §9.5, §9.8, §10.5, §10.8
    #[test]
    fn lists_are_for_those_who_may_change_them_and_of_open_rooms_for_members() {
        let outsider = standing(Nobody, Out);
        let occupant = standing(Nobody, Participant);
        let admin = standing(Admin, Out);
        let owner = standing(Owner, Out);
        let cases = [
            (outsider, Member, true, false),
            (occupant, Member, true, true),
            (occupant, Member, false, false),
            (standing(Member, Out), Owner, true, true),
            (standing(Member, Participant), Admin, false, false),
            (admin, Member, false, true),
            (admin, Outcast, false, true),
            (admin, Admin, false, false),
            (owner, Owner, false, true),
            (occupant, Outcast, true, false),
            (owner, Nobody, true, false),
        ];
        for (actor, list, members_see, expected) in cases {
            let found = may_list_affiliation(actor, list, members_see);
            assert_eq!(found, expected, "{actor:?} {list:?}");
        }
        assert!(may_list_role(standing(Nobody, Moderator)) && may_list_role(admin));
        assert!(!may_list_role(occupant));
    }
}
