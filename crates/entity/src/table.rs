//! Owns the published table of extensions: what the lists of all entities say, as lines, as Markdown for
//! people and as the list of a DOAP file for programs (XEP-0453).

use crate::entity::Entity;
use crate::extension::Extensions;

/// One extension, and for which entities it is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The number, such as `"0280"`.
    pub number: &'static str,
    /// The title.
    pub title: &'static str,
    /// The version.
    pub version: &'static str,
    /// The names of the entities, such as `"user"`.
    pub entities: Vec<&'static str>,
}

/// The lines of one list.
pub fn lines<E: Entity>(extensions: &Extensions<E>) -> Vec<Line> {
    let line = |extension: &crate::Extension<E>| Line {
        number: extension.number,
        title: extension.title,
        version: extension.version,
        entities: vec![E::NAME],
    };
    extensions.iter().map(line).collect()
}

/// Lists together, by number, each extension once.
#[must_use]
pub fn table(lists: impl IntoIterator<Item = Vec<Line>>) -> Vec<Line> {
    let mut table: Vec<Line> = Vec::new();
    for line in lists.into_iter().flatten() {
        match table.iter_mut().find(|known| known.number == line.number) {
            Some(known) => known.entities.extend(line.entities),
            None => table.push(line),
        }
    }
    table.sort_by_key(|line| line.number);
    table
}

/// The table for people.
#[must_use]
pub fn markdown(table: &[Line]) -> String {
    let mut text = "| number | title | version | for |\n| --- | --- | --- | --- |\n".to_owned();
    for Line { number, title, version, entities } in table {
        let entities = entities.join(", ");
        let number = label(number);
        text += &format!("| {number} | {title} | {version} | {entities} |\n");
    }
    text
}

/// The `implements` and `xmpp:SupportedXep` elements of a DOAP file (XEP-0453 §3).
#[must_use]
pub fn doap(table: &[Line]) -> String {
    let mut text = String::new();
    for Line { number, version, .. } in table.iter().filter(|line| is_xep(line.number)) {
        let address = format!("https://xmpp.org/extensions/xep-{number}.html");
        text += &format!(
            "<implements><xmpp:SupportedXep><xmpp:xep rdf:resource='{address}'/>\
             <xmpp:version>{version}</xmpp:version></xmpp:SupportedXep></implements>\n"
        );
    }
    text
}

/// XEPs are numbered with four digits and a leading zero; RFCs have none.
fn is_xep(number: &str) -> bool {
    number.starts_with('0')
}

fn label(number: &str) -> String {
    match is_xep(number) {
        true => format!("XEP-{number}"),
        false => format!("RFC {number}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(number: &'static str, entity: &'static str) -> Line {
        Line { number, title: "Ping", version: "2.0", entities: vec![entity] }
    }

    #[test]
    fn an_extension_of_several_entities_has_one_line() {
        let lists =
            [vec![line("0199", "user"), line("0030", "user")], vec![line("0199", "domain")]];
        let table = table(lists);
        assert_eq!(table.iter().map(|line| line.number).collect::<Vec<_>>(), ["0030", "0199"]);
        assert_eq!(table[1].entities, ["user", "domain"]);
        assert!(markdown(&table).contains("| XEP-0199 | Ping | 2.0 | user, domain |\n"));
    }

    #[test]
    fn a_doap_file_lists_no_rfc() {
        let table = [line("0199", "user"), line("6121", "user")];
        let doap = doap(&table);
        assert_eq!(doap.matches("SupportedXep>").count(), 2);
        assert!(doap.contains("xep-0199.html") && !doap.contains("6121"));
    }
}
