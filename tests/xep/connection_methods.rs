//! XEP-0156 Discovering Alternative XMPP Connection Methods. What clients that speak HTTP are told.

use std::fs;

use town::http::get;

use crate::stage::{Stage, shared};

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
        // Also by a page that a browser answers from what it has kept.
        for answer in [answer, get(stage.http, path, "")] {
            let may_be_read = answer.contains("access-control-allow-origin: *");
            assert_eq!(may_be_read, path != "/", "{path}: {answer}");
        }
    }
}

#[test]
fn a_browser_finds_the_web_client_where_there_is_one() {
    let dist = std::env::temp_dir().join(format!("rookery-converse-{}/dist", std::process::id()));
    fs::create_dir_all(&dist).unwrap();
    fs::write(dist.join("converse.min.js"), "export default {};").unwrap();
    fs::write(dist.join("../beside.js"), "secret").unwrap();
    let stage =
        Stage::start(&format!("[web]\nconverse = {dist:?}\nproxies = ['127.0.0.1', '::1']\n"));
    // Nobody could log in without TLS.
    let elsewhere = get(stage.http, "/", "");
    let there = format!("location: https://localhost:{}/\r\n", stage.https.port());
    assert!(elsewhere.starts_with("HTTP/1.1 302 ") && elsewhere.contains(&there), "{elsewhere}");
    let page = get(stage.http, "/", "X-Forwarded-Proto: https\r\n");
    assert!(page.contains("data-domain='localhost' data-registers='no'"), "{page}");
    assert!(page.contains("script-src 'self' 'wasm-unsafe-eval'"), "{page}");
    for (path, kind) in [
        ("/start-converse.js", "content-type: text/javascript"),
        ("/converse/converse.min.js", "content-type: text/javascript"),
    ] {
        let answer = get(stage.http, path, "");
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains(kind), "{path}: {answer}");
        assert!(page.contains(path) || answer.contains("export default"), "{path}: {answer}");
    }
    for path in ["/converse/", "/converse/../beside.js", "/converse/%2e%2e/beside.js"] {
        let answer = get(stage.http, path, "");
        assert!(!answer.starts_with("HTTP/1.1 200 "), "{path}: {answer}");
    }
    assert!(get(shared().http, "/start-converse.js", "").starts_with("HTTP/1.1 404 "));
    fs::remove_dir_all(dist.parent().unwrap()).unwrap();
}
