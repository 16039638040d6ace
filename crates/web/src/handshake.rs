//! Owns the handshake of a WebSocket, from the side of the server (RFC 6455 §4.2, RFC 7395 §3.1). Pure.

use actix_web::http::header::{self, HeaderMap, HeaderName};
use actix_web::http::{Method, StatusCode, Version};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest as _, Sha1};

/// Where XMPP over WebSocket is spoken.
pub(crate) const PATH: &str = "/xmpp-websocket";

/// What is appended to the client's key (RFC 6455 §1.3).
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// What the client asks for.
pub(crate) struct Upgrade<'a> {
    pub(crate) method: &'a Method,
    pub(crate) version: Version,
    pub(crate) path: &'a str,
    pub(crate) headers: &'a HeaderMap,
}

/// Judges a request for a WebSocket. Pages of these `origins` may ask; of any where there are none (RFC 6455
/// §10.2: no credential is sent that the page does not have itself).
///
/// # Errors
/// The status of the refusal.
pub(crate) fn judge(upgrade: &Upgrade<'_>, origins: &[String]) -> Result<Vec<u8>, StatusCode> {
    if upgrade.path != PATH {
        return Err(StatusCode::NOT_FOUND);
    }
    if upgrade.method != Method::GET {
        return Err(StatusCode::METHOD_NOT_ALLOWED);
    }
    let upgrades = has_token(upgrade.headers, &header::UPGRADE, "websocket")
        && has_token(upgrade.headers, &header::CONNECTION, "upgrade");
    if upgrade.version < Version::HTTP_11 || !upgrades {
        return Err(StatusCode::BAD_REQUEST);
    }
    if upgrade.headers.get(header::SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
        return Err(StatusCode::UPGRADE_REQUIRED);
    }
    let key = upgrade.headers.get(header::SEC_WEBSOCKET_KEY).map_or(&[][..], |key| key.as_bytes());
    let is_key = STANDARD.decode(key).is_ok_and(|key| key.len() == 16);
    if !is_key || !has_token(upgrade.headers, &header::SEC_WEBSOCKET_PROTOCOL, "xmpp") {
        return Err(StatusCode::BAD_REQUEST);
    }
    if !may_ask(upgrade.headers, origins) {
        return Err(StatusCode::FORBIDDEN);
    }
    Ok(answer(key))
}

/// Whether the page that asks may. What is no browser names no origin.
pub(crate) fn may_ask(headers: &HeaderMap, origins: &[String]) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else { return true };
    origins.is_empty()
        || origins.iter().any(|known| origin.as_bytes().eq_ignore_ascii_case(known.as_bytes()))
}

/// Refuses a request that came by way of an upgrade. The connection ends with it.
pub(crate) fn refusal(status: StatusCode) -> Vec<u8> {
    let reason = status.canonical_reason().unwrap_or_default();
    // RFC 6455 §4.4
    let version = match status {
        StatusCode::UPGRADE_REQUIRED => "Sec-WebSocket-Version: 13\r\nUpgrade: websocket\r\n",
        _ => "",
    };
    let code = status.as_u16();
    format!("HTTP/1.1 {code} {reason}\r\n{version}Content-Length: 0\r\nConnection: close\r\n\r\n")
        .into_bytes()
}

fn answer(key: &[u8]) -> Vec<u8> {
    let hash = Sha1::new().chain_update(key).chain_update(GUID).finalize();
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {}\r\nSec-WebSocket-Protocol: xmpp\r\n\r\n",
        STANDARD.encode(hash)
    )
    .into_bytes()
}

/// Whether a list, perhaps over several headers, has an entry.
fn has_token(headers: &HeaderMap, name: &HeaderName, wanted: &str) -> bool {
    let values = headers.get_all(name).filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|token| token.trim().eq_ignore_ascii_case(wanted))
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    const RIGHT: [(&str, &str); 7] = [
        ("connection", "keep-alive, Upgrade"),
        ("host", "example.com"),
        ("upgrade", "websocket"),
        ("origin", "https://example.com"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("sec-websocket-protocol", "chat, xmpp"),
        ("sec-websocket-version", "13"),
    ];

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        pairs.iter().map(pair).collect()
    }

    fn asked(headers: &HeaderMap, origins: &[&str]) -> Result<String, u16> {
        let upgrade =
            Upgrade { method: &Method::GET, version: Version::HTTP_11, path: PATH, headers };
        let origins: Vec<String> = origins.iter().map(|&origin| origin.to_owned()).collect();
        let answer = judge(&upgrade, &origins).map_err(|status| status.as_u16())?;
        Ok(String::from_utf8(answer).unwrap())
    }

    /// The right headers but for one, which is missing where the value is empty.
    fn but(name: &'static str, value: &'static str) -> HeaderMap {
        let mut pairs = RIGHT.to_vec();
        pairs.retain(|(known, _)| *known != name);
        if !value.is_empty() {
            pairs.push((name, value));
        }
        headers(&pairs)
    }

    // RFC 6455 §1.3
    #[test]
    fn the_key_of_the_specification_has_the_answer_of_the_specification() {
        let answer = asked(&headers(&RIGHT), &[]).expect("it is right");
        assert!(answer.contains("\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
        assert!(answer.contains("\r\nSec-WebSocket-Protocol: xmpp\r\n"), "{answer}");
    }

    #[test]
    fn what_is_no_handshake_for_xmpp_is_refused() {
        for (name, value, status) in [
            ("upgrade", "h2c", 400),
            ("connection", "keep-alive", 400),
            ("sec-websocket-version", "8", 426),
            ("sec-websocket-version", "", 426),
            ("sec-websocket-key", "", 400),
            ("sec-websocket-key", "dGhlIHNhbXBsZQ==", 400),
            ("sec-websocket-key", "no base64 at all", 400),
            ("sec-websocket-protocol", "chat", 400),
            ("sec-websocket-protocol", "", 400),
        ] {
            assert_eq!(asked(&but(name, value), &[]), Err(status), "{name}: {value}");
        }
        let refusal = String::from_utf8(refusal(StatusCode::UPGRADE_REQUIRED)).unwrap();
        assert!(refusal.contains("\r\nSec-WebSocket-Version: 13\r\n"), "{refusal}");
    }

    #[test]
    fn only_pages_of_the_given_origins_may_ask_and_whatever_is_no_browser() {
        let origins = ["https://chat.example.com"];
        assert_eq!(asked(&headers(&RIGHT), &origins), Err(403));
        assert!(asked(&but("origin", "https://Chat.example.com"), &origins).is_ok());
        assert!(asked(&but("origin", ""), &origins).is_ok());
    }
}
