//! Fuzzes what members say to each other: reading does no harm, and what was read can be said again.
#![no_main]

#[path = "../../proto/tests/properties/mod.rs"]
mod properties;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    properties::what_is_read_is_written_and_read_again(input);
});
