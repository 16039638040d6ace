//! Fuzzes the machine: no client and no shell brings it out of order.
#![no_main]

#[path = "../../stream/tests/properties/mod.rs"]
#[expect(dead_code, reason = "the other target uses the rest")]
mod properties;

libfuzzer_sys::fuzz_target!(|input: (u64, &[u8])| {
    properties::the_machine_keeps_its_order(input.1, input.0);
});
