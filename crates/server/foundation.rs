//! Owns what stands before any gate opens: the store, the cluster, the right to write. Commands that work
//! while no server runs stand on it too.

use std::path::Path;
use std::sync::Arc;

use accounts::Accounts;
use actix_rt::ArbiterHandle;
use auth::Hash;
use cluster::bulk::Hands;
use cluster::{Cluster, HashKey, Marker, Progress};
use data_encoding::HEXLOWER;
use meter::Pressure;
use proto::Hosts;
use router::Router;
use store::{Embedded, Measured, Memory, Redis, SharedStore};
use xmpp::{BareJid, Bucket, Fence};

use crate::config::{Config, Engine};
use crate::handoff::{Ground, Handoff};
use crate::marker::RedisMarker;
use crate::{claims, common};

/// Store and cluster of one process.
pub struct Foundation {
    /// Where rows are kept.
    pub store: SharedStore,
    /// What is measured of it.
    pub measured: Arc<store::measured::Figures>,
    /// The plan and the lease.
    pub cluster: Cluster,
    /// The served domains.
    pub hosts: Hosts,
    /// Shards that move.
    pub(crate) handoff: Handoff,
}

impl Foundation {
    /// Opens the data directory, starts the cluster, and claims every bucket that this member owns.
    ///
    /// # Errors
    /// The directory is another server's, or cannot be used.
    pub async fn lay(config: &Config) -> anyhow::Result<Self> {
        Self::lay_telling(config, Progress::default()).await
    }

    /// As [`Foundation::lay`]; says what it waits for.
    ///
    /// # Errors
    /// As there.
    pub(crate) async fn lay_telling(config: &Config, progress: Progress) -> anyhow::Result<Self> {
        make_private(&config.data_dir)?;
        let handoff = Handoff::default();
        let cluster = start_cluster(config, &handoff, progress).await?;
        let store = open_store(config, &cluster).inspect_err(|_| cluster.stop())?;
        Self::build(config, cluster, handoff, store).await
    }

    /// As [`Foundation::lay`], on a store that is open.
    ///
    /// # Errors
    /// As there.
    pub async fn lay_on(config: &Config, store: SharedStore) -> anyhow::Result<Self> {
        make_private(&config.data_dir)?;
        let handoff = Handoff::default();
        let cluster = start_cluster(config, &handoff, Progress::default()).await?;
        Self::build(config, cluster, handoff, store).await
    }

    async fn build(
        config: &Config,
        cluster: Cluster,
        handoff: Handoff,
        store: SharedStore,
    ) -> anyhow::Result<Self> {
        let measured = Arc::default();
        let store = Measured::around(store, Arc::clone(&measured));
        let foundation = Self { store, measured, cluster, hosts: config.hosts()?, handoff };
        foundation.claim().await?;
        Ok(foundation)
    }

    /// By what right an operator's change of an account is written: its owner's, whichever member that is, since
    /// nobody but operators writes that row. None while this member has no lease: its plan may be an old one.
    pub fn fence(&self, jid: &BareJid) -> Option<Fence> {
        self.cluster.lease().holds().then(|| self.cluster.plan().get().owners_fence(jid))?
    }

    /// Administration of accounts.
    pub fn accounts(self: &Arc<Self>, config: &Config) -> Accounts {
        let foundation = Arc::downgrade(self);
        Accounts {
            store: Arc::clone(&self.store),
            fence: Arc::new(move |jid| foundation.upgrade()?.fence(jid)),
            hosts: self.hosts.clone(),
            iterations: config.auth.scram_iterations,
            tell: None,
            notice_cache: Arc::default(),
        }
    }

    /// A secret of the cluster for one purpose: the same on every member and over restarts.
    pub fn secret(&self, purpose: &[u8]) -> Vec<u8> {
        secret(self.cluster.plan().get().hash_key(), purpose)
    }

    /// What the rows of archives are called, the same on every member and over restarts.
    pub(crate) fn archive_ids(&self) -> archive::Ids {
        let secret = self.secret(b"archive ids");
        archive::Ids::with_key(secret.first_chunk().expect("a hash has 32 bytes"))
    }

    /// Raises the fence of every bucket of an owned shard, so that no earlier owner can write any more.
    async fn claim(&self) -> anyhow::Result<()> {
        let plan = Arc::clone(self.cluster.plan().get());
        let buckets = (0..Bucket::COUNT).filter_map(Bucket::new);
        let owned = buckets.filter_map(|bucket| match plan.owner(bucket.shard()) {
            Some((owner, epoch)) if owner == self.cluster.member_id() => {
                Some(Fence { bucket, epoch })
            }
            _ => None,
        });
        futures_util::future::try_join_all(owned.map(|fence| self.store.claim(fence))).await?;
        Ok(())
    }

