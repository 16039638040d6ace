//! What one stream is offered: mechanisms, channel bindings, and the hash that lets a client
//! notice when the list was changed on the way (XEP-0440, XEP-0474).

use crate::scram::Hash;
use crate::{ChannelBinding, Failure, Mechanism, encoding};

/// What the stream and the operator's policy allow.
#[derive(Clone, Debug, Default)]
pub struct Terms {
    /// The stream is protected by TLS.
    pub tls: bool,
    /// The policy permits PLAIN (over TLS only, RFC 6120 §13.9.4).
    pub plain: bool,
    /// SCRAM challenges carry the hash of the offer (XEP-0474, still experimental).
    pub downgrade_hash: bool,
    /// The channel bindings of this TLS connection, the preferred first.
    pub bindings: Vec<ChannelBinding>,
    /// Mechanisms that the policy forbids.
    pub forbidden: Vec<Mechanism>,
    /// The addresses that the client has proved to be its own, by its certificate.
    pub addresses: Vec<String>,
    /// Guests are let in (XEP-0175).
    pub guests: bool,
}

/// The mechanisms and channel bindings offered on one stream. Both the stream features and the
/// negotiation are made from it, so that they cannot differ.
#[derive(Clone, Debug)]
pub struct Offer {
    mechanisms: Vec<Mechanism>,
    bindings: Vec<ChannelBinding>,
    addresses: Vec<String>,
    tls: bool,
    downgrade_hash: bool,
}

impl Offer {
    /// The offer under these terms, the strongest mechanism first. Bindings without data bind
    /// nothing and are left out; without TLS there are no bindings.
    #[must_use]
    pub fn new(terms: Terms) -> Self {
        let Terms { tls, plain, downgrade_hash, mut bindings, forbidden, addresses, guests } =
            terms;
        bindings.retain(|binding| tls && !binding.data().is_empty());
        let allowed = |mechanism: &Mechanism| match mechanism {
            mechanism if forbidden.contains(mechanism) => false,
            Mechanism::External => !addresses.is_empty(),
            Mechanism::ScramPlus(_) => !bindings.is_empty(),
            Mechanism::Scram(_) => true,
            Mechanism::Plain => tls && plain,
            Mechanism::Anonymous => guests,
        };
        let mechanisms = Mechanism::ALL.into_iter().filter(allowed).collect();
        Self { mechanisms, bindings, addresses, tls, downgrade_hash }
    }

    /// The same for a domain that lets no guests in.
    #[must_use]
    pub fn without_guests(mut self) -> Self {
        self.mechanisms.retain(|known| *known != Mechanism::Anonymous);
        self
    }

    /// The offered mechanisms, the strongest first, for `<mechanisms/>`.
    #[must_use]
    pub fn mechanisms(&self) -> &[Mechanism] {
        &self.mechanisms
    }

    /// The offered channel bindings, for `<sasl-channel-binding/>` (XEP-0440 §2).
    #[must_use]
    pub fn bindings(&self) -> &[ChannelBinding] {
        &self.bindings
    }

    /// The offered binding of this name.
    #[must_use]
    pub fn binding(&self, name: &str) -> Option<&ChannelBinding> {
        self.bindings.iter().find(|binding| binding.name() == name)
    }

    /// The addresses that the client has proved to be its own.
    #[must_use]
    pub fn addresses(&self) -> &[String] {
        &self.addresses
    }

    /// Whether the stream is protected by TLS.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        self.tls
    }

    /// The mechanism that the client asks for, if it is offered.
    ///
    /// # Errors
    /// [`Failure::EncryptionRequired`] for PLAIN without TLS, [`Failure::MechanismTooWeak`] for
    /// PLAIN where policy forbids it, else [`Failure::InvalidMechanism`].
    pub fn choose(&self, name: &str) -> Result<Mechanism, Failure> {
        let mechanism = Mechanism::from_name(name).ok_or(Failure::InvalidMechanism)?;
        match mechanism {
            _ if self.mechanisms.contains(&mechanism) => Ok(mechanism),
            Mechanism::Plain if self.tls => Err(Failure::MechanismTooWeak),
            Mechanism::Plain => Err(Failure::EncryptionRequired),
            _ => Err(Failure::InvalidMechanism),
        }
    }

    /// The value of the SCRAM attribute `h`: the hash over the sorted lists of mechanisms and
    /// channel bindings (XEP-0474 §6.1). None where the terms leave it out.
    #[must_use]
    pub fn downgrade_hash(&self, hash: Hash) -> Option<String> {
        let mechanisms = self.mechanisms.iter().map(|mechanism| mechanism.name());
        let bindings = self.bindings.iter().map(ChannelBinding::name);
        self.downgrade_hash.then(|| downgrade_hash(hash, mechanisms, bindings))
    }
}

