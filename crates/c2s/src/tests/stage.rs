//! The stage: a gate on loopback, an account, and a host that shows what came for sessions.

use std::cell::Cell;
use std::collections::HashMap;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use actix_rt::{Arbiter, ArbiterHandle, System};
use auth::{Account, Credentials};
use cluster::{HashKey, Lease, Plan, PlanHandle};
use futures_util::future::BoxFuture;
use proto::session::{ConnectionCommand, ConnectionEvent};
use proto::snapshot::NOBODY;
use proto::{ArbiterId, Body, ConnectionId, Envelope, Hosts, MemberId, Route, SessionId};
use router::{Inbox, LocalHost, Refusal, Router};
use stream::Features;
use tokio::sync::mpsc;
use xmpp::{BareJid, Epoch, Origin};

use super::client::Client;
use crate::tls::Domain;
use crate::{Accounts, Config, Gate, LookupError, Metrics, Services, Tls};

pub(crate) const DOMAIN: &str = "capulet.example";
/// There are `guest0`, `guest1` and so on, so many.
pub(crate) const GUESTS: usize = 40;
pub(crate) const PASSWORD: &str = "r0m30myr0m30";

/// What the stage is set with.
pub(crate) struct Setting {
    pub(crate) config: Config,
    pub(crate) arbiters: u16,
    /// Whether time jumps to the next timer when nothing else is to do.
    pub(crate) paused: bool,
    /// Whether the host binds what is asked for.
    pub(crate) binds: bool,
    /// The member's right to act.
    pub(crate) lease: Lease,
}

/// The gate and what is around it.
pub(crate) struct Stage {
    pub(crate) gate: Gate,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) tls: Tls,
    /// What came for users and sessions.
    events: mpsc::UnboundedReceiver<(Heard, Origin)>,
    last_origin: Origin,
    dir: PathBuf,
}

/// From which connection, for whom, and what.
pub(crate) type Heard = (ConnectionId, Route, Said);

/// What came.
#[derive(Debug)]
pub(crate) enum Said {
    FromConnection(ConnectionEvent),
    Other(Body),
}

struct Host {
    binds: bool,
    events: mpsc::UnboundedSender<(Heard, Origin)>,
    next: Cell<u64>,
}

struct FakeAccounts(HashMap<BareJid, Account>);

static CREDENTIALS: LazyLock<Credentials> = LazyLock::new(|| {
    Credentials::derive(PASSWORD, 10_000, [[1; 16], [2; 16], [3; 16]]).expect("a good password")
});

impl Default for Setting {
    fn default() -> Self {
        let mut config = Config::default();
        config.listen.c2s = vec!["127.0.0.1:0".parse().unwrap()];
        config.listen.c2s_tls = vec!["127.0.0.1:0".parse().unwrap()];
        Self { config, arbiters: 1, paused: false, binds: true, lease: Lease::always() }
    }
}

impl Setting {
    /// Plays on a thread of its own runtime; ends by a panic when it takes too long.
    pub(crate) fn play<F: Future<Output = ()>>(self, act: impl FnOnce(Stage) -> F + 'static) {
        let paused = self.paused;
        let runtime = move || {
            let mut builder = tokio::runtime::Builder::new_current_thread();
            builder.enable_all().start_paused(paused).build().expect("a runtime")
        };
        System::with_tokio_rt(runtime).block_on(async move {
            let (stage, threads) = Stage::set(self).await;
            let dir = stage.dir.clone();
            let patience = Duration::from_secs(if paused { 100_000 } else { 120 });
            let done = tokio::time::timeout(patience, act(stage)).await;
            for thread in threads {
                thread.stop();
            }
            std::fs::remove_dir_all(dir).unwrap();
            done.expect("the play hangs");
        });
    }
}

impl Stage {
    async fn set(setting: Setting) -> (Self, Vec<Arbiter>) {
        let (says, events) = mpsc::unbounded_channel();
        let (inboxes, receivers): (Vec<_>, Vec<_>) =
            (0..setting.arbiters).map(|_| Inbox::new()).unzip();
        let plan = PlanHandle::fixed(Plan::single(MemberId(1), HashKey::new([7; 16])));
        let domain = BareJid::parse(DOMAIN).unwrap();
        let hosts = Hosts::new([domain.clone()], []);
        let router = Router::new(MemberId(1), plan, setting.lease.clone(), hosts, inboxes);
        let (mut handles, mut threads) = (Vec::<ArbiterHandle>::new(), Vec::new());
        for (number, inbox) in receivers.into_iter().enumerate() {
            let id = ArbiterId(u16::try_from(number).unwrap());
            let (router, events, binds) = (router.clone(), says.clone(), setting.binds);
            let install = move || {
                let host = Rc::new(Host { binds, events, next: Cell::new(1) });
                let (receive, flush) = router::local::install(id, router, host, inbox);
                actix_rt::spawn(receive);
                actix_rt::spawn(flush);
            };
            if number == 0 {
                install();
                handles.push(Arbiter::current());
            } else {
                let thread = Arbiter::new();
                thread.spawn_fn(install);
                handles.push(thread.handle());
                threads.push(thread);
            }
        }
        let dir = own_dir();
        let domains = vec![Domain { name: DOMAIN.to_owned(), files: None }];
        let tls = Tls::load(domains, dir.clone()).unwrap();
        let metrics = Arc::new(Metrics::default());
        let services = Services {
            router,
            accounts: Arc::new(FakeAccounts::new(&domain)),
            registrar: None,
            decoy_secret: vec![9; 32],
            features: Features { sm: true, csi: true, ..Features::default() },
            metrics: Arc::clone(&metrics),
            pressure: Arc::default(),
        };
        let gate = Gate::start(setting.config, tls.clone(), services, handles).unwrap();
        (Self { gate, metrics, tls, events, last_origin: NOBODY, dir }, threads)
    }

