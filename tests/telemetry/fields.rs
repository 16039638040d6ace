//! The fields of log lines and spans are fixed words. This reads the source, as the compiler does not mind.

use std::fs;
use std::path::{Path, PathBuf};

/// The words.
pub(super) const FIELDS: [&str; 11] =
    ["member", "shard", "epoch", "route", "jid", "session", "stanza", "id", "xep", "peer", "error"];

const MACROS: [&str; 10] = [
    "error!(",
    "warn!(",
    "info!(",
    "debug!(",
    "trace!(",
    "error_span!(",
    "warn_span!(",
    "info_span!(",
    "debug_span!(",
    "trace_span!(",
];

fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    for path in fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|it| it == "rs") {
            found.push(path);
        }
    }
}

/// The arguments of a macro's call, split at the commas that are its own.
fn arguments(call: &str) -> Vec<String> {
    let (mut depth, mut quoted, mut escaped) = (0, false, false);
    let mut arguments = vec![String::new()];
    for c in call.chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '(' | '[' | '{' if !quoted => depth += 1,
            ')' if !quoted && depth == 0 => break,
            ')' | ']' | '}' if !quoted => depth -= 1,
            ',' if !quoted && depth == 0 => {
                arguments.push(String::new());
                continue;
            }
            _ => {}
        }
        arguments.last_mut().unwrap().push(c);
    }
    arguments
}

/// The names of the fields of a call: in an event up to its message, in a span behind its name.
fn fields(call: &str, is_span: bool) -> Vec<String> {
    let arguments = arguments(call).into_iter().map(|argument| argument.trim().to_owned());
    let mut arguments = arguments
        .filter(|it| !it.is_empty() && !it.starts_with("target:") && !it.starts_with("parent:"))
        .peekable();
    if is_span {
        arguments.next_if(|it| it.starts_with('"'));
    }
    arguments
        .take_while(|it| !it.starts_with('"'))
        .map(|it| {
            it.split('=').next().unwrap_or("").trim().trim_start_matches(['%', '?']).to_owned()
        })
        .collect()
}

#[test]
fn a_call_shows_its_fields() {
    assert_eq!(
        fields("%error, jid = f(a, \"b,\"), \"text, {x}\", x = 1)", false),
        ["error", "jid"]
    );
    assert_eq!(
        fields("target: T, parent: None, \"station\", peer = ?it, id)", true),
        ["peer", "id"]
    );
    assert!(fields("\"only text {}\", it)", false).is_empty());
}

#[test]
fn log_lines_and_spans_use_fixed_fields_only() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("crates");
    let (mut files, mut wrong, mut calls) = (Vec::new(), Vec::new(), 0);
    sources(&root, &mut files);
    for path in files {
        let text = fs::read_to_string(&path).unwrap();
        for name in MACROS {
            for call in text.split(&format!("tracing::{name}")).skip(1) {
                calls += 1;
                let fields = fields(call, name.contains("span")).into_iter();
                let strange =
                    |it: &String| !FIELDS.contains(&it.as_str()) && !it.starts_with("otel.");
                wrong.extend(fields.filter(strange).map(|it| format!("{}: {it}", path.display())));
            }
        }
    }
    assert!(calls > 40, "the calls are written in another way now");
    assert!(wrong.is_empty(), "{wrong:#?}");
}
