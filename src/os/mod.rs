//! Emit: a [`crate::node::Node`] → a target's own cloud-config, typed, then text.
//!
//! Each dialect can only express what that OS's schema accepts. Nothing is decided here.

mod config;
mod emit;
mod target;
#[cfg(test)]
mod tests;

pub use config::{CloudConfig, cloud_config};
pub use emit::{emit, emit_services};
pub use target::{BuiltIn, Dialect, Facts, Reserved, Target};
