//! Owns what a domain tells clients that speak HTTP about where to connect (XEP-0156 §3), in both forms, and what is wrong there.

use s2s::probe::Probe;
use serde::{Deserialize, Serialize};
use xmpp::Element;

const XRD: &str = "http://docs.oasis-open.org/ns/xri/xrd-1.0";
/// Each way, and what its addresses begin with where there is TLS.
const WAYS: [(&str, &str); 2] = [
    ("urn:xmpp:alt-connections:websocket", "wss://"),
    ("urn:xmpp:alt-connections:xbosh", "https://"),
];

/// One form.
#[derive(Debug, Serialize)]
pub(super) struct HostMeta {
    path: &'static str,
    /// The addresses to connect to.
    links: Vec<Link>,
    /// Why there are none, in words for people.
    problem: Option<String>,
    /// Whether there is a document, but none that can be read.
    #[serde(skip)]
    is_unreadable: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
struct Link {
    rel: String,
    #[serde(default)]
    href: String,
}

#[derive(Deserialize)]
struct Json {
    #[serde(default)]
    links: Vec<Link>,
}

/// Fetches both forms, at once.
pub(super) async fn look(probe: &Probe, domain: &str) -> [HostMeta; 2] {
    let one = async |path, ty, read: fn(&[u8]) -> Option<Vec<Link>>| {
        let fetched = probe.document(domain, path, ty).await;
        HostMeta::of(path, fetched.map(|bytes| read(&bytes)))
    };
    let (xml, json) = futures_util::future::join(
        one("/.well-known/host-meta", "application/xrd+xml", of_xml),
        one("/.well-known/host-meta.json", "application/json", of_json),
    )
    .await;
    [xml, json]
}

/// What does not work, and what should be looked at.
pub(super) fn judge(xml: &HostMeta, json: &HostMeta) -> (Vec<String>, Vec<String>) {
    let (mut faults, mut remarks) = (Vec::new(), Vec::new());
    for document in [xml, json] {
        let path = document.path;
        match &document.problem {
            Some(problem) if document.is_unreadable => faults.push(format!("{path} {problem}")),
            Some(problem) => {
                remarks.push(format!("{path} does not tell clients where to connect: {problem}"));
            }
            None => {}
        }
        for Link { rel, href } in &document.links {
            let secure = WAYS.iter().find(|(way, _)| way == rel).map(|(_, begin)| *begin);
            if secure.is_some_and(|begin| !href.starts_with(begin)) {
                faults.push(format!("{path} leads clients to {href:?}, which has no TLS"));
            }
        }
    }
    if xml.problem.is_none() && json.problem.is_none() && xml.links != json.links {
        faults.push(format!("{} and {} lead clients to different places", xml.path, json.path));
    }
    (faults, remarks)
}

impl HostMeta {
    fn of(path: &'static str, read: Result<Option<Vec<Link>>, String>) -> Self {
        let is_unreadable = matches!(read, Ok(None));
        let found = read.and_then(|links| links.ok_or_else(|| "cannot be read".to_owned()));
        let (mut links, problem) = match found {
            Ok(links) => (links, None),
            Err(why) => (Vec::new(), Some(why)),
        };
        links.retain(|link| WAYS.iter().any(|(rel, _)| *rel == link.rel));
        links.sort();
        let problem =
            problem.or_else(|| links.is_empty().then(|| "it names no way to connect".to_owned()));
        Self { path, links, problem, is_unreadable }
    }

    pub(super) fn line(&self) -> String {
        let links: Vec<&str> = self.links.iter().map(|link| &*link.href).collect();
        let links = links.join(", ");
        format!("{}  {}", self.path, self.problem.as_deref().unwrap_or(&links))
    }
}

/// The links of an XRD; none where it is none.
fn of_xml(bytes: &[u8]) -> Option<Vec<Link>> {
    let text = str::from_utf8(bytes).ok()?.trim_start_matches('\u{feff}').trim();
    let text = match text.strip_prefix("<?xml") {
        Some(rest) => rest.split_once("?>")?.1.trim(),
        None => text,
    };
    let document = Element::parse(text.as_bytes()).ok().filter(|it| it.is("XRD", XRD))?;
    let link = |it: &Element| {
        let text = |name| it.attr(name).unwrap_or_default().to_owned();
        it.is("Link", XRD).then(|| Link { rel: text("rel"), href: text("href") })
    };
    Some(document.children().filter_map(link).collect())
}

/// The links of a JRD (RFC 6415 appendix A); none where it is none.
fn of_json(bytes: &[u8]) -> Option<Vec<Link>> {
    serde_json::from_slice::<Json>(bytes).ok().map(|it| it.links)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn xml(links: &str) -> HostMeta {
        let text = format!("<?xml version='1.0'?>\n<XRD xmlns='{XRD}'>{links}</XRD>\n");
        HostMeta::of("x", Ok(of_xml(text.as_bytes())))
    }

    fn json(text: &str) -> HostMeta {
        HostMeta::of("j", Ok(of_json(text.as_bytes())))
    }

    const SOCKET: &str =
        "<Link rel='urn:xmpp:alt-connections:websocket' href='wss://a.example/ws'/>";

    #[test]
    fn two_documents_that_say_the_same_are_good() {
        let same = "{\"links\":[{\"rel\":\"urn:xmpp:alt-connections:websocket\",\
                    \"href\":\"wss://a.example/ws\"},{\"rel\":\"other\",\"template\":\"x\"}]}";
        let (faults, remarks) = judge(&xml(SOCKET), &json(same));
        assert!(faults.is_empty() && remarks.is_empty(), "{faults:?} {remarks:?}");
    }

    #[test]
    fn what_is_wrong_is_said() {
        let fault = |xml, json| judge(&xml, &json).0.join("; ");
        let plain = SOCKET.replace("wss:", "ws:");
        assert!(fault(xml(&plain), json("{}")).contains("which has no TLS"));
        assert!(fault(xml(SOCKET), json("<html/>")).contains("j cannot be read"));
        let other = "{\"links\":[{\"rel\":\"urn:xmpp:alt-connections:xbosh\",\
                     \"href\":\"https://a.example/b\"}]}";
        assert!(fault(xml(SOCKET), json(other)).contains("different places"));
        let away = HostMeta::of("j", Err("it answers 404".to_owned()));
        let (faults, remarks) = judge(&xml(""), &away);
        assert!(faults.is_empty(), "nobody must have it: {faults:?}");
        assert!(remarks[0].contains("no way") && remarks[1].contains("404"), "{remarks:?}");
    }
}
