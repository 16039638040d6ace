//! Owns the place that is a directory, which members of a cluster share. `DAY/ID` is a file that ends on that day,
//! `DAY/ID.type` says what it is said to be, and `parts` has what is still coming.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use futures_util::stream::try_unfold;
use tokio::fs::{self, File};
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _};

use crate::FileId;
use crate::id::day_of;
use crate::storage::{Error, Incoming, Meta, Outgoing, Reply, Storage};

/// Read at once.
const CHUNK: usize = 64 << 10;
/// What has not become a file for so long was left by a process that is gone.
const LEFT: Duration = Duration::from_secs(2 * 86_400);
const PARTS: &str = "parts";
const UNKNOWN: &str = "application/octet-stream";

/// A directory of files.
#[derive(Clone, Debug)]
pub struct Disk {
    dir: PathBuf,
}

impl Disk {
    /// Makes the directory if it is not there.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn open(dir: &Path) -> io::Result<Self> {
        use std::os::unix::fs::DirBuilderExt as _;
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true).mode(0o700).create(dir.join(PARTS))?;
        Ok(Self { dir: dir.to_owned() })
    }

    fn path(&self, id: FileId) -> PathBuf {
        self.dir.join(id.day()).join(id.to_string())
    }

    fn part(&self, id: FileId) -> Result<PathBuf, Error> {
        let mut random = [0; 8];
        let failed = |error: getrandom::Error| Error::Failed {
            doing: "drew a random number",
            cause: error.to_string(),
        };
        getrandom::fill(&mut random).map_err(failed)?;
        let random = u64::from_ne_bytes(random);
        Ok(self.dir.join(PARTS).join(format!("{id}.{random:016x}")))
    }
}

impl Storage for Disk {
    fn put(&self, id: FileId, meta: Meta, bytes: Incoming) -> Reply<()> {
        let disk = self.clone();
        Box::pin(async move {
            let part = disk.part(id)?;
            let kept = keep(&disk.path(id), &part, meta, bytes).await;
            // A whole file has another name by now; nothing else may stay.
            if let Err(error) = fs::remove_file(&part).await
                && error.kind() != io::ErrorKind::NotFound
            {
                tracing::warn!(%error, "a part of a file cannot be removed");
            }
            kept
        })
    }

    fn meta(&self, id: FileId) -> Reply<Option<Meta>> {
        let path = self.path(id);
        Box::pin(async move {
            let size = match fs::metadata(&path).await {
                Ok(found) => found.len(),
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(Error::io("looked for a file")(error)),
            };
            let content_type = fs::read_to_string(type_of(&path)).await;
            let content_type = content_type.unwrap_or_else(|_| UNKNOWN.to_owned());
            Ok(Some(Meta { size, content_type }))
        })
    }

    fn read(&self, id: FileId, first: u64, count: u64) -> Reply<Outgoing> {
        let path = self.path(id);
        Box::pin(async move {
            let failed = || Error::io("read a file");
            let mut file = File::open(&path).await.map_err(failed())?;
            file.seek(io::SeekFrom::Start(first)).await.map_err(failed())?;
            Ok(try_unfold((file, count), next).boxed())
        })
    }

    fn remove(&self, id: FileId) -> Reply<()> {
        let path = self.path(id);
        Box::pin(async move {
            gone(fs::remove_file(&path).await)?;
            gone(fs::remove_file(type_of(&path)).await)
        })
    }

    fn sweep(&self, now: u64) -> Reply<usize> {
        let dir = self.dir.clone();
        Box::pin(async move {
            let failed = || Error::io("looked for files that have ended");
            let today = day_of(now);
            let mut count = 0;
            let mut days = fs::read_dir(&dir).await.map_err(failed())?;
            while let Some(day) = days.next_entry().await.map_err(failed())? {
                let name = day.file_name().to_string_lossy().into_owned();
                let is_day = name.bytes().all(|byte| byte.is_ascii_digit());
                if is_day && name <= today {
                    count += sweep_day(&day.path(), now).await?;
                }
                if is_day && name < today {
                    gone(fs::remove_dir(day.path()).await)?;
                }
            }
            sweep_parts(&dir.join(PARTS), now).await?;
            Ok(count)
        })
    }
}

