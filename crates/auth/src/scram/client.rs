//! The client's part of SCRAM (RFC 5802 §3, §5): for tests, the scripted clients and the load
//! generator.

use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::hash::{Hash, xor};
use super::keys;
use super::message::{ServerFirst, escape, parse_server_final};
use crate::{ChannelBinding, Failure, encoding, saslprep};

/// The iterations beyond which a client gives up instead of computing for minutes.
pub const MAX_ITERATIONS: u32 = 10_000_000;

/// How the client stands to channel binding (RFC 5802 §6).
#[derive(Clone, Debug)]
pub enum ClientBinding {
    /// It cannot bind (`n`).
    Unsupported,
    /// It could, but saw no -PLUS mechanism (`y`).
    Unoffered,
    /// It binds (`p=`); for the -PLUS mechanisms.
    Used(ChannelBinding),
}

impl ClientBinding {
    fn flag(&self) -> String {
        match self {
            Self::Unsupported => "n".to_owned(),
            Self::Unoffered => "y".to_owned(),
            Self::Used(channel) => format!("p={}", channel.name()),
        }
    }

    fn data(&self) -> &[u8] {
        match self {
            Self::Unsupported | Self::Unoffered => &[],
            Self::Used(channel) => channel.data(),
        }
    }
}

/// Why a client gave up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScramError {
    /// The user name or the password breaks SASLprep or is empty.
    #[error("user name or password cannot be prepared")]
    Unprepared,
    /// The server's message is malformed, or out of order.
    #[error("the server broke the protocol: {0}")]
    Malformed(Failure),
    /// The server's nonce does not continue the client's.
    #[error("the server answered with another nonce")]
    Nonce,
    /// The server asks for more than [`MAX_ITERATIONS`].
    #[error("the server asks for {0} iterations")]
    Iterations(u32),
    /// The lists that the client saw are not the ones that the server sent (XEP-0474 §6.2).
    #[error("the offer was changed on the way")]
    Downgraded,
    /// The server does not know the password's keys (RFC 5802 §5).
    #[error("the server could not prove itself")]
    Server,
}

/// What a client may keep in place of the password, to skip the slow part next time
/// (RFC 5802 §5.1 on `i`).
#[derive(Clone)]
pub struct ClientKeys {
    salt: Vec<u8>,
    iterations: u32,
    client_key: Zeroizing<Vec<u8>>,
    server_key: Zeroizing<Vec<u8>>,
}

/// One exchange, seen from the client.
pub struct ScramClient {
    hash: Hash,
    password: Zeroizing<String>,
    nonce: String,
    binding: ClientBinding,
    header: String,
    first_bare: String,
    expected_downgrade_hash: Option<String>,
    keys: Option<ClientKeys>,
    server_signature: Vec<u8>,
}

impl ScramClient {
    /// An exchange for this user. The nonce is random printable ASCII without commas.
    ///
    /// # Errors
    /// [`ScramError::Unprepared`].
    pub fn new(
        hash: Hash,
        username: &str,
        password: &str,
        nonce: &str,
        binding: ClientBinding,
    ) -> Result<Self, ScramError> {
        let username = saslprep::query(username).map_err(|_| ScramError::Unprepared)?;
        let password = saslprep::stored(password).map_err(|_| ScramError::Unprepared)?;
        if username.is_empty() || password.is_empty() {
            return Err(ScramError::Unprepared);
        }
        Ok(Self {
            hash,
            password: Zeroizing::new(password.into_owned()),
            nonce: nonce.to_owned(),
            header: format!("{},,", binding.flag()),
            binding,
            first_bare: format!("n={},r={nonce}", escape(&username)),
            expected_downgrade_hash: None,
            keys: None,
            server_signature: Vec::new(),
        })
    }

    /// Asks to act as `authzid`.
    #[must_use]
    pub fn with_authzid(mut self, authzid: &str) -> Self {
        self.header = format!("{},a={},", self.binding.flag(), escape(authzid));
        self
    }

