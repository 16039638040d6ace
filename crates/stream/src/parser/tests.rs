//! Tests of the parser: what comes out of what goes in, and how each fault ends the stream.

use xmpp::StreamCondition as C;
use xmpp::{Features, IqType, Kind, MessageType};

use super::*;

const HEADER: &str = "<?xml version='1.0'?><stream:stream to='x' version='1.0' xml:lang='en' \
     xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>";

fn limits() -> Limits {
    Limits::AFTER_LOGIN
}

/// Feeds the input in pieces of a size.
fn feed(parser: &mut Parser, input: &[u8], piece: usize) -> (Vec<Event>, Option<C>) {
    let mut out = Vec::new();
    for chunk in input.chunks(piece) {
        if let Err(error) = parser.feed(chunk, &mut out) {
            return (out, Some(error.condition));
        }
    }
    (out, None)
}

/// Reads input behind a stream header, whole and byte by byte, which must come to the same.
fn read_with(limits: Limits, input: &[u8]) -> (Vec<Event>, Option<C>) {
    let all = [HEADER.as_bytes(), input].concat();
    let (mut events, error) = feed(&mut Parser::new(limits), &all, usize::MAX);
    let slowly = feed(&mut Parser::new(limits), &all, 1);
    assert_eq!((&events, &error), (&slowly.0, &slowly.1), "cutting matters");
    assert!(matches!(events.first(), Some(Event::Open(_))));
    events.remove(0);
    (events, error)
}

fn read(input: &str) -> Vec<Event> {
    let (events, error) = read_with(limits(), input.as_bytes());
    assert_eq!(error, None, "{input}");
    events
}

fn refused(input: impl AsRef<[u8]>) -> C {
    let input = input.as_ref();
    read_with(limits(), input)
        .1
        .unwrap_or_else(|| panic!("accepted: {}", String::from_utf8_lossy(input)))
}

fn header(input: &str) -> StreamHeader {
    match feed(&mut Parser::new(limits()), input.as_bytes(), 3) {
        (events, None) => match events.into_iter().next() {
            Some(Event::Open(header)) => header,
            other => panic!("{other:?}"),
        },
        (_, error) => panic!("{error:?}"),
    }
}

fn stanza(input: &str) -> Stanza {
    match read(input).pop() {
        Some(Event::Stanza(stanza)) => stanza,
        other => panic!("{other:?}"),
    }
}

/// The content of a message, as it travels.
fn inner(content: &str) -> String {
    let stanza = stanza(&format!("<message>{content}</message>"));
    // What the parser wrote it reads again as it stands, and so does the tree.
    let again = String::from_utf8(stanza.inner().to_vec()).unwrap();
    let Some(Event::Stanza(second)) = read(&format!("<message>{again}</message>")).pop() else {
        panic!("canonical bytes are refused: {again}");
    };
    assert_eq!(second.inner(), stanza.inner());
    Element::parse_all(stanza.inner()).unwrap();
    again
}

