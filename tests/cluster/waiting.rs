//! What is seen of a member that waits for others before it takes part: it lives, is not ready, and says why.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use super::quarters::{Quarters, until};
use crate::stage::{free, merge, rookery};

/// A process that has not started, and its directory.
struct Early {
    dir: PathBuf,
    child: Child,
}

impl Early {
    fn begin(config: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("rookery-early-{}", std::process::id()));
        drop(std::fs::remove_dir_all(&dir));
        std::fs::create_dir_all(&dir).unwrap();
        let base: toml::Table = include_str!("../stage/stage.toml").parse().unwrap();
        let config = merge(base, config.parse().unwrap());
        std::fs::write(dir.join("rookery.toml"), toml::to_string(&config).unwrap()).unwrap();
        let child = rookery(&dir).arg("serve").stderr(Stdio::piped()).spawn().unwrap();
        Self { dir, child }
    }
}

impl Drop for Early {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
        drop(std::fs::remove_dir_all(&self.dir));
    }
}

#[test]
fn a_member_that_waits_for_others_lives_is_not_ready_and_says_why() {
    let (quarters, http) = (Quarters::of(3, 3), free());
    let more = format!("[listen]\nhttp = ['{http}']\n");
    let mut early = Early::begin(&quarters.config(1, &more));
    let why = "the server starts: 1 of 3 members that are to begin the cluster are there";
    until("its word to operators", || said(&early.dir).contains(why));
    let (status, body) = get(http, "/healthz/live");
    assert_eq!((status.as_str(), body.as_str()), ("200", r#"{"live":true,"unmet":[]}"#));
    let (status, body) = get(http, "/healthz/ready");
    assert_eq!(status, "503", "{body}");
    assert!(body.contains("\"condition\":\"serving\"") && body.contains(why), "{body}");
    // It goes on to say so: nobody has to ask.
    let lines = BufReader::new(early.child.stderr.take().unwrap()).lines().map_while(Result::ok);
    let warned = |line: &String| line.contains("WARN") && line.contains("has not started yet");
    assert_eq!(lines.filter(warned).take(2).count(), 2);
}

/// What `rookery cluster status` says against it.
fn said(dir: &Path) -> String {
    let told = rookery(dir).args(["cluster", "status"]).output().unwrap();
    assert!(!told.status.success());
    String::from_utf8(told.stderr).unwrap()
}

/// Status and body of a GET.
fn get(at: SocketAddr, path: &str) -> (String, String) {
    let mut socket = TcpStream::connect(at).unwrap();
    write!(socket, "GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().to_owned(), body.to_owned())
}
