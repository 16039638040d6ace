//! Tokens that a client logs in with instead of a password: the mechanisms HT-SHA-256-* (draft-schmaus-kitten-sasl-ht-09)
//! and what is kept of a token. A token follows from a secret of the server and from what is kept of it, so that who has
//! the kept part alone has no token; and from the account's credentials, so that a new password ends all of them.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use subtle::ConstantTimeEq as _;

use crate::identity::Claim;
use crate::scram::Hash;
use crate::{Credentials, Failure, Offer};

/// Random octets of a token.
pub const SALT_LEN: usize = 16;
/// The octets of the proof.
const PROOF_LEN: usize = 32;
/// The most octets of a user name (RFC 7622 §3.3, and a domain).
const MAX_NAME_BYTES: usize = 2047;
const VERSION: u8 = 1;

/// A mechanism of tokens: how it is tied to the TLS connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenMechanism {
    /// By exported keying material (RFC 9266).
    Exporter,
    /// By the server's certificate (RFC 5929 §4).
    EndPoint,
    /// Not at all.
    None,
}

/// What is kept of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Random octets.
    pub salt: [u8; SALT_LEN],
    /// The mechanism that it is good for, and no other.
    pub mechanism: TokenMechanism,
    /// When it was given, seconds since 1970-01-01 UTC.
    pub given: u64,
    /// When it ends, seconds since 1970-01-01 UTC.
    pub end: u64,
}

/// What is kept of the tokens of one client: the one that it uses, and a newer one that it may not have got.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Slots {
    /// Used last.
    pub current: Option<Kept>,
    /// Never used.
    pub new: Option<Kept>,
}

/// Whose token it is; makes tokens.
pub struct Owner<'a> {
    /// The secret of the server.
    pub secret: &'a [u8],
    /// The account's address.
    pub account: &'a str,
    /// The client, as it calls itself.
    pub device: &'a str,
    /// What the account's password is checked against; none where there is no such account.
    pub credentials: Option<&'a Credentials>,
}

/// What a client shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Attempt {
    /// The user name, prepared.
    pub username: String,
    proof: [u8; PROOF_LEN],
}

impl TokenMechanism {
    /// Every one, the strongest first.
    pub const ALL: [Self; 3] = [Self::Exporter, Self::EndPoint, Self::None];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Exporter => "HT-SHA-256-EXPR",
            Self::EndPoint => "HT-SHA-256-ENDP",
            Self::None => "HT-SHA-256-NONE",
        }
    }

    /// The mechanism of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mechanism| mechanism.name() == name)
    }

    /// Those that a stream with this offer has: none where there is no TLS (XEP-0484 §6).
    pub fn offered(offer: &Offer) -> impl Iterator<Item = Self> + '_ {
        Self::ALL.into_iter().filter(|mechanism| mechanism.binding(offer).is_some())
    }

    /// What both ends know of the connection.
    fn binding(self, offer: &Offer) -> Option<&[u8]> {
        let data = |name| offer.binding(name).map(crate::ChannelBinding::data);
        match self {
            Self::Exporter => data("tls-exporter"),
            Self::EndPoint => data("tls-server-end-point"),
            Self::None => offer.is_secure().then_some(&[]),
        }
    }
}

impl Attempt {
    /// Reads what a client says first, which is all that it says.
    ///
    /// # Errors
    /// [`Failure::MalformedRequest`] where it is something else.
    pub fn read(message: &[u8], domain: &str) -> Result<Self, Failure> {
        let malformed = Failure::MalformedRequest;
        let end = message.iter().position(|octet| *octet == 0).ok_or(malformed)?;
        let (name, proof) = message.split_at(end);
        let name = std::str::from_utf8(name).map_err(|_| malformed)?;
        let proof = proof.get(1..).and_then(|proof| proof.try_into().ok()).ok_or(malformed)?;
        if name.len() > MAX_NAME_BYTES {
            return Err(malformed);
        }
        let username = Claim { authcid: name, authzid: None }.admit(domain)?;
        Ok(Self { username, proof })
    }

    /// Whether it is made from this token; then what the client is answered, which proves that the server has it too.
    #[must_use]
    pub fn prove(&self, token: &str, kept: &Kept, offer: &Offer) -> Option<Vec<u8>> {
        let binding = kept.mechanism.binding(offer)?;
        let expected = proof(token, b"Initiator", binding);
        let fits: bool = expected.ct_eq(&self.proof).into();
        fits.then(|| proof(token, b"Responder", binding))
    }
}

impl Owner<'_> {
    /// The token that was kept so.
    #[must_use]
    pub fn token(&self, kept: &Kept) -> String {
        let credentials = self.credentials.map(Credentials::encode).unwrap_or_default();
        let mut text = kept.salt.to_vec();
        for part in [self.account, self.device, kept.mechanism.name()] {
            text.extend((part.len() as u64).to_be_bytes());
            text.extend(part.as_bytes());
        }
        text.extend(kept.end.to_be_bytes());
        text.extend(Hash::Sha256.digest(&credentials));
        URL_SAFE_NO_PAD.encode(Hash::Sha256.hmac(self.secret, &[&text]))
    }
}

