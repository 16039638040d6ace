//! Owns capability hashes (XEP-0115, XEP-0390): read out of presence, asked for, verified, and cached for all
//! accounts of this member. Of what a client can do, only the nodes are kept that it wants events of.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};
use xmpp::disco::Info;
use xmpp::{Features, Stanza, ns};

/// What a presence says of its sender's capabilities.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Caps {
    /// The hash function; empty in the legacy format (XEP-0115 §13), which nothing can verify.
    pub algorithm: String,
    /// The hash, in Base64.
    pub hash: String,
    /// The disco node that stands for it; the whole of it tells XEP-0115 and XEP-0390 apart.
    pub node: String,
}

/// The nodes that a client wants events of.
pub(crate) type Nodes = Arc<[Box<str>]>;

/// Longer words in a presence are not looked at.
const WORD_BYTES: usize = 1_024;

/// Most nodes of one client.
const NODES_MOST: usize = 256;

/// Most hashes that are remembered; the oldest is forgotten.
const CACHE_MOST: usize = 10_000;

const HASHES: &str = "urn:xmpp:hashes:2";
const SUFFIX: &str = "+notify";

impl Caps {
    /// Reads them; those of XEP-0390 count first, where a function is known.
    #[must_use]
    pub(crate) fn of(presence: &Stanza) -> Option<Self> {
        if !presence.features().any(Features::CAPS.with(Features::OTHER)) {
            return None;
        }
        let caps = Self::second(presence).or_else(|| Self::first(presence))?;
        let words = [&caps.algorithm, &caps.hash, &caps.node];
        Some(caps.clone()).filter(|_| words.iter().all(|word| word.len() <= WORD_BYTES))
    }

    fn second(presence: &Stanza) -> Option<Self> {
        let caps = presence.child("c", ns::CAPS2)?;
        let known = ["sha-512", "sha-256"];
        let of = |algorithm: &'static str| {
            let is =
                |it: &&xmpp::Element| it.is("hash", HASHES) && it.attr("algo") == Some(algorithm);
            caps.children().find(is).map(|it| (algorithm, it.text().trim().to_owned()))
        };
        let (algorithm, hash) = known.into_iter().find_map(of)?;
        let node = format!("{}#{algorithm}.{hash}", ns::CAPS2);
        Some(Self { algorithm: algorithm.to_owned(), hash, node })
    }

    fn first(presence: &Stanza) -> Option<Self> {
        let caps = presence.child("c", ns::CAPS)?;
        let (node, ver) = (caps.attr("node")?, caps.attr("ver")?);
        Some(Self {
            algorithm: caps.attr("hash").unwrap_or_default().to_owned(),
            hash: ver.to_owned(),
            node: format!("{node}#{ver}"),
        })
    }

    fn is_second(&self) -> bool {
        self.node.strip_prefix(ns::CAPS2).is_some_and(|rest| rest.starts_with('#'))
    }

    /// Whether an answer is the one that the hash was made from (XEP-0115 §5.4, XEP-0390 §4.4).
    #[must_use]
    pub(crate) fn verify(&self, info: &Info) -> bool {
        let input = match self.is_second() {
            true => info.caps2(),
            false => info.caps().map(String::into_bytes),
        };
        let Some(input) = input else { return false };
        let hash = match self.algorithm.as_str() {
            "sha-1" => STANDARD.encode(Sha1::digest(input)),
            "sha-256" => STANDARD.encode(Sha256::digest(input)),
            "sha-512" => STANDARD.encode(Sha512::digest(input)),
            _ => return false,
        };
        hash == self.hash
    }

    /// Under what the hash is remembered: equal hashes of both kinds are of different inputs.
    fn key(&self) -> String {
        format!("{} {} {}", self.is_second(), self.algorithm, self.hash)
    }
}

/// The nodes that an answer asks for (XEP-0060 §9.2).
#[must_use]
pub(crate) fn wanted(info: &Info) -> Nodes {
    let node = |feature: &String| {
        let node = feature.strip_suffix(SUFFIX)?;
        Some(Box::from(node)).filter(|_| node.len() <= WORD_BYTES)
    };
    info.features.iter().filter_map(node).take(NODES_MOST).collect()
}

/// What verified hashes stand for. Soft: whatever is forgotten is asked again.
#[derive(Debug, Default)]
pub struct Cache(Mutex<Remembered>);

#[derive(Debug, Default)]
struct Remembered {
    nodes: HashMap<String, Nodes>,
    oldest: VecDeque<String>,
}

impl Cache {
    /// What a hash stands for, if that is known.
    #[must_use]
    pub(crate) fn get(&self, caps: &Caps) -> Option<Nodes> {
        let table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        table.nodes.get(&caps.key()).cloned()
    }

    /// Remembers a hash that was verified.
    pub(crate) fn put(&self, caps: &Caps, nodes: Nodes) {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = caps.key();
        if table.nodes.insert(key.clone(), nodes).is_none() {
            table.oldest.push_back(key);
        }
        if table.oldest.len() > CACHE_MOST
            && let Some(oldest) = table.oldest.pop_front()
        {
            table.nodes.remove(&oldest);
        }
    }
}
