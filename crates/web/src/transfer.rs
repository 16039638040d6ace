//! Owns accounts as files (XEP-0227) over the administration socket: one account at a time goes out and comes in.

use std::sync::Arc;

use actix_web::web::Bytes;
use actix_web::{HttpResponse, web};
use futures_util::future::BoxFuture;
use futures_util::stream::unfold;
use tokio::sync::mpsc::Receiver;
use xmpp::BareJid;

use crate::administration::Problem;
use crate::serve::Shared;

/// The most bytes of an account that comes in through a running server.
pub const ACCOUNT_BYTES: usize = 256 << 20;

/// Pieces of what goes out.
pub type Pieces = Receiver<Result<Vec<u8>, String>>;

/// Who writes and reads accounts.
pub trait Transfer: Send + Sync {
    /// The pieces of a `<user/>`; an error is the last one.
    fn export(&self, jid: BareJid) -> BoxFuture<'static, Result<Pieces, String>>;

    /// Takes a document with one account; says what came of it.
    fn import(&self, body: Vec<u8>) -> BoxFuture<'static, Result<serde_json::Value, String>>;
}

pub(crate) fn routes(config: &mut web::ServiceConfig) {
    config.route("/api/v1/accounts/{jid}/export", web::get().to(export)).service(
        web::resource("/api/v1/accounts/import")
            .app_data(web::PayloadConfig::new(ACCOUNT_BYTES))
            .route(web::post().to(import)),
    );
}

async fn export(shared: web::Data<Shared>, jid: web::Path<String>) -> HttpResponse {
    let jid = match shared.services.administration.accounts.address(&jid) {
        Ok(jid) => jid,
        Err(error) => return wrong(error.to_string()),
    };
    let transfer = Arc::clone(&shared.services.transfer);
    match transfer.export(jid.clone()).await {
        Ok(pieces) => {
            tracing::info!(%jid, "an account is exported");
            // After an error the answer ends without its last chunk.
            let pieces = unfold(pieces, async |mut pieces: Pieces| {
                let piece = pieces.recv().await?;
                Some((piece.map(Bytes::from).map_err(std::io::Error::other), pieces))
            });
            HttpResponse::Ok().content_type("application/xml").streaming(Box::pin(pieces))
        }
        Err(error) => HttpResponse::NotFound().json(Problem { error }),
    }
}

async fn import(shared: web::Data<Shared>, body: Bytes) -> HttpResponse {
    match shared.services.transfer.import(body.to_vec()).await {
        Ok(report) => {
            tracing::info!(jid = report["jid"].as_str(), "an account is imported");
            HttpResponse::Ok().json(report)
        }
        Err(error) => wrong(error),
    }
}

fn wrong(error: String) -> HttpResponse {
    HttpResponse::UnprocessableEntity().json(Problem { error })
}
