//! Owns what becomes of a file that somebody brings, and of one that somebody asks for. Any member takes a file for a
//! slot that another one gave: the key is the cluster's, and the slot is a row.

use std::sync::Arc;
use std::time::Duration;

use meter::{By, Counter};
use store::{Batch, Fence, Kind, SharedStore};
use tokio::sync::{Semaphore, TryAcquireError};
use tokio::time::timeout;
use xmpp::BareJid;

use crate::FileId;
use crate::slot::{self, Key, SlotRow};
use crate::storage::{self, Incoming, Meta, Outgoing, Storage};

/// Files that come to this member at a time.
const AT_A_TIME: usize = 256;
/// Rows that are read together.
const PAGE: usize = 500;
const UNKNOWN: &str = "application/octet-stream";

/// Says by what right a row of an account is written: its owner's, whichever member that is.
pub type Fences = Arc<dyn Fn(&BareJid) -> Option<Fence> + Send + Sync>;

/// Takes files and gives them out.
pub struct Keeper {
    storage: Arc<dyn Storage>,
    store: SharedStore,
    fences: Fences,
    key: Key,
    places: Semaphore,
    /// What is counted.
    pub figures: Figures,
}

/// Figures of files.
#[derive(Debug)]
pub struct Figures {
    /// Files that were kept.
    pub kept: Counter,
    /// Bytes of them.
    pub bytes_in: Counter,
    /// Bytes that were given out.
    pub bytes_out: Counter,
    /// Files that were not taken, by why.
    pub refused: By<10>,
    /// Files that were removed because they had ended.
    pub ended: Counter,
}

impl Default for Figures {
    fn default() -> Self {
        Self {
            kept: Counter::default(),
            bytes_in: Counter::default(),
            bytes_out: Counter::default(),
            refused: By::new(Refusal::WORDS),
            ended: Counter::default(),
        }
    }
}

/// What a client says that it brings.
#[derive(Clone, Copy, Debug)]
pub struct Put<'a> {
    /// Under which name.
    pub id: FileId,
    /// The name that the client has given it.
    pub name: &'a str,
    /// Whose slot it is.
    pub account: &'a str,
    /// By what right.
    pub key: &'a str,
    /// Its bytes.
    pub size: u64,
    /// What it is, if that is said.
    pub content_type: Option<&'a str>,
}

/// A slot that a file may come for.
pub struct Admitted {
    account: BareJid,
    id: FileId,
    row: SlotRow,
}

/// Why a file is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The key is not the slot's.
    #[error("the key is not that of the slot")]
    Key,
    /// There is no such slot any more.
    #[error("there is no such slot")]
    Unknown,
    /// The slot was given too long ago, or the file would have ended.
    #[error("the slot is over")]
    Over,
    /// The file is there already.
    #[error("the slot was used")]
    Used,
    /// Not the size that was asked for (XEP-0363 §7).
    #[error("the size is not that of the slot")]
    Size,
    /// Not the type that was asked for (§7).
    #[error("the type is not that of the slot")]
    Type,
    /// Too many files come at this moment.
    #[error("too many files come at this moment")]
    Busy,
    /// The bytes ended early, or came too slowly.
    #[error("the file did not come whole")]
    Short,
    /// No room.
    #[error("no room")]
    Full,
    /// The machinery failed, which was logged.
    #[error("the file could not be kept")]
    Failed,
}

impl Refusal {
    const WORDS: [&'static str; 10] =
        ["key", "unknown", "over", "used", "size", "type", "busy", "short", "full", "failed"];
}

impl Keeper {
    /// Keeps files there, and rows in the store.
    pub fn new(storage: Arc<dyn Storage>, store: SharedStore, fences: Fences, key: Key) -> Self {
        let (places, figures) = (Semaphore::new(AT_A_TIME), Figures::default());
        Self { storage, store, fences, key, places, figures }
    }

    /// Whether a file may come. The time is in seconds since 1970-01-01 UTC.
    ///
    /// # Errors
    /// It may not.
    pub async fn admit(&self, put: Put<'_>, now: u64) -> Result<Admitted, Refusal> {
        let admitted = self.judge(put, now).await;
        admitted.inspect_err(|refusal| self.count(*refusal))
    }

    async fn judge(&self, put: Put<'_>, now: u64) -> Result<Admitted, Refusal> {
        if !self.key.fits(put.key, (put.id, put.name, put.account)) {
            return Err(Refusal::Key);
        }
        let account = BareJid::parse(put.account).map_err(|_| Refusal::Key)?;
        let fence = (self.fences)(&account).ok_or(Refusal::Failed)?;
        let row = self.store.get(fence, SlotRow::key(&account, put.id)).await;
        let row = row.map_err(|error| failed(&error))?.ok_or(Refusal::Unknown)?;
        let row = SlotRow::read(row).map_err(|error| failed(&error))?;
        match () {
            () if row.kept => Err(Refusal::Used),
            () if !row.may_begin(now) || put.id.is_over(now) => Err(Refusal::Over),
            () if row.size != put.size => Err(Refusal::Size),
            () if !is_type(&row.content_type, put.content_type) => Err(Refusal::Type),
            () => Ok(Admitted { account, id: put.id, row }),
        }
    }

