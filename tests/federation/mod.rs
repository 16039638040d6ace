//! Two servers, each with a domain, that speak with each other on loopback; and one that is no server at all.

mod attacks;
mod away;
mod bidirectional;
mod cluster;
mod component;
mod delegation;
mod land;
mod operators;
mod privilege;
pub(crate) mod program;
mod talk;
