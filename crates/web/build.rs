//! Compiles what members say to each other without a protoc program.

use std::error::Error;

const FILES: [&str; 2] = ["administration.proto", "gate.proto"];

fn main() -> Result<(), Box<dyn Error>> {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../proto");
    for file in FILES {
        println!("cargo::rerun-if-changed={root}/{file}");
    }
    let files = protox::compile(FILES, [root])?;
    tonic_prost_build::configure().compile_fds(files)?;
    Ok(())
}
