//! Compiles `proto/*.proto` of this crate without a protoc program.

use std::error::Error;

/// The files, each a package.
const FILES: [&str; 2] = ["envelope.proto", "session.proto"];

fn main() -> Result<(), Box<dyn Error>> {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../proto");
    for file in FILES {
        println!("cargo::rerun-if-changed={root}/{file}");
    }
    let files = protox::compile(FILES, [root])?;
    prost_build::Config::new().bytes(["."]).compile_fds(files)?;
    Ok(())
}
