//! Files of XEP-0227, read piece by piece.

use super::*;

fn pieces(xml: &str) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut take = |piece| {
        pieces.push(piece);
        Ok::<(), ReadError>(())
    };
    read_bytes(xml.as_bytes(), &mut take).map_err(|error| error.to_string())?;
    Ok(pieces)
}

fn names(pieces: &[Piece]) -> Vec<String> {
    let name = |piece: &Piece| match piece {
        Piece::User { host, name, .. } => format!("{name}@{host}"),
        Piece::Child(child) => child.name().to_owned(),
        Piece::End => "end".to_owned(),
        Piece::Unknown(what) => what.clone(),
    };
    pieces.iter().map(name).collect()
}

// XEP-0227 §4, §4.1, §4.2, §4.11
#[test]
fn children_of_accounts_and_messages_of_archives_come_one_by_one() {
    let xml = "<?xml version='1.0' encoding='UTF-8'?><server-data xmlns='urn:xmpp:pie:0'>
        <host jid='capulet.example'><user name='juliet' password='secret'>
        <query xmlns='jabber:iq:roster'><item jid='romeo@montague.example'/></query>
        <archive xmlns='urn:xmpp:pie:0#mam'><result xmlns='urn:xmpp:mam:2' id='1'/><result xmlns='urn:xmpp:mam:2' id='2'/></archive>
        </user><user name='nurse'/></host></server-data>";
    let read = pieces(xml).unwrap();
    let secret = Some("secret".to_owned());
    let (host, name) = ("capulet.example".to_owned(), "juliet".to_owned());
    assert_eq!(read[0], Piece::User { host, name, password: secret });
    let expected = ["query", "result", "result", "end", "nurse@capulet.example", "end"];
    assert_eq!(names(&read[1..]), expected);
    let Piece::Child(roster) = &read[1] else { panic!("not a child") };
    assert_eq!(
        roster.child("item", ns::ROSTER).unwrap().attr("jid"),
        Some("romeo@montague.example")
    );
}

// XEP-0227 §4
#[test]
fn what_is_not_known_is_passed_over_and_named() {
    let xml = "<server-data xmlns='urn:xmpp:pie:0'><x xmlns='urn:x'><host jid='a'/></x>\
               <host jid='capulet.example'><y xmlns='urn:y'/><user name='juliet'/></host></server-data>";
    let expected = ["<x xmlns='urn:x'>", "<y xmlns='urn:y'>", "juliet@capulet.example", "end"];
    assert_eq!(names(&pieces(xml).unwrap()), expected);
}

#[test]
fn what_is_no_such_file_is_refused() {
    for xml in
        ["", "text", "<a/>", "<server-data xmlns='urn:xmpp:pie:0'><host jid='a'>", "<a><b></a>"]
    {
        assert!(pieces(xml).is_err(), "{xml}");
    }
    let deep = [
        "<server-data xmlns='urn:xmpp:pie:0'><host jid='a'><user name='b'>".to_owned(),
        "<c>".repeat(200),
    ];
    assert!(pieces(&deep.concat()).unwrap_err().contains("too deep"));
}

// XEP-0227 §5, §6
#[test]
fn files_are_included_from_beneath_and_from_nowhere_else() {
    let dir = std::env::temp_dir().join(format!("rookery-include-{}", std::process::id()));
    std::fs::create_dir_all(dir.join("capulet")).unwrap();
    let write = |name: &str, text: &str| std::fs::write(dir.join(name), text).unwrap();
    let xi = "xmlns='http://www.w3.org/2001/XInclude'";
    write(
        "all.xml",
        &format!(
            "<server-data xmlns='urn:xmpp:pie:0'><include {xi} href='capulet.xml'/>\
             <include {xi} href='../secret.xml'/><include {xi} href='/etc/passwd'/></server-data>"
        ),
    );
    write(
        "capulet.xml",
        &format!(
            "<host xmlns='urn:xmpp:pie:0' jid='capulet.example'><include {xi} href='capulet/juliet.xml'/>\
             </host>"
        ),
    );
    write(
        "capulet/juliet.xml",
        &format!(
            "<user xmlns='urn:xmpp:pie:0' name='juliet'><query xmlns='jabber:iq:private'>\
             <include {xi} href='opaque.xml'/></query></user>"
        ),
    );
    let mut read_all = Vec::new();
    let mut take = |piece| {
        read_all.push(piece);
        Ok::<(), ReadError>(())
    };
    read(&dir.join("all.xml"), &mut take).unwrap();
    let expected = [
        "juliet@capulet.example",
        "query",
        "end",
        "<include href='../secret.xml'>",
        "<include href='/etc/passwd'>",
    ];
    assert_eq!(names(&read_all), expected);
    write(
        "loop.xml",
        &format!(
            "<server-data xmlns='urn:xmpp:pie:0'><include {xi} href='again.xml'/></server-data>"
        ),
    );
    write("again.xml", &format!("<include {xi} href='again.xml'/>"));
    let mut take = |_| Ok::<(), ReadError>(());
    assert!(read(&dir.join("loop.xml"), &mut take).is_err());
    std::fs::remove_dir_all(&dir).unwrap();
}
