//! The rooms that decide. They report values that are wrong by themselves. The rooms that check
//! report what is wrong only together with other values; no room here knows them.

pub(super) mod api;
pub(super) mod changes;
pub(super) mod classes;
pub(super) mod engine;
pub(super) mod etcd;
pub(super) mod files;
pub(super) mod fleet;
pub(super) mod images;
pub(super) mod interfaces;
pub(super) mod manifests;
pub(super) mod media;
pub(super) mod names;
pub(super) mod network;
pub(super) mod order;
pub(super) mod pki;
pub(super) mod proxy;
pub(super) mod servers;
pub(super) mod subnets;
pub(super) mod target;
pub(super) mod templates;
