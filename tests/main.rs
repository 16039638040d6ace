//! The tests of the whole: the repository's own rules, stories, attacks. One binary, so that it links once.

mod rfc;
mod stage;
mod tidy;
mod xep;
