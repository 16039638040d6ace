//! RFC 7712 §5.2 Domain Name Associations: POSH. Which servers are believed by fingerprints that their domains publish
//! (RFC 7711).

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::{Arc, Mutex};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use sha2::{Digest as _, Sha256};
use town::Client;
use town::http::get;

use super::land::{Authority, Place, add, are_refused, free, hears_body, log_in};
use super::zone::Zone;
use crate::stage::Stage;

/// A server of documents over HTTPS, as `name`.
pub(super) struct Library {
    pub(super) address: SocketAddr,
    answer: Arc<Mutex<String>>,
    /// Every request's first line and host.
    asked: Arc<Mutex<Vec<String>>>,
}

impl Library {
    pub(super) fn open(authority: &Authority, name: &str) -> Self {
        let (certificate, key) = authority.certify(&[name]);
        let chain = vec![CertificateDer::from_pem_file(&certificate).unwrap()];
        let key = PrivateKeyDer::from_pem_file(&key).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (answer, asked) = (Arc::<Mutex<String>>::default(), Arc::<Mutex<Vec<_>>>::default());
        let (says, notes, config) = (Arc::clone(&answer), Arc::clone(&asked), Arc::new(config));
        std::thread::spawn(move || {
            for tcp in listener.incoming() {
                let tls = ServerConnection::new(Arc::clone(&config)).unwrap();
                let mut stream = BufReader::new(StreamOwned::new(tls, tcp.unwrap()));
                let mut head = String::new();
                // Whoever does not believe the certificate asks for nothing.
                while !head.ends_with("\r\n\r\n") {
                    match stream.read_line(&mut head) {
                        Ok(count) if count > 0 => {}
                        _ => break,
                    }
                }
                notes.lock().unwrap().extend(head.lines().next().map(str::to_owned));
                let answer = says.lock().unwrap().clone();
                let io = stream.get_mut();
                drop(io.write_all(answer.as_bytes()).and_then(|()| io.flush()));
                io.conn.send_close_notify();
                drop(io.flush());
            }
        });
        Self { address, answer, asked }
    }

    pub(super) fn says(&self, document: &str) {
        let length = document.len();
        *self.answer.lock().unwrap() = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{document}"
        );
    }
}

/// The document for a certificate.
fn prints(certificate: &Path, expires: u32) -> String {
    let der = CertificateDer::from_pem_file(certificate).unwrap();
    let digest = sha256(&der);
    format!("{{\"fingerprints\":[{{\"sha-256\":\"{digest}\"}}],\"expires\":{expires}}}")
}

fn sha256(bytes: &[u8]) -> String {
    auth::encoding::encode(&Sha256::digest(bytes))
}

/// `a.example`, which believes what is published at these places by servers at this address, and Romeo there.
fn visitor(
    ours: &Authority,
    (b, domains): (SocketAddr, &[&str]),
    libraries: &[(&str, &Library)],
    extra: &str,
) -> (Stage, Client) {
    let place = Place { domains: &["a.example"], certified_by: ours, trusts: ours, s2s: free() };
    let routes: String = domains.iter().map(|name| format!("'{name}' = '{b}'\n")).collect();
    let libraries = libraries.iter().map(|(name, it)| format!("'{name}' = '{}'\n", it.address));
    let libraries: String = libraries.collect();
    let (stage, _) = place.start(&format!(
        "{extra}[s2s]\nposh = true\nwait_seconds = 20\n[s2s.route]\n{routes}[s2s.posh_route]\n{libraries}"
    ));
    add(&stage, "romeo@a.example");
    let romeo = log_in(&stage, "romeo@a.example");
    (stage, romeo)
}

const MOVED: &str =
    "HTTP/1.1 302 Found\r\nLocation: https://hosting.example/\r\nContent-Length: 0\r\n\r\n";
const UNTRUSTED: &str = "signed by nobody who is trusted here; ";

