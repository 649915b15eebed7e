//! remuda: see the library's first page.

use std::alloc::System;
use std::process::ExitCode;
use zeroizing_alloc::ZeroAlloc;

/// Wipes all memory that is freed: texts with key material are copied, grown and dropped in many
/// places, and none of these may be forgotten.
#[global_allocator]
static ALLOCATOR: ZeroAlloc<System> = ZeroAlloc(System);

fn main() -> ExitCode {
    remuda::cli::run()
}
