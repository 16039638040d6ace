//! Three processes of the binary on loopback are one cluster: they find each other, share the plan, take over
//! from one that dies, and keep strangers out.

mod assembly;
mod bytestreams;
mod drain;
mod faults;
mod federation;
mod figures;
mod files;
mod history;
mod names;
mod operators;
mod quarters;
mod report;
mod strangers;
mod talk;
mod together;
mod web;
