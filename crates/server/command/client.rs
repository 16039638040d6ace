//! Owns the way from the command line to a running server: HTTP on the Unix socket in the data directory.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use web::administration::Problem;

use crate::wiring::socket_path;

/// Longer than any administration takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where it takes so long, whoever waits is told that it does: a store that is away is waited for.
const SILENCE: Duration = Duration::from_secs(5);

/// The most that an answer may be long.
const ANSWER_BYTES: u64 = 64 << 20;

/// A connection to a running server's administration socket.
pub(super) struct Client {
    stream: UnixStream,
}

impl Client {
    /// Connects; none where no server runs on this data directory.
    pub(super) fn connect(data_dir: &Path) -> anyhow::Result<Option<Self>> {
        let path = socket_path(data_dir);
        match UnixStream::connect(&path) {
            Ok(stream) => {
                stream.set_read_timeout(Some(PATIENCE))?;
                Ok(Some(Self { stream }))
            }
            Err(error)
                if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) =>
            {
                Ok(None)
            }
            Err(error) => anyhow::bail!("cannot reach the server at {}: {error}", path.display()),
        }
    }

    /// As [`Client::connect`], where only a running server will do.
    pub(super) fn need(data_dir: &Path) -> anyhow::Result<Self> {
        Self::connect(data_dir)?.ok_or_else(|| {
            anyhow::anyhow!(
                "no server runs on {}: start it with `rookery serve`, or name its directory with --data-dir",
                data_dir.display()
            )
        })
    }

    /// One request whose answer is JSON.
    pub(super) fn get<T: DeserializeOwned>(self, path: &str) -> anyhow::Result<T> {
        let body = self.request("GET", path, None)?;
        Ok(serde_json::from_slice(&body)?)
    }

    /// As [`Client::post`], with a body that is written already.
    pub(super) fn post_bytes<T: DeserializeOwned>(
        self,
        path: &str,
        body: Vec<u8>,
    ) -> anyhow::Result<T> {
        Ok(serde_json::from_slice(&self.request("POST", path, Some(body))?)?)
    }

    /// One request whose answer, of any length, is written as it comes. Its end is told apart from a connection that
    /// broke: the last chunk is empty (RFC 9112 §7.1).
    pub(super) fn download(mut self, path: &str, out: &mut impl Write) -> anyhow::Result<()> {
        write!(self.stream, "GET {path} HTTP/1.1\r\nHost: rookery\r\nConnection: close\r\n\r\n")?;
        let mut answer = BufReader::new(self.stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            line(&mut answer, &mut head)?;
        }
        if head.split(' ').nth(1).is_some_and(|status| status.starts_with('2')) {
            return take_chunks(answer, out);
        }
        let mut body = Vec::new();
        answer.take(ANSWER_BYTES).read_to_end(&mut body)?;
        match serde_json::from_slice::<Problem>(&body) {
            Ok(problem) => anyhow::bail!("{}", problem.error),
            Err(_) => anyhow::bail!("the server's answer is not understood"),
        }
    }

    /// One request that makes something, whose answer is JSON.
    pub(super) fn post<T: DeserializeOwned>(
        self,
        path: &str,
        body: &impl Serialize,
    ) -> anyhow::Result<T> {
        let body = self.request("POST", path, Some(serde_json::to_vec(body)?))?;
        Ok(serde_json::from_slice(&body)?)
    }

    /// One request to take something away, whose answer is JSON.
    pub(super) fn delete<T: DeserializeOwned>(self, path: &str) -> anyhow::Result<T> {
        let body = self.request("DELETE", path, None)?;
        Ok(serde_json::from_slice(&body)?)
    }

    /// One request whose answer says nothing.
    pub(super) fn send(
        self,
        method: &str,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> anyhow::Result<()> {
        let body = body.map(serde_json::to_vec).transpose()?;
        self.request(method, path, body).map(drop)
    }

    fn request(
        mut self,
        method: &str,
        path: &str,
        body: Option<Vec<u8>>,
    ) -> anyhow::Result<Vec<u8>> {
        let body = body.unwrap_or_default();
        let head = format!(
            "{method} {path} HTTP/1.0\r\nHost: rookery\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n",
            body.len()
        );
        self.stream.write_all(head.as_bytes())?;
        self.stream.write_all(&body)?;
        let mut answer = Vec::new();
        let _word =
            say_after(SILENCE, || eprintln!("rookery: still waiting for the server's answer"));
        self.stream.take(ANSWER_BYTES).read_to_end(&mut answer)?;
        let (status, body) = split(&answer)
            .ok_or_else(|| anyhow::anyhow!("the server's answer is not understood"))?;
        if (200..300).contains(&status) {
            return Ok(body.to_vec());
        }
        let said = serde_json::from_slice::<Problem>(body).map(|problem| problem.error);
        let words = said.unwrap_or_else(|_| format!("the server answered with status {status}"));
        Err(Refused { status, words }.into())
    }
}

