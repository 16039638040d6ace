//! The server's part of one SCRAM exchange (RFC 5802 §3, §5, §6). Each state is a type that the
//! next message consumes, so a message out of order cannot even be asked for.
//!
//! Nothing here knows who may be whom: the caller judges the user name and the authzid before it
//! goes on.

use super::hash::Hash;
use super::keys::Keys;
use super::message::{ClientFinal, ClientFirst, Flag};
use crate::identity::Claim;
use crate::offer::Offer;
use crate::{Failure, encoding};

/// An exchange of which nothing is known yet but the mechanism.
#[derive(Debug)]
pub(crate) struct ScramServer {
    pub(crate) hash: Hash,
    /// The client chose the -PLUS mechanism.
    pub(crate) plus: bool,
}

/// The client has named its user. Needs keys to go on.
#[derive(Debug)]
pub(crate) struct Named {
    hash: Hash,
    first: ClientFirst,
    /// The only `c=` that the client may send.
    binding: String,
    downgrade_hash: Option<String>,
}

/// The server has sent its challenge and waits for the proof.
#[derive(Debug)]
pub(crate) struct Challenged {
    first_bare: String,
    server_first: String,
    nonce: String,
    binding: String,
    keys: Keys,
}

impl ScramServer {
    /// Reads the client-first-message under what was offered.
    ///
    /// # Errors
    /// [`Failure::MalformedRequest`] for bad syntax, or a flag that does not fit the mechanism;
    /// [`Failure::InvalidAuthzid`]; [`Failure::NotAuthorized`] for a binding that is not offered
    /// and for a client that believes none is (a downgrade, RFC 5802 §6).
    pub(crate) fn client_first(self, message: &[u8], offer: &Offer) -> Result<Named, Failure> {
        let first = ClientFirst::parse(message)?;
        let mut binding = first.header.clone().into_bytes();
        match (&first.flag, self.plus) {
            (Flag::Used(name), true) => {
                let channel = offer.binding(name).ok_or(Failure::NotAuthorized)?;
                binding.extend_from_slice(channel.data());
            }
            (Flag::Unoffered, false) if !offer.bindings().is_empty() => {
                return Err(Failure::NotAuthorized);
            }
            (Flag::Unoffered | Flag::Unsupported, false) => {}
            _ => return Err(Failure::MalformedRequest),
        }
        let binding = encoding::encode(&binding);
        let downgrade_hash = offer.downgrade_hash(self.hash);
        Ok(Named { hash: self.hash, first, binding, downgrade_hash })
    }
}

impl Named {
    pub(crate) fn hash(&self) -> Hash {
        self.hash
    }

    /// Who the client says it is, still to be judged.
    pub(crate) fn claim(&self) -> Claim<'_> {
        Claim { authcid: &self.first.username, authzid: self.first.authzid.as_deref() }
    }

    /// Replaces the hash of the offer by that of a known exchange.
    #[cfg(test)]
    pub(super) fn with_downgrade_hash(mut self, hash: Option<String>) -> Self {
        self.downgrade_hash = hash;
        self
    }

    /// Makes the server-first-message out of the user's keys and the server's part of the nonce
    /// (printable ASCII without a comma).
    pub(crate) fn challenge(self, keys: Keys, server_nonce: &str) -> (Challenged, Vec<u8>) {
        let nonce = format!("{}{server_nonce}", self.first.nonce);
        let salt = encoding::encode(&keys.salt);
        let mut server_first = format!("r={nonce},s={salt},i={}", keys.iterations);
        if let Some(hash) = self.downgrade_hash {
            server_first.push_str(",h=");
            server_first.push_str(&hash);
        }
        let message = server_first.clone().into_bytes();
        let challenged = Challenged {
            first_bare: self.first.bare,
            server_first,
            nonce,
            binding: self.binding,
            keys,
        };
        (challenged, message)
    }
}

impl Challenged {
    /// Judges the client-final-message and makes the server-final-message.
    ///
    /// # Errors
    /// [`Failure::MalformedRequest`] for bad syntax; [`Failure::NotAuthorized`] for another nonce,
    /// other channel binding data, or a wrong proof.
    pub(crate) fn client_final(self, message: &[u8]) -> Result<Vec<u8>, Failure> {
        let last = ClientFinal::parse(message)?;
        let auth_message: [&[u8]; 5] = [
            self.first_bare.as_bytes(),
            b",",
            self.server_first.as_bytes(),
            b",",
            last.without_proof.as_bytes(),
        ];
        let proved = self.keys.accepts_proof(&last.proof, &auth_message);
        if !proved || last.nonce != self.nonce || last.binding != self.binding {
            return Err(Failure::NotAuthorized);
        }
        let signature = self.keys.server_signature(&auth_message);
        Ok(format!("v={}", encoding::encode(&signature)).into_bytes())
    }
}
