//! What configs have in common, with its texts.

use serde_json::value::RawValue;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

/// A file, or a key of a service. Nodes of a class on which it is the same share one, and with it the texts that are made
/// of it: once, for the first of them.
#[derive(Debug)]
pub struct Written<T> {
    value: T,
    yaml: OnceLock<String>,
    json: OnceLock<Box<RawValue>>,
}

impl<T> Written<T> {
    /// To be shared.
    pub fn of(value: T) -> Arc<Self> {
        Arc::new(Self { value, yaml: OnceLock::new(), json: OnceLock::new() })
    }

    /// Its lines in a config, which `make` gives.
    pub fn yaml(&self, make: impl FnOnce(&T) -> String) -> &str {
        self.yaml.get_or_init(|| make(&self.value))
    }

    /// Its value as JSON, which `make` gives.
    pub fn json(&self, make: impl FnOnce(&T) -> Box<RawValue>) -> &RawValue {
        self.json.get_or_init(|| make(&self.value))
    }
}

impl<T> Deref for Written<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}
