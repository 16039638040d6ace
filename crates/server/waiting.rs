//! Owns sessions that wait to be resumed while the server does not run: they are stored when it stops, and go
//! on before it takes clients again.

use std::time::Duration;

use actix_rt::ArbiterHandle;
use entity::Host;
use entity::host::handoff::{Part, Patience, StartError};
use futures_util::StreamExt;
use futures_util::stream;
use meter::clock;
use proto::snapshot::EntitySnapshot;
use router::Router;
use store::{Batch, Kind, SharedStore, Write};
use xmpp::{BareJid, Fence};

use crate::handoff::on;

/// How long a server that stops waits for what is under way.
const PATIENCE: Patience =
    Patience { turns: Duration::from_secs(10), receipts: Duration::from_secs(5) };

/// How often it looks whether all is quiet, and how often in a row that must be so.
const LOOK_EVERY: Duration = Duration::from_millis(5);
const QUIET_LOOKS: usize = 3;

/// So many bytes are handed to the store at once.
const STEP_BYTES: usize = 8 << 20;

/// So many accounts are read from the store at once, and brought back at a time.
const PAGE: usize = 256;
const AT_A_TIME: usize = 16;

/// What storing and bringing back need.
pub(crate) struct Waiting<'a> {
    pub(crate) arbiters: &'a [ArbiterHandle],
    pub(crate) router: &'a Router,
    pub(crate) store: &'a SharedStore,
}

impl Waiting<'_> {
    /// Stops every entity, and stores the sessions that can be resumed.
    pub(crate) async fn store(&self) {
        self.come_to_rest().await;
        let mut entities = Vec::new();
        for arbiter in self.arbiters {
            entities.extend(on(arbiter, freeze).await.unwrap_or_default());
        }
        let (mut stored, mut step, mut bytes) = (0, Vec::new(), 0);
        for (account, writes) in user::stored::rows(&entities, clock::unix_micros()) {
            let Some(fence) = self.router.fence(&account).filter(|_| !writes.is_empty()) else {
                continue;
            };
            let batch = Batch { fence, writes };
            bytes += batch.len();
            step.push(batch);
            if bytes >= STEP_BYTES {
                stored += self.commit(std::mem::take(&mut step)).await;
                bytes = 0;
            }
        }
        stored += self.commit(step).await;
        if stored > 0 {
            tracing::info!("sessions of {stored} accounts wait for their clients over the restart");
        }
    }

    /// What is on its way from one arbiter to another arrives before any of them is frozen.
    async fn come_to_rest(&self) {
        let started = tokio::time::Instant::now();
        let mut quiet = 0;
        while quiet < QUIET_LOOKS && started.elapsed() < PATIENCE.receipts {
            let mut all = self.router.waiting().iter().all(|waiting| *waiting == 0);
            for arbiter in self.arbiters {
                let look = on(arbiter, async |host: &Host| host.is_quiet(Part::Whole).await);
                all &= look.await.unwrap_or(true);
            }
            quiet = if all { quiet + 1 } else { 0 };
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    async fn commit(&self, batches: Vec<Batch>) -> usize {
        let results = self.store.commit(batches).await;
        for error in results.iter().filter_map(|result| result.as_ref().err()) {
            tracing::error!(%error, "sessions of an account are lost: they were not stored");
        }
        results.iter().filter(|result| result.is_ok()).count()
    }

    /// Brings back what was stored. No entity says anything before all are there.
    ///
    /// # Errors
    /// The store cannot say who has sessions.
    pub(crate) async fn bring_back(&self) -> Result<(), store::Error> {
        let mut owners = self.store.owners(Kind::Session, None, PAGE).await?;
        if owners.is_empty() {
            return Ok(());
        }
        for arbiter in self.arbiters {
            // There is nothing yet that could be restless.
            on(arbiter, freeze).await;
        }
        let mut back = 0;
        while let Some(last) = owners.last().cloned() {
            let all = stream::iter(owners).map(|owner| self.bring_back_of(owner));
            back += all.buffer_unordered(AT_A_TIME).fold(0, async |sum, one| sum + one).await;
            owners = self.store.owners(Kind::Session, Some(last), PAGE).await?;
        }
        for arbiter in self.arbiters {
            on(arbiter, async |host: &Host| host.thaw(Part::Whole)).await;
        }
        tracing::info!("{back} sessions wait for their clients again");
        Ok(())
    }

    /// The sessions of one account; how many go on.
    async fn bring_back_of(&self, account: BareJid) -> usize {
        let Some(fence) = self.router.fence(&account) else { return 0 };
        let rows = match self.take(fence, &account).await {
            Ok(rows) => rows,
            Err(error) => {
                tracing::error!(jid = %account, %error, "stored sessions do not go on");
                return 0;
            }
        };
        let (entities, faults) = user::stored::entities(&account, &rows);
        for error in faults {
            tracing::error!(jid = %account, %error, "a stored session cannot be read");
        }
        let index = usize::from(self.router.arbiter_of(fence.bucket).0);
        let Some(arbiter) = self.arbiters.get(index) else { return 0 };
        let started = on(arbiter, async move |host: &Host| start(host, entities, fence).await);
        match started.await {
            Some(Ok(sessions)) => sessions,
            Some(Err(error)) => {
                tracing::error!(jid = %account, %error, "stored sessions do not go on");
                0
            }
            None => 0,
        }
    }

    /// Takes an account's sessions out of the store: what goes on is there no longer.
    async fn take(&self, fence: Fence, account: &BareJid) -> Result<Vec<store::Row>, store::Error> {
        let rows = self.store.load(fence, account.clone(), &[Kind::Session]).await?;
        let key = |row: &store::Row| store::Key::new(account.clone(), row.kind, row.item.clone());
        let writes = rows.iter().map(|row| Write::Delete(key(row))).collect();
        let results = self.store.commit(vec![Batch { fence, writes }]).await;
        results.into_iter().collect::<Result<Vec<()>, _>>()?;
        Ok(rows)
    }
}

async fn freeze(host: &Host) -> Vec<EntitySnapshot> {
    if let Err(error) = host.freeze(Part::Whole, PATIENCE).await {
        tracing::error!(%error, "sessions are lost: the server does not come to rest");
    }
    host.take_snapshots(Part::Whole)
}

/// The user first, so that there is somebody whom its sessions can tell.
async fn start(
    host: &Host,
    entities: Vec<EntitySnapshot>,
    fence: Fence,
) -> Result<usize, StartError> {
    let count = entities.len().saturating_sub(1);
    for entity in entities {
        host.start(entity, fence).await?;
    }
    Ok(count)
}