fn bad(input: &str) -> (Stanza, StanzaCondition) {
    match read(input).pop() {
        Some(Event::BadStanza { stanza, condition }) => (stanza, condition),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_header_says_what_its_peer_wrote() {
    let header = header(HEADER);
    assert_eq!(header.to.as_deref(), Some("x"));
    assert_eq!(header.from, None);
    assert_eq!(header.version.as_deref(), Some("1.0"));
    assert_eq!(header.lang.as_deref(), Some("en"));
    assert_eq!((header.content.as_str(), header.fault), (ns::CLIENT, None));
}

#[test]
fn a_header_free_of_prefixes_is_accepted() {
    let input = "<stream xmlns='http://etherx.jabber.org/streams' to='x'>\
         <message xmlns='jabber:client'><body>a</body></message></stream>";
    let (events, error) = feed(&mut Parser::new(limits()), input.as_bytes(), 7);
    assert_eq!(error, None);
    let [Event::Open(header), Event::Stanza(stanza), Event::Close] = &events[..] else {
        panic!("{events:?}");
    };
    assert_eq!((header.content.as_str(), header.fault), (ns::CLIENT, None));
    assert_eq!(&stanza.inner()[..], b"<body>a</body>");
}

#[test]
fn a_header_of_wrong_namespaces_says_so() {
    let right = "xmlns:s='http://etherx.jabber.org/streams'";
    for (input, fault) in [
        ("<s:stream xmlns='jabber:client' xmlns:s='urn:x'>", C::InvalidNamespace),
        ("<stream xmlns='jabber:client'>", C::InvalidNamespace),
        (&format!("<s:stream xmlns='jabber:server' {right}>"), C::InvalidNamespace),
        (&format!("<s:stream {right}>"), C::InvalidNamespace),
        (&format!("<s:foo xmlns='jabber:client' {right}>"), C::BadFormat),
    ] {
        assert_eq!(header(input).fault, Some(fault), "{input}");
    }
    let prefix = header(&format!("<s:stream xmlns='jabber:client' {right}>"));
    assert_eq!(prefix.fault, None);
}

#[test]
fn a_language_that_is_none_is_not_stamped_on_stanzas() {
    let lang = "x".repeat(65);
    let header = header(&HEADER.replace("'en'", &format!("'{lang}'")));
    assert_eq!(header.lang, None);
}

#[test]
fn a_stream_that_ends_is_read_no_further() {
    assert_eq!(read("</stream:stream> <junk &&&"), [Event::Close]);
    let whole = HEADER.replace("streams'>", "streams'/>&junk");
    for piece in [1, usize::MAX] {
        let (events, error) = feed(&mut Parser::new(limits()), whole.as_bytes(), piece);
        assert!(matches!(&events[..], [Event::Open(_), Event::Close]), "{events:?}");
        assert_eq!(error, None);
    }
}

#[test]
fn a_stanza_has_its_head_its_index_and_canonical_bytes() {
    let stanza = stanza(
        "<message to='b@y/r' from=\"a@X\" type='chat' id='1&apos;' xml:lang='de' foo='bar'>\
         <body>hi</body><active xmlns='http://jabber.org/protocol/chatstates'></active></message>",
    );
    let head = stanza.head();
    assert_eq!(head.kind, Kind::Message(MessageType::Chat));
    assert_eq!(head.to.as_ref().map(|jid| jid.as_str()), Some("b@y/r"));
    assert_eq!(head.from.as_ref().map(|jid| jid.as_str()), Some("a@x"));
    assert_eq!(head.id.as_deref(), Some("1'"));
    assert_eq!(head.lang.as_deref(), Some("de"));
    assert_eq!(
        &stanza.inner()[..],
        b"<body>hi</body><active xmlns='http://jabber.org/protocol/chatstates'/>"
    );
    assert_eq!(stanza, Stanza::new(head.clone(), stanza.inner().clone()));
    assert!(stanza.features().any(Features::BODY));
}

#[test]
fn the_streams_language_is_stamped_where_a_stanza_has_none() {
    let head = stanza("<presence/>").head().clone();
    assert_eq!(head.lang.as_deref(), Some("en"));
    assert!(head.id.is_none() && head.to.is_none() && head.from.is_none());
}

#[test]
fn stanzas_of_one_feed_share_one_buffer_just_large_enough() {
    let mut parser = Parser::new(limits());
    let mut out = Vec::new();
    parser.feed(HEADER.as_bytes(), &mut out).unwrap();
    out.clear();
    let two = "<message><body>1</body></message><message><body>2</body></message>";
    parser.feed(format!("{two}<message><body>three</").as_bytes(), &mut out).unwrap();
    let [Event::Stanza(one), Event::Stanza(two)] = &out[..] else {
        panic!("{out:?}");
    };
    let end = one.inner().as_ptr().wrapping_add(one.inner().len());
    assert_eq!(end, two.inner().as_ptr());
    out.clear();
    assert!(!parser.is_between());
    parser.feed(b"body></message>", &mut out).unwrap();
    let [Event::Stanza(three)] = &out[..] else {
        panic!("{out:?}");
    };
    assert_eq!(&three.inner()[..], b"<body>three</body>");
    assert!(parser.is_between());
}

#[test]
fn prefixes_are_resolved_away() {
    assert_eq!(
        inner("<a:x xmlns:a='urn:a' xmlns:b='urn:b'><b:y b:k='v' k='w'/><a:z/></a:x>"),
        "<x xmlns='urn:a'><y xmlns='urn:b' xmlns:p0='urn:b' p0:k='v' k='w'/><z/></x>"
    );
    assert_eq!(inner("<c:body xmlns:c='jabber:client'>a</c:body>"), "<body>a</body>");
    assert_eq!(
        inner("<x xml:space='preserve' xmlns='urn:x'/>"),
        "<x xmlns='urn:x' xml:space='preserve'/>"
    );
}

#[test]
fn a_declaration_ends_with_its_element() {
    assert_eq!(
        inner("<x xmlns='urn:x' xmlns:p='urn:1'><y xmlns:p='urn:2'><p:z/></y><p:z/></x><body/>"),
        "<x xmlns='urn:x'><y><z xmlns='urn:2'/></y><z xmlns='urn:1'/></x><body/>"
    );
}

#[test]
fn what_stands_back_in_the_content_namespace_says_so() {
    assert_eq!(
        inner("<f xmlns='urn:f'><message xmlns='jabber:client'><body>x</body></message></f>"),
        "<f xmlns='urn:f'><message xmlns='jabber:client'><body>x</body></message></f>"
    );
}

#[test]
fn no_namespace_is_kept_apart_from_the_content_namespace() {
    let stanza = stanza("<message><body xmlns=''>x<y/></body></message>");
    assert_eq!(&stanza.inner()[..], b"<body xmlns=''>x<y/></body>");
    assert!(!stanza.features().any(Features::BODY));
    assert!(stanza.find("body", "").is_none());
}

#[test]
fn cdata_references_and_line_ends_are_resolved() {
    assert_eq!(
        inner("<body>a<![CDATA[<b>&]]]]><![CDATA[>]]>&#x41;&#66;&quot;\r\n\r&#13;</body>"),
        "<body>a&lt;b&gt;&amp;]]&gt;AB\"\n\n&#xD;</body>"
    );
    assert_eq!(
        inner("<x xmlns='urn:x' a='\"&apos;&lt;&#10;\t\r\n'/>"),
        "<x xmlns='urn:x' a='\"&apos;&lt;&#xA;  '/>"
    );
    assert_eq!(inner("<body><![CDATA[]]></body>"), "<body/>");
}

#[test]
fn text_longer_than_a_token_comes_whole() {
    let text = "é".repeat(50_000);
    assert_eq!(inner(&format!("<body>{text}</body>")), format!("<body>{text}</body>"));
}

#[test]
fn other_elements_keep_their_real_namespace() {
    let events = read(
        "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AA==</auth>\
         <stream:error/><n xmlns=''/><e xmlns='urn:e'><message xmlns='jabber:client'/></e>",
    );
    let elements: Vec<_> = events
        .iter()
        .map(|event| match event {
            Event::Nonza(element) => element,
            other => panic!("{other:?}"),
        })
        .collect();
    assert!(elements[0].is("auth", ns::SASL));
    assert_eq!(elements[0].attr("mechanism"), Some("PLAIN"));
    assert_eq!(elements[0].text(), "AA==");
    assert!(elements[1].is("error", ns::STREAM));
    assert!(elements[2].is("n", ns::NONE));
    assert!(elements[3].child("message", ns::CLIENT).is_some());
}

#[test]
fn a_bad_address_is_answered_and_the_stream_goes_on() {
    let (stanza, condition) = bad("<message to='@x' id='1'><body/></message>");
    assert_eq!(condition, StanzaCondition::JidMalformed);
    assert_eq!(stanza.head().id.as_deref(), Some("1"));
    assert!(stanza.error(&condition.into()).is_some());
    assert_eq!(bad("<presence from='a@'/>").1, StanzaCondition::JidMalformed);
    assert_eq!(read("<message to='@x'/><message to='x'/>").len(), 2);
}

#[test]
fn an_iq_needs_a_known_type_an_id_and_one_child() {
    for input in [
        "<iq id='1'><a xmlns='a'/></iq>",
        "<iq id='1' type='x'><a xmlns='a'/></iq>",
        "<iq type='get'><a xmlns='a'/></iq>",
        "<iq id='1' type='get'/>",
        "<iq id='1' type='set'>text</iq>",
        "<iq id='1' type='set'><a xmlns='a'/><b xmlns='b'/></iq>",
        "<presence type='x'/>",
    ] {
        let (stanza, condition) = bad(input);
        assert_eq!(condition, StanzaCondition::BadRequest, "{input}");
        assert!(stanza.error(&condition.into()).is_some(), "{input}");
    }
    let (result, condition) = bad("<iq id='1' type='result'><a xmlns='a'/><b xmlns='b'/></iq>");
    assert_eq!(result.error(&condition.into()), None, "results are not answered");
    assert_eq!(stanza("<iq id='1' type='result'/>").kind(), Kind::Iq(IqType::Result));
    assert_eq!(stanza("<message type='x'/>").kind(), Kind::Message(MessageType::Normal));
}

#[test]
fn whitespace_between_stanzas_means_nothing_and_is_not_kept() {
    let mut parser = Parser::new(limits());
    let mut out = Vec::new();
    parser.feed(HEADER.as_bytes(), &mut out).unwrap();
    for _ in 0..300 {
        parser.feed(&b" \t\r\n".repeat(1000), &mut out).unwrap();
        assert!(parser.is_between());
    }
    parser.feed(b"<presence/>", &mut out).unwrap();
    assert_eq!(out.len(), 2);
}

#[test]
fn text_between_stanzas_ends_the_stream() {
    for input in ["x", "&amp;", "<presence/>x", "<![CDATA[x]]>", "]]>", "\0"] {
        assert_eq!(refused(input), C::BadFormat, "{input:?}");
    }
    assert_eq!(read("<![CDATA[]]> <presence/>").len(), 1);
}

#[test]
fn elements_that_are_no_stanzas_end_the_stream() {
    assert_eq!(refused("<foo/>"), C::UnsupportedStanzaType);
    assert_eq!(refused("<message xmlns='jabber:server'/>"), C::InvalidNamespace);
}

#[test]
fn what_xmpp_forbids_of_xml_is_restricted() {
    for input in [
        "<!-- c -->",
        "<presence><!-- c --></presence>",
        "<?php echo ?>",
        "<?xml version='1.0'?>",
        "<presence><?xml version='1.0'?></presence>",
        "<!DOCTYPE x>",
        "<presence><!ENTITY a 'b'></presence>",
        "<message><body>&foo;</body></message>",
        "<message><body>&nbsp;</body></message>",
        "<message to='&foo;'/>",
    ] {
        assert_eq!(refused(input), C::RestrictedXml, "{input}");
    }
    for input in [
        "<!DOCTYPE lolz [<!ENTITY a 'b'>]>",
        "<?xml version='1.0'?><!DOCTYPE x SYSTEM 'file:///etc/passwd'>",
        "<?xml version='1.0' encoding='UTF-8' standalone='no'?>",
        "<!-- c -->",
    ] {
        let (events, error) = feed(&mut Parser::new(limits()), input.as_bytes(), 1);
        assert_eq!((events.len(), error), (0, Some(C::RestrictedXml)), "{input}");
    }
}

#[test]
fn what_is_not_well_formed_is_never_repaired() {
    for input in [
        "<message></presence>",
        "<message><a></b></message>",
        "</message>",
        "<message to='a' to='b'/>",
        "<message><a xmlns='a' xmlns='b'/></message>",
        "<message><a xmlns:p='a' xmlns:p='b'/></message>",
        "<message><a xmlns:p='u' xmlns:q='u' p:x='1' q:x='2'/></message>",
        "<message a=b/>",
        "<message a/>",
        "<message a='b'c='d'/>",
        "<message a='<'/>",
        "<message>]]></message>",
        "<message>&#0;</message>",
        "<message>&#x1;</message>",
        "<message>&#xD800;</message>",
        "<message>&#x110000;</message>",
        "<message>&;</message>",
        "<message>a & b</message>",
        "<message>\u{1}</message>",
        "<message>\u{FFFE}</message>",
        "<mess\u{0}age/>",
        "< message/>",
        "<1/>",
        "<a:b:c/>",
        "<:a/>",
        "<a:/>",
        "<message><![CDATA[x]] ></message><x",
    ] {
        let (_, error) = read_with(limits(), input.as_bytes());
        if !input.ends_with("<x") {
            assert_eq!(error, Some(C::NotWellFormed), "{input}");
        }
    }
    let invalid: [&[u8]; 5] = [b"\xFF", b"\xC0\x80", b"\xED\xA0\x80", b"\xF5\x80\x80\x80", b"\xC3"];
    for bytes in invalid {
        let input = [b"<message><body>a", bytes, b"</body></message>"].concat();
        assert_eq!(refused(input), C::NotWellFormed, "{bytes:?}");
        let input = [b"<message id='a", bytes, b"'/>"].concat();
        assert_eq!(refused(input), C::NotWellFormed, "{bytes:?}");
    }
}

#[test]
fn unbound_and_reserved_prefixes_are_refused() {
    for input in [
        "<p:x/>",
        "<message><p:x/></message>",
        "<message><x p:a=''/></message>",
        "<message><x xmlns:p='urn:p'/><p:x/></message>",
        "<xmlns:x/>",
        "<message><x xmlns:xml='urn:x'/></message>",
        "<message><x xmlns:xmlns='urn:x'/></message>",
        "<message><x xmlns:a='http://www.w3.org/XML/1998/namespace'/></message>",
        "<message><x xmlns='http://www.w3.org/XML/1998/namespace'/></message>",
        "<message><x xmlns:a='http://www.w3.org/2000/xmlns/'/></message>",
        "<message><x xmlns='http://www.w3.org/2000/xmlns/'/></message>",
        "<message><x xmlns:a=''/></message>",
    ] {
        assert_eq!(refused(input), C::BadNamespacePrefix, "{input}");
    }
    let xml = "<x xmlns='urn:x' xmlns:xml='http://www.w3.org/XML/1998/namespace' xml:a='1'/>";
    assert_eq!(inner(xml), "<x xmlns='urn:x' xml:a='1'/>");
}

#[test]
fn first_bytes_that_are_no_stream_are_refused_at_once() {
    let inputs: [(&[u8], C); 9] = [
        (b"GET / HTTP/1.1\r\n", C::NotWellFormed),
        (b"\x16\x03\x01\x02\x00", C::NotWellFormed),
        (b"\xEF\xBB\xBF<?xml", C::NotWellFormed),
        (b"\xFF\xFE<\0?\0", C::UnsupportedEncoding),
        (b"\xFE\xFF\0<\0?", C::UnsupportedEncoding),
        (b"\0<\0?", C::UnsupportedEncoding),
        (b"<\0?\0x\0", C::UnsupportedEncoding),
        (b"<?xml version='1.0' encoding='UTF-16'?>", C::UnsupportedEncoding),
        (b"<?xml version='1.0' encoding='ISO-8859-1'?>", C::UnsupportedEncoding),
    ];
    for (input, condition) in inputs {
        for piece in [1, usize::MAX] {
            let mut parser = Parser::new(Limits::BEFORE_LOGIN);
            let (events, error) = feed(&mut parser, input, piece);
            assert_eq!((events.len(), error), (0, Some(condition)), "{input:?}");
        }
    }
}

#[test]
fn each_limit_ends_the_stream() {
    let small = Limits {
        stanza_bytes: 2000,
        depth: 4,
        attributes: 3,
        namespaces: 5,
        name_bytes: 40,
        total_bytes: None,
    };
    let long = "x".repeat(2000);
    let uris: String = (0..6).map(|n| format!(" xmlns:p{n}='u{n}'")).collect();
    let nested = "<a xmlns:a='1' xmlns:b='2' xmlns:c='3'>".repeat(2);
    for input in [
        format!("<message><body>{long}</body></message>"),
        format!("<message>{}</message>", " ".repeat(2000)),
        format!("<message><body><![CDATA[{long}]]></body></message>"),
        format!("<message><body>{}</body></message>", ">".repeat(900)),
        format!("<message id='{long}'/>"),
        format!("<message><{long}/></message>"),
        "<message><abcdefghijklmnopqrstuvwxyzabcdefghijklmno/></message>".to_owned(),
        "<message><a abcdefghijklmnopqrstuvwxyzabcdefghijklmno='1'/></message>".to_owned(),
        "<message><a xmlns='abcdefghijklmnopqrstuvwxyzabcdefghijklmno'/></message>".to_owned(),
        "<message><a a='1' b='2' c='3' d='4'/></message>".to_owned(),
        format!("<message><a{uris}/></message>"),
        format!("<message>{nested}</message>"),
        "<message><a><b><c><d/></c></b></a></message>".to_owned(),
    ] {
        let (_, error) = read_with(small, input.as_bytes());
        assert_eq!(error, Some(C::PolicyViolation), "{input}");
    }
    let fits = "<message><a a='1' b='2' c='3'><b><c/></b></a></message>";
    assert_eq!(read_with(small, fits.as_bytes()).1, None);
    let five: String = (0..5).map(|n| format!(" xmlns:p{n}='u{n}'")).collect();
    let fits = format!("<message><a{five}/><a{five}/></message>");
    assert_eq!(read_with(small, fits.as_bytes()).1, None);
}

#[test]
fn a_stanza_may_have_just_the_limits_size() {
    let room = limits().stanza_bytes - "<message></message>".len();
    for (spare, error) in [(0, None), (1, Some(C::PolicyViolation))] {
        let input = format!("<message>{}</message>", "x".repeat(room + spare));
        assert_eq!(read_with(limits(), input.as_bytes()).1, error);
    }
}

#[test]
fn a_shared_long_namespace_name_cannot_be_blown_up() {
    let uri = "u".repeat(1000);
    let children = "<p:a/>".repeat(1000);
    let input = format!("<message><x xmlns='urn:x' xmlns:p='{uri}'>{children}</x></message>");
    assert_eq!(refused(input), C::PolicyViolation);
}

#[test]
fn what_is_accepted_is_within_the_limits_as_it_travels_too() {
    let small = Limits { namespaces: 4, ..limits() };
    let open = "<x xmlns='urn:x' a:k='1' b:k='2'>";
    let stanza = |depth| {
        let nested = open.repeat(depth) + &"</x>".repeat(depth);
        format!("<message><y xmlns:a='urn:a' xmlns:b='urn:b'>{nested}</y></message>")
    };
    assert_eq!(read_with(small, stanza(1).as_bytes()).1, None);
    assert_eq!(read_with(small, stanza(2).as_bytes()).1, Some(C::PolicyViolation));
}

#[test]
fn what_comes_before_login_is_limited_over_restarts() {
    let mut parser = Parser::new(Limits { total_bytes: Some(1000), ..Limits::BEFORE_LOGIN });
    let mut out = Vec::new();
    for _ in 0..5 {
        parser.feed(HEADER.as_bytes(), &mut out).unwrap();
        parser.reset();
    }
    assert!(parser.feed(&b" ".repeat(1000), &mut out).is_err());
    assert!(parser.feed(b" ", &mut out).is_err(), "the error stays");
    parser.reset();
    parser.set_limits(limits());
    parser.feed(HEADER.as_bytes(), &mut out).unwrap();
}

#[test]
fn a_restart_forgets_the_stream() {
    let mut parser = Parser::new(limits());
    let mut out = Vec::new();
    parser.feed(HEADER.as_bytes(), &mut out).unwrap();
    parser.feed(b"<message><body>half", &mut out).unwrap();
    parser.reset();
    out.clear();
    parser.feed(HEADER.as_bytes(), &mut out).unwrap();
    parser.feed(b"<message/></stream:stream>", &mut out).unwrap();
    assert!(matches!(&out[..], [Event::Open(_), Event::Stanza(s), Event::Close] if s.is_empty()));
}

#[test]
fn an_idle_parser_is_small() {
    let mut parser = Parser::new(limits());
    let mut out = Vec::new();
    parser.feed(HEADER.as_bytes(), &mut out).unwrap();
    let many = "<message to='a@b'><body>hello</body><x xmlns='urn:x'/></message>".repeat(100);
    parser.feed(many.as_bytes(), &mut out).unwrap();
    let bytes = size_of::<Parser>() + parser.builder.heap_bytes();
    // The lexer gave its own buffers back, but for the name of the root element.
    assert!(bytes + 24 <= 1024, "{bytes} bytes");
}
