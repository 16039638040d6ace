//! Owns the documents by which a domain says how the certificates of its servers are known (RFC 7711 §3.1, RFC 7712 §5.2):
//! by the fingerprints of the one that is shown at this moment.

use std::sync::Arc;

use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, web};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use sha2::{Digest as _, Sha256, Sha512};

use crate::clients::allow;
use crate::serve::Shared;

/// The certificate of a domain, by the bytes of it; none of one that is not served here.
pub type Certificate = Arc<dyn Fn(&str) -> Option<Vec<u8>> + Send + Sync>;

/// Where the documents are: clients' and servers' are the same.
pub(crate) fn routes(config: &mut web::ServiceConfig) {
    for service in ["xmpp-client", "xmpp-server"] {
        config.route(&format!("/.well-known/posh/{service}.json"), web::get().to(document));
    }
}

async fn document(request: HttpRequest, shared: web::Data<Shared>) -> HttpResponse {
    let services = &shared.services.clients;
    let info = request.connection_info();
    let host = info.host();
    let host = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let is_it = |name: &&String| name.eq_ignore_ascii_case(host);
    let seconds = services.config.posh_seconds;
    let domain = services.domains.iter().find(is_it).filter(|_| seconds > 0);
    let Some(certificate) = domain.and_then(|domain| (services.certificate)(domain)) else {
        return HttpResponse::NotFound().finish();
    };
    allow(&request, &shared.clients, StatusCode::OK)
        .insert_header((header::CACHE_CONTROL, format!("max-age={seconds}")))
        .json(json!({
            "fingerprints": [{
                "sha-256": STANDARD.encode(Sha256::digest(&certificate)),
                "sha-512": STANDARD.encode(Sha512::digest(&certificate)),
            }],
            "expires": seconds,
        }))
}
