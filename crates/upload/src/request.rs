//! Owns what a client asks for (XEP-0363 §4, §5). Pure.

use xmpp::{Element, StanzaCondition, StanzaError, datetime, ns};

use crate::Limits;

/// Most bytes of a name; file systems have no longer ones.
const NAME_BYTES: usize = 255;
const TYPE_BYTES: usize = 128;

/// A file that somebody wants to bring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotRequest {
    /// What the client calls it.
    pub name: String,
    /// Its bytes.
    pub size: u64,
    /// What it is said to be; empty: nothing is said.
    pub content_type: String,
    /// When it is to end, seconds since 1970-01-01 UTC; none: never.
    pub end: Option<u64>,
}

impl SlotRequest {
    /// Reads a `<request/>`. The time is in seconds since 1970-01-01 UTC.
    ///
    /// # Errors
    /// `bad-request` where it makes no sense, `not-acceptable` for a file that is too large (§6), and
    /// `feature-not-implemented` for a purpose that was not announced.
    pub fn read(request: &Element, limits: &Limits, now: u64) -> Result<Self, StanzaError> {
        let name = name(request.attr("filename").unwrap_or_default())?;
        let size = request.attr("size").and_then(|size| size.parse().ok());
        let size: u64 = size.filter(|size| *size > 0).ok_or_else(|| bad("a size in bytes"))?;
        let content_type = request.attr("content-type").unwrap_or_default();
        if !content_type.is_empty() && !is_type(content_type) {
            return Err(bad("a content-type such as image/png"));
        }
        let usual = limits.keep_seconds.map(|seconds| now + seconds);
        let purpose = request.children().find(|child| child.ns() == ns::UPLOAD_PURPOSE);
        let (most, end) = match purpose.map(|purpose| (purpose.name(), purpose)) {
            None | Some(("message", _)) => (limits.most(), usual),
            Some(("profile", _)) => (limits.most().min(limits.profile_size), None),
            Some(("ephemeral", purpose)) => {
                let before = end_of(purpose, now)?;
                (limits.most(), Some(usual.map_or(before, |usual| usual.min(before))))
            }
            Some(_) => return Err(StanzaCondition::FeatureNotImplemented.into()),
        };
        if size > most {
            return Err(too_large(most));
        }
        Ok(Self { name, size, content_type: content_type.to_owned(), end })
    }
}

/// A name without folders; some clients send them along.
fn name(said: &str) -> Result<String, StanzaError> {
    let name = said.rsplit(['/', '\\']).next().unwrap_or_default();
    let is_name = !name.is_empty() && name != "." && name != ".." && name.len() <= NAME_BYTES;
    match is_name && !name.contains(char::is_control) {
        true => Ok(name.to_owned()),
        false => Err(bad("a filename of at most 255 bytes")),
    }
}

/// A media type, perhaps with parameters, that may stand in a header (RFC 9110 §8.3.1).
fn is_type(text: &str) -> bool {
    let is_token = |text: &str| {
        let known = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        !text.is_empty() && text.bytes().all(known)
    };
    let essence = text.split(';').next().unwrap_or_default().trim();
    let is_essence =
        essence.split_once('/').is_some_and(|(ty, subtype)| is_token(ty) && is_token(subtype));
    let is_visible = text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    is_essence && is_visible && text.len() <= TYPE_BYTES
}

/// §5.3: the file is not there after this.
fn end_of(ephemeral: &Element, now: u64) -> Result<u64, StanzaError> {
    let text = ephemeral.attr("expire-before").unwrap_or_default();
    let micros = datetime::parse(text).ok().and_then(|micros| u64::try_from(micros).ok());
    let end = micros.map(|micros| micros / 1_000_000);
    end.filter(|end| *end > now).ok_or_else(|| bad("an expire-before that is to come"))
}

