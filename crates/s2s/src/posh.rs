//! Owns POSH (RFC 7711): a document of HTTPS, at a place that everybody knows, says by which fingerprints the
//! certificates of a domain's servers are known. So a domain can be served by somebody who has no certificate for it.
//!
//! A document counts as much as the HTTPS that it came by: the certificate of the domain there is one of authorities
//! that are trusted here.
//!
//! | module | owns |
//! |---|---|
//! | `cache` | documents that were fetched, until they end |

mod cache;

use std::time::Duration;

use rustls_pki_types::CertificateDer;
use serde::Deserialize;
use sha2::{Digest as _, Sha256, Sha512};

use crate::dial::Dialer;
use crate::https::{Https, Url};
use crate::resolve::ascii;
pub(crate) use cache::PoshCache;

/// Where the document of a domain is (RFC 7712 §5.2).
const PATH: &str = "/.well-known/posh/xmpp-server.json";
/// Most fingerprints of a document that are looked at.
const PRINTS_MAX: usize = 64;

/// How a certificate is known (RFC 7711 §3.1): by the digest of all of it. Of two digests the stronger one counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fingerprint {
    Sha256(Vec<u8>),
    Sha512(Vec<u8>),
}

/// A document.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Document {
    /// Of fingerprints, good for so long.
    Fingerprints(Vec<Fingerprint>, Duration),
    /// They are elsewhere (§3.2).
    Elsewhere(Url, Duration),
}

#[derive(Deserialize)]
struct Words {
    fingerprints: Option<Vec<Hashes>>,
    url: Option<String>,
    /// In seconds. Without it, as with 0, nothing of the document counts (§3.1).
    #[serde(default)]
    expires: u64,
}

#[derive(Deserialize)]
struct Hashes {
    #[serde(rename = "sha-256")]
    sha256: Option<String>,
    #[serde(rename = "sha-512")]
    sha512: Option<String>,
}

impl Fingerprint {
    /// Whether it is that of a certificate.
    fn means(&self, certificate: &CertificateDer<'_>) -> bool {
        match self {
            Self::Sha256(digest) => Sha256::digest(certificate)[..] == digest[..],
            Self::Sha512(digest) => Sha512::digest(certificate)[..] == digest[..],
        }
    }
}

impl Document {
    fn read(bytes: &[u8]) -> Result<Self, String> {
        let words: Words =
            serde_json::from_slice(bytes).map_err(|_| "its document is none of POSH".to_owned())?;
        if words.expires == 0 {
            return Err("its document says that it is good for no time".to_owned());
        }
        let expires = Duration::from_secs(words.expires);
        match (words.fingerprints, words.url) {
            (Some(hashes), None) => {
                let prints = hashes.iter().take(PRINTS_MAX).filter_map(print).collect();
                Ok(Self::Fingerprints(prints, expires))
            }
            (None, Some(url)) => Ok(Self::Elsewhere(Url::parse(&url)?, expires)),
            _ => Err("its document has not either fingerprints or a url".to_owned()),
        }
    }
}

fn print(hashes: &Hashes) -> Option<Fingerprint> {
    let decode = |text: &String| auth::encoding::decode(text.trim()).ok();
    let strong = hashes.sha512.as_ref().and_then(decode).map(Fingerprint::Sha512);
    strong.or_else(|| hashes.sha256.as_ref().and_then(decode).map(Fingerprint::Sha256))
}

