//! Fuzzes the parser: cutting changes nothing, canonical bytes say what the input said.
#![no_main]

#[path = "../../stream/tests/properties/mod.rs"]
#[expect(dead_code, reason = "the other target uses the rest")]
mod properties;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let sizes = [7, 1 + input.len() % 50, 3];
    properties::cutting_changes_nothing(input, &sizes);
    properties::canonical_bytes_say_what_the_input_said(input);
});
