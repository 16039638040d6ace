//! Presence by its words.
