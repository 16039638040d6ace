//! Owns who was given voice, or lost it, in a moderated room: that lasts over visits, since such a room is of no use
//! otherwise (XEP-0045 §5.1), until an affiliation says something else. A row for each person whose role on entering is
//! not the usual one; no more of them than a room may have affiliations.

use std::collections::BTreeMap;

use store::{Row, Write};
use xmpp::{BareJid, StanzaCondition, StanzaError};

use crate::affiliate::Change;
use crate::affiliation::{Affiliation, Role};
use crate::birth;
use crate::room::Room;

/// With a slash and an address: the row of somebody, which has their role.
const ROW: &str = "voice";

/// Whose role is not the usual one: participants and visitors.
#[derive(Clone, Debug, Default)]
pub(crate) struct Voices(BTreeMap<BareJid, Role>);

/// What becomes of them, not kept yet.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// What must be kept first.
    pub(crate) writes: Vec<Write>,
    changes: Vec<(BareJid, Option<Role>)>,
}

impl Plan {
    /// From now on this role is somebody's; none: the usual one.
    fn set(&mut self, room: &BareJid, who: &BareJid, role: Option<Role>) {
        let key = birth::key_of(room, ROW, who);
        self.writes.push(match role {
            Some(role) => Write::Put(key, role.as_str().into()),
            None => Write::Delete(key),
        });
        self.changes.push((who.clone(), role));
    }
}

impl Voices {
    /// Those of a room that is loaded; none where a row cannot be read.
    #[must_use]
    pub(crate) fn load(rows: &[Row]) -> Option<Self> {
        let voice = |(who, row): (&str, &[u8])| {
            let role = Role::parse(str::from_utf8(row).ok()?)?;
            let is_one = matches!(role, Role::Participant | Role::Visitor);
            is_one.then_some((BareJid::parse(who).ok()?, role))
        };
        birth::of_people(rows, ROW).map(voice).collect::<Option<_>>().map(Self)
    }

    /// The plan is kept.
    pub(crate) fn apply(&mut self, plan: Plan) {
        for (who, role) in plan.changes {
            match role {
                Some(role) => drop(self.0.insert(who, role)),
                None => drop(self.0.remove(&who)),
            }
        }
    }
}

/// People who have these affiliations are given these roles: what is remembered of it.
///
/// # Errors
/// `resource-constraint` where it would be too much.
pub(crate) fn given<'a>(
    room: &Room,
    roles: impl IntoIterator<Item = (&'a BareJid, Affiliation, Role)>,
) -> Result<Plan, StanzaError> {
    let (Voices(known), mut plan, mut more) = (&room.voices, Plan::default(), 0);
    for (who, affiliation, role) in roles {
        // Being removed is for now, and who moderates does so for this visit.
        let lasts = matches!(role, Role::Participant | Role::Visitor);
        if !lasts || !room.settings.moderated || affiliation > Affiliation::Member {
            continue;
        }
        let before = known.get(who).copied();
        let role = Some(role).filter(|role| *role != affiliation.role_on_entering(true));
        if role != before {
            more += usize::from(before.is_none());
            plan.set(&room.jid, who, role);
        }
    }
    if more > 0 && known.len() + more > room.shared.config.affiliations {
        let error = StanzaError::from(StanzaCondition::ResourceConstraint);
        return Err(error.with_text("the room remembers too many who were given or denied voice"));
    }
    Ok(plan)
}

/// These affiliations say what people may do from now on.
pub(crate) fn affiliated(room: &Room, changes: &[Change]) -> Plan {
    let mut plan = Plan::default();
    for Change { who, to, .. } in changes {
        if room.voices.0.contains_key(who) && room.affiliation_of(who) != *to {
            plan.set(&room.jid, who, None);
        }
    }
    plan
}

/// The role of somebody who enters.
pub(crate) fn role_on_entering(room: &Room, who: &BareJid) -> Role {
    let affiliation = room.affiliation_of(who);
    let usual = affiliation.role_on_entering(room.settings.moderated);
    if !room.settings.moderated || usual == Role::None || affiliation > Affiliation::Member {
        return usual;
    }
    room.voices.0.get(who).copied().unwrap_or(usual)
}
