//! The rooms that decide. What is wrong with a value by itself while it is decided is said here; what is wrong only
//! beside others is said by the rooms that check, which no room here knows.

pub mod api;
pub mod changes;
pub mod classes;
pub mod engine;
pub mod etcd;
pub mod files;
pub mod fleet;
pub mod images;
pub mod media;
pub mod names;
pub mod network;
pub mod order;
pub mod pki;
pub mod subnets;
pub mod target;
pub mod templates;
