//! The failures of a verb, and their output as text or JSON, in one place.

use super::{Format, print};
use crate::build::{BuildError, SourceError};
use crate::diagnostic::{self, Style};
use crate::image::ImageError;
use crate::media::MediaError;
use crate::pki::SeedError;
use crate::tree::TreeError;
use serde_json::json;
use std::io::IsTerminal;
use std::process::ExitCode;

/// Why a verb ends early.
pub(super) enum Failure {
    /// The source is wrong: all its diagnostics.
    Source(SourceError),
    /// A check found a difference, or the profile doesn't have what the verb is about; with a message, if any.
    Check(String),
    /// The command line asks for something that doesn't exist.
    Usage(String),
    /// The world failed.
    World(anyhow::Error),
    /// Something isn't there, as the verb's output already says.
    Missing,
}

impl Failure {
    /// The world failed, with this message.
    pub(super) fn world(problem: impl std::fmt::Display) -> Self {
        Self::World(anyhow::anyhow!("{problem}"))
    }

    /// The exit code, as `remuda --help` explains it.
    fn code(&self) -> u8 {
        match self {
            Self::Source(_) | Self::Check(_) => 1,
            Self::Usage(_) => 2,
            Self::World(_) | Self::Missing => 3,
        }
    }

    /// Prints the failure and returns the program's exit code.
    pub(super) fn report(&self, format: Format) -> ExitCode {
        match (self, format) {
            // `remuda … | head`: the reader closes the pipe, which isn't a failure.
            (Self::World(error), _) if is_closed_pipe(error) => return ExitCode::SUCCESS,
            (Self::Source(wrong), Format::Text) => eprint!("{}", diagnostic::text(&wrong.found, &wrong.sources, style())),
            (Self::Source(wrong), Format::Json) => tell(&diagnostic::json(&wrong.found, &wrong.sources)),
            (Self::Missing, _) => {}
            (Self::Check(problem), _) if problem.is_empty() => {}
            (Self::Check(problem) | Self::Usage(problem), Format::Text) => eprintln!("error: {problem}"),
            (Self::Check(problem) | Self::Usage(problem), Format::Json) => tell(&json!({ "error": problem })),
            (Self::World(error), Format::Text) => eprintln!("error: {error:#}"),
            (Self::World(error), Format::Json) => tell(&json!({ "error": format!("{error:#}") })),
        }
        ExitCode::from(self.code())
    }
}

/// One JSON object on stdout. If it can't be written, only the exit code remains.
fn tell(value: &serde_json::Value) {
    let _ = print(&format!("{value:#}\n"));
}

/// Colour is only for terminals, and never with NO_COLOR.
pub(super) fn style() -> Style {
    if is_coloured(&std::io::stderr()) { Style::Coloured } else { Style::Plain }
}

/// The same for a stream.
pub(super) fn is_coloured(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}

impl From<BuildError> for Failure {
    fn from(error: BuildError) -> Self {
        match error {
            BuildError::Source(wrong) => Self::Source(wrong),
            BuildError::Tree(error) => error.into(),
            other => Self::World(other.into()),
        }
    }
}

impl From<SourceError> for Failure {
    fn from(wrong: SourceError) -> Self {
        Self::Source(wrong)
    }
}

impl From<TreeError> for Failure {
    fn from(error: TreeError) -> Self {
        let is_foreign = matches!(error, TreeError::Foreign(_));
        let error = anyhow::Error::from(error);
        Self::World(if is_foreign {
            error.context("nothing was written; move these files away, or use `--force` to replace them")
        } else {
            error
        })
    }
}

/// Errors that are always the world's.
macro_rules! of_the_world {
    ($($error:ty),* $(,)?) => {
        $(impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Self::World(error.into())
            }
        })*
    };
}

of_the_world!(anyhow::Error, std::io::Error, crate::disk::DiskError, ImageError, MediaError, SeedError);
