//! Owns the text form of metrics as a reader sees it, and refuses what Prometheus would refuse.

use std::collections::BTreeMap;

/// A page: families by name.
pub(super) struct Page(pub(super) BTreeMap<String, Family>);

/// A family of samples.
#[derive(Debug, Default)]
pub(super) struct Family {
    pub(super) help: String,
    pub(super) kind: String,
    /// Name, labels and value of each sample, in order.
    pub(super) samples: Vec<(String, Labels, f64)>,
}

/// Labels by name.
pub(super) type Labels = BTreeMap<String, String>;

impl Page {
    /// Reads a page. Each family has its HELP, its TYPE and then its samples.
    pub(super) fn read(text: &str) -> Self {
        let mut families = BTreeMap::<String, Family>::new();
        let mut current = String::new();
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                let (name, help) = rest.split_once(' ').expect("a help text");
                let family = Family { help: help.to_owned(), ..Family::default() };
                assert!(families.insert(name.to_owned(), family).is_none(), "{name} comes twice");
                name.clone_into(&mut current);
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').expect("a type");
                assert_eq!(name, current, "the type comes behind the help");
                kind.clone_into(&mut families.get_mut(name).unwrap().kind);
            } else {
                let (name, labels, value) = sample(line);
                let family = families.get_mut(&current).expect("samples come behind their family");
                let plain = name.strip_prefix(&current).unwrap_or_else(|| panic!("{line}"));
                let suffixes: &[&str] = match family.kind.as_str() {
                    "histogram" => &["_bucket", "_sum", "_count"],
                    "counter" | "gauge" => &[""],
                    other => panic!("{current} is a {other:?}"),
                };
                assert!(suffixes.contains(&plain), "{line}");
                let known = |it: &(String, Labels, f64)| it.0 == name && it.1 == labels;
                assert!(!family.samples.iter().any(known), "twice: {line}");
                family.samples.push((name, labels, value));
            }
        }
        Self(families)
    }

    /// The value of a sample; labels as `a=b,c=d`.
    pub(super) fn value(&self, name: &str, labels: &str) -> f64 {
        let labels: Labels = labels
            .split(',')
            .filter_map(|pair| pair.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let samples = self.0.values().flat_map(|family| &family.samples);
        let found = samples.into_iter().find(|(it, its, _)| it == name && *its == labels);
        found.unwrap_or_else(|| panic!("there is no {name} {labels:?}")).2
    }
}

fn sample(line: &str) -> (String, Labels, f64) {
    let (named, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no value: {line}"));
    let value = match value {
        "+Inf" => f64::INFINITY,
        value => value.parse().unwrap_or_else(|_| panic!("no number: {line}")),
    };
    let (name, labels) = named.split_once('{').map_or((named, ""), |(name, rest)| {
        (name, rest.strip_suffix('}').unwrap_or_else(|| panic!("no end: {line}")))
    });
    let pairs = labels.split(',').filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or_else(|| panic!("no label: {line}"));
        let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
        let value = value.unwrap_or_else(|| panic!("no quotes: {line}"));
        assert!(!value.contains(['"', '\\']), "{line}");
        (name.to_owned(), value.to_owned())
    });
    (name.to_owned(), pairs.collect(), value)
}
