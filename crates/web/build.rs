//! Compiles `proto/administration.proto` without a protoc program.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../proto");
    println!("cargo::rerun-if-changed={root}/administration.proto");
    let files = protox::compile(["administration.proto"], [root])?;
    tonic_prost_build::configure().compile_fds(files)?;
    Ok(())
}
