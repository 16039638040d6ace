//! Owns the administration of streams with other servers and with components over HTTP: the words. What is done is known
//! to who holds them. Every member shows those of all, which it asks (`members.rs`).

use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};

use crate::administration::Problem;
use crate::serve::Shared;

/// A stream to another server, or what keeps it from being one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutboundRow {
    /// The member that has it.
    pub member: String,
    /// The domain of ours.
    pub local: String,
    /// The other server's.
    pub remote: String,
    /// Which lane, where there are several.
    pub lane: Option<u8>,
    /// `idle`, `connecting`, `open`, `open, acknowledged`, `open, on a shared stream`, `failed`.
    pub state: String,
    /// Where it leads.
    pub address: Option<String>,
    /// Stanzas that wait.
    pub waiting: usize,
    /// Why the last attempt failed, in plain words.
    pub reason: Option<String>,
    /// When it is tried again.
    pub retry_seconds: Option<u64>,
}

/// A stream of another server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InboundRow {
    /// The member that has it.
    pub member: String,
    /// Where it comes from.
    pub address: String,
    /// The domains that it has proved to speak for.
    pub domains: Vec<String>,
    /// Of domains that it says it is from: why it is not believed, or not by its certificate.
    pub doubts: Vec<Doubt>,
}

/// Why a stream's other end is not believed to be a domain's server, or not by its certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Doubt {
    /// The domain.
    pub domain: String,
    /// In plain words.
    pub reason: String,
}

/// Why another server could not be spoken with, or a stream of it was of no use or ended: the last time within an hour.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailureRow {
    /// The member that has seen it.
    pub member: String,
    /// Whether the stream was to be ours, to the other server.
    pub outbound: bool,
    /// The other server's domain, as it says where it is not proved.
    pub domain: String,
    /// In plain words.
    pub reason: String,
    /// So long ago.
    pub seconds: u64,
}

/// A stream of a component.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ComponentRow {
    /// The member that has it.
    pub member: String,
    /// Its domain.
    pub domain: String,
    /// Where it comes from.
    pub address: String,
    /// Stanzas that wait.
    pub waiting: usize,
}

/// Streams with other servers and components.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Streams {
    /// To other servers.
    pub outbound: Vec<OutboundRow>,
    /// Of other servers.
    pub inbound: Vec<InboundRow>,
    /// Of components.
    pub components: Vec<ComponentRow>,
    /// What has failed of late.
    pub failures: Vec<FailureRow>,
    /// Members that did not say what they have.
    pub silent: Vec<String>,
}

/// What was done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reset {
    /// So many streams begin anew.
    pub streams: usize,
    /// Members that did not say whether they have done it.
    pub silent: Vec<String>,
}

/// Whoever holds the streams.
pub trait Federation: Send + Sync {
    /// All of this member, which need not say its name.
    fn streams(&self) -> Streams;

    /// Ends the streams to a domain, or to all where none is named, and tries anew at once; DNS is asked again, and for
    /// documents of POSH. How many.
    fn reset(&self, domain: Option<&str>) -> usize;
}

pub(crate) fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/api/v1/s2s", web::get().to(list))
        .route("/api/v1/s2s", web::delete().to(reset_all))
        .route("/api/v1/s2s/{domain}", web::delete().to(reset));
}

async fn list(shared: web::Data<Shared>) -> HttpResponse {
    HttpResponse::Ok().json(shared.services.members.streams().await)
}

async fn reset_all(shared: web::Data<Shared>) -> HttpResponse {
    begin_anew(&shared, None).await
}

async fn reset(shared: web::Data<Shared>, domain: web::Path<String>) -> HttpResponse {
    begin_anew(&shared, Some(&domain)).await
}

async fn begin_anew(shared: &Shared, domain: Option<&str>) -> HttpResponse {
    let done = shared.services.members.reset_streams(domain).await;
    match domain {
        // Who does not answer may have some.
        Some(domain) if done.streams == 0 && done.silent.is_empty() => {
            let error = format!("there is no stream to {domain}, nor anything that waits for it");
            HttpResponse::NotFound().json(Problem { error })
        }
        _ => {
            tracing::info!(peer = domain, "streams to other servers begin anew");
            HttpResponse::Ok().json(done)
        }
    }
}
