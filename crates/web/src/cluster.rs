//! Owns the administration of the cluster: the same from every member.

use actix_web::{HttpResponse, web};
use cluster::operator::OperatorError;
use serde::{Deserialize, Serialize};

use crate::administration::Problem;
use crate::serve::Shared;

/// Which member is to lose its shards.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Drain {
    /// Its name or id; none: the member that is asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub member: Option<String>,
    /// It is called off.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub cancel: bool,
}

/// Clients of one member.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Connections {
    /// How many are connected.
    pub connections: usize,
}

pub(crate) fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/api/v1/cluster", web::get().to(status))
        .route("/api/v1/cluster/shards", web::get().to(shards))
        .route("/api/v1/cluster/connections", web::get().to(connections))
        .route("/api/v1/cluster/drain", web::post().to(drain))
        .route("/api/v1/cluster/members/{member}", web::delete().to(remove));
}

async fn status(shared: web::Data<Shared>) -> HttpResponse {
    HttpResponse::Ok().json(shared.services.cluster.status())
}

async fn shards(shared: web::Data<Shared>) -> HttpResponse {
    HttpResponse::Ok().json(shared.services.cluster.shards())
}

/// To this member alone.
async fn connections(shared: web::Data<Shared>) -> HttpResponse {
    HttpResponse::Ok().json(Connections { connections: (shared.services.connections)() })
}

async fn drain(shared: web::Data<Shared>, drain: web::Json<Drain>) -> HttpResponse {
    let member = drain.member.as_deref();
    let (cluster, name) = (&shared.services.cluster, member.unwrap_or("this one"));
    match drain.cancel {
        true => answer(cluster.restore(member).await, name, "an operator calls a drain off"),
        false => answer(cluster.drain(member).await, name, "an operator drains a member"),
    }
}

async fn remove(shared: web::Data<Shared>, member: web::Path<String>) -> HttpResponse {
    let done = shared.services.cluster.remove(&member).await;
    answer(done, &member, "a member was forgotten")
}

fn answer(done: Result<(), OperatorError>, member: &str, what: &'static str) -> HttpResponse {
    let error = match done {
        Ok(()) => {
            tracing::info!(member, "{what}");
            return HttpResponse::NoContent().finish();
        }
        Err(error) => error,
    };
    let mut response = match error {
        OperatorError::Unknown(_) => HttpResponse::NotFound(),
        OperatorError::Refused(_) => HttpResponse::Conflict(),
        _ => HttpResponse::ServiceUnavailable(),
    };
    response.json(Problem { error: error.to_string() })
}
