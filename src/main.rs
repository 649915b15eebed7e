//! remuda: see the library's first page.

use std::process::ExitCode;

fn main() -> ExitCode {
    remuda::cli::run()
}
