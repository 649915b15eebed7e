//! The progress of long work: a bar on a terminal, nothing elsewhere.

use crate::build::Progress;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::sync::Mutex;

/// A bar of bytes; a `total` of 0 means unknown.
pub(super) fn bar(what: &str, total: u64) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{msg} {wide_bar} {bytes}/{total_bytes} {binary_bytes_per_sec}");
    ProgressBar::new(total).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar())).with_message(what.to_owned())
}

/// The bar of the current work.
#[derive(Default)]
pub(super) struct Bar(Mutex<Option<ProgressBar>>);

impl Bar {
    fn with(&self, change: impl FnOnce(&ProgressBar)) {
        if let Some(bar) = self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).as_ref() {
            change(bar);
        }
    }
}

impl Progress for Bar {
    fn begin(&self, what: &str, total: u64) {
        *self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = Some(bar(what, total));
    }

    fn set(&self, done: u64, total: u64) {
        self.with(|bar| {
            bar.set_length(total);
            bar.set_position(done);
        });
    }

    fn advance(&self, bytes: i64) {
        self.with(|bar| match u64::try_from(bytes) {
            Ok(more) => bar.inc(more),
            Err(_) => bar.dec(bytes.unsigned_abs()),
        });
    }

    fn end(&self) {
        self.with(ProgressBar::finish_and_clear);
    }

    fn say(&self, line: &str) {
        let mut is_said = false;
        self.with(|bar| {
            is_said = true;
            bar.suspend(|| eprintln!("{line}"));
        });
        if !is_said {
            eprintln!("{line}");
        }
    }
}
