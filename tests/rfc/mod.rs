//! Stories of RFC 6120 and RFC 6121, one file a chapter, and of RFC 7395.

mod binding;
mod domains;
mod messages;
mod presence;
mod roster;
mod sasl;
mod stanzas;
mod streams;
mod subscriptions;
mod websocket;
