//! Tests of the short way: what it takes and what it leaves. That it says the same as the lexer is tested
//! over whole and cut inputs by the parser's tests and by `tests/fuzz.rs`.

use super::*;

const LIMITS: Limits =
    Limits { depth: 4, attributes: 3, namespaces: 4, name_bytes: 20, ..Limits::AFTER_LOGIN };

/// The content of a stanza that stands before more, and how many children it has.
fn taken(input: &str) -> Option<(String, usize)> {
    let mut out = b"before".to_vec();
    let more = format!("{input}<presence/>");
    let plain = read(more.as_bytes(), ns::CLIENT, &LIMITS, &mut out)?;
    assert_eq!(plain.eaten, input.len());
    let content = out.strip_prefix(b"before").unwrap().to_vec();
    Some((String::from_utf8(content).unwrap(), plain.children.len()))
}

fn content(content: &str) -> Option<String> {
    taken(&format!("<message>{content}</message>")).map(|(content, _)| content)
}

#[test]
fn what_clients_send_is_plain() {
    for (input, canonical, children) in [
        ("<presence/>", "", 0),
        ("<iq type='result' id=\"1\" ></iq>", "", 0),
        ("<message xmlns='jabber:client' to='a@x/\u{e9}'\n\txml:lang='en'>a</message>", "a", 0),
        (
            "<message><body>a &lt;&amp;&apos;&quot;&gt; > \u{1F600}\t\n</body><b></b></message>",
            "<body>a &lt;&amp;'\"&gt; &gt; \u{1F600}\t\n</body><b/>",
            2,
        ),
        (
            "<message><x xmlns=\"urn:x\" b='\"'><y xmlns='urn:x'/><z xmlns=''/></x></message>",
            "<x xmlns='urn:x' b='\"'><y/><z xmlns=''/></x>",
            1,
        ),
        (
            "<message><x xmlns='urn:x'><body xmlns='jabber:client' a='>\"'/></x></message>",
            "<x xmlns='urn:x'><body xmlns='jabber:client' a='&gt;\"'/></x>",
            1,
        ),
    ] {
        assert_eq!(taken(input), Some((canonical.to_owned(), children)), "{input}");
    }
}

#[test]
fn the_opening_tag_is_handed_on_as_it_was_written() {
    let limits = Limits::AFTER_LOGIN;
    let input = b"<iq to='a@x' from='b' id='7' type='odd' xml:lang='de' lang='no'/>";
    let attributes = read(input, ns::CLIENT, &limits, &mut Vec::new()).unwrap().attributes;
    assert_eq!((attributes.name, attributes.to, attributes.from), ("iq", Some("a@x"), Some("b")));
    assert_eq!(
        (attributes.id, attributes.ty, attributes.lang),
        (Some("7"), Some("odd"), Some("de"))
    );
}

#[test]
fn what_is_no_stanza_is_left() {
    for input in [
        "<r xmlns='urn:xmpp:sm:3'/>",
        "<message xmlns='jabber:server'/>",
        "<message xmlns=''/>",
        "<a/>",
        "<Message/>",
        "<a:message/>",
        "</stream:stream>",
        "text",
        "<message/ >",
        "<message a/>",
        "<message",
    ] {
        assert_eq!(taken(input), None, "{input}");
    }
}

#[test]
fn what_is_not_plain_is_left() {
    for input in [
        "<![CDATA[a]]>",
        "<!-- a -->",
        "<?a?>",
        "\r",
        "\0",
        "\u{1f}",
        "\u{fffe}",
        "]]>",
        "&#65;",
        "&a;",
        "&",
        "&ampamp;",
        "<a:b/>",
        "<\u{e9}/>",
        "<1/>",
        "<-a/>",
        "< a/>",
        "<a b='1'c='2'/>",
        "<a b = '1'/>",
        "<a b=1/>",
        "<a b='<'/>",
        "<a b='&amp;'/>",
        "<a b='\t'/>",
        "<a b='1' b='2'/>",
        "<a xml:lang='a' xml:lang='b'/>",
        "<a xml:space='preserve'/>",
        "<a xmlns='urn:a' xmlns='urn:a'/>",
        "<a xmlns:b='urn:b'/>",
        "<a xmlns='http://www.w3.org/2000/xmlns/'/>",
        "<a xmlns='http://www.w3.org/XML/1998/namespace'/>",
        "<a xmlns='no uri'/>",
        "<a></b>",
        "<a></a >",
        "<a>",
        "</a>",
        "<a/",
    ] {
        assert_eq!(content(input), None, "{input}");
    }
}

#[test]
fn what_is_near_a_limit_is_left() {
    assert!(content("<a><b><c/></b></a>").is_some());
    assert_eq!(content("<a><b><c><d/></c></b></a>"), None);
    assert!(content("<a a='' b='' c=''/>").is_some());
    assert_eq!(content("<a a='' b='' c='' d=''/>"), None);
    assert!(content("<a xmlns='urn:a'/><a xmlns='urn:a'/><a xmlns='urn:a'/>").is_some());
    assert_eq!(content(&"<a xmlns='urn:a'/>".repeat(4)), None);
    let long = "a".repeat(21);
    for input in [format!("<{long}/>"), format!("<a {long}=''/>"), format!("<a xmlns='{long}'/>")] {
        assert_eq!(content(&input), None, "{input}");
    }
    let value = "a".repeat(element::MAX_ATTRIBUTE_BYTES);
    assert_eq!(content(&format!("<a b='{value}'/>")), None);
}

#[test]
fn what_is_no_utf8_is_left() {
    for input in [
        &b"<message>\xff</message>"[..],
        b"<message a='\xc3'/>",
        b"<message>\xed\xa0\x80</message>",
    ] {
        assert!(read(input, ns::CLIENT, &LIMITS, &mut Vec::new()).is_none(), "{input:?}");
    }
}