    /// Uses keys kept from an earlier exchange, if salt and iterations are still the same.
    #[must_use]
    pub fn with_keys(mut self, keys: ClientKeys) -> Self {
        self.keys = Some(keys);
        self
    }

    /// Checks the server's `h=`, if it sends one, against this value, which
    /// [`crate::offer::downgrade_hash`] makes of the lists that the client saw.
    #[must_use]
    pub fn with_downgrade_hash(mut self, expected: String) -> Self {
        self.expected_downgrade_hash = Some(expected);
        self
    }

    /// The keys of this exchange, once the server has named salt and iterations.
    #[must_use]
    pub fn keys(&self) -> Option<&ClientKeys> {
        self.keys.as_ref()
    }

    /// The client-first-message.
    #[must_use]
    pub fn first(&self) -> Vec<u8> {
        format!("{}{}", self.header, self.first_bare).into_bytes()
    }

    /// The client-final-message for this server-first-message. Slow unless keys were given.
    ///
    /// # Errors
    /// Any [`ScramError`] but [`ScramError::Server`].
    pub fn answer(&mut self, server_first: &[u8]) -> Result<Vec<u8>, ScramError> {
        let first = ServerFirst::parse(server_first).map_err(ScramError::Malformed)?;
        self.check(&first)?;
        let keys = self.keys.take().filter(|keys| keys.fit(&first));
        let keys = keys.unwrap_or_else(|| ClientKeys::derive(self.hash, &self.password, &first));

        let binding = [self.header.as_bytes(), self.binding.data()].concat();
        let without_proof = format!("c={},r={}", encoding::encode(&binding), first.nonce);
        let auth_message: [&[u8]; 5] =
            [self.first_bare.as_bytes(), b",", server_first, b",", without_proof.as_bytes()];
        let stored_key = self.hash.digest(&keys.client_key);
        let client_signature = self.hash.hmac(&stored_key, &auth_message);
        let proof = xor(&keys.client_key, &client_signature);
        self.server_signature = self.hash.hmac(&keys.server_key, &auth_message);
        self.keys = Some(keys);
        Ok(format!("{without_proof},p={}", encoding::encode(&proof)).into_bytes())
    }

    /// Checks that the server knows the keys too. Without this the log-in proves nothing.
    ///
    /// # Errors
    /// [`ScramError::Server`] or [`ScramError::Malformed`].
    pub fn verify(&self, server_final: &[u8]) -> Result<(), ScramError> {
        let signature = parse_server_final(server_final).map_err(ScramError::Malformed)?;
        let proved: bool = signature.ct_eq(&self.server_signature).into();
        if proved { Ok(()) } else { Err(ScramError::Server) }
    }

    fn check(&self, first: &ServerFirst<'_>) -> Result<(), ScramError> {
        let server_nonce = first.nonce.strip_prefix(self.nonce.as_str());
        if server_nonce.is_none_or(str::is_empty) {
            return Err(ScramError::Nonce);
        }
        if first.iterations > MAX_ITERATIONS {
            return Err(ScramError::Iterations(first.iterations));
        }
        match (first.downgrade_hash, &self.expected_downgrade_hash) {
            (Some(sent), Some(expected)) if sent != expected => Err(ScramError::Downgraded),
            _ => Ok(()),
        }
    }
}

impl ClientKeys {
    fn derive(hash: Hash, password: &str, first: &ServerFirst<'_>) -> Self {
        let salted = hash.salted_password(password, &first.salt, first.iterations);
        Self {
            salt: first.salt.clone(),
            iterations: first.iterations,
            client_key: keys::client_key(hash, &salted),
            server_key: Zeroizing::new(keys::server_key(hash, &salted)),
        }
    }

    fn fit(&self, first: &ServerFirst<'_>) -> bool {
        self.salt == first.salt && self.iterations == first.iterations
    }
}

impl std::fmt::Debug for ScramClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ScramClient({:?})", self.hash)
    }
}

impl std::fmt::Debug for ClientKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ClientKeys({} iterations)", self.iterations)
    }
}
