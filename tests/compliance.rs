//! The compliance suites of XEP-0479, line by line, with the story that shows each, as the README has it.

use std::fs;
use std::path::Path;

use crate::docs::path;

/// What a line asks of servers at the lower level, too, or at the advanced one alone.
#[derive(Clone, Copy)]
enum Level {
    Core,
    Advanced,
}

use Level::{Advanced, Core};

/// Suite (§2.1 to §2.5), feature, level, and what provides it. Lines that ask nothing of servers are left out.
const LINES: [(&str, &str, Level, &[&str]); 24] = [
    ("Core", "streams, log-in, stanzas", Core, &["RFC 6120"]),
    ("Core", "TLS", Core, &["RFC 7590"]),
    ("Core", "TLS from the first byte", Advanced, &["XEP-0368"]),
    ("Core", "feature discovery", Core, &["XEP-0030"]),
    ("Core", "feature broadcasts", Advanced, &["XEP-0115"]),
    ("Core", "components", Core, &["XEP-0114"]),
    ("Core", "publishing of events", Advanced, &["XEP-0163"]),
    ("Web", "ways in for browsers", Core, &["RFC 7395", "XEP-0206", "XEP-0124"]),
    ("IM", "rosters, presence, messages", Core, &["RFC 6121"]),
    ("IM", "avatars for old and new clients", Advanced, &["XEP-0398", "XEP-0153"]),
    ("IM", "cards", Core, &["XEP-0054"]),
    ("IM", "copies of what one's other clients send", Core, &["XEP-0280"]),
    ("IM", "blocking", Advanced, &["XEP-0191"]),
    ("IM", "rooms", Core, &["XEP-0045", "XEP-0249"]),
    ("IM", "bookmarks, histories of rooms", Advanced, &["XEP-0048", "XEP-0402", "XEP-0410"]),
    ("IM", "private data in nodes", Advanced, &["XEP-0223"]),
    ("IM", "private XML", Advanced, &["XEP-0049"]),
    ("IM", "stream management", Advanced, &["XEP-0198"]),
    ("IM", "history", Advanced, &["XEP-0313"]),
    ("IM", "upload of files", Core, &["XEP-0363"]),
    ("Mobile", "stream management", Core, &["XEP-0198"]),
    ("Mobile", "idle clients", Core, &["XEP-0352"]),
    ("Mobile", "push notifications", Advanced, &["XEP-0357"]),
    ("A/V", "relays for calls", Core, &["XEP-0215"]),
];

/// Stories that are told of more than what their first line says.
const ALSO: [(&str, &str); 3] = [
    ("RFC 7590", "tests/security/tls.rs"),
    ("XEP-0368", "tests/security/tls.rs"),
    ("XEP-0249", "tests/xep/muc/inviting.rs"),
];

/// Rust files below a folder, with their first lines, by name.
fn heads(folder: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            found.extend(heads(&path));
        } else if path.extension().is_some_and(|end| end == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let root = Path::new(env!("CARGO_MANIFEST_DIR"));
            let name = path.strip_prefix(root).unwrap().display().to_string();
            found.push((name, text.lines().next().unwrap_or_default().to_owned()));
        }
    }
    found.sort();
    found
}

/// Links to the stories of each, where all have some.
fn stories(heads: &[(String, String)], providers: &[&str]) -> Option<String> {
    let links = providers.iter().map(|provider| {
        let begins = format!("//! {provider} ");
        let own =
            heads.iter().find(|(_, head)| head.starts_with(&begins)).map(|(name, _)| &name[..]);
        let also = ALSO.iter().find(|(of, _)| of == provider).map(|(_, name)| *name);
        Some(format!("[{provider}]({})", own.or(also)?))
    });
    links.collect::<Option<Vec<_>>>().map(|links| links.join(", "))
}

/// The table.
pub(crate) fn markdown() -> String {
    let heads = heads(&path("tests"));
    let mut text = "| suite | what | level | shown by |\n| --- | --- | --- | --- |\n".to_owned();
    for (suite, what, level, providers) in LINES {
        let level = match level {
            Core => "core",
            Advanced => "advanced",
        };
        let shown = stories(&heads, providers);
        let shown = shown.unwrap_or_else(|| format!("not yet: {}", providers.join(", ")));
        text += &format!("| {suite} | {what} | {level} | {shown} |\n");
    }
    text
}

#[test]
fn stories_that_are_named_are_there() {
    for (_, name) in ALSO {
        assert!(path(name).is_file(), "{name}");
    }
}
