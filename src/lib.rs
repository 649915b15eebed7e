//! remuda: a build-time compiler from one cluster profile to a cloud-config per node.
//!
//! A program that uses it as a library makes a cluster in five lines:
//!
//! ```
//! use remuda::build::{Files, Paths, Project};
//!
//! # fn main() -> Result<(), remuda::build::BuildError> {
//! let mut project = Project::open(Paths::default())?; // the built-in profile, and the files next to it
//! let cluster = project.cluster()?; // or all its mistakes
//! for file in Files::of(&cluster, None).iter() {
//!     let file = file?;
//!     println!("{}: {} bytes", file.path, file.bytes.len());
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # The five phases
//!
//! One direction; each knows only the type that the one before it hands over:
//!
//! 1. [`profile::read`]: YAML text → [`profile::Profile`], as written, each value with its place
//! 2. [`plan::decide`]: profile, release line, target → [`plan::Cluster`], nothing left to decide
//! 3. [`node::lower`]: cluster, one node → [`node::NodeConfig`]: files, services, engine, network
//! 4. [`os::cloud_config`] and [`os::emit`]: node → the OS's own cloud-config, then text
//! 5. [`tree`]: named files → the out tree, written, checked or diffed
//!
//! [`build`] goes this way, for the command line and for other programs.
//!
//! # The rooms
//!
//! A room is a top-level module. It uses only rooms above it in this list; `tests/arrows.rs` checks that.
//!
//! - [`disk`]: files read and written, whole or not at all
//! - [`program`]: other programs, run within bounds
//! - [`diagnostic`]: what a person reads: what is wrong, where, why it matters on a node, what to do
//! - [`yaml`]: texts → trees with places → records
//! - [`terms`]: the words that several rooms share: architecture, role, delivery, digest, the name of an image
//! - [`service`]: a service's vocabulary, and what an engine refuses of it
//! - [`component`]: what an image is made of, as a line or a profile describes it
//! - [`target`]: facts about an OS, as data
//! - [`profile`]: the source
//! - [`pki`]: seed → keys, certificates, secrets; sealing
//! - [`line`](mod@line): release lines, from `templates/`
//! - [`manifest`]: Kubernetes manifests → objects with places → what a node applies
//! - [`image`]: sources → lock → cache → archives for `docker load`
//! - [`plan`]: the decided cluster: modules that decide, modules that check
//! - [`import`]: cloud-configs that somebody wrote → a profile's text
//! - [`node`]: one node in plain values
//! - [`os`]: its cloud-config
//! - [`media`]: from the tree to machines: config drives, network boot, Vagrant, installation
//! - [`tree`]: the out tree
//! - [`change`]: the trees that nodes run → the cluster now: what changes, and what that means
//! - [`status`]: what nodes run, by their API → how it differs from the tree that is there
//! - [`build`]: a project → its cluster → its files
//! - [`cli`]: a file per verb, which parses, calls and prints

pub mod build;
pub mod change;
pub mod cli;
pub mod component;
pub mod diagnostic;
pub mod disk;
pub mod image;
pub mod import;
pub mod line;
pub mod manifest;
pub mod media;
pub mod node;
pub mod os;
pub mod pki;
pub mod plan;
pub mod profile;
pub mod program;
pub mod service;
pub mod status;
pub mod target;
pub mod terms;
pub mod tree;
pub mod yaml;
