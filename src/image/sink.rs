//! The archive's file. A separate thread hashes and writes it, while reading and the layers' hashes
//! continue. Memory use is a few buffers, whatever the size.
//!
//! With gzip, each buffer becomes its own gzip member, on all cores. The concatenated members are a
//! gzip file (RFC 1952, section 2.2), whose bytes depend only on the content.

use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

const BUFFER: usize = 1 << 20;
const BUFFERS: usize = 4;
/// The content of a member, in bytes. The file's bytes depend on this number.
const MEMBER: usize = 2 << 20;
const LEVEL: flate2::Compression = flate2::Compression::new(6);

/// A written file.
pub(super) struct Written {
    pub size: u64,
    /// Its SHA-256.
    pub hash: [u8; 32],
}

/// The next piece to write.
enum Next {
    Plain(Vec<u8>),
    /// A member that a core is compressing.
    Member(Receiver<Vec<u8>>),
}

/// Accepts bytes; knows their number and, at the end, their hash.
pub(super) struct Sink {
    next: Option<SyncSender<Next>>,
    empty: Receiver<Vec<u8>>,
    buffer: Vec<u8>,
    size: usize,
    gzip: bool,
    thread: Option<JoinHandle<io::Result<Written>>>,
    /// The number of bytes accepted so far.
    pub written: u64,
}

impl Sink {
    pub(super) fn new(mut file: File, gzip: bool) -> Self {
        let (size, buffers) = if gzip { (MEMBER, BUFFERS + rayon::current_num_threads().min(8)) } else { (BUFFER, BUFFERS) };
        let (next, incoming) = sync_channel::<Next>(buffers);
        let (outgoing, empty) = sync_channel::<Vec<u8>>(buffers + 1);
        if !gzip {
            (0..buffers).for_each(|_| drop(outgoing.send(Vec::with_capacity(size))));
        }
        let thread = std::thread::spawn(move || {
            let (mut hash, mut size) = (Sha256::new(), 0);
            for next in incoming {
                let mut buffer = match next {
                    Next::Plain(buffer) => buffer,
                    Next::Member(member) => member.recv().map_err(|_| io::Error::other("a compressing thread ended early"))?,
                };
                hash.update(&buffer);
                file.write_all(&buffer)?;
                size += buffer.len() as u64;
                buffer.clear();
                if !gzip {
                    let _ = outgoing.send(buffer);
                }
            }
            Ok(Written { size, hash: hash.finalize().into() })
        });
        Self { next: Some(next), empty, buffer: Vec::with_capacity(size), size, gzip, thread: Some(thread), written: 0 }
    }

    /// Waits until everything is written. Returns the file and its hash.
    pub(super) fn finish(mut self) -> io::Result<Written> {
        self.pass_on()?;
        self.join()
    }

    fn pass_on(&mut self) -> io::Result<()> {
        let empty = if self.gzip { Ok(Vec::with_capacity(self.size)) } else { self.empty.recv() };
        let Ok(empty) = empty else { return Err(self.failure()) };
        let full = std::mem::replace(&mut self.buffer, empty);
        let next = if self.gzip { Next::Member(member(full)) } else { Next::Plain(full) };
        match self.next.as_ref().map(|channel| channel.send(next)) {
            Some(Ok(())) => Ok(()),
            _ => Err(self.failure()),
        }
    }

    /// The reason why the thread ended.
    fn failure(&mut self) -> io::Error {
        self.join().err().unwrap_or_else(|| io::Error::other("the writing thread ended early"))
    }

    fn join(&mut self) -> io::Result<Written> {
        self.next = None;
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(result)) => result,
            _ => Err(io::Error::other("the writing thread ended early")),
        }
    }
}

/// Compresses on another core.
fn member(bytes: Vec<u8>) -> Receiver<Vec<u8>> {
    let (done, receiver) = sync_channel(1);
    rayon::spawn(move || {
        let into = Vec::with_capacity(bytes.len() / 2);
        let mut gzip = flate2::GzBuilder::new().operating_system(255).write(into, LEVEL);
        let packed = gzip.write_all(&bytes).and_then(|()| gzip.finish());
        let _ = packed.map(|packed| done.send(packed));
    });
    receiver
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(self.size - self.buffer.len());
        self.buffer.extend_from_slice(&bytes[..taken]);
        self.written += taken as u64;
        if self.buffer.len() == self.size {
            self.pass_on()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Hashes what passes through.
pub(super) struct Hashing<'a, W> {
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
