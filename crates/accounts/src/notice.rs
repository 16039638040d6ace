//! Owns what a domain tells each of its people once: the message of the day, and a welcome (XEP-0133 §4.24 to §4.28).
//! They are rows of the domain. What an account has heard is a row of the account's.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use store::{Batch, Key, Kind, Write};
use xmpp::BareJid;

use crate::accounts::{AccountError, Accounts};
use crate::claim::commit;

/// When something is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occasion {
    /// When somebody comes.
    Day,
    /// When somebody who has registered comes for the first time.
    Welcome,
}

/// What is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// The words.
    pub text: String,
    /// Which one: who has heard it does not hear it again, also when its words were corrected.
    pub number: u64,
}

/// All that a domain tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notices {
    /// The message of the day.
    pub day: Option<Notice>,
    /// The welcome.
    pub welcome: Option<Notice>,
}

/// More bytes are no message of a day.
pub const TEXT_MOST: usize = 8_192;
/// The name of the row of [`Kind::Setting`] that marks an account as new.
pub const NEWCOMER: &str = "newcomer";

impl Occasion {
    fn item(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Welcome => "welcome",
        }
    }
}

impl Accounts {
    /// What is told from now on; none: nothing. With the number of the one before, its words are corrected.
    ///
    /// # Errors
    /// The store fails.
    pub async fn announce(
        &self,
        domain: &BareJid,
        occasion: Occasion,
        notice: Option<&Notice>,
    ) -> Result<(), AccountError> {
        let key = key(domain, occasion);
        let write = match notice {
            Some(notice) => Write::Put(key, serde_json::to_vec(notice).unwrap_or_default().into()),
            None => Write::Delete(key),
        };
        commit(&self.store, Batch::new(self.fence(domain)?).with(write)).await?;
        self.notice_cache.forget(domain);
        Ok(())
    }

    /// What a domain tells.
    ///
    /// # Errors
    /// The store fails.
    pub async fn notices(&self, domain: &BareJid) -> Result<Notices, AccountError> {
        let read = async |occasion| -> Result<Option<Notice>, AccountError> {
            let row = self.store.get(self.fence(domain)?, key(domain, occasion)).await?;
            Ok(row.and_then(|row| serde_json::from_slice(&row).ok()))
        };
        Ok(Notices { day: read(Occasion::Day).await?, welcome: read(Occasion::Welcome).await? })
    }
}

/// The row by which whoever has registered is told a welcome when they come first.
pub(crate) fn newcomer(jid: &BareJid) -> Write {
    Write::Put(Key::new(jid.clone(), Kind::Setting, NEWCOMER), bytes::Bytes::new())
}

fn key(domain: &BareJid, occasion: Occasion) -> Key {
    Key::new(domain.clone(), Kind::Notice, occasion.item())
}

/// What was read lately: people come often, and what a domain tells changes seldom.
#[derive(Debug, Default)]
pub struct NoticeCache(Mutex<HashMap<BareJid, (u64, Notices)>>);

/// How long what was read is believed, in microseconds: so long it may take until other members see a change.
const BELIEVED: u64 = 2_000_000;

impl NoticeCache {
    /// What a domain told a moment ago; none: nobody has looked lately. `now` in microseconds, by the calendar.
    pub fn lately(&self, domain: &BareJid, now: u64) -> Option<Notices> {
        let notice_cache = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (read, notices) = notice_cache.get(domain)?;
        (now.abs_diff(*read) < BELIEVED).then(|| notices.clone())
    }

    fn forget(&self, domain: &BareJid) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(domain);
    }

    /// Somebody has looked.
    pub fn learn(&self, domain: BareJid, now: u64, notices: Notices) {
        let mut notice_cache = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        notice_cache.insert(domain, (now, notices));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accounts::tests::accounts;

    #[tokio::test]
    async fn what_is_announced_is_told_until_it_is_taken_back() {
        let accounts = accounts();
        let domain = BareJid::parse("capulet.example").unwrap();
        assert_eq!(accounts.notices(&domain).await.unwrap(), Notices::default());
        let day = Notice { text: "a feast".to_owned(), number: 7 };
        accounts.announce(&domain, Occasion::Day, Some(&day)).await.unwrap();
        let told = Notices { day: Some(day), welcome: None };
        assert_eq!(accounts.notices(&domain).await.unwrap(), told);
        accounts.announce(&domain, Occasion::Day, None).await.unwrap();
        assert_eq!(accounts.notices(&domain).await.unwrap(), Notices::default());
    }

    #[test]
    fn what_was_read_is_believed_for_a_moment() {
        let (notice_cache, domain) =
            (NoticeCache::default(), BareJid::parse("capulet.example").unwrap());
        assert_eq!(notice_cache.lately(&domain, 0), None);
        notice_cache.learn(domain.clone(), 1_000, Notices::default());
        assert_eq!(notice_cache.lately(&domain, BELIEVED), Some(Notices::default()));
        assert_eq!(notice_cache.lately(&domain, 1_000 + BELIEVED), None);
    }
}