const DOMAINS: [&str; 10] = [
    "good.example",
    "reference.example",
    "twice.example",
    "other.example",
    "ended.example",
    "nonsense.example",
    "large.example",
    "moved.example",
    "forged.example",
    "misnamed.example",
];

#[test]
fn a_certificate_that_nobody_vouches_for_is_believed_by_its_published_fingerprint() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let s2s = free();
    let there = Place { domains: &DOMAINS, certified_by: &theirs, trusts: &ours, s2s };
    let (b, certificate) = there.start("");
    let right = prints(&certificate, 3_600);
    let reference = "{\"url\":\"https://hosting.example/b.json\",\"expires\":60}";
    let libraries = DOMAINS.map(|domain| {
        let authority = if domain == "forged.example" { &theirs } else { &ours };
        let name = if domain == "misnamed.example" { "somebody.example" } else { domain };
        let library = Library::open(authority, name);
        match domain {
            "reference.example" => library.says(reference),
            "twice.example" => library.says(&reference.replace("hosting", "again")),
            "other.example" => library.says(&prints(&ours.file(), 60)),
            "ended.example" => library.says(&prints(&certificate, 0)),
            "nonsense.example" => library.says("nonsense"),
            "large.example" => library.says(&"x".repeat(100_000)),
            "moved.example" => MOVED.clone_into(&mut library.answer.lock().unwrap()),
            _ => library.says(&right),
        }
        (domain, library)
    });
    let (hosting, again) =
        (Library::open(&ours, "hosting.example"), Library::open(&ours, "again.example"));
    hosting.says(&right);
    again.says(reference);
    let mut all: Vec<(&str, &Library)> = libraries.iter().map(|(name, it)| (*name, it)).collect();
    all.extend([("hosting.example", &hosting), ("again.example", &again)]);
    let (a, mut romeo) = visitor(&ours, (s2s, &DOMAINS), &all, "");
    // The document may also say who has the fingerprints, once.
    for domain in ["good.example", "reference.example"] {
        let jid = format!("juliet@{domain}");
        add(&b, &jid);
        let mut juliet = log_in(&b, &jid);
        romeo.send(format!("<message to='{jid}'><body>hi</body></message>"));
        hears_body(&mut juliet, "hi");
    }
    let refused = [
        ("twice.example", "its document leads from one place to another"),
        ("other.example", "the domain's document has another fingerprint"),
        ("ended.example", "its document says that it is good for no time"),
        ("nonsense.example", "its document is none of POSH"),
        ("large.example", "no document from https://large.example:443"),
        ("moved.example", "no document from https://moved.example:443: it answers 302"),
        // A document is worth as much as the certificate of its own server.
        ("forged.example", "no document from https://forged.example:443"),
        ("misnamed.example", "no document from https://misnamed.example:443"),
    ];
    let refused = refused.map(|(domain, why)| (domain, format!("{UNTRUSTED}{why}")));
    let refused = refused.each_ref().map(|(domain, why)| (*domain, why.as_str()));
    are_refused(&a, &mut romeo, &refused);
    for (domain, library) in libraries {
        let asked = library.asked.lock().unwrap().clone();
        match domain {
            "forged.example" | "misnamed.example" => {
                assert!(asked.is_empty(), "{domain}: {asked:?}")
            }
            _ => assert_eq!(asked, ["GET /.well-known/posh/xmpp-server.json HTTP/1.1"], "{domain}"),
        }
    }
}

#[test]
fn a_document_does_not_lead_into_private_networks() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let s2s = free();
    let domains = ["b.example"];
    let there = Place { domains: &domains, certified_by: &theirs, trusts: &ours, s2s };
    let (_b, _) = there.start("");
    let library = Library::open(&ours, "b.example");
    let inside = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = inside.local_addr().unwrap().port();
    library.says(&format!("{{\"url\":\"https://inside.example:{port}/\",\"expires\":60}}"));
    let names = Zone::new().leads("x.example", "inside.example", free()).serve();
    let dns = format!("[dns]\nservers = ['{names}']\n");
    let (a, mut romeo) = visitor(&ours, (s2s, &domains), &[("b.example", &library)], &dns);
    let why = "inside.example leads to private addresses only";
    are_refused(&a, &mut romeo, &[("b.example", why)]);
    inside.set_nonblocking(true).unwrap();
    assert!(inside.accept().is_err(), "nobody has connected");
}

