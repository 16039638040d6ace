//! Two servers, each with a domain, that speak with each other on loopback; and one that is no server at all.

mod attacks;
mod away;
mod bidirectional;
mod cluster;
mod component;
mod cpim;
mod dane;
mod delegation;
pub(crate) mod land;
mod lanes;
mod operators;
mod peer;
mod posh;
mod privilege;
pub(crate) mod program;
mod sharing;
mod talk;
mod zone;