    /// Takes a file; when this answers, it is kept and anybody may have it.
    ///
    /// # Errors
    /// It was not taken, and nothing of it is left.
    pub async fn take(&self, admitted: Admitted, bytes: Incoming) -> Result<(), Refusal> {
        let taken = self.keep(admitted, bytes).await;
        taken.inspect_err(|refusal| self.count(*refusal))
    }

    async fn keep(&self, admitted: Admitted, bytes: Incoming) -> Result<(), Refusal> {
        let Admitted { account, id, row } = admitted;
        let _place = self.places.try_acquire().map_err(|_: TryAcquireError| Refusal::Busy)?;
        let content_type = match row.content_type.as_str() {
            "" => UNKNOWN.to_owned(),
            said => said.to_owned(),
        };
        let meta = Meta { size: row.size, content_type };
        let within = Duration::from_secs(slot::take_within(row.size));
        match timeout(within, self.storage.put(id, meta, bytes)).await {
            Ok(kept) => kept.map_err(|error| refusal(&error))?,
            Err(_) => return Err(Refusal::Short),
        }
        let size = row.size;
        if let Err(error) = self.note(&account, id, row).await {
            // Nobody would count it.
            if let Err(error) = self.storage.remove(id).await {
                tracing::error!(%error, id = %id, "a file that nobody counts is left");
            }
            return Err(error);
        }
        self.figures.kept.add_one();
        self.figures.bytes_in.add(size);
        Ok(())
    }

    /// From now on the file counts until its end.
    async fn note(&self, account: &BareJid, id: FileId, row: SlotRow) -> Result<(), Refusal> {
        let fence = (self.fences)(account).ok_or(Refusal::Failed)?;
        let row = SlotRow { kept: true, ..row };
        let batch = Batch::new(fence).with(row.put(account, id));
        match self.store.commit(vec![batch]).await.pop() {
            Some(Ok(())) => Ok(()),
            Some(Err(store::Error::Full(_))) => Err(Refusal::Full),
            Some(Err(error)) => Err(failed(&error)),
            None => Err(Refusal::Failed),
        }
    }

    /// What is known of a file that somebody asks for; none: there is none at this time, in seconds since 1970-01-01 UTC.
    ///
    /// # Errors
    /// The storage failed.
    pub async fn find(&self, id: FileId, now: u64) -> Result<Option<Meta>, storage::Error> {
        if id.is_over(now) {
            return Ok(None);
        }
        self.storage.meta(id).await
    }

    /// So many bytes of a file, from a place in it on.
    ///
    /// # Errors
    /// The storage failed.
    pub async fn read(
        &self,
        id: FileId,
        first: u64,
        count: u64,
    ) -> Result<Outgoing, storage::Error> {
        let bytes = self.storage.read(id, first, count).await?;
        self.figures.bytes_out.add(count);
        Ok(bytes)
    }

    /// Removes what has ended.
    ///
    /// # Errors
    /// The storage failed.
    pub async fn sweep(&self, now: u64) -> Result<usize, storage::Error> {
        let count = self.storage.sweep(now).await?;
        self.figures.ended.add(count as u64);
        Ok(count)
    }

    /// Removes all files of an account, as far as its rows name them. Who has their addresses has them no more.
    ///
    /// # Errors
    /// The storage or the store failed: what is left ends by itself.
    pub async fn forget(&self, account: &BareJid) -> Result<usize, Refusal> {
        let (mut count, mut after) = (0, None);
        loop {
            let fence = (self.fences)(account).ok_or(Refusal::Failed)?;
            let page =
                self.store.scan(fence, account.clone(), Kind::Upload, after.take(), PAGE).await;
            let page = page.map_err(|error| failed(&error))?;
            for row in &page {
                let id = str::from_utf8(&row.item).ok().and_then(FileId::parse);
                let Some(id) = id else { continue };
                self.storage.remove(id).await.map_err(|error| refusal(&error))?;
                count += 1;
            }
            after = page.last().map(|row| row.item.clone());
            if page.len() < PAGE {
                return Ok(count);
            }
        }
    }

    fn count(&self, refusal: Refusal) {
        self.figures.refused.at(refusal as usize).add_one();
    }
}

fn refusal(error: &storage::Error) -> Refusal {
    match error {
        storage::Error::Taken => Refusal::Used,
        storage::Error::Short => Refusal::Short,
        storage::Error::Full => {
            tracing::error!(%error, "a file was not taken");
            Refusal::Full
        }
        storage::Error::Failed { .. } => failed(error),
    }
}

fn failed(error: &dyn std::fmt::Display) -> Refusal {
    tracing::warn!(%error, "a file was not taken");
    Refusal::Failed
}

/// §7: where a type was asked for, and one is said, they are the same; parameters aside.
fn is_type(wanted: &str, said: Option<&str>) -> bool {
    let essence =
        |text: &str| text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    wanted.is_empty() || said.is_none_or(|said| essence(said) == essence(wanted))
}

#[cfg(test)]
mod tests;
