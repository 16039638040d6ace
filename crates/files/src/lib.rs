//! Files that people send each other by way of a server (XEP-0363): their names, who may bring one, and where they are
//! kept. Knows no stanza and no HTTP of clients.
//!
//! | module | owns |
//! |---|---|
//! | [`id`] | the name of a file, which says when it ends |
//! | [`slot`] | the row of a slot, and the key that opens it |
//! | [`keeper`] | what becomes of a file that is brought, and of one that is asked for |
//! | [`storage`] | the trait of places where files are kept |
//! | [`disk`] | the place that is a directory |
//! | [`s3`] | the place that is a bucket of an S3-compatible store |
//! | `contract` | what every place must do |

#[cfg(test)]
mod contract;
pub mod disk;
pub mod id;
pub mod keeper;
pub mod s3;
pub mod slot;
pub mod storage;

pub use disk::Disk;
pub use id::FileId;
pub use keeper::{Figures, Keeper, Put, Refusal};
pub use s3::S3;
pub use slot::{Key, SlotRow};
pub use storage::{Meta, Storage};
