//! Owns the way between members: lanes that lose nothing while both processes live, and give back what is not
//! resolved when one is gone.
//!
//! For each ordered pair of members there are [`LANES`] lanes; what one address sends goes by one lane, so that
//! it stays in order, and so does what is said between the parts of one account, and all about second copies, which
//! goes by the last one. The member that sends opens each lane and sends frames of envelopes; the other one answers
//! with acknowledgements, credit and notices.
//!
//! | module | owns |
//! |---|---|
//! | [`sender`] | the sending half of a lane (pure) |
//! | [`receiver`] | the receiving half (pure) |
//! | `confirms` | the receipts that a lane opens for what came over it |
//! | `barrier` | order while a shard changes its owner |
//! | `outputs` | what the entities of each shard have sent and nobody has taken |
//! | `peer` | the lanes to and from one process of a peer |
//! | [`links`] | all peers, as the plan names them |
//! | [`grpc`] | frames over gRPC |
//! | [`carrier`] | the trait of whatever carries frames, and the two loops over it |

pub(crate) mod barrier;
pub mod carrier;
mod confirms;
#[cfg(test)]
mod full;
pub mod grpc;
pub mod links;
pub mod outputs;
pub(crate) mod peer;
pub mod receiver;
#[cfg(test)]
mod reopened;
pub mod sender;
#[cfg(test)]
mod simulation;

use proto::{Body, Envelope, Route};
use xmpp::{Bucket, Jid};

pub use carrier::{Address, Carrier, Cut, Pipe};
pub use links::{LinkFigures, Links};

/// The messages of `proto/lane.proto`.
#[expect(
    missing_docs,
    unused_qualifications,
    clippy::allow_attributes_without_reason,
    reason = "generated code; the comments are in the .proto"
)]
pub mod pb {
    include!(concat!(env!("OUT_DIR"), "/rookery.lane.rs"));
}

/// Lanes for each ordered pair of members.
pub const LANES: usize = 5;

/// Most recipients of one envelope on a lane.
pub(crate) const TARGETS: usize = 4_096;

/// The last one is for second copies: what a member says of them stays in order, and keeps nobody else waiting.
pub(crate) const COPIES: usize = LANES - 1;

/// The lane of an envelope: of a stanza by the bucket of its sender, so that one for many stays in order with those
/// for one; of a word by the bucket of its address, or by the socket's number; the last one for second
/// copies.
pub(crate) fn lane_of(
    envelope: &Envelope,
    bucket: Option<Bucket>,
    sender: impl FnOnce(&Jid) -> Bucket,
) -> usize {
    let from = match &envelope.body {
        Body::Stanza(stanza) => stanza.head().from.as_ref(),
        _ => None,
    };
    let number = match (from, bucket, &envelope.to) {
        (Some(from), Some(_), _) => u64::from(sender(from).number()),
        (None, Some(bucket), _) => u64::from(bucket.number()),
        (_, None, Route::Connection(connection)) => connection.number,
        (_, None, Route::Stream(stream)) => stream.number,
        (_, None, _) => return COPIES,
    };
    usize::try_from(number % COPIES as u64).unwrap_or(0)
}
