//! Owns invitations (XEP-0379, XEP-0401, XEP-0445): made, found, used up and forgotten. Their tokens are told to
//! who makes them and kept nowhere: rows are named by a hash, so that who reads the store can use none.

use data_encoding::HEXLOWER;
use meter::clock::unix_seconds;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use store::{Batch, Key, Kind, Row, Write};
use xmpp::BareJid;

use crate::accounts::{AccountError, Accounts};
use crate::claim::{Claim, Name, commit};

/// An invitation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invitation {
    /// The domain that it is for.
    pub domain: String,
    /// Who invites; none: an operator.
    pub inviter: Option<String>,
    /// It is for an account first of all (XEP-0401 §5.4), not for a contact (§5.1).
    pub account: bool,
    /// The name that a new account must have.
    pub name: Option<String>,
    /// Whether whoever uses it becomes a contact of who invites.
    pub befriends: bool,
    /// Whether it lets make an account (XEP-0445).
    pub registers: bool,
    /// How often it can be used.
    pub uses: u32,
    /// Since when, in seconds since 1970-01-01 UTC.
    pub created: u64,
    /// Until when.
    pub expires: u64,
}

/// An invitation as it is listed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvitationRow {
    /// By what it is named, which lets nobody use it.
    pub id: String,
    /// What it says.
    #[serde(flatten)]
    pub invitation: Invitation,
    /// How often it was used.
    pub used: u32,
}

impl Invitation {
    /// What a client opens (RFC 5122; XEP-0379 §3.2, XEP-0401 §5.1, §5.4).
    #[must_use]
    pub fn uri(&self, token: &str) -> String {
        let ibr = if self.registers { ";ibr=y" } else { "" };
        match (&self.inviter, &self.name) {
            (Some(inviter), _) if !self.account => {
                format!("xmpp:{}?roster;preauth={token}{ibr}", written(inviter))
            }
            (_, Some(name)) => {
                let jid = format!("{name}@{}", self.domain);
                format!("xmpp:{}?register;preauth={token}", written(&jid))
            }
            (_, None) => format!("xmpp:{}?register;preauth={token}", written(&self.domain)),
        }
    }
}

/// An address as it stands in a URI (RFC 5122 §2.7): octets that may not are written in hexadecimal.
fn written(jid: &str) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~@!$*+,=".contains(byte);
    jid.bytes()
        .map(|byte| match plain(&byte) {
            true => char::from(byte).to_string(),
            false => format!("%{byte:02X}"),
        })
        .collect()
}

