//! Compiles `proto/lane.proto` without a protoc program.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../proto");
    for file in ["lane.proto", "envelope.proto"] {
        println!("cargo::rerun-if-changed={root}/{file}");
    }
    let files = protox::compile(["lane.proto"], [root])?;
    tonic_prost_build::configure()
        .bytes(".")
        .extern_path(".rookery.envelope", "::proto::wire::pb")
        .compile_fds(files)?;
    Ok(())
}
