//! XEP-0227 Portable Import/Export Format for XMPP-IM Servers, version 1.1, as files: accounts go out and come in, with
//! or without a running server.
//!
//! | module | owns |
//! |---|---|
//! | `reader` | a file, piece by piece |
//! | `importer` | one account on its way in |

pub(crate) mod importer;
pub(crate) mod reader;

use std::sync::Arc;

use accounts::Accounts;
use archive::Ids;
use futures_util::future::BoxFuture;
use tokio::sync::mpsc::{Sender, channel};
use user::portable::export::{Sink, Source, export};
use web::transfer::Pieces;
use xmpp::BareJid;

use importer::{Importer, Report};
use reader::{Piece, ReadError};

/// Accounts on their way, for whoever asks over HTTP.
#[derive(Clone)]
pub(crate) struct Transfer {
    /// Where they are kept.
    pub(crate) accounts: Accounts,
    /// What rows of archives are called.
    pub(crate) ids: Ids,
}

/// Pieces that wait for whoever reads slowly.
const PIECES: usize = 16;

/// Hands pieces on.
struct Channel(Sender<Result<Vec<u8>, String>>);

impl Sink for Channel {
    async fn take(&mut self, piece: Vec<u8>) -> bool {
        piece.is_empty() || self.0.send(Ok(piece)).await.is_ok()
    }
}

impl Transfer {
    /// For whoever asks over HTTP.
    pub(crate) fn new(accounts: &Accounts, ids: Ids) -> Arc<Self> {
        Arc::new(Self { accounts: accounts.clone(), ids })
    }

    /// What is kept of an account, as pieces of a `<user/>`.
    ///
    /// # Errors
    /// There is no such account.
    pub(crate) async fn pieces(&self, jid: BareJid) -> Result<Pieces, String> {
        let (accounts, ids) = (&self.accounts, self.ids.clone());
        accounts.is_enabled(&jid).await.map_err(|error| error.to_string())?;
        let fence = accounts.fence(&jid).map_err(|error| error.to_string())?;
        let (sender, receiver) = channel(PIECES);
        let source = Source { store: accounts.store.clone(), fence, jid, ids };
        actix_rt::spawn(async move {
            let mut sink = Channel(sender);
            if let Err(error) = export(&source, &mut sink).await {
                tracing::warn!(jid = %source.jid, %error, "an account was not exported as a whole");
                sink.0.send(Err(format!("{} was not exported: {error}", source.jid))).await.ok();
            }
        });
        Ok(receiver)
    }

    /// An account of a file begins (§4.1, §4.2).
    ///
    /// # Errors
    /// Its address is none, its host is not served here, or it is there already.
    pub(crate) async fn begin(&self, host: &str, name: &str) -> Result<Importer, String> {
        let jid = self.accounts.address(&format!("{name}@{host}"));
        let jid = jid.map_err(|error| error.to_string())?;
        let begun = Importer::begin(self.accounts.clone(), self.ids.clone(), jid).await;
        begun.map_err(|error| error.to_string())
    }

    /// The one account of a document.
    async fn one(&self, body: Vec<u8>) -> Result<Report, String> {
        // A long one takes a while, and whoever asks for health does not wait for it.
        let read = tokio::task::spawn_blocking(move || pieces_of(&body));
        let pieces = read.await.map_err(|_| "the server stops".to_owned())?;
        let pieces = pieces.map_err(|error| error.to_string())?;
        let (mut importer, mut secret, mut left_out) = (None, None, Vec::new());
        for piece in pieces {
            match (piece, &mut importer) {
                (Piece::User { host, name, password }, None) => {
                    importer = Some(self.begin(&host, &name).await?);
                    secret = password;
                }
                (Piece::User { .. }, Some(_)) => {
                    return Err("there is more than one account".to_owned());
                }
                (Piece::Child(child), Some(importer)) => {
                    importer.take(&child).await.map_err(|error| error.to_string())?;
                }
                (Piece::Unknown(what), _) => left_out.push(what),
                (Piece::Child(_) | Piece::End, _) => {}
            }
        }
        let importer = importer.ok_or_else(|| "there is no account in it".to_owned())?;
        let report = importer.finish(secret.as_deref()).await.map_err(|error| error.to_string())?;
        Ok(Report { left_out: [report.left_out, left_out].concat(), ..report })
    }
}

fn pieces_of(body: &[u8]) -> Result<Vec<Piece>, ReadError> {
    let mut pieces = Vec::new();
    reader::read_bytes(body, &mut |piece| {
        pieces.push(piece);
        Ok::<(), ReadError>(())
    })?;
    Ok(pieces)
}

impl web::transfer::Transfer for Transfer {
    fn export(&self, jid: BareJid) -> BoxFuture<'static, Result<Pieces, String>> {
        let transfer = self.clone();
        Box::pin(async move { transfer.pieces(jid).await })
    }

    fn import(&self, body: Vec<u8>) -> BoxFuture<'static, Result<serde_json::Value, String>> {
        let transfer = self.clone();
        Box::pin(async move {
            let report = transfer.one(body).await?;
            serde_json::to_value(report).map_err(|error| error.to_string())
        })
    }
}
