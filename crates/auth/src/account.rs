//! What is stored of an account: whether it may be used, and its credentials. The stored form is a version
//! octet, an octet of flags, then the credentials as [`crate::stored`] writes them. Whoever needs to
//! know only whether an account may be used asks [`Account::is_enabled`] and reads no credentials.

use crate::Credentials;
use crate::stored::DecodeError;

const VERSION: u8 = 1;
const DISABLED: u8 = 1;
const LEAVING: u8 = 2;

/// An account as it is stored; Debug prints no secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// False: nobody can log in, and nothing is delivered, but nothing is lost.
    pub enabled: bool,
    /// It is being removed: nobody can log in, and what is kept of it goes.
    pub leaving: bool,
    /// What a password is checked against.
    pub credentials: Credentials,
}

/// Why stored octets are no account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AccountError {
    /// The octets end before the credentials.
    #[error("account is cut off")]
    Truncated,
    /// They were written by a later version, or are no account.
    #[error("version {0} of account is unknown")]
    Version(u8),
    /// A flag that means nothing here.
    #[error("account has unknown flags {0:#04x}")]
    Flags(u8),
    /// The credentials are wrong.
    #[error("account has no readable credentials")]
    Credentials(#[source] DecodeError),
}

impl Account {
    /// An account that may be used.
    #[must_use]
    pub fn new(credentials: Credentials) -> Self {
        Self { enabled: true, leaving: false, credentials }
    }

    /// Whether somebody may log in.
    #[must_use]
    pub fn may_be_used(&self) -> bool {
        self.enabled && !self.leaving
    }

    /// The octets to store.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let disabled = if self.enabled { 0 } else { DISABLED };
        let flags = disabled | if self.leaving { LEAVING } else { 0 };
        [&[VERSION, flags], &self.credentials.encode()[..]].concat()
    }

    /// Reads what [`Account::encode`] wrote.
    ///
    /// # Errors
    /// [`AccountError`] for anything else.
    pub fn decode(octets: &[u8]) -> Result<Self, AccountError> {
        let (flags, credentials) = split(octets)?;
        let credentials = Credentials::decode(credentials).map_err(AccountError::Credentials)?;
        let (enabled, leaving) = (flags & DISABLED == 0, flags & LEAVING != 0);
        Ok(Self { enabled, leaving, credentials })
    }

    /// Whether a stored account may be used, its credentials unread.
    ///
    /// # Errors
    /// [`AccountError`] where the octets are no account.
    pub fn is_enabled(octets: &[u8]) -> Result<bool, AccountError> {
        split(octets).map(|(flags, _)| flags == 0)
    }

    /// A stored account, marked as one that is being removed.
    ///
    /// # Errors
    /// [`AccountError`] where the octets are no account.
    pub fn mark_leaving(octets: &[u8]) -> Result<Vec<u8>, AccountError> {
        let (flags, credentials) = split(octets)?;
        Ok([&[VERSION, flags | LEAVING], credentials].concat())
    }

    /// Whether a stored account is being removed, its credentials unread.
    ///
    /// # Errors
    /// [`AccountError`] where the octets are no account.
    pub fn is_leaving(octets: &[u8]) -> Result<bool, AccountError> {
        split(octets).map(|(flags, _)| flags & LEAVING != 0)
    }
}

fn split(octets: &[u8]) -> Result<(u8, &[u8]), AccountError> {
    let (&[version, flags], credentials) =
        octets.split_first_chunk().ok_or(AccountError::Truncated)?;
    match (version, flags) {
        (VERSION, flags) if flags & !(DISABLED | LEAVING) != 0 => Err(AccountError::Flags(flags)),
        (VERSION, flags) => Ok((flags, credentials)),
        (version, _) => Err(AccountError::Version(version)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(enabled: bool, leaving: bool) -> Account {
        let credentials = Credentials::decoy(b"secret", "romeo", 10_000);
        Account { enabled, leaving, credentials }
    }

    #[test]
    fn what_is_written_is_read_again() {
        for (enabled, leaving) in [(true, false), (false, false), (true, true), (false, true)] {
            let account = account(enabled, leaving);
            let octets = account.encode();
            assert_eq!(Account::decode(&octets), Ok(account.clone()));
            assert_eq!(Account::is_enabled(&octets), Ok(account.may_be_used()));
            assert_eq!(Account::is_leaving(&octets), Ok(leaving));
            let marked = Account::mark_leaving(&octets).unwrap();
            assert_eq!(Account::decode(&marked), Ok(Account { leaving: true, ..account }));
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let octets = account(true, false).encode();
        assert_eq!(Account::decode(&[1]), Err(AccountError::Truncated));
        let cut = Account::decode(&octets[..octets.len() - 1]);
        assert_eq!(cut, Err(AccountError::Credentials(DecodeError::Truncated)));
        let altered = |at: usize, octet: u8| {
            let mut octets = octets.clone();
            octets[at] = octet;
            Account::is_enabled(&octets)
        };
        assert_eq!(altered(0, 2), Err(AccountError::Version(2)));
        assert_eq!(altered(1, 4), Err(AccountError::Flags(4)));
    }
}
