//! Owns plain requests of HTTP, one on a connection.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// No response takes longer.
const PATIENCE: Duration = Duration::from_secs(60);

/// The response to a GET, head and all.
pub fn get(address: SocketAddr, path: &str, headers: &str) -> String {
    ask(address, &format!("GET {path} HTTP/1.1\r\n{headers}"), "")
}

/// The response to a POST of XML, head and all.
pub fn post(address: SocketAddr, path: &str, body: &str) -> String {
    ask(
        address,
        &format!("POST {path} HTTP/1.1\r\nContent-Type: text/xml; charset=utf-8\r\n"),
        body,
    )
}

/// The response to a request with this head, which lacks what every request has.
///
/// # Panics
/// When there is none.
pub fn ask(address: SocketAddr, head: &str, body: &str) -> String {
    let mut socket = TcpStream::connect(address).expect("the server listens");
    socket.set_read_timeout(Some(PATIENCE)).expect("a time-out can be set");
    let length = body.len();
    let request = format!(
        "{head}Host: localhost\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    // Who is refused early need not take all of it.
    drop(socket.write_all(request.as_bytes()));
    let mut response = Vec::new();
    let read = socket.read_to_end(&mut response);
    assert!(read.is_ok() || !response.is_empty(), "no response: {read:?}");
    String::from_utf8_lossy(&response).into_owned()
}
