//! Owns what all members must have in common beside the plan, such as the served domains: each tells it in its greeting,
//! and where one differs that is logged and shown to operators. Nobody is refused for it: a change goes from member to
//! member.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};

use proto::MemberId;

use crate::plan::MemberInfo;

/// What this member has, and in what others differ.
pub(crate) struct Common {
    own: BTreeMap<String, String>,
    differences: Mutex<BTreeMap<MemberId, String>>,
}

/// The most bytes of another's words that are shown.
const LONGEST: usize = 256;

impl Common {
    pub(crate) fn new(own: BTreeMap<String, String>) -> Self {
        Self { own, differences: Mutex::default() }
    }

    /// What this member tells others.
    pub(crate) fn own(&self) -> HashMap<String, String> {
        self.own.iter().map(|(name, value)| (name.clone(), value.clone())).collect()
    }

    /// In what a member differs from this one, as far as it has said.
    pub(crate) fn difference(&self, member: MemberId) -> Option<String> {
        self.differences.lock().unwrap_or_else(PoisonError::into_inner).get(&member).cloned()
    }

    /// Another member has said what it has.
    pub(crate) fn compare(&self, info: &MemberInfo, theirs: &HashMap<String, String>) {
        let difference = self.differs(theirs);
        let mut differences = self.differences.lock().unwrap_or_else(PoisonError::into_inner);
        if differences.get(&info.id) == difference.as_ref() {
            return;
        }
        match difference {
            Some(difference) => {
                tracing::warn!(
                    peer = info.name,
                    "is not configured as this member is: {difference}"
                );
                differences.insert(info.id, difference);
            }
            None => {
                tracing::info!(peer = info.name, "is configured as this member is");
                differences.remove(&info.id);
            }
        }
    }

    /// A program that says nothing is not judged.
    fn differs(&self, theirs: &HashMap<String, String>) -> Option<String> {
        let differs = |(name, own): (&String, &String)| match theirs.get(name) {
            Some(other) if other == own => None,
            other => {
                let other = other.map_or("nothing", String::as_str);
                let shown: String = other.chars().take(LONGEST).collect();
                Some(format!("{name}: {own} here, {shown} there"))
            }
        };
        let all: Vec<String> = self.own.iter().filter_map(differs).collect();
        (!theirs.is_empty() && !all.is_empty()).then(|| all.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_named_with_both_values_until_it_is_the_same() {
        let has = |domains: &str| [("domains".to_owned(), domains.to_owned())];
        let common = Common::new(has("a, b").into());
        let other = MemberInfo::new(MemberId(2), "m2".to_owned());
        common.compare(&other, &has("a").into());
        assert_eq!(common.difference(other.id).as_deref(), Some("domains: a, b here, a there"));
        common.compare(&other, &has("a, b").into());
        assert_eq!(common.difference(other.id), None);
        common.compare(&other, &HashMap::new());
        assert_eq!(common.difference(other.id), None, "an earlier program says nothing");
    }
}
