//! Owns the small tree for payloads that this server itself must understand. Stanzas that only pass
//! through never become one.

use std::borrow::Cow;

use rxml::{Event, Options, Parse, Parser, WithOptions};

use crate::{ns, writer};

/// An element with its attributes and content. Names of the content namespace (`jabber:client` and its
/// kin) have the empty namespace here, as in canonical bytes; names without any have [`ns::NONE`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Element {
    name: Cow<'static, str>,
    ns: Cow<'static, str>,
    attributes: Vec<Attribute>,
    nodes: Vec<Node>,
}

/// A piece of an element's content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// A child element.
    Element(Element),
    /// Character data, references resolved.
    Text(String),
}

/// An attribute; `ns` is empty for all but foreign ones and `xml:`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Attribute {
    ns: Cow<'static, str>,
    name: Cow<'static, str>,
    value: String,
}

/// Bytes that were handed in as canonical XML are not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not one well-formed element")]
pub struct NotAnElement;

/// The most bytes of one attribute's value; what the gates let in can be read back here.
pub const MAX_ATTRIBUTE_BYTES: usize = 16_384;

/// Stands for the content namespace while canonical bytes are read: the one name that no XML may declare
/// as its default namespace (Namespaces in XML §3).
const CONTENT: &str = ns::XMLNS;

/// Deeper elements than this are refused by [`Element::parse`]; the gates refuse them long before.
const MAX_DEPTH: usize = 128;

impl Element {
    /// An empty element. `ns` is empty for the content namespace.
    pub fn new(name: impl Into<Cow<'static, str>>, ns: impl Into<Cow<'static, str>>) -> Self {
        Self { name: name.into(), ns: ns.into(), attributes: Vec::new(), nodes: Vec::new() }
    }

    /// Reads exactly one element from canonical bytes whose context is the content namespace.
    ///
    /// # Errors
    /// When the bytes are not one well-formed element.
    pub fn parse(bytes: &[u8]) -> Result<Self, NotAnElement> {
        let mut nodes = Self::parse_all(bytes)?;
        match (nodes.pop(), nodes.is_empty()) {
            (Some(Node::Element(element)), true) => Ok(element),
            _ => Err(NotAnElement),
        }
    }

    /// Reads the content of an element: any number of elements and texts.
    ///
    /// # Errors
    /// When the bytes are not well-formed content.
    pub fn parse_all(bytes: &[u8]) -> Result<Vec<Node>, NotAnElement> {
        let mut parser = Parser::with_options(Options {
            max_token_length: MAX_ATTRIBUTE_BYTES,
            ..Options::default()
        });
        let open = format!("<r xmlns='{CONTENT}'>");
        let mut stack: Vec<Self> = Vec::new();
        let mut whole = None;
        for (chunk, last) in [(open.as_bytes(), false), (bytes, false), (b"</r>", true)] {
            let mut rest = chunk;
            loop {
                match parser.parse(&mut rest, last) {
                    Ok(Some(event)) => whole = whole.or(grow(&mut stack, event)?),
                    Ok(None) => break,
                    Err(rxml::error::EndOrError::NeedMoreData) => break,
                    Err(rxml::error::EndOrError::Error(_)) => return Err(NotAnElement),
                }
            }
        }
        whole.map(|root| root.nodes).ok_or(NotAnElement)
    }

    /// The element's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The element's namespace; empty for the content namespace.
    pub fn ns(&self) -> &str {
        &self.ns
    }

    /// Whether the element has this name and namespace.
    pub fn is(&self, name: &str, ns: &str) -> bool {
        self.name == name && self.ns == ns
    }

    /// An attribute without namespace.
    pub fn attr(&self, name: &str) -> Option<&str> {
        self.attr_ns(name, "")
    }

    /// An attribute of a namespace, such as [`ns::XML`].
    pub fn attr_ns(&self, name: &str, ns: &str) -> Option<&str> {
        self.attributes.iter().find(|a| a.name == name && a.ns == ns).map(|a| a.value.as_str())
    }

