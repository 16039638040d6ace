//! Two servers, each with a domain, that speak with each other on loopback; and one that is no server at all.

mod attacks;
mod away;
mod cluster;
mod land;
mod operators;
mod talk;
