//! What is generated - from the extension lists, from the page of metrics - stands in the documents as generated. To write it anew:
//! `ROOKERY_WRITE_DOCS=1 cargo test --test main docs`.

use std::path::PathBuf;

use entity::table::{doap, markdown};
use server::extensions::table;

use crate::compliance;

const HEAD: &str = "<?xml version='1.0' encoding='UTF-8'?>
<rdf:RDF xmlns='http://usefulinc.com/ns/doap#' xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'
         xmlns:xmpp='https://linkmauve.fr/ns/xmpp-doap#'>
<Project>
<name>Rookery</name>
<shortdesc xml:lang='en'>A cluster-native XMPP server</shortdesc>
<programming-language>Rust</programming-language>
<os>Linux</os>
";

const FOOT: &str = "</Project>\n</rdf:RDF>\n";

pub(crate) fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// A document is as generated, or is written so.
pub(crate) fn must_be(name: &str, expected: &str) {
    if std::env::var_os("ROOKERY_WRITE_DOCS").is_some() {
        std::fs::write(path(name), expected).unwrap();
    }
    let actual = std::fs::read_to_string(path(name)).unwrap_or_default();
    assert!(actual == expected, "{name} is not as generated; see tests/docs.rs");
}

/// The text with another table at the place of this name.
fn with_table(text: &str, name: &str, table: &str) -> String {
    let (begin, end) = (format!("<!-- {name}: generated -->\n"), format!("<!-- {name}: end -->"));
    let (before, rest) = text.split_once(&begin).expect("there is a place for the table");
    let (_, after) = rest.split_once(&end).expect("the place has an end");
    format!("{before}{begin}{table}{end}{after}")
}

#[test]
fn the_readme_names_every_extension_and_what_the_suites_ask_for() {
    let readme = std::fs::read_to_string(path("README.md")).unwrap();
    let readme = with_table(&readme, "extensions", &markdown(&table()));
    must_be("README.md", &with_table(&readme, "compliance", &compliance::markdown()));
}

#[test]
fn the_doap_file_names_every_extension() {
    must_be("rookery.doap", &format!("{HEAD}{}{FOOT}", doap(&table())));
}