    /// All attributes: namespace (empty for most), name, value.
    pub fn attributes(&self) -> impl Iterator<Item = (&str, &str, &str)> {
        self.attributes.iter().map(|a| (a.ns.as_ref(), a.name.as_ref(), a.value.as_str()))
    }

    /// Every attribute: namespace (empty for most), name, value.
    pub fn attrs(&self) -> impl Iterator<Item = (&str, &str, &str)> {
        self.attributes.iter().map(|a| (a.ns.as_ref(), a.name.as_ref(), a.value.as_str()))
    }

    /// `xml:lang`.
    pub fn lang(&self) -> Option<&str> {
        self.attr_ns("lang", ns::XML)
    }

    /// The content in order.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The child elements in order.
    pub fn children(&self) -> impl Iterator<Item = &Self> {
        self.nodes.iter().filter_map(|node| match node {
            Node::Element(element) => Some(element),
            Node::Text(_) => None,
        })
    }

    /// The first child of this name and namespace.
    pub fn child(&self, name: &str, ns: &str) -> Option<&Self> {
        self.children().find(|child| child.is(name, ns))
    }

    /// The text directly in the element, put together.
    pub fn text(&self) -> String {
        self.nodes
            .iter()
            .filter_map(|node| match node {
                Node::Text(text) => Some(text.as_str()),
                Node::Element(_) => None,
            })
            .collect()
    }

    /// With an attribute, which replaces one of the same name.
    #[must_use]
    pub fn with_attr(self, name: impl Into<Cow<'static, str>>, value: impl Into<String>) -> Self {
        self.with_attr_ns(name, "", value)
    }

    /// With an attribute of a namespace.
    #[must_use]
    pub fn with_attr_ns(
        mut self,
        name: impl Into<Cow<'static, str>>,
        ns: impl Into<Cow<'static, str>>,
        value: impl Into<String>,
    ) -> Self {
        let (name, ns, value) = (name.into(), ns.into(), value.into());
        self.attributes.retain(|a| a.name != name || a.ns != ns);
        self.attributes.push(Attribute { ns, name, value });
        self
    }

    /// With an attribute where there is a value.
    #[must_use]
    pub fn with_attr_opt(
        self,
        name: impl Into<Cow<'static, str>>,
        value: Option<impl Into<String>>,
    ) -> Self {
        match value {
            Some(value) => self.with_attr(name, value),
            None => self,
        }
    }

    /// With a child appended.
    #[must_use]
    pub fn with_child(mut self, child: Self) -> Self {
        self.push(child);
        self
    }

    /// With children appended.
    #[must_use]
    pub fn with_children(mut self, children: impl IntoIterator<Item = Self>) -> Self {
        self.nodes.extend(children.into_iter().map(Node::Element));
        self
    }

    /// With text appended.
    #[must_use]
    pub fn with_text(mut self, text: impl Into<String>) -> Self {
        self.nodes.push(Node::Text(text.into()));
        self
    }

    /// Appends a child.
    pub fn push(&mut self, child: Self) {
        self.nodes.push(Node::Element(child));
    }

    /// Appends the canonical bytes. `parent_ns` is the namespace around the element; empty for the
    /// content namespace.
    pub fn write(&self, out: &mut Vec<u8>, parent_ns: &str) {
        writer::open_start(out, &self.name, &self.ns, parent_ns);
        for (index, attribute) in self.attributes.iter().enumerate() {
            if attribute.ns.is_empty() {
                writer::attribute(out, &attribute.name, &attribute.value);
            } else {
                let name = (attribute.ns.as_ref(), attribute.name.as_ref());
                writer::foreign_attribute(out, index, name, &attribute.value);
            }
        }
        if self.nodes.is_empty() {
            return writer::empty_end(out);
        }
        writer::open_end(out);
        for node in &self.nodes {
            match node {
                Node::Element(element) => element.write(out, &self.ns),
                Node::Text(text) => writer::text(out, text),
            }
        }
        writer::close(out, &self.name);
    }

