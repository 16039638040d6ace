//! Owns the mark that a cluster has in Redis: what it says there of itself, and how its key is kept there.
//!
//! The key is a secret: by it rows are in their buckets, and every other secret of the cluster is derived from it.
//! Where `store.key_file` names a secret, Redis has it encrypted under that (ChaCha20-Poly1305, bound to the cluster's
//! id), else as it is.

use std::fmt;
use std::io;

use auth::Hash;
use cluster::{ClusterUuid, HashKey, Mark, Marker, Recalled, Remembered};
use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use proto::MemberId;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use store::redis::bootstrap;

use crate::config::{Config, Engine};
use crate::foundation::data_set_name;

/// The mark in Redis.
pub(crate) struct RedisMarker {
    settings: store::redis::Config,
    seal: Option<LessSafeKey>,
}

/// What stands before a key that is encrypted.
const SEALED: &str = "sealed:";

/// The bytes of a key.
const KEY_BYTES: usize = 16;

impl RedisMarker {
    /// Where the store is Redis: who reads and writes the mark there.
    ///
    /// # Errors
    /// A file that the configuration names cannot be read.
    pub(crate) fn new(config: &Config) -> anyhow::Result<Option<Self>> {
        let Some(url) =
            config.store.url.as_deref().filter(|_| config.store.engine == Engine::Redis)
        else {
            return Ok(None);
        };
        let secret = config.store.key_secret()?;
        let seal = secret.map(|secret| seal(&secret));
        Ok(Some(Self { settings: config.store.redis(url)?, seal }))
    }

    /// As Redis keeps it.
    fn write(&self, Mark { remembered, by }: Mark) -> io::Result<bootstrap::Mark> {
        let Remembered { cluster, generation, hash_key } = remembered;
        let key = match &self.seal {
            Some(seal) => format!("{SEALED}{}", HEXLOWER.encode(&close(seal, cluster, hash_key)?)),
            None => HEXLOWER.encode(&hash_key.bytes()),
        };
        Ok(bootstrap::Mark { generation, cluster: cluster.0, by: by.0, key })
    }

    fn read(&self, mark: &bootstrap::Mark) -> io::Result<Mark> {
        let cluster = ClusterUuid(mark.cluster);
        let key = match (mark.key.strip_prefix(SEALED), &self.seal) {
            (Some(sealed), Some(seal)) => {
                unhex(sealed).and_then(|sealed| open(seal, cluster, sealed)).ok_or_else(|| {
                    bad("the cluster's key in Redis cannot be decrypted: store.key_file must have what it had")
                })?
            }
            (Some(_), None) => {
                return Err(bad("the cluster's key in Redis is encrypted: store.key_file must name the secret"));
            }
            (None, _) => unhex(&mark.key).ok_or_else(|| bad("the cluster's key in Redis is garbled"))?,
        };
        let key = key.try_into().map_err(|_| bad("the cluster's key in Redis is garbled"))?;
        let (generation, hash_key) = (mark.generation, HashKey::new(key));
        Ok(Mark { remembered: Remembered { cluster, generation, hash_key }, by: MemberId(mark.by) })
    }

    fn put(&self, before: Option<Mark>, next: Mark) -> io::Result<bool> {
        let name = Some(data_set_name(&next.remembered.hash_key));
        let settings = store::redis::Config { cluster: name, ..self.settings.clone() };
        let before = before.map(|before| self.write(before)).transpose()?;
        let next = self.write(next)?;
        bootstrap::replace(&settings, before.as_ref(), &next).map_err(io::Error::other)
    }
}

impl Marker for RedisMarker {
    fn recall(&self) -> io::Result<Option<Recalled>> {
        let recalled = bootstrap::recall(&self.settings).map_err(io::Error::other)?;
        let Some(bootstrap::Recalled { mark: kept, is_alive }) = recalled else { return Ok(None) };
        let mark = self.read(&kept)?;
        if self.seal.is_some() && !kept.key.starts_with(SEALED) {
            // The operator has named a secret since.
            self.put(Some(mark), mark)?;
        }
        Ok(Some(Recalled { mark, is_alive }))
    }

