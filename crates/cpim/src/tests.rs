//! The examples of RFC 3922, and what is no such object.

use super::*;

fn xml(text: &str) -> Element {
    Element::parse(text.as_bytes()).unwrap()
}

fn cpim(stanza: &str) -> String {
    String::from_utf8(to_cpim(&[xml(stanza)]).unwrap()).unwrap()
}

/// What is inside an object.
fn inside(object: &str) -> Element {
    let (_, document) = object.split_once("?>").unwrap();
    xml(document.trim())
}

fn pidf(content: &str) -> String {
    format!(
        "From: Romeo Montague <im:romeo@example.net>\r\nTo: Juliet Capulet <im:juliet@example.com>\r\n\r\n\
         Content-type: application/pidf+xml; charset=utf-8\r\n\r\n<?xml version='1.0' encoding='UTF-8'?>\r\n\
         <presence xmlns='urn:ietf:params:xml:ns:pidf' xmlns:im='urn:ietf:params:xml:ns:pidf:im' \
         entity='pres:romeo@example.net'>{content}</presence>"
    )
}

fn presence(content: &str) -> Element {
    let mut stanzas = to_xmpp(pidf(content).as_bytes()).unwrap();
    assert_eq!(stanzas.len(), 1);
    stanzas.remove(0)
}

#[test]
fn a_message_becomes_an_object_with_a_text() {
    let message = "<message from='juliet@example.com/balcony' to='romeo@example.net/orchard' type='chat' id='x'>\
                   <subject>Hi!</subject><subject xml:lang='cz'>Ahoj!</subject>\
                   <body>Wherefore art thou, Romeo?</body><thread>t</thread><x xmlns='y'/></message>";
    let expected = "From: <im:juliet@example.com>\r\nTo: <im:romeo@example.net>\r\nSubject: Hi!\r\n\
                    Subject:;lang=cz Ahoj!\r\n\r\nContent-type: text/plain; charset=utf-8\r\n\r\n\
                    Wherefore art thou, Romeo?";
    assert_eq!(cpim(message), expected);
}

#[test]
fn an_object_with_a_text_becomes_a_message_for_each_recipient() {
    let object = "Content-type: Message/CPIM\r\n\r\nFrom: Romeo Montague <im:romeo@example.net>\r\n\
                  To: Juliet Capulet <im:juliet@example.com>\r\nTo: <im:nurse@example.com>\r\n\
                  cc: <im:tybalt@example.com>\r\nDateTime: 2004-10-01T00:00:00Z\r\nNS: X <urn:x>\r\n\
                  Subject: Hi!\r\nSubject:;lang=cz Ahoj\\u0021\r\n\r\n\
                  Content-type: text/plain; charset=utf-8\r\nContent-ID: <123456789@example.net>\r\n\r\n\
                  Wherefore art thou?";
    let stanzas = to_xmpp(object.as_bytes()).unwrap();
    let expected = |to| {
        format!(
            "<message from='romeo@example.net' to='{to}' id='123456789@example.net'>\
             <subject>Hi!</subject><subject xml:lang='cz'>Ahoj!</subject><body>Wherefore art thou?</body></message>"
        )
    };
    let expected = ["juliet@example.com", "nurse@example.com"].map(|to| xml(&expected(to)));
    assert_eq!(stanzas, expected);
    // Bare line feeds do too.
    assert_eq!(to_xmpp(object.replace('\r', "").as_bytes()).unwrap(), expected);
}

#[test]
fn presence_becomes_a_document() {
    let head = "from='juliet@example.com/balcony' to='romeo@example.net/orchard'";
    let document = |content: &str| {
        xml(&format!(
            "<presence xmlns='urn:ietf:params:xml:ns:pidf' entity='pres:juliet@example.com'>\
             <tuple id='balcony'>{content}</tuple></presence>"
        ))
    };
    let im = |show| format!("<im xmlns='urn:ietf:params:xml:ns:pidf:im'>{show}</im>");
    let cases = [
        (format!("<presence {head}/>"), "<status><basic>open</basic></status>".to_owned()),
        (
            format!("<presence {head} type='unavailable'/>"),
            "<status><basic>closed</basic></status>".to_owned(),
        ),
        (
            format!(
                "<presence {head}><show>away</show><status>retired to the chamber</status></presence>"
            ),
            format!(
                "<status><basic>open</basic>{}</status><note>retired to the chamber</note>",
                im("away")
            ),
        ),
        (
            format!("<presence {head}><show>dnd</show><priority>13</priority></presence>"),
            format!(
                "<status><basic>open</basic>{}</status>\
                 <contact priority='0.102'>im:juliet@example.com</contact>",
                im("busy")
            ),
        ),
        (
            format!("<presence {head}><priority>-1</priority></presence>"),
            "<status><basic>open</basic></status>".to_owned(),
        ),
    ];
    for (stanza, content) in cases {
        let object = cpim(&stanza);
        assert!(
            object
                .starts_with("From: <im:juliet@example.com>\r\nTo: <im:romeo@example.net>\r\n\r\n")
        );
        assert!(object.contains("Content-type: application/pidf+xml; charset=utf-8\r\n\r\n<?xml"));
        assert_eq!(inside(&object), document(&content), "{stanza}");
    }
}