/// The server's refusal.
#[derive(Debug, thiserror::Error)]
#[error("{words}")]
pub(super) struct Refused {
    /// Of HTTP: 409 where what is to be made is there already.
    pub(super) status: u16,
    words: String,
}

/// Says something when this time has passed and what is answered is still there.
fn say_after(time: Duration, say: impl FnOnce() + Send + 'static) -> mpsc::Sender<()> {
    let (waits, over) = mpsc::channel();
    std::thread::spawn(move || {
        if over.recv_timeout(time) == Err(mpsc::RecvTimeoutError::Timeout) {
            say();
        }
    });
    waits
}

/// Status and body of an HTTP/1.0 answer, which ends with the connection.
fn split(answer: &[u8]) -> Option<(u16, &[u8])> {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = str::from_utf8(&answer[..end]).ok()?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some((status, &answer[end + 4..]))
}

/// The most that a line of an answer's head, or one that begins a chunk, may be long.
const LINE_BYTES: u64 = 8 << 10;

fn line(answer: &mut impl BufRead, into: &mut String) -> anyhow::Result<()> {
    let count = answer.take(LINE_BYTES).read_line(into)?;
    anyhow::ensure!(count > 0 && into.ends_with('\n'), "the server's answer broke off");
    Ok(())
}

/// A body in chunks, without trailers (RFC 9112 §7.1).
fn take_chunks(mut answer: impl BufRead, out: &mut impl Write) -> anyhow::Result<()> {
    loop {
        let mut head = String::new();
        line(&mut answer, &mut head)?;
        let size = head.split(';').next().unwrap_or_default().trim();
        let size = u64::from_str_radix(size, 16)
            .map_err(|_| anyhow::anyhow!("the server's answer is not understood"))?;
        let count = std::io::copy(&mut answer.by_ref().take(size), out)?;
        anyhow::ensure!(count == size, "the server's answer broke off");
        line(&mut answer, &mut String::new())?;
        if size == 0 {
            return Ok(());
        }
    }
}

/// A path segment: everything but letters, digits and `-._~` written as octets.
pub(super) fn segment(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_split_into_status_and_body() {
        assert_eq!(split(b"HTTP/1.0 404 Not Found\r\na: b\r\n\r\n{}"), Some((404, &b"{}"[..])));
        assert_eq!(split(b"junk"), None);
    }

    #[test]
    fn who_waits_long_is_told_and_who_does_not_is_not() {
        let (say, said) = mpsc::channel();
        let waits = say_after(Duration::ZERO, move || say.send("still").unwrap());
        assert_eq!(said.recv(), Ok("still"));
        drop(waits);
        let (say, said) = mpsc::channel::<()>();
        drop(say_after(Duration::from_secs(3_600), move || say.send(()).unwrap()));
        assert!(said.recv().is_err(), "nothing is said of what is over");
    }

    #[test]
    fn chunks_end_with_an_empty_one_or_broke_off() {
        let take = |answer: &str| {
            let mut out = Vec::new();
            take_chunks(answer.as_bytes(), &mut out).map(|()| String::from_utf8(out).unwrap())
        };
        assert_eq!(take("3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\n\r\n").unwrap(), "abc0123456789");
        for broken in ["", "3\r\nab", "3\r\nabc\r\n", "3\r\nabc\r\n0\r\n", "x\r\nabc\r\n0\r\n\r\n"]
        {
            assert!(take(broken).is_err(), "{broken:?}");
        }
    }

    #[test]
    fn addresses_are_written_as_one_segment() {
        assert_eq!(segment("a@x/r \u{e9}"), "a%40x%2Fr%20%C3%A9");
    }
}
