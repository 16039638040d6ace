//! Owns two servers of two domains, `a.example` and `b.example`, that know the way to each other.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use town::Login;
use xmpp::Element;

pub(super) use crate::stage::free;
use crate::stage::{PASSWORD, Stage, merge};

pub(super) use town::Client;

/// An authority that signs certificates of domains.
pub(crate) struct Authority {
    dir: PathBuf,
    issuer: Issuer<'static, KeyPair>,
}

/// Two servers.
pub(super) struct Land {
    pub(super) authority: Authority,
    pub(super) a: Stage,
    pub(super) b: Stage,
    /// Where other servers reach them.
    pub(super) s2s: [SocketAddr; 2],
}

/// How the two prove who they are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Proof {
    Certificate,
    Dialback,
}

impl Authority {
    pub(crate) fn new() -> Self {
        static AUTHORITIES: AtomicUsize = AtomicUsize::new(0);
        let number = AUTHORITIES.fetch_add(1, Ordering::Relaxed);
        let name = format!("rookery-authority-{}-{number}", std::process::id());
        let dir = std::env::temp_dir().join(name);
        fs::create_dir_all(&dir).unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "An authority for tests");
        let key = KeyPair::generate().unwrap();
        fs::write(dir.join("ca.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
        Self { dir, issuer: Issuer::new(params, key) }
    }

    /// Its certificate.
    pub(super) fn pem(&self) -> Vec<u8> {
        fs::read(self.file()).unwrap()
    }

    /// Removes its files. Servers that run have read them.
    pub(super) fn retire(&self) {
        drop(fs::remove_dir_all(&self.dir));
    }

    /// PEM of those who trust this authority.
    pub(crate) fn file(&self) -> PathBuf {
        self.dir.join("ca.pem")
    }

    /// The files of a certificate for these names, and of its key.
    pub(crate) fn certify(&self, names: &[&str]) -> (PathBuf, PathBuf) {
        self.certify_with(names, |_| {})
    }

    /// The same, of a certificate that is changed before it is signed.
    pub(crate) fn certify_with(
        &self,
        names: &[&str],
        change: impl FnOnce(&mut CertificateParams),
    ) -> (PathBuf, PathBuf) {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let (certificate, key) = (
            self.dir.join(format!("{}.crt", names[0])),
            self.dir.join(format!("{}.key", names[0])),
        );
        let pair = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(names).unwrap();
        change(&mut params);
        let signed = params.signed_by(&pair, &self.issuer).unwrap();
        fs::write(&certificate, signed.pem()).unwrap();
        fs::write(&key, pair.serialize_pem()).unwrap();
        (certificate, key)
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        self.retire();
    }
}

/// The settings of one of two servers.
pub(crate) fn settings(
    (domain, certificate): (&str, Option<&(PathBuf, PathBuf)>),
    s2s: SocketAddr,
    (other, route): (&str, SocketAddr),
    ca: &Path,
) -> String {
    let files = certificate.map_or_else(String::new, |(certificate, key)| {
        format!("certificate = '{}'\nkey = '{}'\n", certificate.display(), key.display())
    });
    let policy = if certificate.is_some() { "secure" } else { "dialback" };
    let routes: String =
        names(other).iter().map(|name| format!("'{name}' = '{route}'\n")).collect();
    format!(
        "[[domain]]\nname = '{domain}'\n{files}[listen]\ns2s = ['{s2s}']\n[s2s]\npolicy = '{policy}'\n\
         ca_file = '{}'\nwait_seconds = 60\n[s2s.route]\n{routes}[store]\nengine = 'embedded'\n",
        ca.display()
    )
}

/// A domain and what its certificate is for as well.
fn names(domain: &str) -> [String; 6] {
    ["", "conference.", "irc.", "pubsub.", "upload.", "proxy."].map(|it| format!("{it}{domain}"))
}

impl Land {
    /// Starts both.
    pub(super) fn start(proof: Proof) -> Self {
        Self::start_with(proof, "")
    }

    /// The same, with this laid over the settings of the first.
    pub(super) fn start_with(proof: Proof, extra: &str) -> Self {
        Self::start_each(proof, [extra, ""])
    }

    /// The same, with these laid over the settings of each.
    pub(super) fn start_each(proof: Proof, extra: [&str; 2]) -> Self {
        let authority = Authority::new();
        let s2s = [free(), free()];
        let certify = |domain: &str| {
            let names = names(domain);
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            (proof == Proof::Certificate).then(|| authority.certify(&names))
        };
        let certificates = ["a.example", "b.example"].map(certify);
        let ca = authority.file();
        let settings = |own: usize, other: usize| {
            let domain = ["a.example", "b.example"];
            let own_files = (domain[own], certificates[own].as_ref());
            let base = settings(own_files, s2s[own], (domain[other], s2s[other]), &ca);
            let all = merge(base.parse().unwrap(), extra[own].parse().unwrap());
            toml::to_string(&all).unwrap()
        };
        let (a, b) = (Stage::start(&settings(0, 1)), Stage::start(&settings(1, 0)));
        add(&a, "romeo@a.example");
        add(&b, "juliet@b.example");
        Self { authority, a, b, s2s }
    }

