//! The `rookery` binary: reads the command line, does it, and says how it went by the exit code.

use std::process::ExitCode;

/// A stanza costs about a tenth less with it than with that of glibc (ARCHITECTURE.md, "Decisions").
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    server::command::main()
}
