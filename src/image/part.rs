//! A part of a file, read as if it were a file of its own.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

/// Some bytes of a file, which many may read at a time.
pub(super) struct Part {
    file: Arc<File>,
    start: u64,
    at: u64,
    end: u64,
}

impl Part {
    pub(super) fn of(file: impl Into<Arc<File>>, offset: u64, size: u64) -> Self {
        Self { file: file.into(), start: offset, at: offset, end: offset.saturating_add(size) }
    }

    /// In bytes.
    pub(super) fn size(&self) -> u64 {
        self.end - self.start
    }
}

impl Read for Part {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.end.saturating_sub(self.at)).unwrap_or(usize::MAX).min(buffer.len());
        let got = self.file.read_at(&mut buffer[..most], self.at)?;
        self.at += got as u64;
        Ok(got)
    }
}

impl Seek for Part {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let to = match to {
            SeekFrom::Start(to) => self.start.checked_add(to),
            SeekFrom::End(by) => self.end.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = to.filter(|to| *to >= self.start).ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at - self.start)
    }
}
