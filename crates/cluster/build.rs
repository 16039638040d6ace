//! Compiles `proto/cluster.proto`, `proto/control.proto` and `proto/bulk.proto` without a protoc program.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../proto");
    println!("cargo::rerun-if-changed={root}/cluster.proto");
    println!("cargo::rerun-if-changed={root}/control.proto");
    println!("cargo::rerun-if-changed={root}/bulk.proto");
    let files = protox::compile(["cluster.proto", "control.proto", "bulk.proto"], [root])?;
    tonic_prost_build::configure().bytes(".").compile_fds(files)?;
    Ok(())
}
