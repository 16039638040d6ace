//! Owns what differs between two configurations, by the names that operators write.

use toml::{Table, Value};

use super::Config;

/// The keys whose values differ, such as `limits.stanza_bytes`, in alphabetical order. A list is one value.
pub fn changes(before: &Config, after: &Config) -> Vec<String> {
    let (before, after) = (leaves(before), leaves(after));
    let names = before.keys().chain(after.keys());
    let mut changed: Vec<String> =
        names.filter(|name| before.get(*name) != after.get(*name)).cloned().collect();
    changed.sort_unstable();
    changed.dedup();
    changed
}

fn leaves(config: &Config) -> Table {
    let mut leaves = Table::new();
    match Table::try_from(config) {
        Ok(table) => flatten("", table, &mut leaves),
        Err(error) => tracing::error!(%error, "a configuration cannot be written"),
    }
    leaves
}

fn flatten(path: &str, table: Table, leaves: &mut Table) {
    for (name, value) in table {
        let path = if path.is_empty() { name } else { format!("{path}.{name}") };
        match value {
            Value::Table(table) => flatten(&path, table, leaves),
            value => drop(leaves.insert(path, value)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Config {
        Config::parse(text, "test", &[]).unwrap()
    }

    #[test]
    fn keys_that_differ_are_named_with_their_tables() {
        let before = config("arbiters = 2\n[limits]\nstanza_bytes = 20000\n[room]\nrooms = 5");
        let after = config(
            "arbiters = 2\n[limits]\nstanza_bytes = 30000\n[room]\nadmins = ['a@localhost']\nrooms = 5",
        );
        assert_eq!(changes(&before, &after), ["limits.stanza_bytes", "room.admins"]);
        assert_eq!(changes(&before, &before), [""; 0]);
    }

    #[test]
    fn a_key_that_only_one_has_differs() {
        let with =
            config("[[domain]]\nname = 'localhost'\n[contact]\nabuse = ['mailto:a@b.example']");
        assert_eq!(changes(&config(""), &with), ["contact.abuse"]);
    }
}