/// §6
fn too_large(most: u64) -> StanzaError {
    let size = Element::new("max-file-size", ns::UPLOAD).with_text(most.to_string());
    StanzaError::from(StanzaCondition::NotAcceptable)
        .with_text(format!("the file is too large; the most is {most} bytes"))
        .with_detail(Element::new("file-too-large", ns::UPLOAD).with_child(size))
}

fn bad(wanted: &str) -> StanzaError {
    StanzaError::from(StanzaCondition::BadRequest).with_text(format!("a request needs {wanted}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_764_000_000; // 2025-11-24T16:00:00Z

    fn read(attributes: &str, purpose: &str) -> Result<SlotRequest, StanzaCondition> {
        let xml = format!("<request xmlns='{}' {attributes}>{purpose}</request>", ns::UPLOAD);
        let limits = Limits { size: 1_000, profile_size: 10, ..Limits::default() };
        let request = Element::parse(xml.as_bytes()).unwrap();
        SlotRequest::read(&request, &limits, NOW).map_err(|error| error.condition)
    }

    fn purpose(xml: &str) -> String {
        xml.replace("/>", &format!(" xmlns='{}'/>", ns::UPLOAD_PURPOSE))
    }

    #[test]
    fn a_wish_has_a_name_a_size_and_perhaps_a_type() {
        let wish = read("filename='très cool.jpg' size='999' content-type='image/jpeg'", "");
        let wish = wish.unwrap();
        assert_eq!((wish.name.as_str(), wish.size), ("très cool.jpg", 999));
        assert_eq!((wish.content_type.as_str(), wish.end), ("image/jpeg", Some(NOW + 30 * 86_400)));
        assert_eq!(read("filename='../../etc/passwd' size='1'", "").unwrap().name, "passwd");
        assert_eq!(read(r"filename='C:\a.txt' size='1'", "").unwrap().name, "a.txt");
    }

    #[test]
    fn what_makes_no_sense_is_a_bad_request() {
        let long = format!("filename='{}' size='1'", "a".repeat(256));
        for wrong in [
            "",
            "size='1'",
            "filename='' size='1'",
            "filename='..' size='1'",
            "filename='a/' size='1'",
            "filename='a&#x9;b' size='1'",
            &long,
            "filename='a'",
            "filename='a' size='0'",
            "filename='a' size='-1'",
            "filename='a' size='1.5'",
            "filename='a' size='99999999999999999999'",
            "filename='a' size='1' content-type='image'",
            "filename='a' size='1' content-type='a/b/c'",
            "filename='a' size='1' content-type='a/b; c=&#xA;d'",
            "filename='a' size='1' content-type='a/é'",
        ] {
            assert_eq!(read(wrong, ""), Err(StanzaCondition::BadRequest), "{wrong}");
        }
        assert_eq!(read("filename='a' size='1001'", ""), Err(StanzaCondition::NotAcceptable));
    }

    #[test]
    fn a_purpose_decides_when_the_file_ends() {
        let of = |xml: &str| read("filename='a' size='10'", &purpose(xml)).map(|wish| wish.end);
        assert_eq!(of("<message/>"), Ok(Some(NOW + 30 * 86_400)));
        assert_eq!(of("<profile/>"), Ok(None));
        assert_eq!(of("<ephemeral expire-before='2025-11-24T16:00:09.9Z'/>"), Ok(Some(NOW + 9)));
        // Not longer than any other.
        let later = of("<ephemeral expire-before='2035-11-24T16:00:09Z'/>");
        assert_eq!(later, Ok(Some(NOW + 30 * 86_400)));
        for wrong in ["<ephemeral/>", "<ephemeral expire-before='2025-11-24T16:00:00Z'/>"] {
            assert_eq!(of(wrong), Err(StanzaCondition::BadRequest), "{wrong}");
        }
        assert_eq!(of("<permanent/>"), Err(StanzaCondition::FeatureNotImplemented));
        let large = read("filename='a' size='11'", &purpose("<profile/>"));
        assert_eq!(large, Err(StanzaCondition::NotAcceptable));
    }
}
