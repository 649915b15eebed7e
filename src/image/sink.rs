//! The archive's file: a thread of its own hashes and writes, so that reading and the layers'
//! hashes go on beside it. Memory is a few buffers, whatever the size.

use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

const BUFFER: usize = 1 << 20;
const BUFFERS: usize = 4;

/// A file that was written, and its SHA-256.
pub type Written = (File, [u8; 32]);

/// Takes bytes; knows their number and, at the end, their hash.
pub struct Sink {
    full: Option<SyncSender<Vec<u8>>>,
    empty: Receiver<Vec<u8>>,
    buffer: Vec<u8>,
    thread: Option<JoinHandle<io::Result<Written>>>,
    pub written: u64,
}

impl Sink {
    pub fn new(mut file: File) -> Self {
        let (full, incoming) = sync_channel::<Vec<u8>>(BUFFERS);
        let (outgoing, empty) = sync_channel::<Vec<u8>>(BUFFERS + 1);
        for _ in 0..BUFFERS {
            let _ = outgoing.send(Vec::with_capacity(BUFFER));
        }
        let thread = std::thread::spawn(move || {
            let mut hash = Sha256::new();
            for mut buffer in incoming {
                hash.update(&buffer);
                file.write_all(&buffer)?;
                buffer.clear();
                let _ = outgoing.send(buffer);
            }
            Ok((file, hash.finalize().into()))
        });
        Self { full: Some(full), empty, buffer: Vec::with_capacity(BUFFER), thread: Some(thread), written: 0 }
    }

    /// Waits until everything is written; the file and its hash.
    pub fn finish(mut self) -> io::Result<Written> {
        self.pass_on()?;
        self.join()
    }

    fn pass_on(&mut self) -> io::Result<()> {
        let next = match self.empty.recv() {
            Ok(buffer) => buffer,
            Err(_) => return Err(self.failure()),
        };
        let full = std::mem::replace(&mut self.buffer, next);
        match self.full.as_ref().map(|channel| channel.send(full)) {
            Some(Ok(())) => Ok(()),
            _ => Err(self.failure()),
        }
    }

    /// Why the thread ended.
    fn failure(&mut self) -> io::Error {
        self.join().err().unwrap_or_else(|| io::Error::other("the writing thread ended early"))
    }

    fn join(&mut self) -> io::Result<Written> {
        self.full = None;
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(result)) => result,
            _ => Err(io::Error::other("the writing thread ended early")),
        }
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(BUFFER - self.buffer.len());
        self.buffer.extend_from_slice(&bytes[..taken]);
        self.written += taken as u64;
        if self.buffer.len() == BUFFER {
            self.pass_on()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Hashes what passes through.
pub struct Hashing<'a, W> {
    pub inner: &'a mut W,
    pub hash: Sha256,
}

impl<W: Write> Write for Hashing<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = self.inner.write(bytes)?;
        self.hash.update(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
