//! Owns the published table of extensions: what the lists of all entities say, as rows, as Markdown for
//! people and as the list of a DOAP file for programs (XEP-0453).

use crate::entity::Entity;
use crate::extension::Extensions;

/// One extension, and for which entities it is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtensionRow {
    /// The number, such as `"0280"`.
    pub number: &'static str,
    /// The title.
    pub title: &'static str,
    /// The version.
    pub version: &'static str,
    /// The names of the entities, such as `"user"`.
    pub entities: Vec<&'static str>,
}

/// The rows of one list. What has no number is no XEP, and no row.
pub fn rows<E: Entity>(extensions: &Extensions<E>) -> Vec<ExtensionRow> {
    let row = |extension: &crate::Extension<E>| ExtensionRow {
        number: extension.number,
        title: extension.title,
        version: extension.version,
        entities: vec![E::NAME],
    };
    extensions.iter().filter(|extension| !extension.number.is_empty()).map(row).collect()
}

/// Lists together, by number, each extension once.
#[must_use]
pub fn table(lists: impl IntoIterator<Item = Vec<ExtensionRow>>) -> Vec<ExtensionRow> {
    let mut table: Vec<ExtensionRow> = Vec::new();
    for row in lists.into_iter().flatten() {
        match table.iter_mut().find(|known| known.number == row.number) {
            Some(known) => known.entities.extend(row.entities),
            None => table.push(row),
        }
    }
    table.sort_by_key(|row| row.number);
    table
}

/// The table for people.
#[must_use]
pub fn markdown(table: &[ExtensionRow]) -> String {
    let mut text = "| number | title | version | for |\n| --- | --- | --- | --- |\n".to_owned();
    for ExtensionRow { number, title, version, entities } in table {
        let entities = entities.join(", ");
        let number = label(number);
        text += &format!("| {number} | {title} | {version} | {entities} |\n");
    }
    text
}

/// The `implements` and `xmpp:SupportedXep` elements of a DOAP file (XEP-0453 §3).
#[must_use]
pub fn doap(table: &[ExtensionRow]) -> String {
    let mut text = String::new();
    for ExtensionRow { number, version, .. } in table.iter().filter(|row| is_xep(row.number)) {
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

    fn row(number: &'static str, entity: &'static str) -> ExtensionRow {
        ExtensionRow { number, title: "Ping", version: "2.0", entities: vec![entity] }
    }

    #[test]
    fn an_extension_of_several_entities_has_one_line() {
        let lists = [vec![row("0199", "user"), row("0030", "user")], vec![row("0199", "domain")]];
        let table = table(lists);
        assert_eq!(table.iter().map(|row| row.number).collect::<Vec<_>>(), ["0030", "0199"]);
        assert_eq!(table[1].entities, ["user", "domain"]);
        assert!(markdown(&table).contains("| XEP-0199 | Ping | 2.0 | user, domain |\n"));
    }

    #[test]
    fn a_doap_file_lists_no_rfc() {
        let table = [row("0199", "user"), row("6121", "user")];
        let doap = doap(&table);
        assert_eq!(doap.matches("SupportedXep>").count(), 2);
        assert!(doap.contains("xep-0199.html") && !doap.contains("6121"));
    }
}
