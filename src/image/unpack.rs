//! Archives of every kind → a plain tar, in which everything has a position and size.

use super::layer;
use super::store::Store;
use super::walk::{ALLOWANCE, ENTRIES, RATIO};
use super::{ImageError, Io};
use camino::{Utf8Path, Utf8PathBuf};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use tar::EntryType;

/// The memory limit of an xz stream in KiB, and zstd's maximal window in bytes.
const XZ_MEMORY: u32 = 128 << 10;
const ZSTD_WINDOW: u64 = 128 << 20;
/// A zstd frame's first bytes.
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// The notes in the cache of what archives unpack to.
const NOTES: &str = "plain";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Gzip,
    Xz,
    Zstd,
    Zip,
    Bzip2,
    Plain,
}

fn format(file: &mut File) -> io::Result<Format> {
    let mut start = Vec::new();
    file.take(10).read_to_end(&mut start)?;
    file.seek(SeekFrom::Start(0))?;
    Ok(match start[..] {
        [0x1f, 0x8b, ..] => Format::Gzip,
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Format::Xz,
        [a, b, c, d, ..] if is_frame([a, b, c, d]) => Format::Zstd,
        [b'P', b'K', 3 | 5, 4 | 6, ..] => Format::Zip,
        // A block begins with the digits of pi.
        [b'B', b'Z', b'h', _, 0x31, 0x41, 0x59, 0x26, 0x53, 0x59] => Format::Bzip2,
        _ => Format::Plain,
    })
}

/// What changes with a file's content: its size, times and inode. Who writes it again can set its own time, but not the one
/// of its last change.
pub(super) fn state(there: &std::fs::Metadata) -> String {
    format!("{} {} {} {} {} {}", there.len(), there.mtime(), there.mtime_nsec(), there.ctime(), there.ctime_nsec(), there.ino())
}

/// The plain tar of an archive: the archive itself, or a file in the store.
pub(super) fn plain(store: &Store, path: &Utf8Path) -> Result<Utf8PathBuf, ImageError> {
    let mut file = File::open(path).doing("reading", path)?;
    let format = format(&mut file).doing("reading", path)?;
    if format == Format::Plain {
        return Ok(path.to_owned());
    }
    if format == Format::Bzip2 {
        let problem = "it is compressed by bzip2, which remuda doesn't read; compress it by gzip, xz or zstd".to_owned();
        return Err(ImageError::Archive { archive: path.to_owned(), problem });
    }
    let there = file.metadata().doing("reading", path)?;
    let key = format!("{path} {}", state(&there));
    if let Some(blob) = store.noted(NOTES, &key) {
        return Ok(store.path(&blob.digest));
    }
    let blob = match format {
        Format::Zip => store.put(&mut tar_of_zip(file, path, there.len())?)?,
        _ => store.put(&mut decompressed(file, there.len(), path)?)?,
    };
    store.note(NOTES, &key, &blob)?;
    Ok(store.path(&blob.digest))
}

/// The content of a compressed stream; a stream that isn't compressed is returned as it is.
pub(super) fn decompressed(mut file: impl Read + Seek + 'static, size: u64, path: &Utf8Path) -> Result<Box<dyn Read>, ImageError> {
    let mut start = Vec::new();
    (&mut file).take(6).read_to_end(&mut start).doing("reading", path)?;
    file.seek(SeekFrom::Start(0)).doing("reading", path)?;
    let input = BufReader::with_capacity(128 << 10, file);
    let output: Box<dyn Read> = match start[..] {
        [0x1f, 0x8b, ..] => Box::new(flate2::bufread::MultiGzDecoder::new(input)),
        [0xfd, b'7', b'z', b'X', b'Z', 0] => Box::new(lzma_rust2::XzReader::new_mem_limit(input, true, XZ_MEMORY)),
        [a, b, c, d, ..] if is_frame([a, b, c, d]) => Box::new(Frames::of(input)),
        _ => return Ok(Box::new(input)),
    };
    Ok(Box::new(Bounded { inner: output, left: bound(size) }))
}

/// Whether a zstd frame begins so: one with content, or one to be skipped.
fn is_frame(start: [u8; 4]) -> bool {
    start == ZSTD || is_skippable(start)
}

fn is_skippable(start: [u8; 4]) -> bool {
    matches!(start, [0x50..=0x5f, 0x2a, 0x4d, 0x18])
}

/// All frames of a zstd file (RFC 8878, section 3): pzstd and zstd:chunked write many.
struct Frames<R> {
    input: R,
    decoder: FrameDecoder,
    /// Whether the decoder is within a frame.
    is_within: bool,
}

impl<R: Read> Frames<R> {
    fn of(input: R) -> Self {
        let mut decoder = FrameDecoder::new();
        decoder.set_max_window_size(ZSTD_WINDOW);
        Self { input, decoder, is_within: false }
    }

