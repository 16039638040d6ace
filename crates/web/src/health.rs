//! Owns what tells operators and orchestrators how the process is: `/healthz/live` says only that it runs,
//! never anything of the cluster; `/healthz/ready` says whether clients should come here, and if not, why.

use actix_web::{HttpResponse, web};
use serde::Serialize;

use crate::metrics::CONTENT_TYPE;
use crate::serve::Shared;

/// A condition that is not met.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unmet {
    /// Which, in one word, for programs.
    pub condition: &'static str,
    /// In what way, for people.
    pub why: String,
}

#[derive(Serialize)]
struct Ready {
    ready: bool,
    unmet: Vec<Unmet>,
}

#[derive(Serialize)]
struct Live {
    live: bool,
    unmet: Vec<Unmet>,
}

impl Unmet {
    /// A condition that is not met.
    pub fn new(condition: &'static str, why: impl Into<String>) -> Self {
        Self { condition, why: why.into() }
    }
}

/// The paths of the small HTTP listener.
pub(crate) fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/healthz/live", web::get().to(live))
        .route("/healthz/ready", web::get().to(ready))
        .route("/metrics", web::get().to(metrics));
}

async fn live(shared: web::Data<Shared>) -> HttpResponse {
    let unmet = (shared.services.dead)();
    answer(unmet.is_empty(), &Live { live: unmet.is_empty(), unmet })
}

async fn ready(shared: web::Data<Shared>) -> HttpResponse {
    let unmet = shared.unready();
    answer(unmet.is_empty(), &Ready { ready: unmet.is_empty(), unmet })
}

fn answer(well: bool, body: &impl Serialize) -> HttpResponse {
    match well {
        true => HttpResponse::Ok().json(body),
        false => HttpResponse::ServiceUnavailable().json(body),
    }
}

async fn metrics(shared: web::Data<Shared>) -> HttpResponse {
    HttpResponse::Ok().content_type(CONTENT_TYPE).body((shared.services.metrics)())
}
