//! Owns what the stream header says (RFC 6120 §4.7), unjudged but for its namespaces.

use xmpp::{StreamCondition, ns};

use super::scope::Scope;
use super::tag::Tag;

/// The opening tag of a stream, as the peer wrote it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamHeader {
    /// `to` (RFC 6120 §4.7.2).
    pub to: Option<String>,
    /// `from` (RFC 6120 §4.7.1).
    pub from: Option<String>,
    /// `id` (RFC 6120 §4.7.3).
    pub id: Option<String>,
    /// `version` (RFC 6120 §4.7.5).
    pub version: Option<String>,
    /// `xml:lang` (RFC 6120 §4.7.4); left out where it is too long for any language.
    pub lang: Option<String>,
    /// The content namespace: the default namespace, or the expected one where the header is written free of
    /// prefixes (RFC 6120 §4.8.2). Empty where none is declared.
    pub content: String,
    /// What is wrong with the root element: `invalid-namespace` where the stream or content namespace is not
    /// the right one (§4.9.3.10), `bad-format` where it is no `stream`. The stream must be closed with it.
    pub fault: Option<StreamCondition>,
}

/// It is stamped on every stanza, so it must not be long; longer than all tags of BCP 47 in use.
const LANG_BYTES_MAX: usize = 64;

impl StreamHeader {
    pub(super) fn read(tag: &Tag, scope: &Scope, default: &str, expected: &str) -> Self {
        let content = match default {
            ns::STREAM => expected,
            ns::NONE => "",
            other => other,
        };
        let fault = if scope.name(tag.ns) != ns::STREAM || content != expected {
            Some(StreamCondition::InvalidNamespace)
        } else if tag.name.as_str() != "stream" {
            Some(StreamCondition::BadFormat)
        } else {
            None
        };
        Self {
            to: tag.value("to").map(str::to_owned),
            from: tag.value("from").map(str::to_owned),
            id: tag.value("id").map(str::to_owned),
            version: tag.value("version").map(str::to_owned),
            lang: tag.lang().filter(|lang| lang.len() <= LANG_BYTES_MAX).map(str::to_owned),
            content: content.to_owned(),
            fault,
        }
    }
}
