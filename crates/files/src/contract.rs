//! Owns what every place must do. The tests of the S3-compatible one need such a store at `ROOKERY_TEST_S3`, with a bucket
//! `rookery` and the key `S3RVER` with the secret `S3RVER` (`scripts/test` starts one).

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use tokio::sync::mpsc;

use crate::storage::Error;
use crate::{Disk, FileId, Meta, S3, Storage};

/// A directory that goes with the test.
pub(crate) struct Dir(pub(crate) PathBuf);

impl Dir {
    pub(crate) fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("rookery-{name}-{}", std::process::id()));
        drop(std::fs::remove_dir_all(&dir));
        Self(dir)
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

fn on_disk(name: &str, test: impl AsyncFnOnce(Arc<dyn Storage>)) {
    let dir = Dir::new(name);
    let disk = Arc::new(Disk::open(&dir.0).unwrap());
    actix_rt::System::new().block_on(test(disk));
}

fn on_s3(name: &str, test: impl AsyncFnOnce(Arc<dyn Storage>)) {
    let Ok(endpoint) = std::env::var("ROOKERY_TEST_S3") else {
        let mut past = std::io::stderr();
        std::io::Write::write_all(
            &mut past,
            b"SKIPPED: no S3-compatible store at ROOKERY_TEST_S3\n",
        )
        .unwrap();
        return;
    };
    let dir = Dir::new(&format!("{name}-s3"));
    std::fs::create_dir_all(&dir.0).unwrap();
    let secret_file = dir.0.join("secret");
    std::fs::write(&secret_file, "S3RVER\n").unwrap();
    let config = crate::s3::Config {
        endpoint,
        region: "us-east-1".to_owned(),
        bucket: "rookery".to_owned(),
        prefix: format!("{name}-{}/", std::process::id()),
        access_key: "S3RVER".to_owned(),
        secret_file,
        ca_file: PathBuf::new(),
    };
    let s3 = Arc::new(S3::open(&config).unwrap());
    actix_rt::System::new().block_on(test(s3));
}

/// Each of these is a test for each place.
macro_rules! contract {
    ($($name:ident),* $(,)?) => {
        mod disk {
            $(#[test] fn $name() { super::on_disk(stringify!($name), super::$name); })*
        }
        mod s3 {
            $(#[test] fn $name() { super::on_s3(stringify!($name), super::$name); })*
        }
    };
}

contract!(
    a_file_is_given_out_as_it_was_brought_whole_or_in_part,
    a_file_of_nothing_is_a_file,
    a_file_that_does_not_come_whole_is_none,
    what_is_removed_is_gone,
    what_has_ended_is_swept_away_and_nothing_else,
);

/// A name that no other test has.
pub(crate) fn id(end: Option<u64>) -> FileId {
    static NEXT: AtomicU8 = AtomicU8::new(0);
    FileId::new(end, [NEXT.fetch_add(1, Ordering::Relaxed); 16])
}

pub(crate) async fn put(
    storage: &dyn Storage,
    id: FileId,
    size: u64,
    chunks: &[&'static [u8]],
) -> Result<(), Error> {
    let (sender, bytes) = mpsc::channel(chunks.len().max(1));
    for chunk in chunks {
        sender.send(Bytes::from_static(chunk)).await.unwrap();
    }
    drop(sender);
    let content_type = "image/png".to_owned();
    storage.put(id, Meta { size, content_type }, bytes).await
}

async fn read(storage: &dyn Storage, id: FileId, first: u64, count: u64) -> Vec<u8> {
    let chunks: Vec<Bytes> =
        storage.read(id, first, count).await.unwrap().try_collect().await.unwrap();
    chunks.concat()
}

async fn a_file_is_given_out_as_it_was_brought_whole_or_in_part(storage: Arc<dyn Storage>) {
    let id = id(Some(4_000_000_000));
    assert_eq!(storage.meta(id).await.unwrap(), None);
    put(&*storage, id, 9, &[b"but", b" ", b"soft!"]).await.unwrap();
    let meta = storage.meta(id).await.unwrap().unwrap();
    assert_eq!(meta, Meta { size: 9, content_type: "image/png".to_owned() });
    assert_eq!(read(&*storage, id, 0, 9).await, b"but soft!");
    assert_eq!(read(&*storage, id, 4, 4).await, b"soft");
    assert_eq!(read(&*storage, id, 8, 1).await, b"!");
}

async fn a_file_of_nothing_is_a_file(storage: Arc<dyn Storage>) {
    let id = id(None);
    put(&*storage, id, 0, &[]).await.unwrap();
    assert_eq!(storage.meta(id).await.unwrap().unwrap().size, 0);
    assert!(read(&*storage, id, 0, 0).await.is_empty());
    storage.remove(id).await.unwrap();
}

async fn a_file_that_does_not_come_whole_is_none(storage: Arc<dyn Storage>) {
    let id = id(Some(4_000_000_000));
    let chunks: &[&[u8]] = &[b"but soft"];
    assert!(matches!(put(&*storage, id, 9, chunks).await, Err(Error::Short)));
    assert_eq!(storage.meta(id).await.unwrap(), None);
    assert!(matches!(put(&*storage, id, 7, chunks).await, Err(Error::Short)), "more than was said");
    assert_eq!(storage.meta(id).await.unwrap(), None);
    put(&*storage, id, 8, chunks).await.unwrap();
}

async fn what_is_removed_is_gone(storage: Arc<dyn Storage>) {
    let id = id(Some(4_000_000_000));
    put(&*storage, id, 1, &[b"a"]).await.unwrap();
    storage.remove(id).await.unwrap();
    assert_eq!(storage.meta(id).await.unwrap(), None);
    storage.remove(id).await.unwrap();
}

async fn what_has_ended_is_swept_away_and_nothing_else(storage: Arc<dyn Storage>) {
    // Of the day before, of the same day, and of later.
    let now = 20_000 * 86_400 + 50;
    let ids = [Some(now - 51), Some(now), Some(now + 1), None].map(id);
    for id in ids {
        put(&*storage, id, 1, &[b"a"]).await.unwrap();
    }
    assert_eq!(storage.sweep(now).await.unwrap(), 2);
    for (id, is_there) in ids.into_iter().zip([false, false, true, true]) {
        assert_eq!(storage.meta(id).await.unwrap().is_some(), is_there, "{id}");
    }
    assert_eq!(storage.sweep(now).await.unwrap(), 0);
}

#[test]
fn nothing_is_left_of_a_file_that_did_not_come_whole_or_came_twice() {
    let dir = Dir::new("left");
    let disk = Disk::open(&dir.0).unwrap();
    actix_rt::System::new().block_on(async {
        let id = id(Some(4_000_000_000));
        assert!(matches!(put(&disk, id, 9, &[b"a"]).await, Err(Error::Short)));
        put(&disk, id, 1, &[b"a"]).await.unwrap();
        assert!(matches!(put(&disk, id, 1, &[b"b"]).await, Err(Error::Taken)));
        assert_eq!(read(&disk, id, 0, 1).await, b"a");
    });
    assert_eq!(std::fs::read_dir(dir.0.join("parts")).unwrap().count(), 0);
}
