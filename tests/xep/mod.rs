//! Stories of the extensions, one file each. The first line of a file says whose it is.

mod archive;
mod blocking;
mod caps;
mod carbons;
mod client_state;
mod commands;
mod contact;
mod delay;
mod disco;
mod external_services;
mod forward;
mod hints;
mod last;
mod markers;
pub(crate) mod muc;
mod offline;
mod ping;
mod preferences;
mod private;
mod push;
mod receipts;
mod stanza_id;
mod stream_management;
mod time;
mod vcard;
mod version;
