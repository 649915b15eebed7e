//! Emit: a [`crate::node::NodeConfig`] → a target's own cloud-config, typed, then text.
//!
//! The types can express only what the OSs' schemas accept. Nothing is decided here.

mod config;
mod emit;
#[cfg(test)]
mod tests;

pub use config::{CloudConfig, cloud_config};
pub use emit::{emit, emit_rest, emit_services};