/// The hash of XEP-0474 §6.1 over the advertised names; an end that saw no list of channel
/// bindings passes none.
#[must_use]
pub fn downgrade_hash<'a>(
    hash: Hash,
    mechanisms: impl IntoIterator<Item = &'a str>,
    bindings: impl IntoIterator<Item = &'a str>,
) -> String {
    let mut input = sorted(mechanisms);
    let bindings = sorted(bindings);
    if !bindings.is_empty() {
        input.push('\x1f');
        input.push_str(&bindings);
    }
    encoding::encode(&hash.digest(input.as_bytes()))
}

fn sorted<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let mut names: Vec<&str> = names.into_iter().collect();
    names.sort_unstable();
    names.join("\x1e")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(tls: bool, plain: bool, bindings: &[ChannelBinding]) -> Vec<&'static str> {
        let offer =
            Offer::new(Terms { tls, plain, bindings: bindings.to_vec(), ..Terms::default() });
        offer.mechanisms().iter().map(|mechanism| mechanism.name()).collect()
    }

    fn end_point() -> ChannelBinding {
        ChannelBinding::TlsServerEndPoint(vec![7; 32])
    }

    #[test]
    fn the_offer_follows_tls_bindings_and_policy_strongest_first() {
        let scram = ["SCRAM-SHA-512", "SCRAM-SHA-256", "SCRAM-SHA-1"];
        let plus = ["SCRAM-SHA-512-PLUS", "SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS"];
        let plain = ["PLAIN"];
        assert_eq!(names(false, true, &[end_point()]), scram);
        assert_eq!(names(true, false, &[]), scram);
        assert_eq!(names(true, true, &[]), [&scram[..], &plain].concat());
        assert_eq!(names(true, false, &[end_point()]), [plus, scram].concat());
        assert_eq!(names(true, true, &[end_point()]), [&plus[..], &scram, &plain].concat());
    }

    #[test]
    fn a_binding_without_data_is_not_offered() {
        let empty = ChannelBinding::TlsExporter(Vec::new());
        assert_eq!(names(true, false, &[empty]), names(true, false, &[]));
    }

    #[test]
    fn what_the_policy_forbids_is_not_offered() {
        let forbidden = vec![Mechanism::Scram(Hash::Sha1), Mechanism::Plain];
        let offer = Offer::new(Terms { tls: true, plain: true, forbidden, ..Terms::default() });
        let names: Vec<_> = offer.mechanisms().iter().map(|mechanism| mechanism.name()).collect();
        assert_eq!(names, ["SCRAM-SHA-512", "SCRAM-SHA-256"]);
        assert_eq!(offer.choose("PLAIN"), Err(Failure::MechanismTooWeak));
    }

    #[test]
    fn a_refusal_tells_why() {
        let clear = Offer::new(Terms { plain: true, ..Terms::default() });
        assert_eq!(clear.choose("PLAIN"), Err(Failure::EncryptionRequired));
        let strict = Offer::new(Terms { tls: true, ..Terms::default() });
        assert_eq!(strict.choose("PLAIN"), Err(Failure::MechanismTooWeak));
        for name in ["SCRAM-SHA-1-PLUS", "EXTERNAL", "DIGEST-MD5", "", "scram-sha-1"] {
            assert_eq!(strict.choose(name), Err(Failure::InvalidMechanism), "{name:?}");
        }
        assert_eq!(strict.choose("SCRAM-SHA-1"), Ok(Mechanism::Scram(Hash::Sha1)));
    }

    // XEP-0474 §6.3
    #[test]
    fn the_downgrade_hash_is_the_one_of_the_specification() {
        let hash = downgrade_hash(
            Hash::Sha1,
            ["SCRAM-SHA-1-PLUS", "SCRAM-SHA-1"],
            ["tls-server-end-point", "tls-exporter"],
        );
        assert_eq!(hash, "G6k/rBLDqgOhRRaCuuatSDFkJ08=");
    }

    #[test]
    fn without_bindings_the_downgrade_hash_covers_the_mechanisms_alone() {
        let hash = downgrade_hash(Hash::Sha256, ["B", "A"], []);
        assert_eq!(hash, encoding::encode(&Hash::Sha256.digest(b"A\x1eB")));
    }
}