// §6.3.1
#[test]
fn devices_of_one_account_stand_in_one_document() {
    let of =
        |from: &str, rest: &str| xml(&format!("<presence from='juliet@example.com{from}'{rest}/>"));
    let to = " to='romeo@example.net'";
    let one = of("/balcony", to);
    let gone = " to='romeo@example.net/orchard' type='unavailable'";
    let all = [one.clone(), of("/chamber", to), of("/balcony", gone)];
    let object = String::from_utf8(to_cpim(&all).unwrap()).unwrap();
    let devices = ["chamber", "balcony"].into_iter().zip(["open", "closed"]);
    let tuple =
        |(id, basic)| format!("<tuple id='{id}'><status><basic>{basic}</basic></status></tuple>");
    let tuples: String = devices.map(tuple).collect();
    let document = format!(
        "<presence xmlns='urn:ietf:params:xml:ns:pidf' entity='pres:juliet@example.com'>{tuples}</presence>"
    );
    assert_eq!(inside(&object), xml(&document));
    assert_eq!(to_xmpp(object.as_bytes()).unwrap().len(), 2, "and are two again");

    let other = xml(&format!("<presence from='nurse@example.com'{to}/>"));
    let message = xml(&format!("<message from='juliet@example.com'{to}><body>x</body></message>"));
    for other in [other, of("/chamber", " to='paris@example.net'"), message] {
        assert_eq!(to_cpim(&[one.clone(), other]), Err(CpimError::Several));
    }
    assert_eq!(to_cpim(&[]), Err(CpimError::Kind));
}

// §5.1.1, §5.2.1: whatever a device is called, and where none is named, it is the same again.
#[test]
fn a_device_comes_back_under_its_own_name() {
    for from in ["", "/presence", "/balcony", "/a b", "/x/y"] {
        let there = format!("<presence from='juliet@example.com{from}' to='romeo@example.net'/>");
        assert_eq!(to_xmpp(cpim(&there).as_bytes()).unwrap(), [xml(&there)], "{from}");
    }
    // So it is where others have given the name.
    let open = "<status><basic>open</basic></status>";
    for (id, from) in [(" id='presence'", "/presence"), (" id=''", ""), ("", "")] {
        let stanza = presence(&format!("<tuple{id}>{open}</tuple>"));
        assert_eq!(stanza.attr("from"), Some(&*format!("romeo@example.net{from}")), "{id}");
    }
}

// RFC 7303 §3.2, §9.1: who declares no characters otherwise has those that the document says, or UTF-8.
#[test]
fn a_document_says_itself_which_characters_it_has() {
    let note = "<tuple id='orchard'><status><basic>open</basic></status><note>müde</note></tuple>";
    let object = |charset: &str, declaration: &str| {
        let object = pidf(note).replace("; charset=utf-8", charset);
        to_xmpp(object.replace("<?xml version='1.0' encoding='UTF-8'?>", declaration).as_bytes())
    };
    let declared = |encoding: &str| format!("<?xml version=\"1.0\" encoding = {encoding}?>");
    for (charset, declaration) in [
        ("", String::new()),
        ("", "<?xml version='1.0'?>".to_owned()),
        ("", "\u{feff}<?xml version='1.0'?>".to_owned()),
        ("", declared("'utf-8'")),
        ("", declared("\"UTF-8\"")),
        // What carries it counts before it.
        ("; charset=UTF-8", declared("'iso-8859-1'")),
    ] {
        let stanzas = object(charset, &declaration);
        let said =
            stanzas.as_ref().ok().and_then(|it| it[0].child("status", "")).map(Element::text);
        assert_eq!(said.as_deref(), Some("müde"), "{charset:?} {declaration:?}: {stanzas:?}");
    }
    for (charset, declaration) in [
        ("", declared("'iso-8859-1'")),
        ("", declared("'us-ascii'")),
        ("; charset=us-ascii", declared("'utf-8'")),
    ] {
        assert_eq!(object(charset, &declaration), Err(CpimError::Charset), "{declaration}");
    }
}

#[test]
fn a_document_becomes_presence() {
    let tuple = |content| format!("<tuple id='orchard'>{content}</tuple>");
    let cases = [
        ("<status><basic>open</basic></status>", "", ""),
        ("<status><basic>closed</basic></status>", " type='unavailable'", ""),
        (
            "<status><basic>open</basic><im:im>busy</im:im></status><note>Wooing Juliet</note>",
            "",
            "<show>dnd</show><status>Wooing Juliet</status>",
        ),
        (
            "<status><basic>open</basic></status><contact priority='0.102'>im:romeo@example.net</contact>\
             <timestamp>2004-10-01T00:00:00Z</timestamp>",
            "",
            "<priority>13</priority>",
        ),
    ];
    for (content, ty, children) in cases {
        let expected = format!(
            "<presence from='romeo@example.net/orchard' to='juliet@example.com'{ty}>{children}</presence>"
        );
        assert_eq!(presence(&tuple(content)), xml(&expected));
    }
    let two = "<tuple id='a'><status><basic>open</basic></status></tuple>\
               <tuple id='b'><status><basic>closed</basic></status></tuple>";
    assert_eq!(to_xmpp(pidf(two).as_bytes()).unwrap().len(), 2);
    // Without any, it is about the account.
    let gone = "<presence from='romeo@example.net' to='juliet@example.com' type='unavailable'/>";
    assert_eq!(presence(""), xml(gone));
}

