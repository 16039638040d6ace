//! XEP-0156 Discovering Alternative XMPP Connection Methods, version 1.4: where clients that speak HTTP are told to go.
//! Pure.

use serde::Serialize;

use crate::clients::BOSH;
use crate::handshake;

/// What clients are told; as JSON as it stands (RFC 6415 §3).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Links {
    links: Vec<Link>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Link {
    rel: &'static str,
    href: String,
}

impl Links {
    /// At this base; nowhere where there is none.
    pub(crate) fn new(base: Option<&str>) -> Self {
        let Some(base) = base else { return Self { links: Vec::new() } };
        let socket = base.replacen("http", "ws", 1);
        let websocket = format!("{socket}{}", handshake::PATH);
        let link = |rel, href| Link { rel, href };
        Self {
            links: vec![
                link("urn:xmpp:alt-connections:websocket", websocket),
                link("urn:xmpp:alt-connections:xbosh", format!("{base}{BOSH}")),
            ],
        }
    }

    /// As XRD (RFC 6415 §2).
    pub(crate) fn xml(&self) -> String {
        let link =
            |Link { rel, href }: &Link| format!("<Link rel='{rel}' href='{}'/>", escape(href));
        let links: String = self.links.iter().map(link).collect();
        format!(
            "<?xml version='1.0' encoding='utf-8'?>\n\
             <XRD xmlns='http://docs.oasis-open.org/ns/xri/xrd-1.0'>{links}</XRD>\n"
        )
    }

    /// The same as a list in HTML.
    pub(crate) fn page(&self) -> String {
        let item = |Link { href, .. }: &Link| format!("<li><code>{}</code></li>", escape(href));
        let items: String = self.links.iter().map(item).collect();
        format!(
            "<!DOCTYPE html><html lang='en'><head><meta charset='utf-8'><title>Rookery</title></head>\
             <body><h1>Rookery</h1><p>An XMPP server runs here. Clients that speak HTTP go to:</p>\
             <ul>{items}</ul></body></html>\n"
        )
    }
}

/// Text as it may stand in an attribute.
pub(crate) fn escape(text: &str) -> String {
    let mut out = Vec::new();
    xmpp::writer::attribute_value(&mut out, text);
    String::from_utf8(out).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    // XEP-0156 §3.1
    #[test]
    fn both_ways_are_told_in_xml_and_json() {
        let links = Links::new(Some("https://x.example:5443"));
        assert_eq!(
            links.xml(),
            "<?xml version='1.0' encoding='utf-8'?>\n\
             <XRD xmlns='http://docs.oasis-open.org/ns/xri/xrd-1.0'>\
             <Link rel='urn:xmpp:alt-connections:websocket' href='wss://x.example:5443/xmpp-websocket'/>\
             <Link rel='urn:xmpp:alt-connections:xbosh' href='https://x.example:5443/http-bind'/></XRD>\n"
        );
        assert_eq!(
            serde_json::to_value(&links).unwrap(),
            serde_json::json!({"links": [
                {"rel": "urn:xmpp:alt-connections:websocket", "href": "wss://x.example:5443/xmpp-websocket"},
                {"rel": "urn:xmpp:alt-connections:xbosh", "href": "https://x.example:5443/http-bind"},
            ]})
        );
    }

    #[test]
    fn a_page_cannot_be_made_to_say_anything_else() {
        let page = Links::new(Some("https://x'><script>")).page();
        assert!(!page.contains("<script"), "{page}");
    }
}