/// Removes files of a day that have ended.
async fn sweep_day(day: &Path, now: u64) -> Result<usize, Error> {
    let failed = || Error::io("removed files that have ended");
    let mut count = 0;
    let mut files = match fs::read_dir(day).await {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        files => files.map_err(failed())?,
    };
    while let Some(file) = files.next_entry().await.map_err(failed())? {
        let name = file.file_name().to_string_lossy().into_owned();
        let id = FileId::parse(name.strip_suffix(".type").unwrap_or(&name));
        if id.is_some_and(|id| id.is_over(now)) {
            gone(fs::remove_file(file.path()).await)?;
            count += usize::from(!name.ends_with(".type"));
        }
    }
    Ok(count)
}

/// Removes what processes that are gone have left.
async fn sweep_parts(parts: &Path, now: u64) -> Result<(), Error> {
    let failed = || Error::io("removed parts of files");
    let before = (UNIX_EPOCH + Duration::from_secs(now)).checked_sub(LEFT).unwrap_or(UNIX_EPOCH);
    let mut files = fs::read_dir(parts).await.map_err(failed())?;
    while let Some(file) = files.next_entry().await.map_err(failed())? {
        let Ok(meta) = file.metadata().await else { continue };
        if meta.modified().is_ok_and(|at| at < before) {
            gone(fs::remove_file(file.path()).await)?;
        }
    }
    Ok(())
}

/// Writes what comes, and gives it its name when it is whole and on the disk.
async fn keep(path: &Path, part: &Path, meta: Meta, mut bytes: Incoming) -> Result<(), Error> {
    let failed = || Error::io("kept a file");
    let part_of = File::options().write(true).create_new(true).open(part).await;
    let mut file = part_of.map_err(failed())?;
    let mut left = meta.size;
    while left > 0 {
        let chunk = bytes.recv().await.ok_or(Error::Short)?;
        left = left.checked_sub(chunk.len() as u64).ok_or(Error::Short)?;
        file.write_all(&chunk).await.map_err(failed())?;
    }
    file.flush().await.map_err(failed())?;
    file.sync_all().await.map_err(failed())?;
    let day = path.parent().unwrap_or(path);
    fs::create_dir_all(day).await.map_err(failed())?;
    match File::options().write(true).create_new(true).open(type_of(path)).await {
        Ok(mut file) => {
            file.write_all(meta.content_type.as_bytes()).await.map_err(failed())?;
            file.sync_all().await.map_err(failed())?;
        }
        // Of the same slot, so it says the same.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(failed()(error)),
    }
    fs::hard_link(part, path).await.map_err(failed())?;
    for dir in [day, day.parent().unwrap_or(day)] {
        File::open(dir).await.map_err(failed())?.sync_all().await.map_err(failed())?;
    }
    Ok(())
}

async fn next((mut file, left): (File, u64)) -> io::Result<Option<(Bytes, (File, u64))>> {
    if left == 0 {
        return Ok(None);
    }
    let most = usize::try_from(left).unwrap_or(CHUNK).min(CHUNK);
    let mut chunk = BytesMut::with_capacity(most);
    let count = (&mut file).take(most as u64).read_buf(&mut chunk).await?;
    if count == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(Some((chunk.freeze(), (file, left - count as u64))))
}

fn type_of(path: &Path) -> PathBuf {
    path.with_extension("type")
}

/// What somebody else has removed is removed.
fn gone(removed: io::Result<()>) -> Result<(), Error> {
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        // Somebody has just begun a file there.
        Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(()),
        removed => removed.map_err(Error::io("removed a file")),
    }
}
