//! remuda: a build-time compiler from one cluster profile to a cloud-config per node.
//!
//! Five phases, one direction; each knows only the type that the one before it hands over:
//!
//! 1. [`profile::read`]: YAML text → [`profile::Profile`], as written, every value with its place
//! 2. [`plan::decide`]: profile, release line, target → [`plan::Cluster`], nothing left to decide
//! 3. [`node::lower`]: cluster, one node → [`node::Node`]: files, services, engine, network
//! 4. [`os::cloud_config`] and [`os::emit`]: node → the target's own cloud-config, then text
//! 5. [`tree`]: named files → the out tree, written, checked or diffed
//!
//! Beside the way: [`yaml`] (texts to records), [`service`] (a service's vocabulary), [`line`]
//! (release lines), [`component`] (what an image is made of), [`image`] (component images), [`pki`] (seed to
//! keys and certificates), [`diagnostic`] (what a person reads), [`media`] (machines), [`cli`].

pub mod build;
pub mod cli;
pub mod component;
pub mod diagnostic;
pub mod disk;
pub mod image;
pub mod line;
pub mod media;
pub mod node;
pub mod os;
pub mod pki;
pub mod plan;
pub mod profile;
pub mod service;
pub mod target;
pub mod terms;
pub mod tree;
pub mod yaml;
