//! Change: the trees that nodes run → what the cluster is now. What a change means for machines that run.
//!
//! [`Facts`] are what a running cluster relies on. A tree's manifest keeps them, so that a later run can compare:
//! [`Before`] is which tree each node runs. [`ends`] says which changes of that end the cluster. A [`Comparison`] has
//! the changes of every node, and [`Plan::of`] makes steps of it, in an order that keeps the API and etcd. Nothing here
//! knows a command line, git, a disk or an API.

mod before;
mod compare;
mod comparison;
mod config;
mod ends;
mod facts;
mod manifest;
mod meaning;
mod page;
mod plan;
mod steps;

pub use before::{Asked, Before, Running, Tree};
pub use compare::Change;
pub use comparison::{Comparison, NodeChange, State, Unreadable};
pub use config::Thing;
pub use ends::ends;
pub use facts::{Facts, NodeFact};
pub use manifest::{Manifest, NotAManifest};
pub use meaning::Effect;
pub use page::{markdown, text};
pub use plan::{Commands, Plan};
pub use steps::{Step, StepNode};
