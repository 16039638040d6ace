//! Owns who acts for rooms and how many are inside, asked of the members that act for them.

use std::collections::BTreeMap;

use cluster::Peers;
use futures_util::future::join_all;
use proto::MemberId;
use tokio::time::timeout;
use xmpp::BareJid;

use super::pb::administration_client::AdministrationClient;
use super::{Members, PATIENCE, pb};
use crate::rooms::RoomRow;

impl Members {
    /// Says of rooms, a page at most, which member acts for each, and how many that one counts.
    pub(crate) async fn occupy(&self, rows: impl IntoIterator<Item = &mut RoomRow>) {
        let plan = self.plan.latest();
        let mut by_owner: BTreeMap<MemberId, Vec<&mut RoomRow>> = BTreeMap::new();
        for row in rows {
            let room = BareJid::parse(&row.jid).ok();
            let shard = room.map(|room| plan.hash_key().bucket(&room).shard());
            if let Some((owner, _)) = shard.and_then(|shard| plan.owner(shard)) {
                row.member = plan.member(owner).map(|member| member.info.name.clone());
                by_owner.entry(owner).or_default().push(row);
            }
        }
        join_all(by_owner.into_iter().map(async |(owner, mut rows)| {
            let jids = rows.iter().map(|row| row.jid.clone()).collect();
            let counts = self.count(owner, jids).await.unwrap_or_default();
            for (row, count) in rows.iter_mut().zip(counts) {
                row.occupants = usize::try_from(count).ok();
            }
        }))
        .await;
    }

    async fn count(&self, owner: MemberId, jids: Vec<String>) -> Option<Vec<u64>> {
        match &self.peers {
            Some(peers) if owner != self.router.member() => ask(peers.clone(), owner, jids).await,
            _ => {
                let rooms = jids.iter().filter_map(|jid| BareJid::parse(jid).ok());
                Some(rooms.map(|room| self.rooms.occupants(&room) as u64).collect())
            }
        }
    }
}

/// What another member says; none if it does not in time.
async fn ask(peers: Peers, member: MemberId, jids: Vec<String>) -> Option<Vec<u64>> {
    let runtime = peers.runtime().clone();
    let asked = runtime.spawn(timeout(PATIENCE, async move {
        let mut client = AdministrationClient::new(peers.connect(member).await.ok()?);
        let counted = client.occupants(pb::Rooms { jids }).await.ok()?.into_inner();
        Some(counted.occupants)
    }));
    asked.await.ok()?.ok()?
}
