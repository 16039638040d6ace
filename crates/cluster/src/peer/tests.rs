//! Two members meet on loopback, and strangers do not get in.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use proto::MemberId;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tonic::body::Body;
use tonic::codegen::http::{Request, Response};
use tonic::service::Routes;
use tonic::{Code, Status};
use tower::ServiceExt as _;

use super::certificate::{make_authority, make_member, proven_name};
use super::*;
use crate::hash::HashKey;
use crate::plan::{MemberInfo, Plan};

/// A directory with an authority and these members' certificates.
fn certified(names: &[&str]) -> TempDir {
    let directory = TempDir::new().unwrap();
    make_authority(directory.path(), "chat").unwrap();
    for name in names {
        make_member(directory.path(), "chat", name).unwrap();
    }
    directory
}

fn files(directory: &Path, name: &str) -> Files {
    Files {
        ca: directory.join("cluster-ca.crt"),
        certificate: directory.join(format!("{name}.crt")),
        key: directory.join(format!("{name}.key")),
        trust_domain: "chat".to_owned(),
    }
}

fn settings(name: &str, security: Security) -> Settings {
    Settings { name: name.to_owned(), listen: SocketAddr::from(([127, 0, 0, 1], 0)), security }
}

fn open(directory: &TempDir, name: &str) -> Peers {
    let security = Security::Mutual(files(directory.path(), name));
    Peers::open(&settings(name, security), PlanHandle::fixed(Plan::new())).unwrap()
}

/// Members with these names and addresses.
fn plan(members: &[(u64, &str, SocketAddr)]) -> PlanHandle {
    let member = |&(id, name, address): &(u64, &str, SocketAddr)| MemberInfo {
        addr: address.to_string(),
        ..MemberInfo::new(MemberId(id), name)
    };
    PlanHandle::fixed(Plan::shared_by(HashKey::new([1; 16]), members.iter().map(member)))
}

/// A service that notes who asks.
#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Vec<String>>>);

impl tonic::server::NamedService for Notes {
    const NAME: &'static str = "test.Notes";
}

impl tower::Service<Request<Body>> for Notes {
    type Response = Response<Body>;
    type Error = std::convert::Infallible;
    type Future = std::future::Ready<Result<Self::Response, Self::Error>>;

    fn poll_ready(
        &mut self,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), Self::Error>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let name = name(request.extensions()).unwrap().to_owned();
        self.0.lock().unwrap().push(name);
        std::future::ready(Ok(Status::ok("noted").into_http()))
    }
}

/// Asks a service for its note; what became of it.
fn ask(peers: &Peers, channel: Channel, path: &str) -> Code {
    let request = Request::builder().uri(path).method("POST");
    let request = request.header("content-type", "application/grpc").body(Body::empty()).unwrap();
    let response = peers.runtime().block_on(channel.oneshot(request)).unwrap();
    Status::from_header_map(response.headers()).map_or(Code::Unknown, |status| status.code())
}

fn serve_notes(peers: &Peers) -> Notes {
    let notes = Notes::default();
    peers.serve("test.Notes", Routes::new(notes.clone()));
    notes
}

#[test]
fn members_meet_and_each_knows_who_the_other_is() {
    let certificates = certified(&["m1", "m2"]);
    let server = open(&certificates, "m1");
    let notes = serve_notes(&server);
    let plan = plan(&[(1, "m1", server.address())]);
    let security = Security::Mutual(files(certificates.path(), "m2"));
    let client = Peers::open(&settings("m2", security), plan).unwrap();
    let channel = client.runtime().block_on(client.connect(MemberId(1))).unwrap();
    assert_eq!(ask(&client, channel.clone(), "/test.Notes/Note"), Code::Ok);
    assert_eq!(ask(&client, channel, "/test.Other/Note"), Code::Unimplemented);
    assert_eq!(*notes.0.lock().unwrap(), ["m2"]);
    let address = server.address().to_string();
    let (_, name) = client.runtime().block_on(client.connect_to(&address)).unwrap();
    assert_eq!(name.as_str(), "m1");
    let unknown = client.runtime().block_on(client.connect(MemberId(9)));
    assert!(matches!(unknown, Err(PeerError::Unknown(MemberId(9)))));
}

#[test]
fn a_member_under_another_name_is_not_spoken_to() {
    let certificates = certified(&["m1", "m2", "m3"]);
    let server = open(&certificates, "m1");
    let notes = serve_notes(&server);
    let plan = plan(&[(3, "m3", server.address())]);
    let security = Security::Mutual(files(certificates.path(), "m2"));
    let client = Peers::open(&settings("m2", security), plan).unwrap();
    let refused = client.runtime().block_on(client.connect(MemberId(3)));
    assert!(matches!(refused, Err(PeerError::Connect { .. })));
    assert!(notes.0.lock().unwrap().is_empty());
}

#[test]
fn certificates_of_another_authority_are_refused_by_both_sides() {
    let (ours, others) = (certified(&["m1"]), certified(&["m2"]));
    let server = open(&ours, "m1");
    let notes = serve_notes(&server);
    let address = server.address().to_string();
    let stranger = open(&others, "m2");
    let refused = stranger.runtime().block_on(stranger.connect_to(&address));
    assert!(matches!(refused, Err(PeerError::Connect { .. })));
    // One that trusts the server, but is not trusted by it.
    let mut half = files(others.path(), "m2");
    half.ca = ours.path().join("cluster-ca.crt");
    let half = settings("m2", Security::Mutual(half));
    let half = Peers::open(&half, PlanHandle::fixed(Plan::new())).unwrap();
    if let Ok((channel, _)) = half.runtime().block_on(half.connect_to(&address)) {
        // With TLS 1.3 the client is told after its side is done.
        let request = Request::builder().uri("/test.Notes/Note").body(Body::empty()).unwrap();
        assert!(half.runtime().block_on(channel.oneshot(request)).is_err());
    }
    assert!(notes.0.lock().unwrap().is_empty());
}

