//! Owns what an actor asks the archive of its entity before it acts on something: the last rows, so that nothing is
//! written twice, or out of order. Nothing is received meanwhile.

use std::time::Duration;

use actix::{ActorFutureExt as _, AsyncContext as _, Context as ActixContext, WrapFuture as _};
use proto::{Envelope, Route};
use store::{ArchiveQuery, ArchiveRow, Error, Slice};
use xmpp::BareJid;

use super::EntityActor;
use crate::entity::Entity;
use crate::repeats::Repeats;

/// An archive that fails is asked so often: whoever acts without it may do again what is done. After that nothing else
/// can be kept either.
const TRIES: u32 = 10;
/// Between two tries.
const PAUSE: Duration = Duration::from_secs(1);

impl<E: Entity> EntityActor<E> {
    /// How many of the last rows of the archive must be known before this is received: many where a former owner
    /// may have acted on it, which the archive knows; one where the entity wants to know the last.
    pub(super) fn must_ask(&self, envelope: &Envelope) -> Option<usize> {
        let knows = self.repeats.as_ref().is_some_and(|repeats| repeats.knows_rows());
        if envelope.again && matches!(self.route, Route::User(_)) && !knows {
            return Some(Repeats::ROWS);
        }
        let entity = self.entity.as_ref();
        entity.is_some_and(|entity| entity.needs_last(envelope)).then_some(1)
    }

    /// Asks for so many rows, and receives nothing until they are known.
    pub(super) fn ask(&mut self, limit: usize, ctx: &mut ActixContext<Self>) {
        let Some(owner) = self.route.key().cloned() else { return };
        self.asking = true;
        self.pending += 1;
        self.try_to_ask(owner, limit, TRIES, ctx);
    }

    fn try_to_ask(
        &mut self,
        owner: BareJid,
        limit: usize,
        tries: u32,
        ctx: &mut ActixContext<Self>,
    ) {
        let query = ArchiveQuery { slice: Slice::Last, limit, ..ArchiveQuery::default() };
        let page = self.arbiter.store().query(self.fence, owner.clone(), query);
        ctx.spawn(page.into_actor(self).map(move |page, actor, ctx| match page {
            Ok(page) => actor.learn(page.rows, limit, ctx),
            Err(error) => {
                tracing::warn!(%error, "an archive cannot be asked for its last rows");
                match error {
                    Error::Engine { .. } if tries > 1 => {
                        ctx.run_later(PAUSE, move |actor, ctx| {
                            actor.try_to_ask(owner, limit, tries - 1, ctx);
                        });
                    }
                    _ => actor.learn(Vec::new(), limit, ctx),
                }
            }
        }));
    }

    fn learn(&mut self, rows: Vec<ArchiveRow>, limit: usize, ctx: &mut ActixContext<Self>) {
        if let Some(entity) = &mut self.entity {
            entity.learn_last(rows.last().map(|row| row.id));
        }
        if limit >= Repeats::ROWS {
            let now = self.arbiter.now().elapsed;
            let rows = rows.into_iter().map(|row| (row.origin, row.id));
            self.repeats.get_or_insert_default().take_rows(rows, now);
        }
        self.asking = false;
        self.pending = self.pending.saturating_sub(1);
        self.work(ctx);
    }
}
