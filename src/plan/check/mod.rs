//! The rooms that check what was decided. None of them changes it.

pub(super) mod addons;
pub(super) mod changes;
pub(super) mod classes;
pub(super) mod engine;
pub(super) mod etcd;
pub(super) mod files;
pub(super) mod fleet;
pub(super) mod images;
pub(super) mod interfaces;
pub(super) mod kernel;
pub(super) mod line;
pub(super) mod manifests;
pub(super) mod media;
pub(super) mod network;
pub(super) mod order;
pub(super) mod os;
pub(super) mod placement;
pub(super) mod proxy;
pub(super) mod servers;
pub(super) mod services;
