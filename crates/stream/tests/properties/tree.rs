//! Trees as text, one form for all who read: attributes sorted, namespaces in full.

use rxml::error::EndOrError;
use rxml::{Options, Parse, WithOptions};
use xmpp::element::Node;
use xmpp::{Element, Stanza, ns};

/// A first-level element. Of a stanza's opening tag the name alone is compared; its head is read by rules of
/// its own.
pub(super) fn of_stanza(stanza: &Stanza) -> String {
    let nodes = Element::parse_all(stanza.inner()).expect("canonical bytes are well-formed");
    format!("<{{{}}}{}>{}</>", ns::CLIENT, stanza.kind().name(), content(&nodes))
}

/// Any other first-level element.
pub(super) fn of_element(element: &Element) -> String {
    tag(element)
}

/// The first-level elements of a whole stream, as `rxml` reads them, up to where it refuses.
pub(super) fn of_document(input: &[u8]) -> Vec<String> {
    let mut parser = rxml::Parser::with_options(Options {
        max_token_length: xmpp::element::MAX_ATTRIBUTE_BYTES,
        ..Options::default()
    });
    let mut rest = skip_whitespace(input);
    let mut stack: Vec<Element> = Vec::new();
    let mut all = Vec::new();
    loop {
        match parser.parse(&mut rest, false) {
            Ok(Some(event)) => all.extend(grow(&mut stack, event)),
            Ok(None) | Err(EndOrError::NeedMoreData | EndOrError::Error(_)) => return all,
        }
    }
}

/// Before a stream whitespace is let pass.
fn skip_whitespace(input: &[u8]) -> &[u8] {
    let spaces = input.iter().take_while(|byte| b" \t\r\n".contains(byte)).count();
    &input[spaces..]
}

fn grow(stack: &mut Vec<Element>, event: rxml::Event) -> Option<String> {
    match event {
        rxml::Event::XmlDeclaration(..) => {}
        rxml::Event::StartElement(_, (ns, name), attributes) => {
            let ns = if ns.is_none() { ns::NONE } else { ns.as_str() };
            let mut element = Element::new(name.to_string(), ns.to_owned());
            for ((ns, name), value) in attributes {
                element = element.with_attr_ns(name.to_string(), ns.as_str().to_owned(), value);
            }
            stack.push(element);
        }
        rxml::Event::Text(_, text) => {
            let top = stack.pop().expect("text stands in an element");
            stack.push(top.with_text(text));
        }
        rxml::Event::EndElement(_) => {
            let done = stack.pop().expect("what ends has begun");
            if stack.len() == 1 {
                return Some(first_level(&done));
            }
            if let Some(parent) = stack.last_mut() {
                parent.push(done);
            }
        }
    }
    None
}

fn first_level(element: &Element) -> String {
    let is_stanza = ["message", "presence", "iq"].contains(&element.name());
    if is_stanza && element.ns() == ns::CLIENT {
        return format!("<{{{}}}{}>{}</>", ns::CLIENT, element.name(), content(element.nodes()));
    }
    tag(element)
}

fn tag(element: &Element) -> String {
    let ns = if element.ns().is_empty() { ns::CLIENT } else { element.ns() };
    let mut attributes: Vec<String> = element
        .attributes()
        .map(|(ns, name, value)| format!(" {{{ns}}}{name}={value:?}"))
        .collect();
    attributes.sort();
    let attributes = attributes.concat();
    format!("<{{{ns}}}{}{attributes}>{}</>", element.name(), content(element.nodes()))
}

/// Neighbouring texts are one.
fn content(nodes: &[Node]) -> String {
    let mut out = String::new();
    let mut text = String::new();
    for node in nodes {
        match node {
            Node::Text(part) => text.push_str(part),
            Node::Element(element) => {
                out.push_str(&quoted(&mut text));
                out.push_str(&tag(element));
            }
        }
    }
    out + &quoted(&mut text)
}

fn quoted(text: &mut String) -> String {
    match std::mem::take(text) {
        text if text.is_empty() => text,
        text => format!("{text:?}"),
    }
}
