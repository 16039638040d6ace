//! Owns the place that is a bucket of an S3-compatible store. `PREFIX DAY/ID` is the key of a file, so that keys sort by
//! the end of files. Members stream bytes through; clients never see the store.

mod http;
mod sign;

use std::path::PathBuf;
use std::sync::Arc;

use futures_util::stream::{self, try_unfold};
use futures_util::{StreamExt as _, TryStreamExt as _};
use http_body_util::{BodyExt as _, Limited};
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, RANGE};
use hyper::{Method, StatusCode};
use meter::clock;
use serde::{Deserialize, Serialize};

use self::http::{Answer, Body, Client};
use self::sign::Credentials;
use crate::FileId;
use crate::storage::{Error, Incoming, Meta, Outgoing, Reply, Storage};

/// Most bytes of a list of files, and of what the store says of a fault.
const LIST_BYTES: usize = 4 << 20;

/// Where the bucket is, and by what right it is used.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The store, such as `https://s3.example.org`; empty: files are kept in a directory.
    pub endpoint: String,
    /// The region that signatures name. Default `us-east-1`.
    pub region: String,
    /// The bucket, which must be there. It is named in the path of URLs.
    pub bucket: String,
    /// What keys begin with. Default empty.
    pub prefix: String,
    /// The name of the access key.
    pub access_key: String,
    /// File with the secret of the access key.
    pub secret_file: PathBuf,
    /// PEM file of authorities that the store's certificate is checked against.
    pub ca_file: PathBuf,
}

/// A bucket.
#[derive(Clone)]
pub struct S3(Arc<Bucket>);

struct Bucket {
    client: Client,
    credentials: Credentials,
    path: String,
    prefix: String,
}

/// A request to the store.
struct Ask {
    method: Method,
    /// Behind the bucket.
    key: String,
    query: Vec<(&'static str, String)>,
    headers: Vec<(hyper::header::HeaderName, String)>,
    body: Body,
}

impl Ask {
    fn new(method: Method, key: String) -> Self {
        Self { method, key, query: Vec::new(), headers: Vec::new(), body: http::empty() }
    }

