//! The repository's own rules: floors, sizes, first lines, words that must not stand anywhere.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Which crate stands on which floor; a crate imports only from lower ones.
const FLOORS: [(&str, u32); 27] = [
    ("xmpp", 0),
    ("meter", 0),
    ("seeded", 0),
    ("stream", 1),
    ("proto", 1),
    ("store", 1),
    ("auth", 1),
    ("cpim", 1),
    ("cluster", 2),
    ("files", 2),
    ("socket", 2),
    ("router", 3),
    ("entity", 4),
    ("archive", 4),
    ("nodes", 4),
    ("accounts", 4),
    ("user", 5),
    ("domain", 5),
    ("room", 5),
    ("pubsub", 5),
    ("upload", 5),
    ("proxy", 5),
    ("c2s", 5),
    ("s2s", 5),
    ("component", 5),
    ("web", 5),
    ("town", 6),
];

/// Beside the tower: they may import anything below the server, and nothing imports them but the load generator, which
/// takes the TLS of scripted clients from the test kit.
const BESIDE: [&str; 2] = ["town", "load"];

/// The end for a file; about a third of that is the aim.
const MOST_LINES: usize = 600;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn files(dir: &Path, ending: &str, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    for path in entries.map(|entry| entry.unwrap().path()) {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            if !matches!(name.as_str(), "target" | ".git" | "node_modules" | "corpus") {
                files(&path, ending, found);
            }
        } else if name.ends_with(ending) {
            found.push(path);
        }
    }
}

fn rust_files() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for dir in ["crates", "tests", "benches"] {
        files(&root().join(dir), ".rs", &mut found);
    }
    let named = |path: PathBuf| {
        let name = path.strip_prefix(root()).unwrap().to_string_lossy().into_owned();
        (name, fs::read_to_string(path).unwrap())
    };
    found.into_iter().map(named).collect()
}

/// The workspace crates among a manifest's `[dependencies]`.
fn imports(manifest: &str) -> Vec<String> {
    let section = manifest.split("[dependencies]").nth(1).unwrap_or("");
    let section = section.split("\n[").next().unwrap_or("");
    let known: Vec<&str> = FLOORS.iter().map(|(name, _)| *name).chain(BESIDE).collect();
    section
        .lines()
        .filter_map(|line| line.split(['.', ' ', '=']).next())
        .filter(|name| known.contains(name))
        .map(str::to_owned)
        .collect()
}

#[test]
fn crates_import_only_from_lower_floors() {
    let floors = BTreeMap::from(FLOORS);
    let mut wrong = Vec::new();
    for entry in fs::read_dir(root().join("crates")).unwrap() {
        let dir = entry.unwrap().path();
        let name = dir.file_name().unwrap().to_string_lossy().into_owned();
        let Ok(manifest) = fs::read_to_string(dir.join("Cargo.toml")) else { continue };
        if name == "fuzz" {
            continue;
        }
        let beside = BESIDE.contains(&name.as_str());
        let Some(floor) = floors.get(name.as_str()).copied().or_else(|| beside.then_some(6)) else {
            wrong.push(format!("crates/{name} stands on no floor"));
            continue;
        };
        for import in imports(&manifest) {
            if name == "load" && import == "town" {
                continue;
            }
            if BESIDE.contains(&import.as_str()) || floors[import.as_str()] >= floor {
                wrong.push(format!("crates/{name} imports {import}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn files_are_short_and_say_what_they_own() {
    let mut wrong = Vec::new();
    for (name, text) in rust_files() {
        let lines = text.lines().count();
        if lines > MOST_LINES {
            wrong.push(format!("{name} has {lines} lines"));
        }
        if !text.starts_with("//!") {
            wrong.push(format!("{name} does not say what it owns"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn no_test_sleeps_and_nothing_is_left_for_later() {
    let mut wrong = Vec::new();
    for (name, text) in rust_files() {
        // This file names what it forbids.
        if name == "tests/tidy.rs" {
            continue;
        }
        for word in ["todo!(", "unimplemented!(", "#[ignore", "allow(dead_code", ".do_send("] {
            if text.contains(word) {
                wrong.push(format!("{name}: {word}"));
            }
        }
        if name.starts_with("tests/") && text.contains("sleep(") {
            wrong.push(format!("{name}: sleeps"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Who of the cluster and the router reads the wall clock, which may be wrong and jump: nobody who decides who acts.
const WALL_CLOCK: [(&str, &str); 4] = [
    ("crates/cluster/src/clock.rs", "reads it"),
    ("crates/cluster/src/control/net.rs", "says it to other members"),
    ("crates/cluster/src/control/reach.rs", "compares it with theirs, for operators"),
    ("crates/router/src/directory.rs", "says since when a session is there, to operators"),
];

#[test]
fn nothing_that_decides_who_acts_reads_the_wall_clock() {
    let words = ["wall_millis", "meter::clock", "CLOCK_REALTIME", "SystemTime"];
    let is_of_the_cluster = |name: &str| {
        ["crates/cluster/", "crates/router/"].iter().any(|place| name.starts_with(place))
    };
    let mut readers: Vec<String> = rust_files()
        .into_iter()
        .filter(|(name, text)| is_of_the_cluster(name) && words.iter().any(|it| text.contains(it)))
        .map(|(name, _)| name)
        .collect();
    readers.sort();
    assert_eq!(readers, WALL_CLOCK.map(|(name, _)| name));
}

#[test]
fn every_extension_has_a_story() {
    let heads: Vec<String> = rust_files()
        .into_iter()
        .filter(|(name, text)| name.starts_with("tests/") && text.contains("#[test]"))
        .filter_map(|(_, text)| text.lines().next().map(str::to_owned))
        .collect();
    for line in server::extensions::table() {
        let head = match line.number.starts_with('0') {
            true => format!("//! XEP-{} {}.", line.number, line.title),
            false => format!("//! RFC {} ", line.number),
        };
        assert!(heads.iter().any(|it| it.starts_with(&head)), "no story begins with {head:?}");
    }
}

#[test]
fn manifests_name_no_registry_and_every_crate_takes_the_lints() {
    let mut manifests = Vec::new();
    files(&root().join("crates"), "Cargo.toml", &mut manifests);
    for path in manifests {
        let text = fs::read_to_string(&path).unwrap();
        assert!(!text.contains("registry ="), "{} names a registry", path.display());
        if !path.to_string_lossy().contains("/fuzz/") {
            assert!(text.contains("[lints]\nworkspace = true"), "{}", path.display());
        }
    }
}
