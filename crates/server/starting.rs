//! Owns the time before a member takes part: it may wait for others for long. Meanwhile whoever watches over this process
//! is told that it lives and why it is not ready, and an operator's commands are.

use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use cluster::Progress;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::config::Config;
use crate::foundation::Foundation;
use crate::wiring::socket_path;

/// The most bytes of a request's head; of its body nothing is read.
const HEAD_BYTES: usize = 8 << 10;

/// The most that are answered at a time; more wait in the system's queue.
const PLACES: usize = 64;

/// How long whoever asks may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Lays the foundation, and answers meanwhile.
///
/// # Errors
/// As of [`Foundation::lay`], or an address to listen on is taken: that is found before the others count on this member.
pub(crate) async fn lay(config: &Config) -> anyhow::Result<Foundation> {
    if !config.cluster.has_others() {
        return Foundation::lay(config).await;
    }
    check_addresses(config)?;
    let progress = Progress::default();
    let mut laying = pin!(Foundation::lay_telling(config, progress.clone()));
    tokio::select! {
        laid = &mut laying => return laid,
        () = progress.until_waits() => {}
    }
    let doorman = Doorman::open(config, &progress).await?;
    let laid = laying.await;
    // The addresses are free again before others listen there.
    doorman.close().await;
    laid
}

/// Finds addresses that somebody else listens on.
fn check_addresses(config: &Config) -> anyhow::Result<()> {
    let listen = &config.listen;
    let clients = [&listen.c2s, &listen.c2s_tls, &listen.http, &listen.https];
    let others = [&listen.s2s, &listen.s2s_tls].into_iter().filter(|_| config.s2s.is_on());
    for address in clients.into_iter().chain(others).flatten() {
        // Whatever else is wrong is said by whoever listens.
        if let Err(error) = std::net::TcpListener::bind(address)
            && error.kind() == std::io::ErrorKind::AddrInUse
        {
            anyhow::bail!("cannot listen on {address}: {error}");
        }
    }
    Ok(())
}

/// Answers until it is dropped.
struct Doorman {
    tasks: Vec<JoinHandle<()>>,
    socket: PathBuf,
}

impl Doorman {
    async fn open(config: &Config, progress: &Progress) -> anyhow::Result<Self> {
        let places = Arc::new(Semaphore::new(PLACES));
        let mut doorman = Self { tasks: Vec::new(), socket: socket_path(&config.data_dir) };
        for address in &config.listen.http {
            let listener = match TcpListener::bind(address).await {
                Ok(listener) => listener,
                Err(error) => {
                    tracing::warn!(%error, "nobody is told of the start on {address}");
                    continue;
                }
            };
            let (progress, places) = (progress.clone(), Arc::clone(&places));
            doorman.tasks.push(actix_rt::spawn(async move {
                while let Ok(place) = Arc::clone(&places).acquire_owned().await
                    && let Ok((connection, _)) = listener.accept().await
                {
                    actix_rt::spawn(answer(connection, progress.clone(), place));
                }
            }));
        }
        let listener = web::serve::private_socket(&doorman.socket)?;
        listener.set_nonblocking(true)?;
        let (listener, progress) = (UnixListener::from_std(listener)?, progress.clone());
        doorman.tasks.push(actix_rt::spawn(async move {
            while let Ok(place) = Arc::clone(&places).acquire_owned().await
                && let Ok((connection, _)) = listener.accept().await
            {
                actix_rt::spawn(answer(connection, progress.clone(), place));
            }
        }));
        Ok(doorman)
    }

    async fn close(mut self) {
        for task in std::mem::take(&mut self.tasks) {
            task.abort();
            // It ends by that.
            drop(task.await);
        }
    }
}

impl Drop for Doorman {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
        if let Err(error) = std::fs::remove_file(&self.socket) {
            tracing::debug!(%error, "the administration socket was gone already");
        }
    }
}

/// Answers one request (RFC 9112), whatever it asks for.
async fn answer(
    mut connection: impl AsyncRead + AsyncWrite + Unpin,
    progress: Progress,
    _place: OwnedSemaphorePermit,
) {
    let answered = async {
        let mut head = Vec::new();
        while !head.windows(4).any(|end| end == b"\r\n\r\n") {
            if head.len() >= HEAD_BYTES || connection.read_buf(&mut head).await? == 0 {
                return Ok(());
            }
        }
        connection.write_all(page(&head, progress.now().as_deref()).as_bytes()).await?;
        connection.shutdown().await?;
        // Whoever still sends is heard out: a connection that is reset takes the answer with it.
        tokio::io::copy(&mut connection, &mut tokio::io::sink()).await.map(drop)
    };
    match timeout(PATIENCE, answered).await {
        Ok(Ok(())) | Err(_) => {}
        Ok(Err(error)) => tracing::debug!(%error, "whoever asked has gone"),
    }
}

fn page(head: &[u8], waits: Option<&str>) -> String {
    let path = head.split(|byte| *byte == b' ').nth(1).unwrap_or_default();
    let why = format!("the server starts: {}", waits.unwrap_or("it is about to serve"));
    let (status, body) = match path {
        b"/healthz/live" => ("200 OK", serde_json::json!({ "live": true, "unmet": [] })),
        b"/healthz/ready" => {
            let unmet = web::Unmet::new("serving", why);
            ("503 Service Unavailable", serde_json::json!({ "ready": false, "unmet": [unmet] }))
        }
        _ => ("503 Service Unavailable", serde_json::json!({ "error": why })),
    };
    let (body, kind) = (body.to_string(), "application/json");
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_that_waits_lives_and_says_why_it_is_not_ready() {
        let page =
            |path: &str| page(format!("GET {path} HTTP/1.1\r\n\r\n").as_bytes(), Some("others"));
        assert!(page("/healthz/live").starts_with("HTTP/1.1 200 OK\r\n"));
        let ready = page("/healthz/ready");
        assert!(
            ready.starts_with("HTTP/1.1 503 ") && ready.contains("the server starts: others"),
            "{ready}"
        );
        let status = page("/api/v1/cluster");
        assert!(
            status.starts_with("HTTP/1.1 503 ") && status.contains("\"error\":\"the server starts"),
            "{status}"
        );
    }

    #[test]
    fn an_address_that_is_taken_is_found_before_the_member_takes_part() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let listen = |c2s: &str| {
            format!(
                "[listen]\nc2s = ['{c2s}']\nc2s_tls = []\ns2s = []\ns2s_tls = []\nhttp = []\nhttps = []\n"
            )
        };
        let config = |c2s: &str| Config::parse(&listen(c2s), "f", &[]).unwrap();
        let error = check_addresses(&config(&address.to_string())).unwrap_err().to_string();
        assert!(error.contains(&address.to_string()), "{error}");
        check_addresses(&config("127.0.0.1:0")).unwrap();
    }
}
