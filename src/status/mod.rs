//! Status: what nodes run, by the API of their cluster → how it differs from the out tree.
//!
//! [`ask`] questions the API through `kubectl`, [`Status::of`] compares the answers with the tree's manifest, and
//! [`text`] is the result for a person. What the API says is untrusted: it may be odd, and it reaches terminals.

mod answer;
mod compare;
mod kubectl;
mod page;
#[cfg(test)]
mod tests;

pub use answer::{Answers, Node, Unready, ask};
pub use compare::{Config, NodeStatus, Servers, State, Status};
pub use kubectl::{Kubectl, NoAnswer};
pub use page::text;
