//! The agent as a process of its own.

use std::process::ExitCode;

fn main() -> ExitCode {
    busyhour_agent::main_with(std::env::args_os())
}
