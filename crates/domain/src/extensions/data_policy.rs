//! XEP-0504 Data Policy, version 0.1.0: what becomes of people's data, as the operator says, as a form in the
//! server's disco answer.

use entity::Extension;
use serde::{Deserialize, Serialize};
use xmpp::forms::{Field, FieldType, Form, FormKind};

use crate::Domain;

/// What becomes of data.
pub const EXTENSION: Extension<Domain> =
    Extension { number: "0504", title: "Data Policy", version: "0.1.0", ..Extension::NONE };

/// What the operator says of it; what is left out is not told (§4). Hours are numbers, `infinite` or `unknown`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
#[expect(missing_docs, reason = "each field is named by the word of XEP-0504")]
pub struct DataPolicy {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth_data: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_retention: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_deletion: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encryption_at_rest: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tos: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_export: Option<bool>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub access_policy: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub full_erasure: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backup_frequency: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backup_retention: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extra_info: Option<String>,
}

const AUTH: [&str; 4] = ["no_auth", "plain", "hidden", "restricted"];
const ACCESS: [&str; 7] = [
    "admins",
    "moderators",
    "organization_member",
    "government",
    "advertisers",
    "partners",
    "none",
];

impl DataPolicy {
    /// The first value that the XEP does not know (§3), as `key value`.
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        let hours = |text: &str| text.parse::<u32>().is_ok();
        let long = |text: &str| hours(text) || matches!(text, "infinite" | "unknown");
        let wrong = |key: &str, value: &Option<String>, is_good: &dyn Fn(&str) -> bool| {
            let bad = value.as_deref().filter(|value| !is_good(value));
            bad.map(|value| format!("{key} {value:?}"))
        };
        let wrong = wrong("auth_data", &self.auth_data, &|text| AUTH.contains(&text))
            .or_else(|| wrong("data_retention", &self.data_retention, &long))
            .or_else(|| wrong("tos", &self.tos, &|text| text.contains(':')))
            .or_else(|| wrong("backup_frequency", &self.backup_frequency, &hours))
            .or_else(|| wrong("backup_retention", &self.backup_retention, &long));
        let access = || {
            let unknown = self.access_policy.iter().find(|it| !ACCESS.contains(&it.as_str()));
            let alone = self.access_policy.len() > 1;
            let none = self.access_policy.iter().find(|it| alone && *it == "none");
            unknown.or(none).map(|value| format!("access_policy {value:?}"))
        };
        wrong.or_else(access)
    }

    /// The form (§3); none where nothing is said.
    pub(super) fn form(&self) -> Option<Form> {
        if *self == Self::default() {
            return None;
        }
        let text = |var: &'static str, value: &Option<String>| {
            value.as_deref().map(|it| Field::new(FieldType::TextSingle, var).with_value(it))
        };
        let flag = |var: &'static str, value: Option<bool>| {
            value.map(|it| Field { ty: Some(FieldType::Boolean), ..Field::boolean(var, it) })
        };
        let auth = self.auth_data.as_deref();
        let auth = auth.map(|it| Field::new(FieldType::ListSingle, "auth_data").with_value(it));
        let access = Field::new(FieldType::ListMulti, "access_policy");
        let access = access.with_values(&self.access_policy);
        let fields = [
            auth,
            text("data_retention", &self.data_retention),
            flag("data_deletion", self.data_deletion),
            flag("encryption_at_rest", self.encryption_at_rest),
            text("tos", &self.tos),
            flag("data_export", self.data_export),
            Some(access).filter(|_| !self.access_policy.is_empty()),
            flag("full_erasure", self.full_erasure),
            text("backup_frequency", &self.backup_frequency),
            text("backup_retention", &self.backup_retention),
            self.extra_info.as_deref().map(|it| Field::text_multi("extra_info", it)),
        ];
        let form = Form::new(FormKind::Result, "urn:xmpp:data-policy:0");
        Some(fields.into_iter().flatten().fold(form, Form::with))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // §3.1, §3.3, §3.6, §3.9
    #[test]
    fn values_that_the_xep_does_not_know_are_named() {
        let some = |text: &str| Some(text.to_owned());
        let good = DataPolicy {
            auth_data: some("hidden"),
            data_retention: some("infinite"),
            tos: some("https://x.org/tos"),
            access_policy: vec!["admins".into(), "government".into()],
            backup_frequency: some("24"),
            ..DataPolicy::default()
        };
        assert_eq!(good.fault(), None);
        let faults = [
            DataPolicy { auth_data: some("magic"), ..good.clone() },
            DataPolicy { data_retention: some("a week"), ..good.clone() },
            DataPolicy { tos: some("none"), ..good.clone() },
            DataPolicy { backup_frequency: some("infinite"), ..good.clone() },
            DataPolicy { access_policy: vec!["none".into(), "admins".into()], ..good.clone() },
            DataPolicy { access_policy: vec!["cats".into()], ..good },
        ];
        for policy in faults {
            assert!(policy.fault().is_some(), "{policy:?}");
        }
    }
}
