//! Three processes of the binary on loopback are one cluster: they find each other, share the plan, take over
//! from one that dies, and keep strangers out.

mod abroad;
mod assembly;
mod bytestreams;
mod clocks;
mod drain;
mod faults;
mod federation;
pub(crate) mod figures;
mod files;
mod history;
mod large;
mod names;
mod operators;
mod quarters;
mod refounding;
mod report;
mod roles;
mod strangers;
mod talk;
mod together;
mod voters;
mod waiting;
mod web;