/// Why there is no invitation to be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InviteError {
    /// Too many are open.
    #[error("too many invitations are open: {0}; remove some, or wait until they expire")]
    TooMany(usize),
    /// There is none of this id.
    #[error("there is no invitation {0}")]
    Missing(String),
    /// The name is taken.
    #[error("{0} exists already, or is promised to somebody")]
    Taken(BareJid),
    /// The account's side of it.
    #[error(transparent)]
    Account(#[from] AccountError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// Open invitations of a domain.
pub const OPEN_MOST: usize = 10_000;
/// Of one who invites.
pub const OPEN_MOST_OF_ONE: usize = 50;
/// The most uses of one.
pub const USES_MOST: u32 = 1_000;

/// 128 bits in base 32: letters and digits that stand in a URI as they are (XEP-0379 §5.1).
const TOKEN_BYTES: usize = 16;
const TOKEN_LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
/// Longer ones are not ours.
const TOKEN_LENGTH: usize = 26;
const HASH_BYTES: usize = 32;
const PAGE: usize = 500;

impl Accounts {
    /// Keeps an invitation, and says its token.
    ///
    /// # Errors
    /// Too many are open, or its name is taken.
    pub async fn invite(&self, invitation: &Invitation) -> Result<String, InviteError> {
        let domain = self.domain(&invitation.domain)?;
        let open = self.invitations(&domain).await?;
        let own = open.iter().filter(|it| it.invitation.inviter == invitation.inviter).count();
        let most_of_one = if invitation.inviter.is_some() { OPEN_MOST_OF_ONE } else { OPEN_MOST };
        if open.len() >= OPEN_MOST || own >= most_of_one {
            return Err(InviteError::TooMany(own));
        }
        let token = random_token().ok_or(AccountError::Password)?;
        let hash = hash(&token);
        if let Some(name) = &invitation.name {
            self.promise(&self.address(&format!("{name}@{domain}"))?, &hash, invitation).await?;
        }
        let row = serde_json::to_vec(invitation).unwrap_or_default();
        let write = Write::Put(key(&domain, &hash), row.into());
        commit(&self.store, Batch::new(self.fence(&domain)?).with(write)).await?;
        Ok(token)
    }

    /// The invitation of a token, if it can be used now.
    ///
    /// # Errors
    /// The store fails.
    pub async fn invitation(
        &self,
        domain: &BareJid,
        token: &str,
    ) -> Result<Option<Invitation>, InviteError> {
        let Some(invitation) = self.known(domain, token).await? else { return Ok(None) };
        let fence = self.fence(domain)?;
        let places = invitation.uses as usize;
        let now = unix_seconds();
        let taken = places_of(domain, token).taken(&self.store, fence, places, now).await?;
        Ok(Some(invitation).filter(|it| it.expires > now && taken < places))
    }

    /// Takes one use of an invitation, whenever it expires; none: it is used up.
    ///
    /// # Errors
    /// The store fails.
    pub async fn use_invitation(
        &self,
        domain: &BareJid,
        token: &str,
    ) -> Result<Option<Claim>, InviteError> {
        let Some(invitation) = self.known(domain, token).await? else { return Ok(None) };
        let (fence, uses) = (self.fence(domain)?, invitation.uses as usize);
        Ok(places_of(domain, token).take(&self.store, fence, uses, unix_seconds()).await?)
    }

    /// Keeps what became of a use.
    ///
    /// # Errors
    /// The store fails.
    pub async fn settle_use(&self, domain: &BareJid, write: Write) -> Result<(), InviteError> {
        Ok(commit(&self.store, Batch::new(self.fence(domain)?).with(write)).await?)
    }

    /// Whether a name is promised to whoever has another invitation than this.
    ///
    /// # Errors
    /// The store fails.
    pub async fn is_promised(
        &self,
        jid: &BareJid,
        token: Option<&str>,
    ) -> Result<bool, InviteError> {
        let Some(row) = self.store.get(self.fence(jid)?, key(jid, &[])).await? else {
            return Ok(false);
        };
        let Some((expires, of)) = row.split_first_chunk() else { return Ok(false) };
        let is_own = token.is_some_and(|token| of == &hash(token)[..]);
        Ok(!is_own && u64::from_be_bytes(*expires) > unix_seconds())
    }

    /// The invitations of a domain that can be used, the used uses counted. Those that have expired go.
    ///
    /// # Errors
    /// The store fails.
    pub async fn invitations(&self, domain: &BareJid) -> Result<Vec<InvitationRow>, InviteError> {
        let (fence, now) = (self.fence(domain)?, unix_seconds());
        let (mut listed, mut after): (Vec<InvitationRow>, Option<bytes::Bytes>) =
            (Vec::new(), None);
        let mut old = Batch::new(fence);
        loop {
            let rows =
                self.store.scan(fence, domain.clone(), Kind::Invitation, after, PAGE).await?;
            let last = rows.len() < PAGE;
            after = rows.last().map(|row| row.item.clone());
            for row in rows {
                if !take_in(&mut listed, &row, now) {
                    let key = Key::new(domain.clone(), Kind::Invitation, row.item);
                    old.writes.push(Write::Delete(key));
                }
            }
            if last {
                break;
            }
        }
        if !old.writes.is_empty() {
            commit(&self.store, old).await?;
        }
        listed.retain(|it| it.used < it.invitation.uses);
        Ok(listed)
    }

    /// Removes an invitation.
    ///
    /// # Errors
    /// There is none of this id.
    pub async fn revoke(&self, domain: &BareJid, id: &str) -> Result<Invitation, InviteError> {
        let rows = self.invitations(domain).await?;
        let row = rows.into_iter().find(|row| row.id == id);
        let row = row.ok_or_else(|| InviteError::Missing(id.to_owned()))?;
        let hash = HEXLOWER.decode(id.as_bytes());
        let hash = hash.map_err(|_| InviteError::Missing(id.to_owned()))?;
        let fence = self.fence(domain)?;
        let first = Write::Delete(key(domain, &hash));
        commit(&self.store, Batch::new(fence).with(first)).await?;
        if let Some(name) = &row.invitation.name {
            let jid = self.address(&format!("{name}@{domain}"))?;
            let promise = Write::Delete(key(&jid, &[]));
            commit(&self.store, Batch::new(self.fence(&jid)?).with(promise)).await?;
        }
        Ok(row.invitation)
    }

    /// A served domain of this name.
    ///
    /// # Errors
    /// No such domain is served.
    pub fn domain(&self, name: &str) -> Result<BareJid, AccountError> {
        let served = self.hosts.domains();
        let known = served.iter().find(|domain| domain.as_str() == name).cloned();
        known.ok_or_else(|| {
            let served: Vec<&str> = served.iter().map(|it| it.as_str()).collect();
            AccountError::Domain(name.to_owned(), served.join(", "))
        })
    }

    async fn known(
        &self,
        domain: &BareJid,
        token: &str,
    ) -> Result<Option<Invitation>, InviteError> {
        if token.len() != TOKEN_LENGTH {
            return Ok(None);
        }
        let row = self.store.get(self.fence(domain)?, key(domain, &hash(token))).await?;
        Ok(row.and_then(|row| serde_json::from_slice(&row).ok()))
    }

    /// XEP-0445 §5: nobody else gets the name before the invitation has expired.
    async fn promise(
        &self,
        jid: &BareJid,
        hash: &[u8],
        invitation: &Invitation,
    ) -> Result<(), InviteError> {
        let is_there = self.is_enabled(jid).await;
        if !matches!(is_there, Err(AccountError::Missing(_))) || self.is_promised(jid, None).await?
        {
            return Err(InviteError::Taken(jid.clone()));
        }
        let value = [&invitation.expires.to_be_bytes()[..], hash].concat();
        let write = Write::Put(key(jid, &[]), value.into());
        Ok(commit(&self.store, Batch::new(self.fence(jid)?).with(write)).await?)
    }
}

/// Counts a row in; false: it is of no use any more. Uses follow the row of their invitation.
fn take_in(listed: &mut Vec<InvitationRow>, row: &Row, now: u64) -> bool {
    let Some((hash, claim)) = row.item.split_at_checked(HASH_BYTES) else { return false };
    let id = HEXLOWER.encode(hash);
    if !claim.is_empty() {
        let Some(of) = listed.last_mut().filter(|it| it.id == id) else { return false };
        of.used += 1;
        return true;
    }
    let Ok(invitation) = serde_json::from_slice::<Invitation>(&row.value) else { return false };
    if invitation.expires <= now {
        return false;
    }
    listed.push(InvitationRow { id, invitation, used: 0 });
    true
}

fn places_of(domain: &BareJid, token: &str) -> Name {
    Name { owner: domain.clone(), kind: Kind::Invitation, prefix: hash(token) }
}

fn key(owner: &BareJid, hash: &[u8]) -> Key {
    Key::new(owner.clone(), Kind::Invitation, hash.to_vec())
}

fn hash(token: &str) -> Vec<u8> {
    Sha256::digest(token.as_bytes()).to_vec()
}

fn random_token() -> Option<String> {
    let mut bytes = [0; TOKEN_BYTES];
    getrandom::fill(&mut bytes).ok()?;
    let (mut bits, mut held, mut token) = (0_u32, 0_u32, String::new());
    for byte in bytes {
        (bits, held) = (bits << 8 | u32::from(byte), held + 8);
        while held >= 5 {
            held -= 5;
            token.push(letter(bits >> held));
        }
    }
    token.push(letter(bits << (5 - held)));
    Some(token)
}

fn letter(bits: u32) -> char {
    char::from(TOKEN_LETTERS[(bits & 31) as usize])
}

#[cfg(test)]
mod tests;
