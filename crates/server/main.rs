//! The `rookery` binary: reads the command line, does it, and says how it went by the exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    server::command::main()
}