    /// Goes to the content of the next frame. Returns whether there is one.
    fn begin(&mut self) -> io::Result<bool> {
        loop {
            let mut start = Vec::new();
            (&mut self.input).take(4).read_to_end(&mut start)?;
            match <[u8; 4]>::try_from(start) {
                Ok(ZSTD) => {
                    self.decoder.reset((&ZSTD[..]).chain(&mut self.input)).map_err(io::Error::other)?;
                    self.is_within = true;
                    return Ok(true);
                }
                Ok(start) if is_skippable(start) => {
                    let mut size = [0; 4];
                    self.input.read_exact(&mut size)?;
                    let size = u32::from_le_bytes(size).into();
                    if io::copy(&mut (&mut self.input).take(size), &mut io::sink())? != size {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                }
                Err(start) if start.is_empty() => return Ok(false),
                _ => return Err(io::Error::other("something that isn't zstd follows its last frame")),
            }
        }
    }
}

impl<R: Read> Read for Frames<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.is_within || self.begin()? {
            while self.decoder.can_collect() == 0 && !self.decoder.is_finished() {
                self.decoder.decode_blocks(&mut self.input, BlockDecodingStrategy::UptoBlocks(1)).map_err(io::Error::other)?;
            }
            let got = self.decoder.read(buffer)?;
            if got > 0 || buffer.is_empty() {
                return Ok(got);
            }
            let wanted = self.decoder.get_checksum_from_data();
            if wanted.is_some() && wanted != self.decoder.get_calculated_checksum() {
                return Err(io::Error::other("a frame doesn't have the checksum that it ends with"));
            }
            self.is_within = false;
        }
        Ok(0)
    }
}

fn bound(size: u64) -> u64 {
    size.saturating_mul(RATIO).saturating_add(ALLOWANCE)
}

/// Stops archives that unpack endlessly.
struct Bounded<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let got = self.inner.read(buffer)?;
        self.left =
            self.left.checked_sub(got as u64).ok_or_else(|| io::Error::other(format!("it unpacks to more than {RATIO} times its size")))?;
        Ok(got)
    }
}

/// The files, folders and links of a zip archive as a tar.
fn tar_of_zip(file: File, path: &Utf8Path, size: u64) -> Result<impl Read, ImageError> {
    let broken = |problem: String| ImageError::Archive { archive: path.to_owned(), problem };
    let mut zip = zip::ZipArchive::new(BufReader::new(file)).map_err(|error| broken(error.to_string()))?;
    if zip.len() > ENTRIES {
        return Err(broken(format!("more than {} entries", ENTRIES)));
    }
    let mut out = BufWriter::with_capacity(256 << 10, tempfile::tempfile().doing("making", "a temporary file")?);
    let mut left = bound(size);
    for index in 0..zip.len() {
        let mut entry = zip.by_index(index).map_err(|error| broken(error.to_string()))?;
        let name = entry.name().map_err(|error| broken(error.to_string()))?.into_owned();
        let mode = entry.unix_mode().unwrap_or(if entry.is_dir() { 0o755 } else { 0o644 }) & 0o7777;
        let size = entry.size();
        left = left.checked_sub(size).ok_or_else(|| broken(format!("it unpacks to more than {RATIO} times its size")))?;
        let mut link = String::new();
        let kind = if entry.is_dir() {
            EntryType::Directory
        } else if entry.is_symlink() {
            entry.by_ref().take(4096).read_to_string(&mut link).doing("reading", path)?;
            EntryType::Symlink
        } else {
            EntryType::Regular
        };
        let data = if kind == EntryType::Regular { size } else { 0 };
        layer::put_header(&mut out, &name, &link, kind, mode, (0, 0), data).doing("writing", "a temporary file")?;
        if data > 0 {
            // An entry's declared size may differ from its real one.
            let copied = io::copy(&mut entry.by_ref().take(size), &mut out).map_err(ImageError::Unreadable)?;
            if copied != size {
                return Err(broken(format!("{name:?} has {copied} bytes, not {size}")));
            }
            // Its checksum is looked at where it ends.
            match entry.read(&mut [0]) {
                Ok(0) => {}
                Ok(_) => return Err(broken(format!("{name:?} has more bytes than the {size} that it says"))),
                Err(error) => return Err(broken(format!("{name:?}: {error}"))),
            }
            layer::pad_out(&mut out, size).doing("writing", "a temporary file")?;
        }
    }
    out.write_all(&[0; 1024]).doing("writing", "a temporary file")?;
    let mut file = out.into_inner().map_err(|error| error.into_error()).doing("writing", "a temporary file")?;
    file.seek(SeekFrom::Start(0)).doing("reading", "a temporary file")?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zip_whose_content_has_another_checksum_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = Utf8PathBuf::from_path_buf(folder.path().join("a.zip")).unwrap();
        let mut zip = zip::ZipWriter::new(io::Cursor::new(Vec::new()));
        let stored = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
        zip.start_file("f", stored).unwrap();
        zip.write_all(b"content").unwrap();
        let whole = zip.finish().unwrap().into_inner();
        let tar = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            tar_of_zip(File::open(&path).unwrap(), &path, bytes.len() as u64).map(drop).map_err(|error| error.to_string())
        };
        assert_eq!(tar(&whole), Ok(()));
        let at = whole.windows(7).position(|seen| seen == b"content").unwrap();
        let mut turned = whole;
        turned[at] ^= 1;
        assert!(tar(&turned).unwrap_err().contains("checksum"));
    }
}
