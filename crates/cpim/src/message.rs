//! Owns the mapping of messages (RFC 3922 §4).

use xmpp::{Element, Jid};

use crate::address::{Scheme, from_uri, to_uri};
use crate::format::{Header, Object, uri};
use crate::{CpimError, children};

/// A message as an object (§4.1). Its type, thread, id and extensions stay behind.
pub(crate) fn to_object(message: &Element) -> Result<Object, CpimError> {
    if message.attr("type") == Some("error") {
        return Err(CpimError::Type);
    }
    let mut headers = addresses(message)?;
    for subject in children(message, "subject") {
        let lang = subject.lang().map(str::to_owned);
        headers.push(Header { name: "Subject".to_owned(), lang, value: subject.text() });
    }
    // Of several languages, that of the message itself.
    let plain = children(message, "body").find(|body| body.lang().is_none());
    let body = plain.or_else(|| children(message, "body").next()).ok_or(CpimError::NoText)?;
    let kind = ("Content-type".to_owned(), "text/plain; charset=utf-8".to_owned());
    Ok(Object { headers, inner: vec![kind], content: body.text().into_bytes() })
}

/// One message for each recipient (§4.2).
pub(crate) fn from_object(object: &Object) -> Result<Vec<Element>, CpimError> {
    let from = sender(object)?;
    let text = object.text()?;
    let message = |to: String| {
        let subjects = object.headers.iter().filter(|header| header.name == "Subject");
        let subjects = subjects.map(|header| {
            let subject = Element::new("subject", "").with_text(header.value.clone());
            with_lang(subject, header.lang.as_deref())
        });
        Element::new("message", "")
            .with_attr("from", from.clone())
            .with_attr_opt("id", object.content_id())
            .with_attr("to", to)
            .with_children(subjects)
            .with_child(Element::new("body", "").with_text(text))
    };
    Ok(recipients(object)?.into_iter().map(message).collect())
}

/// The sender and the recipient (§4.1.1, §4.1.2).
pub(crate) fn addresses(stanza: &Element) -> Result<Vec<Header>, CpimError> {
    let address = |attribute: &'static str, name: &str| {
        let jid = stanza.attr(attribute).and_then(|text| Jid::parse(text).ok());
        let jid = jid.ok_or(CpimError::Address(attribute))?;
        let value = format!("<{}>", to_uri(Scheme::Im, &jid));
        Ok(Header { name: name.to_owned(), lang: None, value })
    };
    Ok(vec![address("from", "From")?, address("to", "To")?])
}

/// Who has sent an object (§4.2.1).
pub(crate) fn sender(object: &Object) -> Result<String, CpimError> {
    let header = object.header("From").ok_or(CpimError::Address("From"))?;
    let from = uri(header).and_then(|uri| from_uri(Scheme::Im, uri));
    Ok(from.ok_or(CpimError::Address("From"))?.to_string())
}

/// Whom it is for; copies are not passed on (§4.2.2, §4.2.3).
pub(crate) fn recipients(object: &Object) -> Result<Vec<String>, CpimError> {
    let to = object.headers.iter().filter(|header| header.name == "To");
    let jids = to.map(|header| {
        let jid = uri(header).and_then(|uri| from_uri(Scheme::Im, uri));
        Ok(jid.ok_or(CpimError::Address("To"))?.to_string())
    });
    let jids = jids.collect::<Result<Vec<_>, _>>()?;
    match jids.is_empty() {
        true => Err(CpimError::Address("To")),
        false => Ok(jids),
    }
}

pub(crate) fn with_lang(element: Element, lang: Option<&str>) -> Element {
    match lang {
        Some(lang) => element.with_attr_ns("lang", xmpp::ns::XML, lang),
        None => element,
    }
}