fn proof(token: &str, who: &[u8], binding: &[u8]) -> Vec<u8> {
    Hash::Sha256.hmac(token.as_bytes(), &[who, binding])
}

/// What became of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// Additional data for `<success/>`.
    pub answer: Vec<u8>,
    /// What is kept from now on: whatever is older than what was used has ended (XEP-0484 §3.5).
    pub slots: Slots,
    /// The token that was used.
    pub used: Kept,
}

impl Slots {
    /// Judges an attempt (XEP-0484 §5.1); `now` in seconds since 1970-01-01 UTC.
    ///
    /// # Errors
    /// [`Failure::CredentialsExpired`] for a token that has ended, [`Failure::NotAuthorized`] for anything else.
    pub fn judge(
        &self,
        attempt: &Attempt,
        owner: &Owner<'_>,
        mechanism: TokenMechanism,
        offer: &Offer,
        now: u64,
    ) -> Result<Judged, Failure> {
        // As much is done where there is nothing: nobody learns who has tokens.
        let nothing = Kept { salt: [0; SALT_LEN], mechanism, given: 0, end: 0 };
        let fits = |kept: Option<Kept>| {
            let token = owner.token(&kept.unwrap_or(nothing));
            let answer = attempt.prove(&token, &kept.unwrap_or(nothing), offer);
            answer.zip(kept.filter(|kept| kept.mechanism == mechanism))
        };
        let (new, current) = (fits(self.new), fits(self.current));
        let known = owner.credentials.is_some();
        let is_new = new.is_some();
        let (answer, used) = new.or(current).filter(|_| known).ok_or(Failure::NotAuthorized)?;
        if used.end <= now {
            return Err(Failure::CredentialsExpired);
        }
        let slots = if is_new { Self { current: Some(used), new: None } } else { *self };
        Ok(Judged { answer, slots, used })
    }

    /// What is kept, to be stored.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut octets = vec![VERSION];
        for kept in [self.current, self.new] {
            let Some(kept) = kept else {
                octets.push(0);
                continue;
            };
            let mechanism = TokenMechanism::ALL.iter().position(|it| *it == kept.mechanism);
            octets.push(u8::try_from(mechanism.unwrap_or_default() + 1).unwrap_or_default());
            octets.extend_from_slice(&kept.salt);
            octets.extend_from_slice(&kept.given.to_be_bytes());
            octets.extend_from_slice(&kept.end.to_be_bytes());
        }
        octets
    }

    /// Reads what [`Slots::encode`] wrote; none for anything else.
    #[must_use]
    pub fn decode(octets: &[u8]) -> Option<Self> {
        let (&VERSION, rest) = octets.split_first()? else { return None };
        let (current, rest) = decode_kept(rest)?;
        let (new, rest) = decode_kept(rest)?;
        rest.is_empty().then_some(Self { current, new })
    }

    /// When the last of them ends; 0 where there is none.
    #[must_use]
    pub fn end(&self) -> u64 {
        [self.current, self.new].into_iter().flatten().map(|kept| kept.end).max().unwrap_or(0)
    }
}

fn decode_kept(octets: &[u8]) -> Option<(Option<Kept>, &[u8])> {
    let (&mechanism, rest) = octets.split_first()?;
    let Some(mechanism) = usize::from(mechanism).checked_sub(1) else { return Some((None, rest)) };
    let mechanism = *TokenMechanism::ALL.get(mechanism)?;
    let (salt, rest) = rest.split_first_chunk::<SALT_LEN>()?;
    let (given, rest) = rest.split_first_chunk::<8>()?;
    let (end, rest) = rest.split_first_chunk::<8>()?;
    let (given, end) = (u64::from_be_bytes(*given), u64::from_be_bytes(*end));
    Some((Some(Kept { salt: *salt, mechanism, given, end }), rest))
}

impl fmt::Debug for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Attempt({})", self.username)
    }
}

