//! Stories of RFC 6120 and RFC 6121, one file a chapter.

mod messages;
