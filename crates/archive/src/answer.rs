//! Owns what an archive says: result messages, the final answer, metadata (XEP-0313 §4.2, §4.3, §5).

use store::{ArchivePage, ArchiveRow};
use xmpp::rsm::ResultSet;
use xmpp::{Element, Head, Stanza, delay, ns, writer};

use crate::{Ids, Query};

/// The rows of a page in the order in which they are sent (§4.3.4).
pub fn in_order<'a>(page: &'a ArchivePage, query: &Query) -> impl Iterator<Item = &'a ArchiveRow> {
    let (forwards, backwards) = match query.flipped {
        false => (Some(page.rows.iter()), None),
        true => (None, Some(page.rows.iter().rev())),
    };
    forwards.into_iter().flatten().chain(backwards.into_iter().flatten())
}

/// A result message (§4.2). The archived bytes are copied as they are.
#[must_use]
pub fn result(head: Head, row: &ArchiveRow, query: &Query, ids: &Ids) -> Stanza {
    let mut out = Vec::with_capacity(row.stanza.len() + 256);
    writer::open_start(&mut out, "result", ns::MAM, "");
    if let Some(queryid) = &query.queryid {
        writer::attribute(&mut out, "queryid", queryid);
    }
    writer::attribute(&mut out, "id", &ids.write(row.id));
    writer::open_end(&mut out);
    writer::open_start(&mut out, "forwarded", ns::FORWARD, ns::MAM);
    writer::open_end(&mut out);
    delay::element(None, row.id.0).write(&mut out, ns::FORWARD);
    out.extend_from_slice(&row.stanza);
    writer::close(&mut out, "forwarded");
    writer::close(&mut out, "result");
    Stanza::new(head, out)
}

/// The payload of the IQ result that ends an answer (§4, §4.3.2).
#[must_use]
pub fn fin(page: &ArchivePage, ids: &Ids) -> Element {
    let ends = page.rows.first().zip(page.rows.last());
    let set = ResultSet {
        ends: ends.map(|(first, last)| (ids.write(first.id), ids.write(last.id))),
        index: None,
        count: page.count.and_then(|count| u64::try_from(count).ok()),
    };
    let complete = page.complete.then_some("true");
    Element::new("fin", ns::MAM).with_attr_opt("complete", complete).with_child(set.to_element())
}

/// The answer to a question for the ends of the archive (§5); none: it is empty.
#[must_use]
pub fn metadata(ends: Option<&(ArchiveRow, ArchiveRow)>, ids: &Ids) -> Element {
    let end = |name: &'static str, row: &ArchiveRow| {
        Element::new(name, ns::MAM)
            .with_attr("id", ids.write(row.id))
            .with_attr("timestamp", xmpp::datetime::format(row.id.0))
    };
    let metadata = Element::new("metadata", ns::MAM);
    match ends {
        None => metadata,
        Some((first, last)) => {
            metadata.with_child(end("start", first)).with_child(end("end", last))
        }
    }
}

#[cfg(test)]
mod tests {
    use store::ArchiveId;
    use xmpp::{BareJid, Epoch, Jid, Kind, MessageType, Origin, Shard};

    use super::*;

    fn row(id: u64) -> ArchiveRow {
        let origin = Origin::Shard { shard: Shard::new(0).unwrap(), epoch: Epoch(1), counter: id };
        ArchiveRow {
            id: ArchiveId(id),
            peer: BareJid::parse("juliet@capulet.lit").unwrap(),
            origin,
            stanza:
                "<message xmlns='jabber:client' from='a@x/r' to='b@y'><body>hi</body></message>"
                    .into(),
        }
    }

    fn query(inner: &str) -> Query {
        let xml = format!("<query xmlns='{}' queryid='f&apos;27'>{inner}</query>", ns::MAM);
        Query::parse(&Element::parse(xml.as_bytes()).unwrap(), &Ids::default()).unwrap()
    }

    #[test]
    fn a_result_wraps_the_archived_bytes() {
        let head = Head {
            kind: Kind::Message(MessageType::Normal),
            id: None,
            from: None,
            to: Some(Jid::parse("b@y/r").unwrap()),
            lang: None,
        };
        let stanza = result(head, &row(1_278_803_305_000_000), &query(""), &Ids::default());
        assert_eq!(
            str::from_utf8(stanza.inner()).unwrap(),
            "<result xmlns='urn:xmpp:mam:2' queryid='f&apos;27' id='00048b1098bb6c40'>\
             <forwarded xmlns='urn:xmpp:forward:0'>\
             <delay xmlns='urn:xmpp:delay' stamp='2010-07-10T23:08:25Z'/>\
             <message xmlns='jabber:client' from='a@x/r' to='b@y'><body>hi</body></message>\
             </forwarded></result>"
        );
    }

    #[test]
    fn the_final_answer_names_the_ends_and_says_whether_it_is_all() {
        let page = ArchivePage {
            rows: vec![row(1), row(2)],
            complete: true,
            count: Some(7),
            ..ArchivePage::default()
        };
        let fin = fin(&page, &Ids::default());
        assert_eq!(fin.attr("complete"), Some("true"));
        let set = fin.child("set", ns::RSM).unwrap();
        let text = |name| set.child(name, ns::RSM).unwrap().text();
        assert_eq!(text("first"), "0000000000000001");
        assert_eq!(text("last"), "0000000000000002");
        assert_eq!(text("count"), "7");
        let part =
            super::fin(&ArchivePage { complete: false, ..ArchivePage::default() }, &Ids::default());
        assert_eq!(part.attr("complete"), None);
        assert!(part.child("set", ns::RSM).is_some());
    }

    #[test]
    fn a_flipped_page_is_sent_last_message_first() {
        let page = ArchivePage { rows: vec![row(1), row(2)], ..ArchivePage::default() };
        let ids = |query: &Query| in_order(&page, query).map(|row| row.id.0).collect::<Vec<_>>();
        assert_eq!(ids(&query("")), [1, 2]);
        assert_eq!(ids(&query("<flip-page/>")), [2, 1]);
    }

    #[test]
    fn metadata_names_the_ends_of_the_archive_or_nothing() {
        assert_eq!(metadata(None, &Ids::default()).children().count(), 0);
        let metadata = metadata(Some(&(row(1_000_000), row(2_000_000))), &Ids::default());
        let start = metadata.child("start", ns::MAM).unwrap();
        assert_eq!(start.attr("timestamp"), Some("1970-01-01T00:00:01Z"));
        assert_eq!(metadata.child("end", ns::MAM).unwrap().attr("id"), Some("00000000001e8480"));
    }
}
