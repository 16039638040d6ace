//! The roster by its words.