impl Dialer {
    /// Whether a certificate is that of a server of a domain, as the domain says by HTTPS.
    ///
    /// # Errors
    /// Why not, in words for people.
    pub(crate) async fn vouched_by_posh(
        &self,
        domain: &str,
        chain: &[CertificateDer<'_>],
    ) -> Result<(), String> {
        let leaf = chain.first().ok_or("it shows no certificate")?;
        let prints = match self.cache.find(domain) {
            Some(found) => found,
            None => {
                let found = self.fetch_prints(domain).await;
                self.cache.put(domain, found)
            }
        }?;
        match prints.iter().any(|print| print.means(leaf)) {
            true => Ok(()),
            false => Err("the domain's document has another fingerprint".to_owned()),
        }
    }

    async fn fetch(&self, url: &Url) -> Result<bytes::Bytes, String> {
        let (resolver, roots) = (&self.resolver, self.trust.now().roots());
        let https = Https { resolver, roots, routes: &self.common.rules.posh_route };
        https.get(url, "application/json").await
    }

    /// The fingerprints of a domain, and for how long they are good. What a document refers to must not refer to
    /// anything (§3.2).
    async fn fetch_prints(&self, domain: &str) -> Result<(Vec<Fingerprint>, Duration), String> {
        let host = ascii(domain).ok_or_else(|| format!("{domain} is no name that DNS can have"))?;
        let own = Url { host, port: 443, path: PATH.to_owned() };
        let (url, least) = match Document::read(&self.fetch(&own).await?)? {
            Document::Fingerprints(prints, expires) => return Ok((prints, expires)),
            Document::Elsewhere(url, expires) => (url, expires),
        };
        match Document::read(&self.fetch(&url).await?)? {
            Document::Fingerprints(prints, expires) => Ok((prints, expires.min(least))),
            Document::Elsewhere(..) => {
                Err("its document leads from one place to another".to_owned())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(bytes: &[u8]) -> String {
        auth::encoding::encode(bytes)
    }

    #[test]
    fn a_document_has_fingerprints_or_says_where_they_are() {
        let sha256 = Sha256::digest(b"certificate").to_vec();
        let sha512 = Sha512::digest(b"certificate").to_vec();
        let (weak, strong) = (encoded(&sha256), encoded(&sha512));
        let read = |text: String| Document::read(text.as_bytes());
        let prints = format!(
            "{{\"fingerprints\":[{{\"sha-256\":\"{weak}\",\"sha-512\":\"{strong}\"}},\
             {{\"sha-256\":\"{weak}\"}},{{\"sha-1\":\"x\"}}],\"expires\":60,\"more\":1}}"
        );
        assert_eq!(
            read(prints),
            Ok(Document::Fingerprints(
                vec![Fingerprint::Sha512(sha512), Fingerprint::Sha256(sha256)],
                Duration::from_secs(60)
            ))
        );
        let url = "{\"url\":\"https://host.example/posh.json\",\"expires\":7}".to_owned();
        let there =
            Url { host: "host.example".to_owned(), port: 443, path: "/posh.json".to_owned() };
        assert_eq!(read(url), Ok(Document::Elsewhere(there, Duration::from_secs(7))));
        for wrong in [
            "",
            "[]",
            "{}",
            "{\"expires\":1}",
            "{\"url\":\"http://host.example/\",\"expires\":1}",
            "{\"url\":\"https://u@host.example/\",\"expires\":1}",
            "{\"url\":\"https://a/\",\"fingerprints\":[],\"expires\":1}",
            "{\"fingerprints\":1,\"expires\":1}",
            "{\"fingerprints\":[],\"expires\":-1}",
            "{\"fingerprints\":[],\"expires\":0}",
            "{\"fingerprints\":[]}",
            "{\"url\":\"https://a/\"}",
        ] {
            assert!(read(wrong.to_owned()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_fingerprint_means_one_certificate() {
        let (one, other) =
            (CertificateDer::from(vec![1, 2, 3]), CertificateDer::from(vec![1, 2, 4]));
        for print in [
            Fingerprint::Sha256(Sha256::digest(&one).to_vec()),
            Fingerprint::Sha512(Sha512::digest(&one).to_vec()),
        ] {
            assert!(print.means(&one) && !print.means(&other));
        }
        let cut = Fingerprint::Sha256(Sha256::digest(&one)[..31].to_vec());
        assert!(!cut.means(&one));
    }
}
