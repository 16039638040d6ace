//! Owns where files are kept that people bring, and their end.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use files::{Disk, Keeper, Key, S3, Storage};
use meter::clock;
use router::Router;

use crate::config::Config;
use crate::foundation::Foundation;

/// How often files that have ended are looked for.
const EVERY: Duration = Duration::from_secs(600);

/// Opens slots, on every member.
pub(crate) fn key(foundation: &Foundation) -> Key {
    Key::new(foundation.secret(b"upload"))
}

/// What is shared by all services.
///
/// # Errors
/// A service has an address that is none.
pub(crate) fn settings(config: &Config, foundation: &Foundation) -> anyhow::Result<upload::Config> {
    let urls = config.services()?.upload.into_iter().collect();
    Ok(upload::Config { limits: config.limits_of_upload(), key: key(foundation), urls })
}

/// Keeps files, and removes those that have ended from now on; none where there is no service.
///
/// # Errors
/// The place cannot be used.
pub(crate) fn open(
    config: &Config,
    foundation: &Foundation,
    router: &Router,
) -> anyhow::Result<Option<Arc<Keeper>>> {
    if let Some(why) = config.why_no_upload()? {
        tracing::warn!("{why}");
    }
    if config.services()?.upload.is_empty() {
        return Ok(None);
    }
    let set = &config.upload;
    let storage: Arc<dyn Storage> = if set.s3.endpoint.is_empty() {
        let dir = config.data_dir.join(&set.dir);
        let what = || format!("cannot use upload.dir {}", dir.display());
        Arc::new(Disk::open(&dir).with_context(what)?)
    } else {
        Arc::new(S3::open(&set.s3).map_err(|error| anyhow::anyhow!("upload.s3: {error}"))?)
    };
    let (store, router) = (Arc::clone(&foundation.store), router.clone());
    let fences = Arc::new(move |account: &_| router.owners_fence(account));
    let keeper = Arc::new(Keeper::new(storage, store, fences, key(foundation)));
    actix_rt::spawn(sweep(Arc::clone(&keeper)));
    Ok(Some(keeper))
}

/// Removes the files of accounts that are removed.
pub(crate) fn forget(keeper: Option<&Arc<Keeper>>) -> Option<user::config::Files> {
    let keeper = Arc::clone(keeper?);
    Some(user::config::Files(Arc::new(move |jid| {
        let keeper = Arc::clone(&keeper);
        Box::pin(async move {
            match keeper.forget(&jid).await {
                Ok(count) => tracing::info!(%jid, "{count} files of an account were removed"),
                Err(error) => {
                    tracing::warn!(%jid, %error, "files of an account stay until their end")
                }
            }
        })
    })))
}

/// For ever. Every member does it: who comes second finds nothing.
async fn sweep(keeper: Arc<Keeper>) {
    loop {
        match keeper.sweep(clock::unix_seconds()).await {
            Ok(0) => {}
            Ok(count) => tracing::info!("{count} files that had ended were removed"),
            Err(error) => tracing::warn!(%error, "files that have ended could not be removed"),
        }
        tokio::time::sleep(EVERY).await;
    }
}