    /// From now on what lives in shards that move moves with them.
    pub(crate) fn take_part_in_moves(
        &self,
        router: &Router,
        arbiters: &[ArbiterHandle],
        pressure: &Arc<Pressure>,
    ) {
        let Some(peers) = self.cluster.peers() else { return };
        self.handoff.begin(Ground {
            peers: peers.clone(),
            hands: Hands::new(peers.clone()),
            arbiters: arbiters.to_vec(),
            router: router.clone(),
            store: Arc::clone(&self.store),
            pressure: Arc::clone(pressure),
        });
    }

    /// Claims what this member comes to own, as long as the cluster runs.
    pub fn claim_on(&self) -> impl Future<Output = ()> + 'static {
        claims::follow(self.cluster.plan(), self.cluster.member_id(), Arc::clone(&self.store))
    }

    /// Finishes what was accepted.
    pub async fn close(self) {
        if let Err(error) = self.store.close().await {
            tracing::error!(%error, "the store did not close in order");
        }
        self.cluster.leave().await;
        self.cluster.stop();
    }
}

/// Starts this process as a member. On a thread of its own: it waits for other members, and a signal must be
/// able to end that.
async fn start_cluster(
    config: &Config,
    handoff: &Handoff,
    progress: Progress,
) -> anyhow::Result<Cluster> {
    let (mut settings, dir) = (config.cluster()?, config.data_dir.clone());
    settings.progress = progress;
    if config.cluster.has_others() {
        settings.common = common::of(config)?;
    }
    if let Some(mesh) = &mut settings.mesh {
        mesh.moves = Arc::new(handoff.clone());
    }
    settings.marker = marker(config)?;
    let (sender, started) = tokio::sync::oneshot::channel();
    std::thread::Builder::new().name("rookery-start".to_owned()).spawn(move || {
        // Nobody waits any more: the process ends.
        sender.send(Cluster::start(settings, &dir)).ok();
    })?;
    started.await?.map_err(|error| match error {
        cluster::Error::Log(_) | cluster::Error::Remembered(_) => anyhow::Error::from(error)
            .context(format!("cannot use the data directory {}", config.data_dir.display())),
        _ => error.into(),
    })
}

/// What the store remembers of the cluster, where it is one that members share.
pub(crate) fn marker(config: &Config) -> anyhow::Result<Option<Arc<dyn Marker>>> {
    Ok(RedisMarker::new(config)?.map(|marker| -> Arc<dyn Marker> { Arc::new(marker) }))
}

fn secret(key: &HashKey, purpose: &[u8]) -> Vec<u8> {
    Hash::Sha256.hmac(&key.bytes(), &[purpose])
}

fn open_store(config: &Config, cluster: &Cluster) -> anyhow::Result<SharedStore> {
    Ok(match config.store.engine {
        Engine::Memory => Arc::new(Memory::new()),
        Engine::Embedded => {
            let dir = config.data_dir.join("store");
            Arc::new(Embedded::open(&dir, &config.store.embedded())?)
        }
        Engine::Redis => Arc::new(open_redis(config, cluster)?),
    })
}

fn open_redis(config: &Config, cluster: &Cluster) -> anyhow::Result<Redis> {
    let url = config.store.url.as_deref().unwrap_or_default();
    let known = cluster.to_remember();
    let settings = store::redis::Config {
        cluster: Some(data_set_name(&known.hash_key)),
        generation: Some(known.generation),
        ..config.store.redis(url)?
    };
    let store = Redis::open(&settings)?;
    recognise(&config.data_dir.join("redis"), store.marker())?;
    Ok(store)
}

/// By what a data set in Redis is known to be this cluster's, and tells nobody the cluster's key.
pub(crate) fn data_set_name(key: &HashKey) -> String {
    HEXLOWER.encode(&secret(key, b"redis"))
}

/// Remembers the data set that this member has used; another one in its place was emptied or exchanged.
fn recognise(file: &Path, marker: &str) -> anyhow::Result<()> {
    match std::fs::read_to_string(file) {
        Ok(known) if known.trim_end() == marker => Ok(()),
        Ok(_) => anyhow::bail!(
            "the data in Redis are not the ones that this member has used: they were emptied or exchanged. \
             Bring them back; or remove {} to begin with what is there",
            file.display()
        ),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let aside = file.with_extension("new");
            std::fs::write(&aside, marker)?;
            Ok(std::fs::rename(&aside, file)?)
        }
        Err(error) => anyhow::bail!("cannot read {}: {error}", file.display()),
    }
}

/// Refuses to go on where no server has ever kept anything: whoever looks for something there is in the wrong place.
pub(crate) fn need_data(config: &Config) -> anyhow::Result<()> {
    anyhow::ensure!(
        config.data_dir.join(cluster::RAFT_DIRECTORY).is_dir(),
        "there are no data in {}: name their directory with --data-dir, or the configuration with --config",
        config.data_dir.display()
    );
    Ok(())
}

/// The data directory holds credentials: nobody else may look into it.
fn make_private(dir: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(|error| {
        anyhow::anyhow!("cannot make the data directory {}: {error}", dir.display())
    })
}
