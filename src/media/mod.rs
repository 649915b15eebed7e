//! From the out tree to machines: config drives, boot ISOs, network boot, Vagrant, installing.
//!
//! Takes a decided [`Cluster`](crate::plan::Cluster) and what was generated from it; gives named files
//! and images. It decides nothing about a node and knows nothing of YAML.

pub mod iso;
pub mod target;

use camino::Utf8PathBuf;
use std::io;

#[derive(Debug, thiserror::Error)]
pub enum MediaError {
    #[error("{doing} {path}: {error}")]
    Io { doing: &'static str, path: Utf8PathBuf, error: io::Error },
    #[error("{path}: {problem}")]
    Refused { path: Utf8PathBuf, problem: String },
    #[error("writing {path}: {problem}")]
    Image { path: Utf8PathBuf, problem: String },
}

impl MediaError {
    pub fn io(doing: &'static str, path: impl Into<Utf8PathBuf>) -> impl FnOnce(io::Error) -> MediaError {
        let path = path.into();
        move |error| MediaError::Io { doing, path, error }
    }

    fn refused(path: impl Into<Utf8PathBuf>, problem: impl ToString) -> MediaError {
        MediaError::Refused { path: path.into(), problem: problem.to_string() }
    }

    fn image(path: impl Into<Utf8PathBuf>) -> impl FnOnce(hadris_fs::PathError) -> MediaError {
        let path = path.into();
        move |error| MediaError::Image { path, problem: error.to_string() }
    }
}