    fn replace(&self, before: Option<Mark>, next: Mark) -> io::Result<bool> {
        self.put(before, next)
    }
}

impl fmt::Debug for RedisMarker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisMarker").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// What encrypts, from the operator's secret.
fn seal(secret: &[u8]) -> LessSafeKey {
    let key = Hash::Sha256.hmac(secret, &[b"the cluster's key in redis"]);
    let key = UnboundKey::new(&CHACHA20_POLY1305, &key);
    LessSafeKey::new(key.expect("a hash has as many bytes as the key"))
}

fn close(seal: &LessSafeKey, cluster: ClusterUuid, key: HashKey) -> io::Result<Vec<u8>> {
    let mut nonce = [0; NONCE_LEN];
    getrandom::fill(&mut nonce)?;
    let mut text = key.bytes().to_vec();
    let aad = Aad::from(cluster.0.to_be_bytes());
    seal.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut text)
        .map_err(|_| bad("the cluster's key cannot be encrypted"))?;
    Ok([&nonce[..], &text].concat())
}

fn open(seal: &LessSafeKey, cluster: ClusterUuid, mut sealed: Vec<u8>) -> Option<Vec<u8>> {
    let (nonce, text) = sealed.split_first_chunk_mut::<NONCE_LEN>()?;
    let aad = Aad::from(cluster.0.to_be_bytes());
    let text = seal.open_in_place(Nonce::assume_unique_for_key(*nonce), aad, text).ok()?;
    (text.len() == KEY_BYTES).then(|| text.to_vec())
}

fn bad(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARK: Mark = Mark {
        remembered: Remembered {
            cluster: ClusterUuid(5),
            generation: 3,
            hash_key: HashKey::new([0x5a; KEY_BYTES]),
        },
        by: MemberId(9),
    };

    fn marker(secret: Option<&[u8]>) -> RedisMarker {
        RedisMarker { settings: store::redis::Config::new("redis://[::1]"), seal: secret.map(seal) }
    }

    fn refusal(marker: &RedisMarker, kept: &bootstrap::Mark) -> String {
        marker.read(kept).unwrap_err().to_string()
    }

    #[test]
    fn a_key_is_kept_as_it_is_where_no_secret_is_named() {
        let plain = marker(None);
        let kept = plain.write(MARK).unwrap();
        assert_eq!(kept.key, "5a".repeat(KEY_BYTES));
        assert_eq!(plain.read(&kept).unwrap(), MARK);
        assert_eq!(marker(Some(b"secret")).read(&kept).unwrap(), MARK);
        let garbled = bootstrap::Mark { key: "5".to_owned(), ..kept };
        assert!(refusal(&plain, &garbled).contains("garbled"));
    }

    #[test]
    fn an_encrypted_key_is_read_by_its_secret_alone_and_for_its_cluster_alone() {
        let sealed = marker(Some(b"secret"));
        let kept = sealed.write(MARK).unwrap();
        assert!(!kept.key.contains("5a5a5a5a"), "{}", kept.key);
        assert_ne!(kept.key, sealed.write(MARK).unwrap().key);
        assert_eq!(sealed.read(&kept).unwrap(), MARK);
        assert!(refusal(&marker(Some(b"guess")), &kept).contains("must have what it had"));
        assert!(refusal(&marker(None), &kept).contains("store.key_file must name"));
        let moved = bootstrap::Mark { cluster: 6, ..kept.clone() };
        assert!(refusal(&sealed, &moved).contains("cannot be decrypted"));
        let cut = bootstrap::Mark { key: kept.key[..20].to_owned(), ..kept };
        assert!(refusal(&sealed, &cut).contains("cannot be decrypted"));
    }
}
