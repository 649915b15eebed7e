//! The rooms that decide. They report values that are wrong by themselves. The rooms that check
//! report what is wrong only together with other values; no room here knows them.

pub mod api;
pub mod changes;
pub mod classes;
pub mod engine;
pub mod etcd;
pub mod files;
pub mod fleet;
pub mod images;
pub mod interfaces;
pub mod media;
pub mod names;
pub mod network;
pub mod order;
pub mod pki;
pub mod proxy;
pub mod servers;
pub mod subnets;
pub mod target;
pub mod templates;