#[test]
fn a_server_that_connects_is_believed_by_its_published_fingerprint_too() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let [from, to] = [free(), free()];
    let visiting =
        Place { domains: &["a.example"], certified_by: &theirs, trusts: &ours, s2s: from };
    let (a, certificate) = visiting.start(&format!("[s2s.route]\n'b.example' = '{to}'\n"));
    add(&a, "romeo@a.example");
    let mut romeo = log_in(&a, "romeo@a.example");
    let library = Library::open(&ours, "a.example");
    library.says(&prints(&certificate, 60));
    let there = Place { domains: &["b.example"], certified_by: &ours, trusts: &ours, s2s: to };
    let posh =
        format!("[s2s]\nposh = true\nposh_route = {{ 'a.example' = '{}' }}\n", library.address);
    let (b, _) = there.start(&posh);
    add(&b, "juliet@b.example");
    let mut juliet = log_in(&b, "juliet@b.example");
    romeo.send("<message to='juliet@b.example'><body>by print</body></message>");
    hears_body(&mut juliet, "by print");
}

#[test]
fn a_document_that_was_wrong_is_asked_for_again_when_the_operator_says_so() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let s2s = free();
    let domains = ["b.example"];
    let there = Place { domains: &domains, certified_by: &theirs, trusts: &ours, s2s };
    let (b, certificate) = there.start("");
    add(&b, "juliet@b.example");
    let mut juliet = log_in(&b, "juliet@b.example");
    let library = Library::open(&ours, "b.example");
    library.says(&prints(&ours.file(), 3_600));
    let (a, mut romeo) = visitor(&ours, (s2s, &domains), &[("b.example", &library)], "");
    let why = "the domain's document has another fingerprint";
    are_refused(&a, &mut romeo, &[("b.example", why)]);
    library.says(&prints(&certificate, 3_600));
    a.run(&["s2s", "reset", "b.example"]).unwrap();
    romeo.send("<message to='juliet@b.example'><body>mended</body></message>");
    hears_body(&mut juliet, "mended");
    assert_eq!(library.asked.lock().unwrap().len(), 2, "it is kept but for that");
}

#[test]
fn our_own_fingerprints_are_told_where_the_operator_says_so() {
    let ours = Authority::new();
    let place = Place { domains: &["a.example"], certified_by: &ours, trusts: &ours, s2s: free() };
    let (a, certificate) = place.start("[web]\nposh_seconds = 600\n");
    let wanted = sha256(&CertificateDer::from_pem_file(&certificate).unwrap());
    for service in ["xmpp-server", "xmpp-client"] {
        let path = format!("/.well-known/posh/{service}.json");
        let answer = get(a.http, &path, "X-Forwarded-Host: a.example\r\n");
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        let (_, document) = answer.split_once("\r\n\r\n").unwrap();
        let document: serde_json::Value = serde_json::from_str(document).unwrap();
        assert_eq!(document["fingerprints"][0]["sha-256"], wanted, "{document}");
        assert_eq!(document["expires"], 600, "{document}");
        let foreign = get(a.http, &path, "X-Forwarded-Host: b.example\r\n");
        assert!(foreign.starts_with("HTTP/1.1 404 "), "{foreign}");
    }
    drop(a);
    let (silent, _) = place.start("");
    let path = "/.well-known/posh/xmpp-server.json";
    let answer = get(silent.http, path, "X-Forwarded-Host: a.example\r\n");
    assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
}
