//! Owns what a room says of things elsewhere that belong to it: a pubsub node, a public log, a group of a directory
//! (XEP-0045 §16.5.3, §16.5.4). The server does nothing with them but show them. Pure.

/// Whether a text is the URI of a pubsub node (RFC 5122, XEP-0060 §12.21), such as
/// `xmpp:pubsub.example.org?;node=coven`.
pub(crate) fn is_node(text: &str) -> bool {
    let Some((place, query)) = text.strip_prefix("xmpp:").and_then(|it| it.split_once('?')) else {
        return false;
    };
    let names_node = |pair: &str| pair.strip_prefix("node=").is_some_and(|node| !node.is_empty());
    !place.is_empty() && query.split(';').any(names_node) && text.chars().all(is_of_uri)
}

/// Whether a text is the URL of a page.
pub(crate) fn is_page(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with(['/', '?', '#']))
        && text.chars().all(is_of_uri)
}

/// Whether a text may be a distinguished name (RFC 4514), such as `cn=witches,dc=example,dc=org`.
pub(crate) fn is_group(text: &str) -> bool {
    let is_named = text
        .split_once('=')
        .is_some_and(|(kind, name)| !kind.trim().is_empty() && !name.trim().is_empty());
    is_named && !text.chars().any(char::is_control)
}

/// RFC 3987 §2.2, as far as it keeps a text in one piece.
fn is_of_uri(char: char) -> bool {
    !char.is_whitespace() && !char.is_control() && !"<>\"{}|\\^`".contains(char)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_from_other_texts() {
        for good in ["xmpp:pubsub.x.org?;node=coven", "xmpp:a@x.org?pubsub;action=subscribe;node=c"]
        {
            assert!(is_node(good), "{good}");
        }
        for bad in [
            "",
            "coven",
            "xmpp:?;node=c",
            "xmpp:x.org",
            "xmpp:x.org?;node=",
            "xmpp:x.org?;node=a b",
        ] {
            assert!(!is_node(bad), "{bad}");
        }
        for good in ["https://logs.x.org/coven/", "http://x.org", "https://x.org/ö?a=b"] {
            assert!(is_page(good), "{good}");
        }
        for bad in [
            "",
            "x.org",
            "https://",
            "https:///a",
            "javascript:alert(1)",
            "http://a b",
            "http://x/<a>",
        ] {
            assert!(!is_page(bad), "{bad}");
        }
        assert!(is_group("cn=witches,dc=x,dc=org"));
        for bad in ["", "witches", "=x", "cn=", "cn=a\nb"] {
            assert!(!is_group(bad), "{bad}");
        }
    }
}