#[test]
fn what_has_no_mapping_is_refused_and_said_why() {
    let stanza = |text| to_cpim(&[xml(text)]).unwrap_err();
    assert_eq!(stanza("<iq from='a@b' to='c@d' type='get'/>"), CpimError::Kind);
    assert_eq!(stanza("<presence from='a@b' to='c@d' type='subscribe'/>"), CpimError::Type);
    assert_eq!(stanza("<message from='a@b' to='c@d'/>"), CpimError::NoText);
    assert_eq!(stanza("<message to='c@d'><body>x</body></message>"), CpimError::Address("from"));
    let object = |text: &str| to_xmpp(text.as_bytes()).unwrap_err();
    let head = "From: <im:a@b>\r\nTo: <im:c@d>\r\n";
    assert_eq!(
        object(&format!("{head}Require: X.Y\r\n\r\n\r\nhi")),
        CpimError::Required("X.Y".to_owned())
    );
    assert_eq!(object(&format!("{head}\r\nContent-type: text/html\r\n\r\nhi")), CpimError::Content);
    let latin = "Content-type: text/plain; charset=iso-8859-1\r\n\r\nhi";
    assert_eq!(object(&format!("{head}\r\n{latin}")), CpimError::Charset);
    assert_eq!(object(&format!("{head}\r\n\r\nmüde")), CpimError::Charset, "us-ascii by default");
    assert_eq!(object("From: <im:a@b>\r\n\r\n\r\nhi"), CpimError::Address("To"));
    assert_eq!(object("From: <sip:a@b>\r\nTo: <im:c@d>\r\n\r\n\r\nhi"), CpimError::Address("From"));
    for malformed in ["", "From", "no colon\r\n\r\n\r\nx", "From: <im:a@b>\\q\r\n\r\n\r\n"] {
        assert!(matches!(object(malformed), CpimError::Malformed(_)), "{malformed:?}");
    }
    assert!(matches!(to_xmpp(&[b'a', 0xff, b'\n', b'\n']), Err(CpimError::Malformed(_))));
    // A note alone (§5.2.11), or a device that says nothing; another entity; no XML at all.
    for content in
        ["<note>x</note>", "<tuple id='a'/>", "<tuple>", "<tuple id='a'><status/></tuple>"]
    {
        assert_eq!(object(&pidf(content)), CpimError::NoTuple, "{content}");
    }
    let other = pidf("").replace("pres:romeo", "pres:tybalt");
    assert_eq!(object(&other), CpimError::Address("entity"));
}

#[test]
fn no_attribute_of_a_stanza_becomes_a_header_of_its_own() {
    let message = "<message from='a@x.org' to='b@y.org'><subject xml:lang='en&#10;X: y'>Hi&#13;&#10;Z: z</subject>\
                   <body>text</body></message>";
    let object = cpim(message);
    let (headers, _) = object.split_once("\r\n\r\n").unwrap();
    let names: Vec<_> = headers.lines().filter_map(|line| line.split(':').next()).collect();
    assert_eq!(names, ["From", "To", "Subject"], "{object}");
    for odd in ["e n", "en;x=y", "", "en-", "toolongsubtag"] {
        let message = message.replace("en&#10;X: y", odd);
        assert!(!cpim(&message).contains(";lang"), "{odd}");
    }
    assert!(
        cpim(&message.replace("en&#10;X: y", "de-CH-1996")).contains("Subject:;lang=de-CH-1996 ")
    );
}

#[test]
fn what_xml_cannot_have_is_refused() {
    let object = |subject: &str, id: &str, text: &str| {
        format!(
            "From: <im:a@x.org>\r\nTo: <im:b@y.org>\r\nSubject:{subject}\r\n\r\n\
             Content-type: text/plain; charset=utf-8\r\nContent-ID: <{id}>\r\n\r\n{text}"
        )
    };
    assert!(to_xmpp(object(" Hi\\t!", "1@x", "a\r\nb\tc").as_bytes()).is_ok());
    let wrong = [
        object(" \\u0001", "1", "a"),
        object(" \\uffff", "1", "a"),
        object(" a\u{7}", "1", "a"),
        object(";lang=e\u{1}n Hi", "1", "a"),
        object(" Hi", "1\u{1b}", "a"),
        object(" Hi", "1", "a\0b"),
        object(" Hi", "1", "a\u{b}b"),
        object(" Hi", "1", "\u{fffe}"),
    ];
    for object in wrong {
        let refused = to_xmpp(object.as_bytes());
        assert!(matches!(refused, Err(CpimError::Malformed(_))), "{object:?}: {refused:?}");
    }
}
