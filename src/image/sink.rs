//! The archive's file. What is written goes in blocks through three threads: one hashes layers, one the archive, one writes.
//! So the slowest of them sets the time, not their sum. Memory use is a few blocks, whatever the size.
//!
//! With gzip, each block becomes its own gzip member, on all cores. The concatenated members are a
//! gzip file (RFC 1952, section 2.2), whose bytes depend only on the content.

use crate::terms::{Digest, Hasher};
use libdeflater::{CompressionLvl, Compressor};
use std::fs::File;
use std::io::{self, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

/// A block's size in bytes. With gzip, the file's bytes depend on it.
const BLOCK: usize = 1 << 20;
const MEMBER: usize = 2 << 20;
/// The blocks of each thread and of the caller, and as many that wait.
const BLOCKS: usize = 8;

/// A written file.
pub(super) struct Written {
    pub size: u64,
    pub hash: Digest,
}

/// What the caller gives: bytes, and where in them layers begin and end.
struct Block {
    bytes: Vec<u8>,
    marks: Vec<(usize, Mark)>,
}

enum Mark {
    Begin,
    /// Whoever waits for the layer's digest.
    End(SyncSender<Digest>),
}

/// What comes into the file next.
enum Piece {
    Plain(Vec<u8>),
    /// A member that a core is compressing.
    Member(Receiver<io::Result<Vec<u8>>>),
}

struct Threads {
    layers: JoinHandle<()>,
    hash: JoinHandle<io::Result<Digest>>,
    file: JoinHandle<io::Result<u64>>,
}

/// Accepts bytes; knows the hashes of layers and, at the end, that of the file.
pub(super) struct Sink<'p> {
    blocks: Option<SyncSender<Block>>,
    empty: Receiver<Vec<u8>>,
    block: Block,
    size: usize,
    threads: Option<Threads>,
    accepted: u64,
    progress: &'p mut dyn FnMut(u64),
}

impl<'p> Sink<'p> {
    /// `progress` gets the number of bytes accepted so far.
    pub(super) fn new(file: File, gzip: bool, progress: &'p mut dyn FnMut(u64)) -> Self {
        let cores = rayon::current_num_threads().min(8);
        let (size, count) = if gzip { (MEMBER, BLOCKS + cores) } else { (BLOCK, BLOCKS) };
        let (blocks, given) = sync_channel(count);
        // Those that wait here are compressed meanwhile.
        let (pieces, hashed) = sync_channel(if gzip { cores } else { count });
        let (bytes, written) = sync_channel(count);
        let (emptied, empty) = sync_channel(count);
        (1..count).for_each(|_| drop(emptied.send(Vec::with_capacity(size))));
        let threads = Threads {
            layers: std::thread::spawn(move || hash_layers(given, gzip, &pieces)),
            hash: std::thread::spawn(move || hash_file(hashed, &bytes)),
            file: std::thread::spawn(move || write(file, written, &emptied)),
        };
        let block = Block { bytes: Vec::with_capacity(size), marks: Vec::new() };
        Self { blocks: Some(blocks), empty, block, size, threads: Some(threads), accepted: 0, progress }
    }

    /// A layer begins here, and is to be hashed.
    pub(super) fn begin_layer(&mut self) {
        self.mark(Mark::Begin);
    }

    /// The layer ends here. Its digest comes at the latest after [`Self::pass_on`].
    pub(super) fn end_layer(&mut self) -> Receiver<Digest> {
        let (sender, receiver) = sync_channel(1);
        self.mark(Mark::End(sender));
        receiver
    }

    fn mark(&mut self, mark: Mark) {
        self.block.marks.push((self.block.bytes.len(), mark));
    }

    /// Waits until everything is written.
    pub(super) fn finish(mut self) -> io::Result<Written> {
        self.pass_on()?;
        self.join()
    }

    /// Passes on what there is, also of a block that isn't full.
    pub(super) fn pass_on(&mut self) -> io::Result<()> {
        let Ok(bytes) = self.empty.recv() else { return Err(self.failure()) };
        let full = std::mem::replace(&mut self.block, Block { bytes, marks: Vec::new() });
        match self.blocks.as_ref().map(|blocks| blocks.send(full)) {
            Some(Ok(())) => Ok(()),
            _ => Err(self.failure()),
        }
    }

    /// The reason why the threads ended.
    pub(super) fn failure(&mut self) -> io::Error {
        self.join().err().unwrap_or_else(ended_early)
    }

    fn join(&mut self) -> io::Result<Written> {
        self.blocks = None;
        let Some(Threads { layers, hash, file }) = self.threads.take() else { return Err(ended_early()) };
        // The reason first: a thread whose successor ended ends too.
        let size = file.join().map_err(|_| ended_early())??;
        let hash = hash.join().map_err(|_| ended_early())??;
        layers.join().map_err(|_| ended_early())?;
        Ok(Written { size, hash })
    }
}

fn ended_early() -> io::Error {
    io::Error::other("a thread that packs ended early")
}

