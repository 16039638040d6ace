//! The one password of all accounts, and the SCRAM keys that were derived from it.
//!
//! A storm of log-ins must not measure its own key derivation: keys are kept for each account, and
//! the last ones are tried for a new account, since servers may be filled with one salt for all.

use auth::scram::{ClientBinding, ClientKeys, Hash, ScramClient, ScramError};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use std::collections::HashMap;

/// A password and what was derived from it.
#[derive(Debug)]
pub struct Keys {
    password: String,
    derived: HashMap<String, ClientKeys>,
    last: Option<ClientKeys>,
}

impl Keys {
    /// No keys yet for this password.
    pub fn new(password: &str) -> Keys {
        Keys { password: password.to_owned(), derived: HashMap::new(), last: None }
    }

    /// The initial response of PLAIN (RFC 4616) for `user`, in base64.
    pub fn plain(&self, user: &str) -> String {
        BASE64.encode(format!("\0{user}\0{}", self.password))
    }

    /// An exchange for `user`, a localpart; the client claims no channel binding.
    ///
    /// # Errors
    /// [`ScramError::Unprepared`] if user or password are no fit strings.
    pub fn start(&self, hash: Hash, user: &str) -> Result<ScramClient, ScramError> {
        let binding = ClientBinding::Unsupported;
        let exchange = ScramClient::new(hash, user, &self.password, &nonce(), binding)?;
        let known = self.derived.get(user).or(self.last.as_ref());
        Ok(match known {
            Some(keys) => exchange.with_keys(keys.clone()),
            None => exchange,
        })
    }

    /// Keeps what an exchange of `user` has derived.
    pub fn keep(&mut self, user: &str, exchange: &ScramClient) {
        if let Some(keys) = exchange.keys().filter(|_| !self.derived.contains_key(user)) {
            self.last = Some(keys.clone());
            self.derived.insert(user.to_owned(), keys.clone());
        }
    }
}

/// A nonce of 96 random bits.
fn nonce() -> String {
    let mut bytes = [0; 12];
    getrandom::fill(&mut bytes).expect("the system has random bytes");
    BASE64.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The server's first message to an exchange, with its nonce continued.
    fn first(exchange: &ScramClient, salt: &str) -> Vec<u8> {
        let message = String::from_utf8(exchange.first()).unwrap();
        let nonce = message.rsplit_once("r=").unwrap().1;
        format!("r={nonce}more,s={salt},i=4096").into_bytes()
    }

    #[test]
    fn keys_are_kept_by_account_and_serve_others_with_the_same_salt() {
        let mut keys = Keys::new("pencil");
        let mut one = keys.start(Hash::Sha1, "load1").unwrap();
        assert!(one.keys().is_none(), "nothing is known before the first exchange");
        one.answer(&first(&one, "QSXCR+Q6sek8bf92")).unwrap();
        keys.keep("load1", &one);
        let mut two = keys.start(Hash::Sha1, "load2").unwrap();
        assert!(two.keys().is_some(), "the last keys are tried");
        two.answer(&first(&two, "W22ZaJ0SNY7soEsUEjb6gQ==")).unwrap();
        keys.keep("load2", &two);
        assert_eq!(keys.derived.len(), 2);
    }

    #[test]
    fn plain_names_no_other_identity() {
        assert_eq!(Keys::new("secret").plain("load1"), "AGxvYWQxAHNlY3JldA==");
    }
}
