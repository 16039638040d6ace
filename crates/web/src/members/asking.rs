//! Owns what rooms are asked in the name of their service, on whatever member acts for them.

use cluster::Peers;
use proto::MemberId;
use tokio::time::timeout;
use xmpp::{BareJid, Element};

use super::pb::administration_client::AdministrationClient;
use super::{Members, PATIENCE, pb};
use crate::rooms::Rooms;

impl Members {
    /// What a room answers: a result or an error; none where nobody does in time.
    pub(crate) async fn ask_room(
        &self,
        room: &BareJid,
        set: bool,
        payload: &Element,
    ) -> Option<Element> {
        let plan = self.plan.latest();
        let (owner, _) = plan.owner(plan.hash_key().bucket(room).shard())?;
        match &self.peers {
            Some(peers) if owner != self.router.member() => {
                let payload = payload.to_bytes();
                let question = pb::Question { room: room.to_string(), set, payload };
                let stanza = ask(peers.clone(), owner, question).await?;
                Element::parse(&stanza).ok()
            }
            _ => self.rooms.ask(room, set, payload).await,
        }
    }
}

/// What another member says; none if it does not in time.
async fn ask(peers: Peers, member: MemberId, question: pb::Question) -> Option<Vec<u8>> {
    let runtime = peers.runtime().clone();
    let asked = runtime.spawn(timeout(PATIENCE, async move {
        let mut client = AdministrationClient::new(peers.connect(member).await.ok()?);
        client.ask(question).await.ok()?.into_inner().stanza
    }));
    asked.await.ok()?.ok()?
}

/// What this member's room says to another member's question.
pub(super) async fn answer(rooms: &dyn Rooms, question: pb::Question) -> Option<Vec<u8>> {
    let pb::Question { room, set, payload } = question;
    let (room, payload) = (BareJid::parse(&room).ok()?, Element::parse(&payload).ok()?);
    let answer = rooms.ask(&room, set, &payload).await?;
    Some(answer.to_bytes())
}
