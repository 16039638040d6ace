//! Owns canonical XML: the only code that turns names, attributes and text into bytes.
//!
//! Canonical form: single-quoted attributes; `&`, `<`, `>` and CR always escaped, TAB, LF and `'` escaped in
//! attributes; `xmlns` comes first and only where the namespace differs from the parent's; elements
//! never carry a prefix; an attribute of a foreign namespace declares its prefix on its own element.
//! Children of a stanza in the content namespace carry no `xmlns`, so that they take the client's,
//! server's or component's namespace from the receiver's opening tag (RFC 6120 §4.8.3).

/// Appends `text` as character data.
pub fn text(out: &mut Vec<u8>, text: &str) {
    escape(out, text.as_bytes(), text_reference);
}

/// Appends `value` as the inside of a single-quoted attribute.
pub fn attribute_value(out: &mut Vec<u8>, value: &str) {
    escape(out, value.as_bytes(), attribute_reference);
}

/// Appends ` name='value'`.
pub fn attribute(out: &mut Vec<u8>, name: &str, value: &str) {
    out.push(b' ');
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"='");
    attribute_value(out, value);
    out.push(b'\'');
}

/// Appends ` pN:name='value'` with the declaration of `pN`, for an attribute of a foreign namespace.
/// `index` makes the prefix unique on its element. `xml:` needs no declaration.
pub fn foreign_attribute(out: &mut Vec<u8>, index: usize, name: (&str, &str), value: &str) {
    let (ns, local) = name;
    if ns == crate::ns::XML {
        out.extend_from_slice(b" xml:");
        out.extend_from_slice(local.as_bytes());
    } else {
        let prefix = format!("p{index}");
        attribute(out, &format!("xmlns:{prefix}"), ns);
        out.push(b' ');
        out.extend_from_slice(prefix.as_bytes());
        out.push(b':');
        out.extend_from_slice(local.as_bytes());
    }
    out.extend_from_slice(b"='");
    attribute_value(out, value);
    out.push(b'\'');
}

/// Appends `<name`, and ` xmlns='ns'` where it differs from the parent's namespace.
/// Attributes may follow, then [`open_end`] or [`empty_end`].
pub fn open_start(out: &mut Vec<u8>, name: &str, ns: &str, parent_ns: &str) {
    out.push(b'<');
    out.extend_from_slice(name.as_bytes());
    // Two that are empty, as of every stanza, are not compared: to compare no bytes, where they are none, costs a processor
    // that masks what it loads as much as to write the tag.
    if ns.len() == parent_ns.len() && (ns.is_empty() || ns == parent_ns) {
        return;
    }
    attribute(out, "xmlns", if ns == crate::ns::NONE { "" } else { ns });
}

/// Ends an opening tag that has content.
pub fn open_end(out: &mut Vec<u8>) {
    out.push(b'>');
}

/// Ends an opening tag of an element without content.
pub fn empty_end(out: &mut Vec<u8>) {
    out.extend_from_slice(b"/>");
}

/// Appends `</name>`.
pub fn close(out: &mut Vec<u8>, name: &str) {
    out.extend_from_slice(b"</");
    out.extend_from_slice(name.as_bytes());
    out.push(b'>');
}

/// Copies runs that need no escaping as a whole; most text has none.
fn escape(out: &mut Vec<u8>, bytes: &[u8], reference: impl Fn(u8) -> Option<&'static [u8]>) {
    let mut from = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        if let Some(replacement) = reference(byte) {
            out.extend_from_slice(&bytes[from..at]);
            out.extend_from_slice(replacement);
            from = at + 1;
        }
    }
    out.extend_from_slice(&bytes[from..]);
}

fn text_reference(byte: u8) -> Option<&'static [u8]> {
    match byte {
        b'&' => Some(b"&amp;"),
        b'<' => Some(b"&lt;"),
        b'>' => Some(b"&gt;"),
        b'\r' => Some(b"&#xD;"),
        _ => None,
    }
}

fn attribute_reference(byte: u8) -> Option<&'static [u8]> {
    match byte {
        b'\'' => Some(b"&apos;"),
        b'\t' => Some(b"&#x9;"),
        b'\n' => Some(b"&#xA;"),
        _ => text_reference(byte),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn text_escapes_markup_and_carriage_returns_only() {
        assert_eq!(written(|o| text(o, "a<b&c]]>\r\n\t'é\"")), "a&lt;b&amp;c]]&gt;&#xD;\n\t'é\"");
    }

    #[test]
    fn attributes_also_escape_quotes_tabs_and_line_feeds() {
        assert_eq!(
            written(|o| attribute(o, "a", "'\t\n\r<>&\"")),
            " a='&apos;&#x9;&#xA;&#xD;&lt;&gt;&amp;\"'"
        );
    }

    #[test]
    fn namespace_is_declared_only_where_it_changes() {
        assert_eq!(written(|o| open_start(o, "a", "x", "x")), "<a");
        assert_eq!(written(|o| open_start(o, "a", "y", "x")), "<a xmlns='y'");
        let none = crate::ns::NONE;
        assert_eq!(written(|o| open_start(o, "a", none, "")), "<a xmlns=''");
        assert_eq!(written(|o| open_start(o, "a", none, none)), "<a");
    }

    #[test]
    fn foreign_attributes_declare_their_prefix() {
        assert_eq!(
            written(|o| foreign_attribute(o, 2, ("urn:x", "k"), "v")),
            " xmlns:p2='urn:x' p2:k='v'"
        );
        assert_eq!(
            written(|o| foreign_attribute(o, 0, (crate::ns::XML, "lang"), "en")),
            " xml:lang='en'"
        );
    }
}
