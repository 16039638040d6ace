//! Owns the directory of people who want to be found (XEP-0055): each entry is a row of its account, and goes with it.
//! Nobody is in it who has not said so.

use serde::{Deserialize, Serialize};
use store::{Batch, Key, Kind, Write};
use xmpp::BareJid;

use crate::accounts::{AccountError, Accounts};
use crate::claim::commit;

/// What others find of somebody.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The given name.
    pub first: String,
    /// The family name.
    pub last: String,
    /// The nickname.
    pub nick: String,
    /// The address of mail.
    pub email: String,
}

/// Most characters of one of them.
pub const WORD_MOST: usize = 128;
/// Entries that one search looks at: more people than this need a directory of their own.
const LOOKED_AT: usize = 10_000;
const PAGE: usize = 500;

/// What came of a search.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Who was found, by address.
    pub entries: Vec<(BareJid, Entry)>,
    /// There are more.
    pub more: bool,
}

impl Entry {
    /// Its words by their names (§2.1).
    #[must_use]
    pub fn words(&self) -> [(&'static str, &str); 4] {
        let Self { first, last, nick, email } = self;
        [("first", first), ("last", last), ("nick", nick), ("email", email)]
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.words().iter().all(|(_, word)| word.trim().is_empty())
    }

    /// Whether every word that is looked for stands at the beginning of its counterpart; letters alone count, large or
    /// small.
    #[must_use]
    pub fn answers(&self, wanted: &Self) -> bool {
        let plain = |word: &str| word.trim().to_lowercase();
        let pairs = self.words().into_iter().zip(wanted.words());
        pairs.into_iter().all(|((_, own), (_, wanted))| plain(own).starts_with(&plain(wanted)))
    }
}

impl Accounts {
    /// Lists an account in the directory, or takes it out.
    ///
    /// # Errors
    /// The store fails.
    pub async fn enter(&self, jid: &BareJid, entry: Option<&Entry>) -> Result<(), AccountError> {
        let key = Key::new(jid.clone(), Kind::Directory, "");
        let write = match entry {
            Some(entry) => Write::Put(key, serde_json::to_vec(entry).unwrap_or_default().into()),
            None => Write::Delete(key),
        };
        Ok(commit(&self.store, Batch::new(self.fence(jid)?).with(write)).await?)
    }

    /// What the directory has of an account.
    ///
    /// # Errors
    /// The store fails.
    pub async fn entered(&self, jid: &BareJid) -> Result<Option<Entry>, AccountError> {
        let key = Key::new(jid.clone(), Kind::Directory, "");
        let row = self.store.get(self.fence(jid)?, key).await?;
        Ok(row.and_then(|row| serde_json::from_slice(&row).ok()))
    }

    /// People of a domain who answer, at most so many.
    ///
    /// # Errors
    /// The store fails.
    pub async fn search(
        &self,
        domain: &BareJid,
        wanted: &Entry,
        most: usize,
    ) -> Result<Found, AccountError> {
        let (mut found, mut after, mut looked_at) = (Found::default(), None, 0);
        loop {
            let page = self.store.owners(Kind::Directory, after.take(), PAGE).await?;
            let is_last = page.len() < PAGE;
            looked_at += page.len();
            after = page.last().cloned();
            for jid in page.into_iter().filter(|jid| jid.domainpart() == domain.as_str()) {
                let Some(entry) = self.entered(&jid).await? else { continue };
                if !entry.answers(wanted) {
                    continue;
                }
                if found.entries.len() == most {
                    found.more = true;
                    return Ok(found);
                }
                found.entries.push((jid, entry));
            }
            if is_last || looked_at >= LOOKED_AT {
                found.more = !is_last;
                return Ok(found);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accounts::tests::accounts;

    fn entry(first: &str, last: &str) -> Entry {
        Entry { first: first.into(), last: last.into(), ..Entry::default() }
    }

    #[tokio::test]
    async fn only_who_has_said_so_is_found_by_the_beginnings_of_words() {
        let accounts = accounts();
        let jid = |name: &str| BareJid::parse(&format!("{name}@capulet.example")).unwrap();
        let domain = BareJid::parse("capulet.example").unwrap();
        accounts.enter(&jid("juliet"), Some(&entry("Juliet", "Capulet"))).await.unwrap();
        accounts.enter(&jid("tybalt"), Some(&entry("Tybalt", "Capulet"))).await.unwrap();
        let find =
            async |wanted: Entry, most| accounts.search(&domain, &wanted, most).await.unwrap();
        let both = find(entry("", "cap"), 10).await;
        assert_eq!((both.entries.len(), both.more), (2, false));
        assert_eq!(find(entry("jul", "CAPULET"), 10).await.entries[0].0, jid("juliet"));
        assert_eq!(find(entry("apulet", ""), 10).await, Found::default());
        assert!(find(entry("", "cap"), 1).await.more);
        accounts.enter(&jid("juliet"), None).await.unwrap();
        assert_eq!(find(entry("jul", ""), 10).await, Found::default());
    }
}
