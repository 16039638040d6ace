//! Owns files over HTTP (XEP-0363 §7): a client brings one for a slot, and anybody who knows its URL has it. What is given
//! out was made by strangers: nothing of it is ever run in the name of this server (§9.1).

use std::sync::Arc;
use std::time::Duration;

use actix_web::http::header::{self, HeaderMap};
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, web};
use files::{FileId, Keeper, Meta, Put, Refusal};
use futures_util::StreamExt as _;
use meter::clock;
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::clients::{allow, preflight_of};
use crate::serve::Shared;

/// What paths of files begin with.
pub const PATH: &str = "/upload";

/// More of a file must come within this.
const PATIENCE: Duration = Duration::from_secs(30);
/// Pieces of a file on their way to where it is kept.
const PIECES: usize = 4;
/// Whoever has a file may keep it for so long, seconds.
const YEAR: u64 = 365 * 86_400;

/// A part of a file, from its first to its last byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Part {
    first: u64,
    last: u64,
}

/// What a slot's URL says beside the name of the file.
#[derive(Deserialize)]
struct Right {
    #[serde(rename = "for")]
    account: String,
    key: String,
}

/// The paths of files.
pub(crate) fn routes(config: &mut web::ServiceConfig) {
    config.service(
        web::resource(format!("{PATH}/{{id}}/{{name}}"))
            .route(web::put().to(put))
            .route(web::get().to(get))
            .route(web::head().to(get))
            .route(web::method(Method::OPTIONS).to(preflight)),
    );
}

async fn preflight(request: HttpRequest, shared: web::Data<Shared>) -> HttpResponse {
    preflight_of(&request, &shared.clients, "GET, HEAD, PUT, OPTIONS", "Content-Type, Range")
}

fn keeper(shared: &Shared) -> Option<&Arc<Keeper>> {
    shared.services.files.as_ref()
}

async fn put(
    request: HttpRequest,
    shared: web::Data<Shared>,
    path: web::Path<(String, String)>,
    right: Option<web::Query<Right>>,
    payload: web::Payload,
) -> HttpResponse {
    match take(&request, &shared, &path, right, payload).await {
        Ok(()) => allow(&request, &shared.clients, StatusCode::CREATED).finish(),
        // What is left of the file is not read.
        Err(status) => allow(&request, &shared.clients, status).force_close().finish(),
    }
}

async fn take(
    request: &HttpRequest,
    shared: &Shared,
    (id, name): &(String, String),
    right: Option<web::Query<Right>>,
    payload: web::Payload,
) -> Result<(), StatusCode> {
    let keeper = keeper(shared).ok_or(StatusCode::NOT_FOUND)?;
    let id = FileId::parse(id).ok_or(StatusCode::NOT_FOUND)?;
    let right = right.ok_or(StatusCode::FORBIDDEN)?;
    let text = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
    let size = text(header::CONTENT_LENGTH).and_then(|size| size.parse().ok());
    let put = Put {
        id,
        name,
        account: &right.account,
        key: &right.key,
        size: size.ok_or(StatusCode::LENGTH_REQUIRED)?,
        content_type: text(header::CONTENT_TYPE),
    };
    let admitted = keeper.admit(put, clock::unix_seconds()).await.map_err(status)?;
    let (sender, bytes) = mpsc::channel(PIECES);
    let (taken, ()) = tokio::join!(keeper.take(admitted, bytes), feed(payload, sender));
    taken.map_err(status)
}

/// Hands on what comes, until it ends, stands still, or nobody wants more.
async fn feed(mut payload: web::Payload, sender: mpsc::Sender<web::Bytes>) {
    while let Ok(Some(Ok(chunk))) = timeout(PATIENCE, payload.next()).await {
        if sender.send(chunk).await.is_err() {
            return;
        }
    }
}

