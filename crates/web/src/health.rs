//! Owns what tells operators and orchestrators how the process is: `/healthz/live` says only that it runs,
//! never anything of the cluster; `/healthz/ready` says whether clients should come here.

use actix_web::{HttpResponse, web};

use crate::metrics::CONTENT_TYPE;
use crate::serve::Shared;

/// The paths of the small HTTP listener.
pub(crate) fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/healthz/live", web::get().to(live))
        .route("/healthz/ready", web::get().to(ready))
        .route("/metrics", web::get().to(metrics));
}

async fn live() -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain").body("live\n")
}

async fn ready(shared: web::Data<Shared>) -> HttpResponse {
    match shared.why_not_ready() {
        None => HttpResponse::Ok().content_type("text/plain").body("ready\n"),
        Some(why) => {
            HttpResponse::ServiceUnavailable().content_type("text/plain").body(format!("{why}\n"))
        }
    }
}

async fn metrics(shared: web::Data<Shared>) -> HttpResponse {
    HttpResponse::Ok().content_type(CONTENT_TYPE).body((shared.services.metrics)())
}
