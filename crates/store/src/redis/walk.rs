//! Owns a walk over owners, bucket by bucket: whoever goes over all of them reads each name once. To list them in order
//! every bucket is asked for every page.

use redis::Value;
use xmpp::Bucket;

use super::link::command;
use super::names;
use super::reads::Reader;
use super::sweep::{behind, owners_in};
use crate::Error;
use crate::key::Kind;
use crate::walk::{Cursor, Walked};

/// How many buckets are asked in one go whether anybody is in them.
const AT_ONCE: u16 = 512;

impl Reader {
    /// The next owners that have a row of a kind.
    pub(super) async fn walk(
        &self,
        kind: Kind,
        from: Cursor,
        limit: usize,
    ) -> Result<Walked, Error> {
        let (mut owners, mut first, mut after) = (Vec::new(), from.bucket, from.after);
        while first < Bucket::COUNT {
            let end = first.saturating_add(AT_ONCE).min(Bucket::COUNT);
            for bucket in self.inhabited(kind, first..end).await? {
                let after = after.take().filter(|_| bucket.number() == first);
                let left = limit.saturating_sub(owners.len());
                let index = names::index(bucket, kind);
                let question = |_| behind(&index, after.as_ref(), left);
                let mut found = Vec::new();
                for (_, answer) in self.ask_about(vec![bucket], question).await? {
                    found.extend(owners_in(answer)?);
                }
                let Walked { owners: found, next } = Walked::of(bucket.number(), found, left);
                owners.extend(found);
                if next.is_some() {
                    return Ok(Walked { owners, next });
                }
            }
            first = end;
        }
        Ok(Walked { owners, next: None })
    }

    /// Those buckets that have a row of a kind, in order.
    async fn inhabited(
        &self,
        kind: Kind,
        buckets: std::ops::Range<u16>,
    ) -> Result<Vec<Bucket>, Error> {
        let is_there = |bucket| command("EXISTS", &[&names::index(bucket, kind)]);
        let told = self.ask_about(buckets.filter_map(Bucket::new).collect(), is_there).await?;
        let with = told.into_iter().filter(|(_, has)| *has == Value::Int(1));
        let mut with: Vec<Bucket> = with.map(|(bucket, _)| bucket).collect();
        with.sort_unstable();
        Ok(with)
    }
}