/// The first thread: gives the digests of layers, and blocks to the cores that compress.
fn hash_layers(given: Receiver<Block>, gzip: bool, next: &SyncSender<Piece>) {
    let mut layer: Option<Hasher> = None;
    for Block { bytes, marks } in given {
        let mut done = 0;
        for (at, mark) in marks {
            layer.iter_mut().for_each(|layer| layer.update(&bytes[done..at]));
            done = at;
            match mark {
                Mark::Begin => layer = Some(Hasher::sha256()),
                Mark::End(wanted) => drop(layer.take().map(|layer| wanted.send(layer.finish()))),
            }
        }
        layer.iter_mut().for_each(|layer| layer.update(&bytes[done..]));
        let piece = if gzip { Piece::Member(member(bytes)) } else { Piece::Plain(bytes) };
        if next.send(piece).is_err() {
            return;
        }
    }
}

/// The second thread: the digest of the file.
fn hash_file(pieces: Receiver<Piece>, next: &SyncSender<Vec<u8>>) -> io::Result<Digest> {
    let mut hash = Hasher::sha256();
    for piece in pieces {
        let bytes = match piece {
            Piece::Plain(bytes) => bytes,
            Piece::Member(member) => member.recv().map_err(|_| ended_early())??,
        };
        hash.update(&bytes);
        if next.send(bytes).is_err() {
            break;
        }
    }
    Ok(hash.finish())
}

/// The third thread: writes, and gives the buffers back.
fn write(mut file: File, bytes: Receiver<Vec<u8>>, emptied: &SyncSender<Vec<u8>>) -> io::Result<u64> {
    let mut size = 0;
    for mut bytes in bytes {
        file.write_all(&bytes)?;
        size += bytes.len() as u64;
        bytes.clear();
        let _ = emptied.send(bytes);
    }
    Ok(size)
}

/// Compresses on another core.
fn member(bytes: Vec<u8>) -> Receiver<io::Result<Vec<u8>>> {
    let (done, receiver) = sync_channel(1);
    rayon::spawn(move || {
        let mut gzip = Compressor::new(CompressionLvl::default());
        let mut into = vec![0; gzip.gzip_compress_bound(bytes.len())];
        let packed = gzip.gzip_compress(&bytes, &mut into).map_err(io::Error::other).map(|size| {
            into.truncate(size);
            into
        });
        let _ = done.send(packed);
    });
    receiver
}

impl Write for Sink<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(self.size - self.block.bytes.len());
        self.block.bytes.extend_from_slice(&bytes[..taken]);
        self.accepted += taken as u64;
        if self.block.bytes.len() == self.size {
            self.pass_on()?;
            (self.progress)(self.accepted);
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    /// Bytes without a pattern.
    fn noise(length: usize) -> Vec<u8> {
        let mut state = 1_u64;
        let next = std::iter::repeat_with(|| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 56) as u8
        });
        next.take(length).collect()
    }

    #[test]
    fn layers_have_their_own_hashes_wherever_blocks_end() {
        let bytes = noise(5 * MEMBER + 7);
        // Between, in and at the ends of blocks; an empty one; two in one block.
        let layers = [0..1, 512..512, 600..700, 701..BLOCK, BLOCK..MEMBER, MEMBER + 1..4 * MEMBER, 5 * MEMBER..bytes.len()];
        for gzip in [false, true] {
            let mut file = tempfile::tempfile().unwrap();
            let mut done = 0;
            let mut progress = |now| done = now;
            let mut sink = Sink::new(file.try_clone().unwrap(), gzip, &mut progress);
            let (mut at, mut digests) = (0, Vec::new());
            for layer in &layers {
                sink.write_all(&bytes[at..layer.start]).unwrap();
                sink.begin_layer();
                sink.write_all(&bytes[layer.clone()]).unwrap();
                digests.push(sink.end_layer());
                at = layer.end;
            }
            sink.pass_on().unwrap();
            let wanted: Vec<_> = layers.iter().map(|layer| Digest::of(&bytes[layer.clone()])).collect();
            let got: Vec<_> = digests.iter().map(|digest| digest.recv().unwrap()).collect();
            assert_eq!(got, wanted);
            let written = sink.finish().unwrap();
            assert!(done > 0);
            let mut there = Vec::new();
            io::Seek::rewind(&mut file).unwrap();
            file.read_to_end(&mut there).unwrap();
            assert!(written.size == there.len() as u64 && written.hash == Digest::of(&there));
            let mut plain = Vec::new();
            if gzip {
                flate2::read::MultiGzDecoder::new(&there[..]).read_to_end(&mut plain).unwrap();
            } else {
                plain = there;
            }
            assert!(plain == bytes);
        }
    }

    #[test]
    fn a_full_disk_ends_it_with_the_disks_own_error() {
        let bytes = noise(20 * MEMBER);
        for gzip in [false, true] {
            let mut progress = |_| {};
            let mut sink = Sink::new(File::create("/dev/full").unwrap(), gzip, &mut progress);
            let error = sink.write_all(&bytes).and_then(|()| sink.finish().map(drop)).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        }
    }
}
