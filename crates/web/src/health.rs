//! Owns what tells operators and orchestrators how the process is: `/healthz/live` says only that it runs,
//! never anything of the cluster; `/healthz/ready` says whether clients should come here, and if not, why.

use actix_web::http::{Method, header};
use actix_web::{HttpResponse, Route, web};
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
    let page = |path, get: fn() -> Route| {
        let head = get().method(Method::HEAD);
        web::resource(path)
            .route(get().method(Method::GET))
            .route(head)
            .default_service(web::to(other))
    };
    config
        .service(page("/healthz/live", || web::route().to(live)))
        .service(page("/healthz/ready", || web::route().to(ready)))
        .service(page("/metrics", || web::route().to(metrics)));
}

/// Any other method (RFC 9110 §15.5.6).
async fn other() -> HttpResponse {
    HttpResponse::MethodNotAllowed().insert_header((header::ALLOW, "GET, HEAD")).finish()
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