    fn header(mut self, name: hyper::header::HeaderName, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

impl S3 {
    /// A bucket, which nobody asks yet whether it is there.
    ///
    /// # Errors
    /// A setting makes no sense, or a file cannot be read; in words for the operator.
    pub fn open(config: &Config) -> Result<Self, String> {
        let read = |path: &PathBuf| {
            std::fs::read_to_string(path)
                .map_err(|error| format!("cannot read {}: {error}", path.display()))
        };
        let is_name = |name: &str| {
            let known = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
            !name.is_empty() && name.bytes().all(known)
        };
        let is_prefix = |text: &str| text.split('/').all(|it| it.is_empty() || is_name(it));
        if !is_name(&config.bucket) || !is_name(&config.region) || !is_prefix(&config.prefix) {
            return Err("bucket, region or prefix has characters that none has".to_owned());
        }
        let secret = read(&config.secret_file)?.trim().to_owned();
        let credentials = Credentials {
            access_key: config.access_key.clone(),
            secret,
            region: config.region.clone(),
        };
        let client = Client::new(&config.endpoint, || read(&config.ca_file))?;
        let path = format!("/{}", config.bucket);
        let prefix = config.prefix.clone();
        Ok(Self(Arc::new(Bucket { client, credentials, path, prefix })))
    }
}

impl Bucket {
    fn key(&self, id: FileId) -> String {
        format!("/{}{}/{id}", self.prefix, id.day())
    }

    async fn ask(&self, ask: Ask) -> Result<Answer, Error> {
        let failed = |cause: String| Error::Failed { doing: "asked the store", cause };
        let path = format!("{}{}", self.path, ask.key);
        let signed = sign::Request {
            method: ask.method.as_str(),
            host: self.client.host(),
            path: &path,
            query: &ask.query,
            headers: &ask.headers,
            payload: sign::UNSIGNED,
        };
        let (query, headers) = signed.sign(&self.credentials, clock::unix_seconds());
        let target = if query.is_empty() { path } else { format!("{path}?{query}") };
        let mut request = hyper::Request::builder().method(ask.method).uri(target);
        for (name, value) in ask.headers.iter().map(|(name, value)| (name.as_str(), value)) {
            request = request.header(name, value);
        }
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let request = request.body(ask.body).map_err(|error| failed(error.to_string()))?;
        self.client.send(request).await.map_err(failed)
    }

    /// Keys from the first on, at most a thousand.
    async fn list(&self) -> Result<Vec<String>, Error> {
        let mut ask = Ask::new(Method::GET, String::new());
        ask.query = vec![("list-type", "2".to_owned()), ("prefix", self.prefix.clone())];
        let answer = self.ask(ask).await?;
        let status = answer.status();
        let text = text(answer).await;
        if !status.is_success() {
            return Err(unexpected("listed files", status, &text));
        }
        let keys = text.split("<Key>").skip(1).filter_map(|rest| rest.split("</Key>").next());
        Ok(keys.map(str::to_owned).collect())
    }

    async fn remove(&self, key: String) -> Result<(), Error> {
        let answer = self.ask(Ask::new(Method::DELETE, key)).await?;
        match answer.status() {
            status if status.is_success() || status == StatusCode::NOT_FOUND => Ok(()),
            status => Err(unexpected("removed a file", status, &text(answer).await)),
        }
    }
}

impl Storage for S3 {
    fn put(&self, id: FileId, meta: Meta, bytes: Incoming) -> Reply<()> {
        let bucket = Arc::clone(&self.0);
        Box::pin(async move {
            let ask = Ask::new(Method::PUT, bucket.key(id))
                .header(CONTENT_TYPE, meta.content_type)
                .header(CONTENT_LENGTH, meta.size.to_string());
            let (body, is_short) = http::exactly(bytes, meta.size);
            let answer = bucket.ask(Ask { body, ..ask }).await;
            match answer {
                Err(_) if is_short() => Err(Error::Short),
                Err(error) => Err(error),
                Ok(answer) if answer.status().is_success() => Ok(()),
                Ok(answer) if answer.status() == StatusCode::INSUFFICIENT_STORAGE => {
                    Err(Error::Full)
                }
                Ok(answer) => {
                    let status = answer.status();
                    Err(unexpected("kept a file", status, &text(answer).await))
                }
            }
        })
    }

    fn meta(&self, id: FileId) -> Reply<Option<Meta>> {
        let bucket = Arc::clone(&self.0);
        Box::pin(async move {
            let answer = bucket.ask(Ask::new(Method::HEAD, bucket.key(id))).await?;
            let status = answer.status();
            if status == StatusCode::NOT_FOUND {
                return Ok(None);
            }
            let header = |name| answer.headers().get(name).and_then(|it| it.to_str().ok());
            let size = header(CONTENT_LENGTH).and_then(|size| size.parse().ok());
            let content_type = header(CONTENT_TYPE).unwrap_or("application/octet-stream");
            match size.filter(|_| status.is_success()) {
                Some(size) => Ok(Some(Meta { size, content_type: content_type.to_owned() })),
                None => Err(unexpected("looked for a file", status, "")),
            }
        })
    }

    fn read(&self, id: FileId, first: u64, count: u64) -> Reply<Outgoing> {
        let bucket = Arc::clone(&self.0);
        Box::pin(async move {
            // A range of nothing cannot be said.
            let Some(last) = count.checked_sub(1).map(|more| first + more) else {
                return Ok(stream::empty().boxed());
            };
            let ask = Ask::new(Method::GET, bucket.key(id));
            let answer = bucket.ask(ask.header(RANGE, format!("bytes={first}-{last}"))).await?;
            match answer.status() {
                StatusCode::PARTIAL_CONTENT => Ok(http::stream(answer)),
                // Who knows no ranges gives all of it.
                StatusCode::OK => Ok(part(http::stream(answer), first, count)),
                status => Err(unexpected("read a file", status, &text(answer).await)),
            }
        })
    }

    fn remove(&self, id: FileId) -> Reply<()> {
        let bucket = Arc::clone(&self.0);
        Box::pin(async move { bucket.remove(bucket.key(id)).await })
    }

    fn sweep(&self, now: u64) -> Reply<usize> {
        let bucket = Arc::clone(&self.0);
        Box::pin(async move {
            let mut count = 0;
            loop {
                let mut removed = 0;
                for key in bucket.list().await? {
                    let id = key.rsplit('/').next().and_then(FileId::parse);
                    let Some(id) = id.filter(|id| format!("/{key}") == bucket.key(*id)) else {
                        continue;
                    };
                    if !id.is_over(now) {
                        // All behind it end later.
                        return Ok(count + removed);
                    }
                    bucket.remove(bucket.key(id)).await?;
                    removed += 1;
                }
                count += removed;
                if removed == 0 {
                    return Ok(count);
                }
            }
        })
    }
}

/// So many bytes of a stream, from a place in it on.
fn part(stream: Outgoing, first: u64, count: u64) -> Outgoing {
    let cut = |(mut stream, mut skip, left): (Outgoing, u64, u64)| async move {
        if left == 0 {
            return Ok(None);
        }
        while let Some(mut chunk) = stream.try_next().await? {
            let over = usize::try_from(skip).unwrap_or(usize::MAX).min(chunk.len());
            skip -= over as u64;
            drop(chunk.split_to(over));
            chunk.truncate(usize::try_from(left).unwrap_or(usize::MAX));
            if !chunk.is_empty() {
                let left = left - chunk.len() as u64;
                return Ok(Some((chunk, (stream, skip, left))));
            }
        }
        Ok(None)
    };
    try_unfold((stream, first, count), cut).boxed()
}

/// What the store says, at most so much of it.
async fn text(answer: Answer) -> String {
    let body = Limited::new(answer.into_body(), LIST_BYTES).collect().await;
    let bytes = body.map(|body| body.to_bytes()).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

fn unexpected(doing: &'static str, status: StatusCode, text: &str) -> Error {
    let said = text.split("<Code>").nth(1).and_then(|rest| rest.split("</Code>").next());
    let said: String = said.unwrap_or_default().chars().take(64).collect();
    Error::Failed { doing, cause: format!("it said {status} {said}") }
}
