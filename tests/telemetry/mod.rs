//! What operators see: traces, metrics, logs, health; each against the real binary.

#![expect(clippy::disallowed_methods, reason = "tests of a process measure its time")]

pub(crate) mod collector;
mod exposition;
mod fields;
mod health;
mod logs;
mod metrics;
pub(crate) mod traces;