    /// A client whose stream begins in the clear.
    pub(crate) async fn client(&self) -> Client {
        Client::connect(self.gate.c2s_addresses().next().unwrap()).await
    }

    /// A client that speaks TLS from the first byte.
    pub(crate) async fn tls_client(&self) -> Client {
        let mut client = Client::connect(self.gate.c2s_tls_addresses().next().unwrap()).await;
        client.shake_hands(&[crate::tls::ALPN]).await;
        client
    }

    /// A client with a bound session.
    pub(crate) async fn bound(&mut self) -> (Client, ConnectionId) {
        let mut client = self.tls_client().await;
        client.log_in("juliet").await;
        client.bind().await;
        let (connection, _, said) = self.hear().await;
        assert!(matches!(said, Said::FromConnection(ConnectionEvent::Bind { .. })), "{said:?}");
        (client, connection)
    }

    /// What comes next for a user or session.
    pub(crate) async fn hear(&mut self) -> Heard {
        let (heard, origin) = self.events.recv().await.expect("the host holds the other end");
        self.last_origin = origin;
        heard
    }

    /// By which what was heard last was sent.
    pub(crate) fn last_origin(&self) -> Origin {
        self.last_origin
    }

    /// As [`Stage::hear`], where it can only be an event of a connection.
    pub(crate) async fn event(&mut self) -> ConnectionEvent {
        match self.hear().await.2 {
            Said::FromConnection(event) => event,
            Said::Other(body) => panic!("{body:?}"),
        }
    }

    /// The event that came already, if any.
    pub(crate) fn heard(&mut self) -> Option<ConnectionEvent> {
        match self.events.try_recv().ok()?.0.2 {
            Said::FromConnection(event) => Some(event),
            Said::Other(body) => panic!("{body:?}"),
        }
    }

    /// Waits until there is no connection.
    pub(crate) async fn empty(&self) {
        while self.gate.connections() > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// The next reload makes a new one.
    pub(crate) fn remove_certificate(&self) {
        std::fs::remove_file(self.dir.join(format!("{DOMAIN}.self-signed.pem"))).unwrap();
    }

    /// Whether nothing came that was not heard.
    pub(crate) fn is_quiet(&mut self) -> bool {
        self.events.try_recv().is_err()
    }

    /// Says something to a connection of the first arbiter, as a session would.
    pub(crate) fn tell(connection: ConnectionId, command: ConnectionCommand) {
        router::local::route(vec![to_connection(connection, command)]);
    }
}

pub(crate) fn to_connection(connection: ConnectionId, command: ConnectionCommand) -> Envelope {
    let origin = Origin::Client { session: 1, seq: 1, part: 0 };
    Envelope::new(
        Route::Connection(connection),
        Body::ToConnection(command),
        origin,
        Epoch::default(),
    )
}

impl LocalHost for Host {
    fn deliver(&self, batch: Vec<Envelope>) {
        let mut answers = Vec::new();
        for envelope in batch {
            if let Body::FromConnection(connection, ConnectionEvent::Bind { resource, iq_id, .. }) =
                &envelope.body
                && let (true, Route::User(account)) = (self.binds, &envelope.to)
            {
                let uid = self.next.replace(self.next.get() + 1);
                let resource = resource.as_deref().unwrap_or("balcony");
                let command = ConnectionCommand::Bound {
                    session: SessionId { account: account.clone(), uid },
                    jid: account.with_resource(resource).unwrap(),
                    iq_id: Arc::clone(iq_id),
                };
                answers.push(to_connection(*connection, command));
            }
            self.show(envelope);
        }
        if !answers.is_empty() {
            actix_rt::spawn(async move { router::local::route(answers) });
        }
    }

    fn refuse(&self, envelope: Envelope, refusal: Refusal) {
        panic!("{refusal:?} {envelope:?}");
    }

    fn flush(&self) {}

    fn member_gone(&self, _: MemberId) {}
}

impl Host {
    fn show(&self, envelope: Envelope) {
        let origin = envelope.origin;
        let nobody = ConnectionId { member: MemberId(0), arbiter: ArbiterId(0), number: 0 };
        let shown = match envelope.body {
            Body::FromConnection(connection, event) => {
                (connection, envelope.to, Said::FromConnection(event))
            }
            body => (nobody, envelope.to, Said::Other(body)),
        };
        // The play may be over.
        drop(self.events.send((shown, origin)));
    }
}

impl FakeAccounts {
    fn new(domain: &BareJid) -> Self {
        let jid = |name: &str| BareJid::parse(&format!("{name}@{domain}")).unwrap();
        let account = |enabled| Account { enabled, ..Account::new(CREDENTIALS.clone()) };
        let guests = (0..GUESTS).map(|number| (jid(&format!("guest{number}")), account(true)));
        let named = [(jid("juliet"), account(true)), (jid("tybalt"), account(false))];
        Self(guests.chain(named).collect())
    }
}

impl Accounts for FakeAccounts {
    fn account(&self, jid: BareJid) -> BoxFuture<'static, Result<Option<Account>, LookupError>> {
        let account = self.0.get(&jid).cloned();
        Box::pin(async move { Ok(account) })
    }
}

/// A directory that no other test has.
pub(crate) fn own_dir() -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = format!("rookery-c2s-{}-{number}", std::process::id());
    let dir = std::env::temp_dir().join(name);
    std::fs::create_dir_all(Path::new(&dir)).unwrap();
    dir
}
