//! The tests of the whole: the repository's own rules, stories, attacks. One binary, so that it links once.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod cluster;
mod commands;
mod compliance;
mod crowds;
mod docs;
mod federation;
mod limits;
mod operation;
mod redis;
mod restarts;
mod rfc;
mod security;
mod stage;
mod takeover;
mod telemetry;
mod tidy;
mod xep;