fn status(refusal: Refusal) -> StatusCode {
    match refusal {
        Refusal::Key => StatusCode::FORBIDDEN,
        Refusal::Unknown => StatusCode::NOT_FOUND,
        Refusal::Over => StatusCode::GONE,
        Refusal::Used => StatusCode::CONFLICT,
        Refusal::Size => StatusCode::PAYLOAD_TOO_LARGE,
        Refusal::Type => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Refusal::Busy => StatusCode::SERVICE_UNAVAILABLE,
        Refusal::Short => StatusCode::BAD_REQUEST,
        Refusal::Full => StatusCode::INSUFFICIENT_STORAGE,
        Refusal::Failed => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

async fn get(
    request: HttpRequest,
    shared: web::Data<Shared>,
    path: web::Path<(String, String)>,
) -> HttpResponse {
    match give(&request, &shared, &path.0).await {
        Ok(response) => response,
        Err(status) => allow(&request, &shared.clients, status).finish(),
    }
}

async fn give(
    request: &HttpRequest,
    shared: &Shared,
    id: &str,
) -> Result<HttpResponse, StatusCode> {
    let failed = |error: files::storage::Error| {
        tracing::warn!(%error, "a file was not given out");
        StatusCode::BAD_GATEWAY
    };
    let keeper = keeper(shared).ok_or(StatusCode::NOT_FOUND)?;
    let id = FileId::parse(id).ok_or(StatusCode::NOT_FOUND)?;
    let now = clock::unix_seconds();
    let meta = keeper.find(id, now).await.map_err(failed)?.ok_or(StatusCode::NOT_FOUND)?;
    let tag = format!("\"{id}\"");
    let begin = |status| {
        let mut response = allow(request, &shared.clients, status);
        describe(&mut response, &meta, &tag, id.end().map(|end| end.saturating_sub(now)));
        response
    };
    if has_tag(request.headers(), header::IF_NONE_MATCH, &tag) {
        return Ok(begin(StatusCode::NOT_MODIFIED).finish());
    }
    let part = match wanted(request.headers(), &tag, meta.size) {
        Ok(part) => part,
        Err(Unsatisfiable) => {
            let range = format!("bytes */{}", meta.size);
            let mut response = begin(StatusCode::RANGE_NOT_SATISFIABLE);
            return Ok(response.insert_header((header::CONTENT_RANGE, range)).finish());
        }
    };
    let (first, count) = part.map_or((0, meta.size), |it| (it.first, it.last - it.first + 1));
    let mut response = begin(StatusCode::OK);
    if let Some(Part { first, last }) = part {
        let range = format!("bytes {first}-{last}/{}", meta.size);
        response.status(StatusCode::PARTIAL_CONTENT).insert_header((header::CONTENT_RANGE, range));
    }
    response.no_chunking(count);
    if request.method() == Method::HEAD {
        return Ok(response.streaming(futures_util::stream::empty::<std::io::Result<_>>()));
    }
    let bytes = keeper.read(id, first, count).await.map_err(failed)?;
    Ok(response.streaming(bytes))
}

/// Says what the file is, and that nothing in it may act.
fn describe(response: &mut HttpResponseBuilder, meta: &Meta, tag: &str, seconds: Option<u64>) {
    let shown = if is_harmless(&meta.content_type) { "inline" } else { "attachment" };
    let age = seconds.map_or(YEAR, |seconds| seconds.min(YEAR));
    response
        .content_type(meta.content_type.as_str())
        .insert_header((header::CONTENT_DISPOSITION, shown))
        .insert_header((
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; frame-ancestors 'none'; sandbox",
        ))
        .insert_header(("cross-origin-resource-policy", "cross-origin"))
        .insert_header((header::REFERRER_POLICY, "no-referrer"))
        .insert_header((header::ETAG, tag))
        .insert_header((header::ACCEPT_RANGES, "bytes"))
        .insert_header((header::CACHE_CONTROL, format!("private, max-age={age}, immutable")));
}

/// What a browser may show by itself: pictures that are no documents, sound, film.
fn is_harmless(content_type: &str) -> bool {
    const PICTURES: [&str; 7] = ["avif", "bmp", "gif", "heic", "jpeg", "png", "webp"];
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match essence.split_once('/') {
        Some(("audio" | "video", _)) => true,
        Some(("image", picture)) => PICTURES.contains(&picture),
        _ => false,
    }
}

/// Whether a list of tags has this one (RFC 9110 §13.1.2).
fn has_tag(headers: &HeaderMap, name: header::HeaderName, tag: &str) -> bool {
    let values = headers.get_all(name).filter_map(|value| value.to_str().ok());
    let mut tags = values.flat_map(|value| value.split(',')).map(str::trim);
    tags.any(|it| it == "*" || it.trim_start_matches("W/") == tag)
}

/// No byte of the file is in the range.
#[derive(Debug, PartialEq, Eq)]
struct Unsatisfiable;

/// Which part is asked for; none: the whole, also for what this server does not understand (RFC 9110 §14.2).
fn wanted(headers: &HeaderMap, tag: &str, size: u64) -> Result<Option<Part>, Unsatisfiable> {
    let range = headers.get(header::RANGE).and_then(|value| value.to_str().ok());
    let is_same = headers.get(header::IF_RANGE).is_none_or(|known| known == tag);
    match range.and_then(|range| range.strip_prefix("bytes=")).filter(|_| is_same) {
        Some(range) => part(range.trim(), size),
        None => Ok(None),
    }
}

fn part(range: &str, size: u64) -> Result<Option<Part>, Unsatisfiable> {
    let Some((first, last)) = range.split_once('-') else { return Ok(None) };
    let end = size.checked_sub(1).ok_or(Unsatisfiable);
    match (first.parse::<u64>(), last.parse::<u64>()) {
        (Ok(first), Ok(last)) if first > last => Ok(None),
        (Ok(first), last) if last.is_ok() || range.ends_with('-') => {
            let end = end.ok().filter(|end| first <= *end).ok_or(Unsatisfiable)?;
            Ok(Some(Part { first, last: last.map_or(end, |last| last.min(end)) }))
        }
        (Err(_), Ok(count)) if first.is_empty() => {
            let last = end.ok().filter(|_| count > 0).ok_or(Unsatisfiable)?;
            Ok(Some(Part { first: size.saturating_sub(count), last }))
        }
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    fn headers(pairs: &[(header::HeaderName, &'static str)]) -> HeaderMap {
        let pair = |(name, value): &(header::HeaderName, &'static str)| {
            (name.clone(), HeaderValue::from_static(value))
        };
        pairs.iter().map(pair).collect()
    }

    // RFC 9110 §14.1.2
    #[test]
    fn a_range_is_a_part_of_the_file_or_nothing() {
        let part = |first, last| Ok(Some(Part { first, last }));
        let cases = [
            ("bytes=0-4", part(0, 4)),
            ("bytes=5-", part(5, 9)),
            ("bytes=5-99", part(5, 9)),
            ("bytes=-3", part(7, 9)),
            ("bytes=-99", part(0, 9)),
            ("bytes=10-", Err(Unsatisfiable)),
            ("bytes=-0", Err(Unsatisfiable)),
            ("bytes=4-2", Ok(None)),
            ("bytes=0-1,3-4", Ok(None)),
            ("bytes=a-b", Ok(None)),
            ("bytes=-", Ok(None)),
            ("lines=0-4", Ok(None)),
        ];
        for (range, expected) in cases {
            let headers = headers(&[(header::RANGE, range)]);
            assert_eq!(wanted(&headers, "\"a\"", 10), expected, "{range}");
        }
        let of_nothing = headers(&[(header::RANGE, "bytes=0-")]);
        assert_eq!(wanted(&of_nothing, "\"a\"", 0), Err(Unsatisfiable));
    }

    #[test]
    fn a_part_of_another_file_is_of_no_use() {
        let range = (header::RANGE, "bytes=0-4");
        let same = headers(&[range.clone(), (header::IF_RANGE, "\"a\"")]);
        assert!(wanted(&same, "\"a\"", 10).unwrap().is_some());
        let other = headers(&[range, (header::IF_RANGE, "\"b\"")]);
        assert_eq!(wanted(&other, "\"a\"", 10), Ok(None));
    }

    #[test]
    fn a_known_file_is_not_sent_again() {
        let has = |value| {
            has_tag(&headers(&[(header::IF_NONE_MATCH, value)]), header::IF_NONE_MATCH, "\"a\"")
        };
        assert!(has("\"a\"") && has("\"b\", W/\"a\"") && has("*") && !has("\"b\""));
    }

    #[test]
    fn only_what_cannot_act_is_shown() {
        for shown in ["image/png", "IMAGE/JPEG; q=1", "audio/ogg", "video/mp4"] {
            assert!(is_harmless(shown), "{shown}");
        }
        for kept in ["image/svg+xml", "text/html", "application/xml", "text/plain", "", "image"] {
            assert!(!is_harmless(kept), "{kept}");
        }
    }
}