impl fmt::Display for TokenMechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a client says that has a token.
#[must_use]
pub fn message(username: &str, token: &str, binding: &[u8]) -> Vec<u8> {
    [username.as_bytes(), &[0], &proof(token, b"Initiator", binding)].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ChannelBinding, Terms};

    const NOW: u64 = 1_764_000_000;

    fn offer(bindings: Vec<ChannelBinding>) -> Offer {
        Offer::new(Terms { tls: true, bindings, ..Terms::default() })
    }

    fn kept(salt: u8, mechanism: TokenMechanism) -> Kept {
        Kept { salt: [salt; SALT_LEN], mechanism, given: NOW, end: NOW + 100 }
    }

    fn credentials(salt: &[u8]) -> Credentials {
        Credentials::decoy(salt, "romeo@x.org", 10_000)
    }

    fn owner(credentials: Option<&Credentials>) -> Owner<'_> {
        Owner { secret: b"secret", account: "romeo@x.org", device: "d1", credentials }
    }

    fn attempt(token: &str, binding: &[u8]) -> Attempt {
        Attempt::read(&message("romeo", token, binding), "x.org").unwrap()
    }

    #[test]
    fn a_token_opens_and_both_prove_that_they_have_it() {
        let known = credentials(b"1");
        let (owner, first) = (owner(Some(&known)), kept(1, TokenMechanism::None));
        let token = owner.token(&first);
        let slots = Slots { current: Some(first), new: None };
        let by = (&owner, TokenMechanism::None);
        let judged =
            slots.judge(&attempt(&token, b""), by.0, by.1, &offer(Vec::new()), NOW).unwrap();
        assert_eq!(judged.answer, proof(&token, b"Responder", b""));
        assert_eq!(judged.slots, slots);
        let late = slots.judge(&attempt(&token, b""), by.0, by.1, &offer(Vec::new()), NOW + 100);
        assert_eq!(late, Err(Failure::CredentialsExpired));
    }

    #[test]
    fn a_token_is_good_for_one_account_one_client_one_password_and_one_mechanism() {
        let (known, changed) = (credentials(b"1"), credentials(b"2"));
        let right = owner(Some(&known));
        let bound = ChannelBinding::TlsExporter(vec![7; 32]);
        let first = kept(1, TokenMechanism::Exporter);
        let (token, slots) = (right.token(&first), Slots { current: Some(first), new: None });
        let offer = offer(vec![bound]);
        let judge = |owner: &Owner<'_>, mechanism, binding: &[u8]| {
            slots.judge(&attempt(&token, binding), owner, mechanism, &offer, NOW).is_ok()
        };
        assert!(judge(&right, TokenMechanism::Exporter, &[7; 32]));
        assert!(!judge(&right, TokenMechanism::Exporter, &[8; 32]), "another connection");
        assert!(!judge(&right, TokenMechanism::None, b""), "a weaker mechanism");
        assert!(!judge(&right, TokenMechanism::None, &[7; 32]));
        for wrong in [
            Owner { account: "juliet@x.org", ..owner(Some(&known)) },
            Owner { device: "d2", ..owner(Some(&known)) },
            Owner { secret: b"other", ..owner(Some(&known)) },
            owner(Some(&changed)),
            owner(None),
        ] {
            assert!(!judge(&wrong, TokenMechanism::Exporter, &[7; 32]));
        }
    }

    // XEP-0484 §5.1
    #[test]
    fn a_new_token_ends_the_one_before_when_it_is_used_and_not_earlier() {
        let known = credentials(b"1");
        let owner = owner(Some(&known));
        let (old, new) = (kept(1, TokenMechanism::None), kept(2, TokenMechanism::None));
        let slots = Slots { current: Some(old), new: Some(new) };
        let by = (&owner, TokenMechanism::None);
        let offer = offer(Vec::new());
        let judge = |slots: &Slots, kept| {
            slots.judge(&attempt(&owner.token(kept), b""), by.0, by.1, &offer, NOW)
        };
        assert_eq!(judge(&slots, &old).unwrap().slots, slots);
        let after = judge(&slots, &new).unwrap().slots;
        assert_eq!(after, Slots { current: Some(new), new: None });
        assert_eq!(judge(&after, &old), Err(Failure::NotAuthorized));
    }

    #[test]
    fn what_is_kept_is_read_again_and_nothing_else() {
        let one = kept(1, TokenMechanism::EndPoint);
        for slots in [
            Slots::default(),
            Slots { current: Some(one), new: None },
            Slots { current: Some(one), new: Some(kept(2, TokenMechanism::None)) },
        ] {
            let octets = slots.encode();
            assert_eq!(Slots::decode(&octets), Some(slots));
            assert_eq!(Slots::decode(&octets[..octets.len() - 1]), None);
        }
        assert_eq!(Slots::decode(&[2, 0, 0]), None);
        assert_eq!(Slots::decode(&[1, 9, 0]), None);
    }

    #[test]
    fn what_makes_no_sense_is_malformed() {
        let long = [vec![b'a'; 2_048], vec![0; 33]].concat();
        for wrong in [&b""[..], b"romeo", b"romeo\0short", b"\xff\0", &[0; 33], &long] {
            let read = Attempt::read(wrong, "x.org");
            assert_eq!(read, Err(Failure::MalformedRequest), "{wrong:?}");
        }
    }

    #[test]
    fn tokens_are_offered_over_tls_alone() {
        let names = |offer: &Offer| TokenMechanism::offered(offer).count();
        assert_eq!(names(&Offer::new(Terms::default())), 0);
        assert_eq!(names(&offer(Vec::new())), 1);
        assert_eq!(names(&offer(vec![ChannelBinding::TlsExporter(vec![7; 32])])), 2);
    }
}
