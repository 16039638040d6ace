//! Owns a store whose disk stands still while a test wants it to, and a server in this process on it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

use auth::{Account, Credentials};
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use server::config::Config;
use server::foundation::Foundation;
use server::wiring::Server;
use store::{
    ArchivePage, ArchiveQuery, Batch, Error, Key, Kind, Memory, Reply, Row, SharedStore, Store,
    Write,
};
use tokio::sync::{oneshot, watch};
use xmpp::{BareJid, Bucket, Epoch, Fence};

use super::PASSWORD;

/// An engine in memory whose commits are neither done nor answered while they are held.
pub(crate) struct Held {
    memory: Arc<Memory>,
    held: watch::Sender<bool>,
}

/// A server in this process, ended with the test.
pub(crate) struct InProcess {
    pub(crate) c2s: SocketAddr,
    pub(crate) store: Arc<Held>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    dir: PathBuf,
}

impl Held {
    /// From now on the disk stands still, or goes on.
    pub(crate) fn hold(&self, held: bool) {
        self.held.send_replace(held);
    }
}

impl Store for Held {
    fn claim(&self, fence: Fence) -> Reply<()> {
        self.memory.claim(fence)
    }

    fn load(&self, fence: Fence, owner: BareJid, kinds: &'static [Kind]) -> Reply<Vec<Row>> {
        self.memory.load(fence, owner, kinds)
    }

    fn get(&self, fence: Fence, key: Key) -> Reply<Option<Bytes>> {
        self.memory.get(fence, key)
    }

    fn scan(
        &self,
        fence: Fence,
        owner: BareJid,
        kind: Kind,
        after: Option<Bytes>,
        limit: usize,
    ) -> Reply<Vec<Row>> {
        self.memory.scan(fence, owner, kind, after, limit)
    }

    fn commit(&self, batches: Vec<Batch>) -> BoxFuture<'static, Vec<Result<(), Error>>> {
        let (memory, mut held) = (Arc::clone(&self.memory), self.held.subscribe());
        async move {
            // The sender lives as long as the server.
            drop(held.wait_for(|held| !held).await);
            memory.commit(batches).await
        }
        .boxed()
    }

    fn query(&self, fence: Fence, owner: BareJid, query: ArchiveQuery) -> Reply<ArchivePage> {
        self.memory.query(fence, owner, query)
    }

    fn owners(&self, kind: Kind, after: Option<BareJid>, limit: usize) -> Reply<Vec<BareJid>> {
        self.memory.owners(kind, after, limit)
    }

    fn erase(&self, fence: Fence, owner: BareJid) -> Reply<()> {
        self.memory.erase(fence, owner)
    }

    fn expire(&self, before_unix_micros: u64, limit: usize) -> Reply<usize> {
        self.memory.expire(before_unix_micros, limit)
    }

    fn waiting_bytes(&self) -> usize {
        self.memory.waiting_bytes()
    }

    fn close(&self) -> Reply<()> {
        self.memory.close()
    }
}

impl InProcess {
    /// Starts a server with these accounts of `localhost`.
    pub(crate) fn start(accounts: &[&str]) -> Self {
        let dir = std::env::temp_dir().join(format!("rookery-held-{}", std::process::id()));
        drop(std::fs::remove_dir_all(&dir));
        let mut config = Config::parse(include_str!("stage.toml"), "stage.toml", &[]).unwrap();
        config.data_dir.clone_from(&dir);
        let memory = Arc::new(Memory::new());
        for name in accounts {
            add_account(&memory, name);
        }
        let store = Arc::new(Held { memory, held: watch::Sender::new(false) });
        let shared = Arc::clone(&store) as SharedStore;
        let (says, address) = mpsc::channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::spawn(move || {
            actix_rt::System::new().block_on(async move {
                let foundation = Foundation::lay_on(&config, shared).await.unwrap();
                let server = Server::start_on(&config, foundation).await.unwrap();
                says.send(server.gate().c2s_addresses().next().unwrap()).unwrap();
                // Either word ends it.
                drop(stopped.await);
                server.stop().await;
            });
        });
        let c2s = address.recv().expect("the server starts");
        Self { c2s, store, stop: Some(stop), thread: Some(thread), dir }
    }
}

impl Drop for InProcess {
    fn drop(&mut self) {
        self.store.hold(false);
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // One that panicked has said so.
            drop(thread.join());
        }
        drop(std::fs::remove_dir_all(&self.dir));
    }
}

fn add_account(memory: &Memory, name: &str) {
    let jid = BareJid::parse(&format!("{name}@localhost")).unwrap();
    let salts = [[1; 16], [2; 16], [3; 16]];
    let credentials = Credentials::derive(PASSWORD, 10_000, salts).unwrap();
    let value = Account::new(credentials).encode();
    let fence = Fence { bucket: Bucket::of_hash(0), epoch: Epoch(1) };
    let write = Write::Put(Key::new(jid, Kind::Account, ""), value.into());
    // What was committed stays, whoever waits for the answer.
    drop(memory.commit(vec![Batch::new(fence).with(write)]));
}
