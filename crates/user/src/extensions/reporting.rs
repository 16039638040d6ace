//! XEP-0377 Blocking Command Reports, version 0.4.1: who blocks somebody may say why, and the people who run the
//! server are told. Reports go no further: not to the other server, and to nobody else (§5).

use entity::{Context, Extension};
use xmpp::{Element, Head, Jid, Kind, MessageType, Stanza, StanzaCondition, StanzaError, ns};

use crate::User;

/// Reports of spam and abuse.
pub(crate) const EXTENSION: Extension<User> = Extension {
    number: "0377",
    title: "Blocking Command Reports",
    version: "0.4.1",
    features: &[ns::REPORTING],
    ..Extension::NONE
};

/// Most messages that one report names.
const MESSAGES_MOST: usize = 50;
/// Most bytes of a report.
const BYTES_MOST: usize = 16_384;

/// The items of a request to block that have reports (§6).
///
/// # Errors
/// `bad-request` for a report without a reason (§4), `policy-violation` for one that is too large.
pub(super) fn read(block: &Element) -> Result<Vec<Element>, StanzaError> {
    let with_report = |item: &&Element| item.child("report", ns::REPORTING).is_some();
    let items: Vec<Element> = block.children().filter(with_report).cloned().collect();
    for item in &items {
        let Some(report) = item.child("report", ns::REPORTING) else { continue };
        report.attr("reason").ok_or(StanzaCondition::BadRequest)?;
        let named = report.children().filter(|it| it.is("stanza-id", ns::STANZA_ID)).count();
        if named > MESSAGES_MOST || item.to_bytes().len() > BYTES_MOST {
            return Err(StanzaCondition::PolicyViolation.into());
        }
    }
    Ok(items)
}

/// Tells the people who run the server.
pub(super) fn tell(user: &User, items: &[Element], cx: &mut Context<'_, User>) {
    for item in items {
        tracing::info!(jid = %user.jid, "somebody was reported");
        let stanza = message(user, item);
        for to in &cx.shared.report_to {
            cx.send(stanza.clone().with_to(Jid::clone(to)));
        }
    }
}

fn message(user: &User, item: &Element) -> Stanza {
    let whom = item.attr("jid").unwrap_or_default();
    let report = item.child("report", ns::REPORTING);
    let reason = report.and_then(|it| it.attr("reason")).unwrap_or_default();
    let reason = reason.strip_prefix("urn:xmpp:reporting:").unwrap_or(reason);
    let text = report.and_then(|it| it.child("text", ns::REPORTING)).map(Element::text);
    let text = text.map(|text| format!("\n{}", text.trim())).unwrap_or_default();
    let head = Head {
        kind: Kind::Message(MessageType::Normal),
        id: None,
        from: Some(user.jid.domain().into()),
        to: None,
        lang: None,
    };
    let body = format!("{} has blocked {whom} and reports: {reason}{text}", user.jid);
    let content = [
        Element::new("subject", "").with_text(format!("Report of {whom}: {reason}")),
        Element::new("body", "").with_text(body),
        Element::new("block", ns::BLOCKING).with_child(item.clone()),
    ];
    Stanza::build(head, &content)
}
