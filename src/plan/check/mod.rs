//! The rooms that check what was decided. None of them changes it.

pub mod changes;
pub mod classes;
pub mod engine;
pub mod etcd;
pub mod files;
pub mod fleet;
pub mod images;
pub mod interfaces;
pub mod kernel;
pub mod line;
pub mod media;
pub mod network;
pub mod order;
pub mod os;
pub mod proxy;
pub mod servers;
pub mod services;
