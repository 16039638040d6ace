//! Owns the list of sessions of BOSH (XEP-0124), and the way of a request to its own. A session lives on the member
//! that began it, whose number its id begins with: so every other one knows where its requests belong.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use data_encoding::HEXLOWER;
use proto::MemberId;
use stream::bosh::{Body, Session, Terms, terminate};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};

use crate::connection;
use crate::handover::{Handover, Place};
use crate::listener::Kind;
use crate::socket::Bosh;
use crate::socket::bosh::Posted;

/// Requests that wait until their session looks at them.
const INBOX: usize = 8;
/// What is around the stanzas of a request, at most.
pub(crate) const WRAPPER_BYTES: usize = 4 << 10;

/// The most that clients are granted (XEP-0124 §7.2).
const TERMS: Terms = Terms {
    wait: Duration::from_secs(60),
    hold: 2,
    inactivity: Duration::from_secs(60),
    polling: Duration::from_secs(2),
    max_pause: Duration::from_secs(120),
};

/// The content type of responses where the client wants no other (XEP-0124 §7.1).
const XML: &str = "text/xml; charset=utf-8";
/// Others that it may want. No page can be made of them.
const CONTENTS: [&str; 3] = [XML, "application/xml; charset=utf-8", "text/plain; charset=utf-8"];

/// The sessions of a gate, by their ids.
#[derive(Debug, Default)]
pub(crate) struct Sessions(Mutex<HashMap<String, SessionHandle>>);

/// The way to a session.
#[derive(Clone, Debug)]
struct SessionHandle {
    inbox: mpsc::Sender<Posted>,
    content: &'static str,
}

/// A session's entry in the list, removed when dropped.
pub(crate) struct Entry {
    sessions: Arc<Sessions>,
    sid: String,
}

/// A session that is about to begin.
pub(crate) struct NewSession {
    pub(crate) bosh: Box<Bosh>,
    pub(crate) peer: SocketAddr,
    /// Whether the client has TLS.
    pub(crate) is_secure: bool,
}

/// A response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The content type.
    pub content: &'static str,
    /// The body.
    pub body: Vec<u8>,
}

impl Response {
    /// To a request whose session is nowhere (XEP-0124 §17.2): its client begins anew.
    #[must_use]
    pub fn no_session() -> Self {
        refusal("item-not-found")
    }
}

impl Handover {
    /// The most bytes of a request.
    #[must_use]
    pub fn most_bytes(&self) -> usize {
        self.shared.config.limits.stanza_bytes + WRAPPER_BYTES
    }

    /// Takes a request of BOSH that came from there; answers when its session does.
    ///
    /// # Errors
    /// The session lives on this other member, or did.
    pub async fn post(
        &self,
        peer: SocketAddr,
        is_secure: bool,
        bytes: &[u8],
    ) -> Result<Response, MemberId> {
        let parsed = Body::parse(bytes, self.shared.config.limits.of_known());
        let Ok(body) = parsed else { return Ok(refusal("bad-request")) };
        let (reply, answer) = oneshot::channel();
        let posted = |body| Posted { body, bytes: bytes.len(), reply };
        let content = match body.sid.clone() {
            None => match self.begin(peer, is_secure, body, posted) {
                Ok(content) => content,
                Err(condition) => return Ok(refusal(condition)),
            },
            Some(sid) => {
                let handle = self.shared.bosh.lock().get(&sid).cloned();
                let Some(handle) = handle else { return self.elsewhere(&sid) };
                match handle.inbox.try_send(posted(body)) {
                    Ok(()) => handle.content,
                    Err(TrySendError::Full(_)) => return Ok(refusal("policy-violation")),
                    Err(TrySendError::Closed(_)) => return Ok(Response::no_session()),
                }
            }
        };
        Ok(match answer.await {
            Ok(body) => Response { content, body },
            // The session was lost before it had an answer.
            Err(_) => refusal("remote-connection-failed"),
        })
    }

    fn elsewhere(&self, sid: &str) -> Result<Response, MemberId> {
        let (me, home) = (self.shared.router.member(), home_of(sid));
        home.filter(|home| *home != me).map_or_else(|| Ok(Response::no_session()), Err)
    }

    /// Begins a session; answers the content type of its responses.
    fn begin(
        &self,
        peer: SocketAddr,
        is_secure: bool,
        body: Body,
        posted: impl FnOnce(Body) -> Posted,
    ) -> Result<&'static str, &'static str> {
        if *self.stopped.borrow() {
            return Err("system-shutdown");
        }
        let place = self.place_for(peer, Kind::Bosh).ok_or("policy-violation")?;
        let sid = self.new_sid().ok_or("internal-server-error")?;
        let content = content(body.content.as_deref());
        let session = Session::new(sid.clone(), &body, TERMS, Duration::ZERO);
        let (inbox, requests) = mpsc::channel(INBOX);
        // It is empty yet.
        inbox.try_send(posted(body)).map_err(|_| "internal-server-error")?;
        let sessions = Arc::clone(&self.shared.bosh);
        sessions.lock().insert(sid.clone(), SessionHandle { inbox, content });
        let entry = Entry { sessions, sid };
        let before_login = self.shared.config.limits.stanza_bytes_before_login + WRAPPER_BYTES;
        let bosh = Box::new(Bosh::new(requests, session, before_login, entry));
        place.begin_bosh(NewSession { bosh, peer, is_secure });
        Ok(content)
    }

    /// As [`home_of`] reads it: 128 random bits behind the member's number.
    fn new_sid(&self) -> Option<String> {
        let mut random = [0; 16];
        getrandom::fill(&mut random).ok()?;
        Some(format!("{}-{}", self.shared.router.member().0, HEXLOWER.encode(&random)))
    }
}

impl Place {
    /// Begins a session, on one arbiter after the other.
    fn begin_bosh(self, beginning: NewSession) {
        self.spawn(move |permit, shared| connection::begin_bosh(beginning, permit, shared));
    }
}

impl Sessions {
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, SessionHandle>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.sessions.lock().remove(&self.sid);
    }
}

/// The member that a session's id names.
fn home_of(sid: &str) -> Option<MemberId> {
    sid.split_once('-')?.0.parse().ok().map(MemberId)
}

fn refusal(condition: &str) -> Response {
    Response { content: XML, body: terminate(Some(condition), b"") }
}

fn content(wanted: Option<&str>) -> &'static str {
    let kind = |content: &str| content.split(';').next().unwrap_or_default().trim().to_owned();
    let wanted = wanted.map(kind);
    CONTENTS.into_iter().find(|known| Some(kind(known)) == wanted).unwrap_or(XML)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_may_want_another_content_type_but_none_that_browsers_run() {
        assert_eq!(content(None), XML);
        assert_eq!(content(Some("text/plain")), "text/plain; charset=utf-8");
        assert_eq!(content(Some("text/xml; charset=utf-8")), XML);
        for evil in ["text/html", "text/html; charset=utf-8", "text/xml\r\nX-Evil: 1", ""] {
            assert_eq!(content(Some(evil)), XML, "{evil:?}");
        }
    }
}