#[test]
fn another_trust_domain_of_the_same_authority_is_refused() {
    let certificates = certified(&["m1"]);
    make_member(certificates.path(), "other", "m2").unwrap();
    let server = open(&certificates, "m1");
    let notes = serve_notes(&server);
    let other = Files { trust_domain: "other".to_owned(), ..files(certificates.path(), "m2") };
    let other = settings("m2", Security::Mutual(other));
    let other = Peers::open(&other, PlanHandle::fixed(Plan::new())).unwrap();
    let refused = other.runtime().block_on(other.connect_to(&server.address().to_string()));
    assert!(matches!(refused, Err(PeerError::Connect { .. })));
    assert!(notes.0.lock().unwrap().is_empty());
}

#[test]
fn plaintext_is_refused_where_there_are_certificates() {
    let certificates = certified(&["m1"]);
    let server = open(&certificates, "m1");
    let plain = settings("m2", Security::InsecureDev);
    let plain = Peers::open(&plain, PlanHandle::fixed(Plan::new())).unwrap();
    let refused = plain.runtime().block_on(plain.connect_to(&server.address().to_string()));
    assert!(matches!(refused, Err(PeerError::Connect { .. })));
    let raw = plain.runtime().block_on(async {
        let mut socket = tokio::net::TcpStream::connect(server.address()).await.unwrap();
        socket.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
        let mut answer = Vec::new();
        drop(socket.read_to_end(&mut answer).await);
        answer
    });
    // At most a TLS alert.
    assert!(raw.len() <= 7, "{raw:?}");
}

#[test]
fn without_certificates_members_meet_on_loopback_only() {
    let plain = |name| {
        let settings = settings(name, Security::InsecureDev);
        Peers::open(&settings, PlanHandle::fixed(Plan::new())).unwrap()
    };
    let (server, client) = (plain("m1"), plain("m2"));
    let notes = serve_notes(&server);
    let address = server.address().to_string();
    let (channel, name) = client.runtime().block_on(client.connect_to(&address)).unwrap();
    assert_eq!(name.as_str(), "m1");
    assert_eq!(ask(&client, channel, "/test.Notes/Note"), Code::Ok);
    assert_eq!(*notes.0.lock().unwrap(), ["m2"]);
    let open =
        Settings { listen: "0.0.0.0:0".parse().unwrap(), ..settings("m3", Security::InsecureDev) };
    let refused = Peers::open(&open, PlanHandle::fixed(Plan::new()));
    assert!(matches!(refused, Err(PeerError::NotLoopback(_))));
}

#[test]
fn certificates_are_read_again() {
    let (first, second) = (certified(&["m1", "m2"]), certified(&["m1", "m2"]));
    let server = open(&first, "m1");
    let client = open(&second, "m2");
    let address = server.address().to_string();
    let meet = || client.runtime().block_on(client.connect_to(&address)).is_ok();
    assert!(!meet());
    for name in ["cluster-ca.crt", "m1.crt", "m1.key"] {
        std::fs::copy(second.path().join(name), first.path().join(name)).unwrap();
    }
    server.reload().unwrap();
    assert!(meet());
    std::fs::write(first.path().join("m1.crt"), "no certificate").unwrap();
    assert!(server.reload().is_err());
    assert!(meet(), "the ones before stay in force");
}

#[test]
fn a_certificate_must_be_the_members_own() {
    let certificates = certified(&["m1"]);
    let mut wrong = files(certificates.path(), "m1");
    let settings = |files| settings("m2", Security::Mutual(files));
    let refused = Peers::open(&settings(wrong.clone()), PlanHandle::fixed(Plan::new()));
    let text = refused.err().unwrap().to_string();
    assert!(text.contains("spiffe://chat/member/m2"), "{text}");
    wrong.certificate = certificates.path().join("missing");
    let refused = Peers::open(&settings(wrong), PlanHandle::fixed(Plan::new()));
    assert!(refused.err().unwrap().to_string().contains("missing"));
}

#[test]
fn certificates_that_are_there_are_not_replaced() {
    let certificates = certified(&["m1"]);
    let leaf = std::fs::read(certificates.path().join("m1.crt")).unwrap();
    assert!(make_authority(certificates.path(), "chat").is_err());
    assert!(make_member(certificates.path(), "chat", "m1").is_err());
    assert_eq!(std::fs::read(certificates.path().join("m1.crt")).unwrap(), leaf);
    for name in ["", "a/b", "a b", "é"] {
        let made = make_member(certificates.path(), "chat", name);
        assert!(matches!(made, Err(CertificateError::BadName(_))), "{name:?}");
    }
    assert_eq!(proven_name(b"junk", "chat"), None);
}

#[test]
fn an_end_that_says_nothing_does_not_keep_others_out() {
    let certificates = certified(&["m1", "m2"]);
    let server = open(&certificates, "m1");
    let silent: Vec<_> =
        (0..8).map(|_| std::net::TcpStream::connect(server.address()).unwrap()).collect();
    let client = open(&certificates, "m2");
    let address = server.address().to_string();
    let meeting = client.connect_to(&address);
    let met = client
        .runtime()
        .block_on(async { tokio::time::timeout(Duration::from_secs(4), meeting).await });
    assert!(met.unwrap().is_ok());
    drop(silent);
}
