//! Files that are brought, on a store in memory.

use bytes::Bytes;
use store::{Epoch, Memory};
use tokio::sync::mpsc;

use super::*;
use crate::Disk;
use crate::contract::{Dir, id};

const NOW: u64 = 1_764_000_000;

struct Stage {
    keeper: Keeper,
    key: Key,
    _dir: Dir,
}

impl Stage {
    fn new(name: &str) -> Self {
        let dir = Dir::new(name);
        let storage = Arc::new(Disk::open(&dir.0).unwrap());
        let bucket = xmpp::Bucket::of_hash(0);
        let fences: Fences = Arc::new(move |_| Some(Fence { bucket, epoch: Epoch(1) }));
        let key = Key::new(b"secret".to_vec());
        let keeper = Keeper::new(storage, Arc::new(Memory::new()), fences, key.clone());
        Self { keeper, key, _dir: dir }
    }

    /// A slot for one byte of an image.
    async fn slot(&self, end: Option<u64>) -> (FileId, String) {
        let (id, romeo) = (id(end), BareJid::parse("romeo@x.org").unwrap());
        let content_type = "image/png".to_owned();
        let row = SlotRow { size: 1, given: NOW, kept: false, content_type };
        let fence = (self.keeper.fences)(&romeo).unwrap();
        let batch = Batch::new(fence).with(row.put(&romeo, id));
        self.keeper.store.commit(vec![batch]).await.pop().unwrap().unwrap();
        (id, self.key.of(id, "a.png", "romeo@x.org"))
    }

    async fn brings(&self, put: Put<'_>, now: u64) -> Result<(), Refusal> {
        let admitted = self.keeper.admit(put, now).await?;
        let (sender, bytes) = mpsc::channel(1);
        sender.send(Bytes::from_static(b"a")).await.unwrap();
        self.keeper.take(admitted, bytes).await
    }
}

fn bring(id: FileId, key: &str) -> Put<'_> {
    let (name, account) = ("a.png", "romeo@x.org");
    Put { id, name, account, key, size: 1, content_type: Some("IMAGE/png; q=1") }
}

#[test]
fn a_slot_takes_one_file_of_its_size_and_type_in_its_time() {
    let stage = Stage::new("keeper");
    actix_rt::System::new().block_on(async {
        let (id, key) = stage.slot(Some(NOW + 1_000)).await;
        let put = bring(id, &key);
        let wrong = [
            (Put { key: "x", ..put }, NOW, Refusal::Key),
            (Put { name: "b.png", ..put }, NOW, Refusal::Key),
            (Put { account: "juliet@x.org", ..put }, NOW, Refusal::Key),
            (Put { size: 2, ..put }, NOW, Refusal::Size),
            (Put { size: 0, ..put }, NOW, Refusal::Size),
            (Put { content_type: Some("text/html"), ..put }, NOW, Refusal::Type),
            (put, NOW + 301, Refusal::Over),
        ];
        for (put, now, refusal) in wrong {
            assert_eq!(stage.brings(put, now).await, Err(refusal), "{put:?}");
            assert_eq!(stage.keeper.find(id, NOW).await.unwrap(), None);
        }
        stage.brings(put, NOW + 300).await.unwrap();
        assert_eq!(stage.brings(put, NOW).await, Err(Refusal::Used));
        assert_eq!(stage.keeper.find(id, NOW).await.unwrap().unwrap().content_type, "image/png");
        // It has ended, whether or not it was removed.
        assert_eq!(stage.keeper.find(id, NOW + 1_000).await.unwrap(), None);
        assert_eq!(stage.keeper.figures.refused.of("key").get(), 3);
        assert_eq!(stage.keeper.figures.kept.get(), 1);
    });
}

#[test]
fn a_key_without_a_slot_opens_nothing() {
    let stage = Stage::new("keeper-none");
    actix_rt::System::new().block_on(async {
        let id = id(Some(NOW + 1_000));
        let key = stage.key.of(id, "a.png", "romeo@x.org");
        assert_eq!(stage.brings(bring(id, &key), NOW).await, Err(Refusal::Unknown));
        let (id, key) = stage.slot(Some(NOW + 10)).await;
        assert_eq!(stage.brings(bring(id, &key), NOW + 10).await, Err(Refusal::Over));
    });
}

#[test]
fn what_comes_two_at_a_time_for_one_slot_is_kept_once() {
    let stage = Stage::new("keeper-twice");
    actix_rt::System::new().block_on(async {
        let (id, key) = stage.slot(None).await;
        let put = bring(id, &key);
        let (one, other) = tokio::join!(stage.brings(put, NOW), stage.brings(put, NOW));
        assert!(one.is_ok() != other.is_ok(), "{one:?} {other:?}");
        assert!(stage.keeper.find(id, NOW).await.unwrap().is_some());
    });
}
