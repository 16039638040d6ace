//! Owns settings from the environment: `ROOKERY__STORE__ENGINE=memory` is `engine` of `[store]`. Scalars
//! only; lists and tables come from the file.

use toml::{Table, Value};

use super::ConfigError;

/// One setting: its name in the environment, its place in the tables, its value as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    name: String,
    path: Vec<String>,
    value: String,
}

const PREFIX: &str = "ROOKERY__";

/// The settings among the variables.
pub fn settings(variables: impl Iterator<Item = (String, String)>) -> Vec<Setting> {
    let mut settings: Vec<Setting> = variables
        .filter_map(|(name, value)| {
            let path = name.strip_prefix(PREFIX)?.to_ascii_lowercase();
            let path = path.split("__").map(str::to_owned).collect();
            Some(Setting { name, path, value })
        })
        .collect();
    settings.sort_by(|a, b| a.name.cmp(&b.name));
    settings
}

/// Lays settings over a file's tables.
///
/// # Errors
/// A setting that names a table or a list.
pub fn lay_over(mut table: Table, settings: &[Setting]) -> Result<Table, ConfigError> {
    for setting in settings {
        let wrong = || ConfigError::Shape {
            origin: "environment".to_owned(),
            what: format!(
                "{} must name a single value; lists and tables come from the file",
                setting.name
            ),
        };
        let (last, tables) = setting.path.split_last().ok_or_else(wrong)?;
        let mut place = &mut table;
        for name in tables {
            let next = place.entry(name.clone()).or_insert_with(|| Value::Table(Table::new()));
            place = next.as_table_mut().ok_or_else(wrong)?;
        }
        if place.get(last).is_some_and(|before| before.is_table() || before.is_array()) {
            return Err(wrong());
        }
        place.insert(last.clone(), scalar(&setting.value));
    }
    Ok(table)
}

/// Numbers and booleans as such, everything else as text.
fn scalar(value: &str) -> Value {
    if let Ok(number) = value.parse() {
        return Value::Integer(number);
    }
    match value {
        "true" => Value::Boolean(true),
        "false" => Value::Boolean(false),
        text => Value::String(text.to_owned()),
    }
}
