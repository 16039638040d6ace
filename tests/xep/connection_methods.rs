//! XEP-0156 Discovering Alternative XMPP Connection Methods. What clients that speak HTTP are told.

use town::http::get;

use crate::stage::shared;

// XEP-0156 §3.1
#[test]
fn both_documents_name_websocket_and_bosh() {
    let stage = shared();
    let port = stage.https.port();
    let (websocket, bosh) = (
        format!("wss://localhost:{port}/xmpp-websocket"),
        format!("https://localhost:{port}/http-bind"),
    );
    for (path, content) in [
        ("/.well-known/host-meta", "content-type: application/xrd+xml"),
        ("/.well-known/host-meta.json", "content-type: application/json"),
        ("/", "content-type: text/html"),
    ] {
        let answer = get(stage.http, path, "Origin: https://page.example\r\n");
        assert!(answer.starts_with("HTTP/1.1 200 "), "{path}: {answer}");
        assert!(answer.contains(content), "{path}: {answer}");
        assert!(answer.contains(&websocket) && answer.contains(&bosh), "{path}: {answer}");
        let may_be_read = answer.contains("access-control-allow-origin: *");
        assert_eq!(may_be_read, path != "/", "{path}: {answer}");
    }
}
