//! Kubernetes manifests that somebody wrote: texts → objects with places → the text that a node applies.
//!
//! It knows kinds, and what is wrong with an object by itself. It knows neither the cluster nor its line.

mod demand;
mod kinds;
mod object;
mod schema;
mod security;
#[cfg(test)]
mod tests;
mod write;

pub use demand::{Candidate, Demand, DemandOf, NodeKind, parts, repels};
pub use kinds::{Removed, removed};
pub use object::{NodePort, Object, PodPort, read};
pub use schema::{Misfit, Schema, TEXT};
pub use security::{ENFORCE, refused};
pub use write::{Piece, names, pieces, replicas, text};