    /// The canonical bytes as a child of a stanza.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(&mut out, "");
        out
    }
}

/// Takes one parser event; returns the root when it is complete.
fn grow(stack: &mut Vec<Element>, event: Event) -> Result<Option<Element>, NotAnElement> {
    match event {
        Event::XmlDeclaration(..) => Err(NotAnElement),
        Event::StartElement(_, (ns, name), attributes) => {
            if stack.len() >= MAX_DEPTH {
                return Err(NotAnElement);
            }
            let ns = match ns.as_str() {
                CONTENT => Cow::Borrowed(""),
                "" => Cow::Borrowed(ns::NONE),
                other => Cow::Owned(other.to_owned()),
            };
            let mut element = Element::new(name.to_string(), ns);
            for ((ns, name), value) in attributes {
                element = element.with_attr_ns(name.to_string(), ns.as_str().to_owned(), value);
            }
            stack.push(element);
            Ok(None)
        }
        Event::Text(_, text) => {
            let top = stack.last_mut().ok_or(NotAnElement)?;
            match top.nodes.last_mut() {
                Some(Node::Text(before)) => before.push_str(&text),
                _ => top.nodes.push(Node::Text(text)),
            }
            Ok(None)
        }
        Event::EndElement(_) => {
            let done = stack.pop().ok_or(NotAnElement)?;
            match stack.last_mut() {
                Some(parent) => parent.push(done),
                None => return Ok(Some(done)),
            }
            Ok(None)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canonical_bytes_read_back_as_they_were_written() {
        let element = Element::new("query", ns::ROSTER)
            .with_attr("ver", "a'b\n")
            .with_attr_ns("lang", ns::XML, "de")
            .with_attr_ns("k", "urn:x", "v")
            .with_child(Element::new("item", ns::ROSTER).with_text("<&>\r"))
            .with_child(Element::new("body", ns::NONE).with_text("x"))
            .with_text("tail");
        let bytes = element.to_bytes();
        assert_eq!(Element::parse(&bytes), Ok(element));
    }

    #[test]
    fn children_of_the_content_namespace_carry_no_declaration() {
        let bytes = Element::new("body", "").with_text("hi").to_bytes();
        assert_eq!(bytes, b"<body>hi</body>");
    }

    #[test]
    fn no_namespace_is_not_the_content_namespace() {
        let element = Element::parse(b"<a><b xmlns=''><c/></b><d/></a>").unwrap();
        let names: Vec<_> = element.children().map(Element::ns).collect();
        assert_eq!(names, [ns::NONE, ""]);
        assert_eq!(element.to_bytes(), b"<a><b xmlns=''><c/></b><d/></a>");
    }

    #[test]
    fn long_attributes_read_back() {
        let element = Element::new("a", "").with_attr("b", "&'".repeat(MAX_ATTRIBUTE_BYTES / 2));
        assert_eq!(Element::parse(&element.to_bytes()), Ok(element));
    }

    #[test]
    fn a_child_leaves_a_namespace_by_declaring_the_next() {
        let bytes = Element::new("f", "urn:f").with_child(Element::new("m", ns::CLIENT)).to_bytes();
        assert_eq!(bytes, b"<f xmlns='urn:f'><m xmlns='jabber:client'/></f>");
    }

    #[test]
    fn what_is_not_one_element_is_refused() {
        for bytes in
            ["", "text", "<a/><b/>", "<a>", "<a></b>", "</r><r>", "<a/></r><r>", "<a x='1' x='2'/>"]
        {
            assert_eq!(Element::parse(bytes.as_bytes()), Err(NotAnElement), "{bytes}");
        }
        let deep = [b"<a>".repeat(200), b"</a>".repeat(200)].concat();
        assert_eq!(Element::parse(&deep), Err(NotAnElement));
    }
}