    /// Romeo, of the first domain, and Juliet, of the other one.
    pub(super) fn lovers(&self) -> (Client, Client) {
        (log_in(&self.a, "romeo@a.example"), log_in(&self.b, "juliet@b.example"))
    }
}

/// A server of some domains, certified by one authority, which trusts another one.
pub(super) struct Place<'a> {
    pub(super) domains: &'a [&'a str],
    pub(super) certified_by: &'a Authority,
    pub(super) trusts: &'a Authority,
    pub(super) s2s: SocketAddr,
}

impl Place<'_> {
    /// Starts it with this laid over its settings; and the file of its certificate.
    pub(super) fn start(&self, extra: &str) -> (Stage, PathBuf) {
        let files = self.certified_by.certify(self.domains);
        let own = (self.domains[0], Some(&files));
        let base = settings(own, self.s2s, ("c.example", free()), &self.trusts.file());
        let mut all = merge(base.parse().unwrap(), extra.parse().unwrap());
        let domains = all["domain"].as_array_mut().unwrap();
        for name in &self.domains[1..] {
            let mut another = domains[0].clone();
            another["name"] = (*name).into();
            domains.push(another);
        }
        (Stage::start(&toml::to_string(&all).unwrap()), files.0)
    }
}

/// Sends to somebody at each of these domains, and waits until the list of streams says why it did not get there.
pub(super) fn are_refused(stage: &Stage, romeo: &mut Client, domains: &[(&str, &str)]) {
    for (domain, _) in domains {
        romeo.send(format!("<message to='x@{domain}' id='{domain}'><body>hi</body></message>"));
    }
    for _ in domains {
        let error = hears(romeo, |it| it.attr("type") == Some("error"));
        assert_eq!(condition(&error).as_deref(), Some("remote-server-timeout"), "{error:?}");
    }
    let list = stage.run(&["s2s", "list", "--json"]).unwrap();
    let list: serde_json::Value = serde_json::from_str(&list).unwrap();
    for (domain, why) in domains {
        let mut lines = list["outbound"].as_array().unwrap().iter();
        let line = lines.find(|it| it["remote"] == **domain).unwrap();
        let reason = line["reason"].as_str().unwrap_or_default();
        assert!(reason.contains(why), "{domain}: {reason:?}");
    }
}

pub(crate) fn add(stage: &Stage, jid: &str) {
    stage.run(&["account", "add", jid, "--password", PASSWORD]).unwrap();
}

/// A client that has said that it is there, and has heard it.
pub(crate) fn log_in(stage: &Stage, jid: &str) -> Client {
    let mut client = arrive(stage, jid);
    hears(&mut client, |it| it.name() == "presence");
    client
}

/// A client that says that it is there, and has heard nothing yet but its roster.
pub(super) fn arrive(stage: &Stage, jid: &str) -> Client {
    let (name, domain) = jid.split_once('@').unwrap();
    let mut client =
        Client::log_in(&Login { address: stage.c2s, domain, name, password: PASSWORD });
    client.bind("here");
    client.send("<iq type='get' id='roster'><query xmlns='jabber:iq:roster'/></iq>");
    hears(&mut client, |it| it.attr("id") == Some("roster"));
    client.send("<presence/>");
    client
}

/// What comes next that fits; everything else is passed over.
pub(crate) fn hears(client: &mut Client, fits: impl Fn(&Element) -> bool) -> Element {
    loop {
        let next = client.next().expect("something fits before the stream ends");
        if fits(&next) {
            return next;
        }
    }
}

/// What fits either, in whatever order; everything else is passed over.
pub(super) fn hears_both(
    client: &mut Client,
    first: impl Fn(&Element) -> bool,
    second: impl Fn(&Element) -> bool,
) {
    let next = hears(client, |it| first(it) || second(it));
    match first(&next) {
        true => hears(client, second),
        false => hears(client, first),
    };
}

/// The text of a message.
pub(crate) fn body(element: &Element) -> Option<String> {
    element.child("body", "").map(Element::text)
}

/// Waits for a message with this text.
pub(crate) fn hears_body(client: &mut Client, text: &str) -> Element {
    hears(client, |it| body(it).as_deref() == Some(text))
}

/// The condition of a stanza error.
pub(super) fn condition(element: &Element) -> Option<String> {
    let error = element.child("error", "")?;
    error.children().next().map(|it| it.name().to_owned())
}
