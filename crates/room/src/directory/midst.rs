//! Owns who is in the midst of a command of a room service, as data (proto/room.proto): for a new owner of its shard, and
//! for the second copy.

use bytes::Bytes;
use entity::Mirror;
use entity::command::{Open, Sessions};
use prost::Message;
use proto::Now;
use proto::snapshot::SnapshotError;
use xmpp::Jid;

use crate::snapshot::pb;

/// None: nobody is.
pub(super) fn snapshot(sessions: &Sessions, now: Now) -> Option<Bytes> {
    let command = |open: &Open| pb::Command {
        session: open.name.clone(),
        asker: open.asker.to_string(),
        node: open.node.clone(),
        until: open.until,
        about: open.about.clone(),
    };
    let commands: Vec<pb::Command> = sessions.open(now.unix_micros).map(command).collect();
    (!commands.is_empty()).then(|| pb::ServiceSnapshot { commands }.encode_to_vec().into())
}

/// # Errors
/// When it cannot be read.
pub(super) fn restore(snapshot: &[u8]) -> Result<Sessions, SnapshotError> {
    let snapshot = pb::ServiceSnapshot::decode(snapshot).map_err(|_| SnapshotError("form"))?;
    let open = |command: pb::Command| {
        let pb::Command { session, asker, node, until, about } = command;
        let asker = Jid::parse(&asker).map_err(|_| SnapshotError("asker"))?;
        Ok(Open { name: session, asker, node, until, about })
    };
    let open = snapshot.commands.into_iter().map(open).collect::<Result<Vec<_>, _>>()?;
    Ok(Sessions::restored(open))
}

/// What the second copy must learn.
pub(super) fn mirror(sessions: &mut Sessions, anew: bool, now: Now) -> Mirror {
    let has_news = sessions.take_news();
    match snapshot(sessions, now) {
        None => Mirror::Nothing,
        Some(whole) if has_news || anew => Mirror::Whole(whole),
        Some(_) => Mirror::Same,
    }
}
