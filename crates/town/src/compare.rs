//! Owns the comparison of XML as XML: an expected pattern against what came.

use std::collections::BTreeMap;

use xmpp::Element;
use xmpp::element::Node;

/// Values that a story took from what came.
pub type Taken = BTreeMap<String, String>;

/// Compares; what was taken is added to `taken` only on a match.
///
/// # Errors
/// Where and how the two differ.
pub fn matches(pattern: &Element, actual: &Element, taken: &mut Taken) -> Result<(), String> {
    let mut trial = taken.clone();
    element(pattern, actual, &mut trial)?;
    *taken = trial;
    Ok(())
}

fn element(pattern: &Element, actual: &Element, taken: &mut Taken) -> Result<(), String> {
    let name = pattern.name();
    if !actual.is(name, pattern.ns()) {
        let (ns, other) = (pattern.ns(), actual.name());
        return Err(format!("expected <{name} {ns:?}>, got <{other} {:?}>", actual.ns()));
    }
    for (ns, attribute, expected) in pattern.attrs() {
        let value = actual.attr_ns(attribute, ns);
        if expected == "{none}" && value.is_none() {
            continue;
        }
        value_matches(expected, value, taken)
            .map_err(|why| format!("in <{name}>, attribute {attribute}: {why}"))?;
    }
    content(pattern, actual, taken).map_err(|why| format!("in <{name}>: {why}"))
}

fn content(pattern: &Element, actual: &Element, taken: &mut Taken) -> Result<(), String> {
    let text = pattern.text();
    let open = text.contains('…');
    let expected = text.replace('…', "");
    let (expected, value) = (expected.trim(), actual.text());
    if !(open && expected.is_empty()) {
        value_matches(expected, Some(value.trim()), taken)?;
    }
    let mut rest: Vec<&Element> = actual.children().collect();
    for child in pattern.children() {
        let found = rest.iter().position(|candidate| {
            let mut trial = taken.clone();
            let fits = element(child, candidate, &mut trial).is_ok();
            if fits {
                *taken = trial;
            }
            fits
        });
        match found {
            Some(index) => drop(rest.remove(index)),
            None => {
                let why = rest.iter().find(|candidate| candidate.is(child.name(), child.ns()));
                return Err(match why {
                    Some(near) => {
                        element(child, near, &mut taken.clone()).err().unwrap_or_default()
                    }
                    None => format!("there is no <{} {:?}>", child.name(), child.ns()),
                });
            }
        }
    }
    match rest.first() {
        Some(extra) if !open => Err(format!("unexpected <{} {:?}>", extra.name(), extra.ns())),
        _ => Ok(()),
    }
}

/// `{$x}` takes the value, or must be what was taken before.
fn value_matches(expected: &str, actual: Option<&str>, taken: &mut Taken) -> Result<(), String> {
    let Some(actual) = actual else { return Err(format!("expected {expected:?}, got none")) };
    let variable = expected.strip_prefix("{$").and_then(|rest| rest.strip_suffix('}'));
    if let Some(name) = variable {
        let before = taken.entry(name.to_owned()).or_insert_with(|| actual.to_owned());
        return (before == actual)
            .then_some(())
            .ok_or_else(|| format!("expected {before:?} again, got {actual:?}"));
    }
    (expected == actual)
        .then_some(())
        .ok_or_else(|| format!("expected {expected:?}, got {actual:?}"))
}

/// The texts directly in an element and in all elements below it, for messages to people.
pub fn show(element: &Element) -> String {
    let mut out = Vec::new();
    element.write(&mut out, "");
    String::from_utf8_lossy(&out).into_owned()
}

/// Reads one element of a pattern.
///
/// # Panics
/// On bad XML: a story that cannot be read is a failed test.
pub fn parse(xml: &str) -> Element {
    let mut nodes = Element::parse_all(xml.as_bytes()).unwrap_or_else(|_| panic!("bad XML: {xml}"));
    nodes.retain(|node| !matches!(node, Node::Text(text) if text.trim().is_empty()));
    match (nodes.pop(), nodes.is_empty()) {
        (Some(Node::Element(element)), true) => element,
        _ => panic!("not one element: {xml}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compare(pattern: &str, actual: &str) -> Result<(), String> {
        matches(&parse(pattern), &parse(actual), &mut Taken::new())
    }

    #[test]
    fn attributes_not_written_and_the_order_of_children_are_free() {
        assert_eq!(compare("<a x='1'><b/><c/></a>", "<a y='2' x='1'><c/><b/></a>"), Ok(()));
    }

    #[test]
    fn content_is_exact_without_an_ellipsis() {
        assert!(compare("<a/>", "<a><b/></a>").is_err());
        assert!(compare("<a/>", "<a>text</a>").is_err());
        assert_eq!(compare("<a><b/>…</a>", "<a>text<c/><b/></a>"), Ok(()));
        assert!(compare("<a><b/>…</a>", "<a><c/></a>").is_err());
    }

    #[test]
    fn namespaces_and_values_count() {
        assert!(compare("<a xmlns='x'/>", "<a xmlns='y'/>").is_err());
        assert!(compare("<a x='1'/>", "<a x='2'/>").is_err());
        assert!(compare("<a x='1'/>", "<a/>").is_err());
    }

    #[test]
    fn an_attribute_can_be_unwanted() {
        assert_eq!(compare("<a x='{none}'/>", "<a/>"), Ok(()));
        assert!(compare("<a x='{none}'/>", "<a x='1'/>").is_err());
    }

    #[test]
    fn a_taken_value_must_come_again() {
        let mut taken = Taken::new();
        assert_eq!(matches(&parse("<a x='{$id}'/>"), &parse("<a x='7'/>"), &mut taken), Ok(()));
        assert_eq!(taken["id"], "7");
        assert!(matches(&parse("<a x='{$id}'/>"), &parse("<a x='8'/>"), &mut taken).is_err());
    }
}
