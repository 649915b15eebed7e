//! The entries of a tar archive, in their order, without copying their bytes.
//!
//! It reads what the engines' own reader (Go's `archive/tar`) reads: V7, ustar, PAX and GNU headers,
//! and sparse files in GNU's four forms. The crate `tar` doesn't: it splits PAX records at line ends,
//! which a capability may contain, and takes the map of a sparse file for its content.

use super::part::Part;
use super::{ImageError, Io, Region};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

/// The maximal number of entries in an archive.
pub(super) const ENTRIES: usize = 1_000_000;
/// The maximal size of an extended header, a long name or a map, which are held in memory.
const EXTENSION: u64 = 1 << 20;
/// The maximal number of pieces of a sparse file, and of all in an archive.
const PIECES: usize = 1 << 16;
const ALL_PIECES: usize = 1 << 18;
/// The maximal size of an archive's extended attributes, in bytes.
const XATTRS: usize = 64 << 20;
/// The maximal length of a path in bytes, as in Linux.
const LONGEST: usize = 4096;
/// The longest name of a file, in bytes (Linux's NAME_MAX), and the longest value of an attribute (XATTR_SIZE_MAX).
const PART: usize = 255;
const XATTR: usize = 64 << 10;
pub(super) const BLOCK: u64 = 512;
/// The maximal ratio of an unpacked size to the archive's, beyond what every archive may have.
pub(super) const RATIO: u64 = 100;
pub(super) const ALLOWANCE: u64 = 64 << 20;

/// What an entry has beside its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Attributes {
    pub mode: u32,
    pub owner: (u64, u64),
    /// Seconds since 1970, as PAX writes them; `None` for 0.
    pub time: Option<String>,
    /// Extended attributes, file capabilities among them.
    pub xattrs: BTreeMap<String, Vec<u8>>,
}

impl Attributes {
    /// Of what has none of its own.
    pub(super) fn plain(mode: u32) -> Self {
        Self { mode, owner: (0, 0), time: None, xattrs: BTreeMap::new() }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum EntryKind {
    Folder,
    File(Region),
    /// A file with holes: its size, and its pieces by their offset in it.
    Sparse(u64, Vec<(u64, Region)>),
    Symlink(String),
    /// Another name of the file at this path.
    Hardlink(String),
    /// A device or a pipe.
    Device,
}

/// An entry as it is in the archive.
pub(super) struct Found {
    /// See [`text`].
    pub name: String,
    pub kind: EntryKind,
    pub attributes: Attributes,
    /// Whether it is sparse in GNU's oldest form, which engines don't unpack.
    pub is_old_sparse: bool,
}

/// A name in an archive as a text. One that isn't UTF-8 is escaped behind a NUL, which no name has.
fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| format!("\0{}", error.as_bytes().escape_ascii()))
}

/// Whether a name is UTF-8.
pub(super) fn is_utf8(name: &str) -> bool {
    !name.starts_with('\0')
}

/// A name as messages show it.
pub(super) fn shown(name: &str) -> String {
    name.strip_prefix('\0').map_or_else(|| format!("{name:?}"), |escaped| format!("\"{escaped}\""))
}

/// Visits an archive's entries. Offsets are those of the file.
pub(super) fn walk(tar: &Region, each: &mut dyn FnMut(Found) -> Result<(), ImageError>) -> Result<(), ImageError> {
    let refuse = |problem: String| ImageError::Archive { archive: tar.path.clone(), problem };
    let file = File::open(&tar.path).doing("reading", &tar.path)?;
    let mut reader = Reader {
        part: io::BufReader::with_capacity(4 << 10, Part::of(file, tar.offset, tar.size)),
        tar,
        at: 0,
        expanded: 0,
        pieces: 0,
        xattrs: 0,
    };
    for count in 0.. {
        let found = reader.next().map_err(|error| refuse(format!("this isn't a readable tar archive: {error}")))?;
        let Some(found) = found else { break };
        if count >= ENTRIES {
            return Err(refuse(format!("more than {ENTRIES} entries")));
        }
        each(found)?;
    }
    Ok(())
}

struct Reader<'a> {
    part: io::BufReader<Part>,
    tar: &'a Region,
    /// The offset of the next header.
    at: u64,
    /// The size of its sparse files, with their holes.
    expanded: u64,
    /// The number of their pieces.
    pieces: usize,
    /// The size of its extended attributes.
    xattrs: usize,
}

/// What stands before an entry's own header.
#[derive(Default)]
struct Extensions {
    /// PAX records, in their order.
    records: Vec<(String, Vec<u8>)>,
    name: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
}

impl Extensions {
    /// The last record of this key. An empty one stands for the header's own value.
    fn record(&self, key: &str) -> Option<&[u8]> {
        let last = self.records.iter().rev().find(|(known, _)| known == key);
        last.map(|(_, value)| value.as_slice()).filter(|value| !value.is_empty())
    }

    fn number(&self, key: &str) -> io::Result<Option<u64>> {
        self.record(key).map(decimal).transpose()
    }

    fn is_sparse(&self) -> bool {
        self.records.iter().any(|(key, _)| key.starts_with("GNU.sparse."))
    }
}

fn bad(problem: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, problem.into())
}

fn decimal(value: &[u8]) -> io::Result<u64> {
    let number = std::str::from_utf8(value).ok().and_then(|value| value.trim().parse().ok());
    number.ok_or_else(|| bad(format!("{:?} isn't a number", value.escape_ascii().to_string())))
}

/// A number of a header: octal digits, or GNU's binary form.
fn number(field: &[u8]) -> io::Result<u64> {
    if field[0] & 0x80 != 0 {
        let digits = field.iter().enumerate().map(|(index, byte)| if index == 0 { byte & 0x7f } else { *byte });
        let mut digits = digits.map(u64::from);
        let value = digits.try_fold(0_u64, |sum, digit| sum.checked_mul(256)?.checked_add(digit));
        return value.ok_or_else(|| bad("a number in a header is negative or too large"));
    }
    let digits = String::from_utf8_lossy(field);
    let digits = digits.trim_matches([' ', '\0']);
    if digits.is_empty() { Ok(0) } else { u64::from_str_radix(digits, 8).map_err(|_| bad("a number in a header isn't octal")) }
}

fn until_nul(field: &[u8]) -> &[u8] {
    &field[..field.iter().position(|byte| *byte == 0).unwrap_or(field.len())]
}

/// `LENGTH KEY=VALUE\n`, as often as they come. A value may contain anything.
fn records(mut bytes: &[u8]) -> io::Result<Vec<(String, Vec<u8>)>> {
    let mut all = Vec::new();
    while !bytes.is_empty() {
        let malformed = || bad("one of its extended headers is malformed");
        let space = bytes.iter().position(|byte| *byte == b' ').filter(|at| *at <= 20).ok_or_else(malformed)?;
        let length = usize::try_from(decimal(&bytes[..space])?).ok().filter(|length| (space + 2..=bytes.len()).contains(length));
        let (record, rest) = bytes.split_at(length.ok_or_else(malformed)?);
        let record = record[space + 1..].strip_suffix(b"\n").ok_or_else(malformed)?;
        let equals = record.iter().position(|byte| *byte == b'=').ok_or_else(malformed)?;
        all.push((text(record[..equals].to_vec()), record[equals + 1..].to_vec()));
        bytes = rest;
    }
    Ok(all)
}

impl Reader<'_> {
    fn read_at(&mut self, at: u64, size: u64) -> io::Result<Vec<u8>> {
        let end = at.checked_add(size).filter(|end| *end <= self.tar.size);
        end.ok_or_else(|| bad("it ends too early"))?;
        let mut bytes = vec![0; usize::try_from(size).map_err(|_| bad("it is too large"))?];
        let here = self.part.stream_position()?;
        match i64::try_from(i128::from(at) - i128::from(here)) {
            Ok(by) => self.part.seek_relative(by)?,
            Err(_) => self.part.seek(SeekFrom::Start(at)).map(drop)?,
        }
        self.part.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// The next header; `None` at the end.
    fn header(&mut self) -> io::Result<Option<Vec<u8>>> {
        if self.at >= self.tar.size {
            return Ok(None);
        }
        let header = self.read_at(self.at, BLOCK)?;
        self.at += BLOCK;
        if header.iter().all(|byte| *byte == 0) {
            let is_end = self.at >= self.tar.size || self.read_at(self.at, BLOCK)?.iter().all(|byte| *byte == 0);
            return if is_end { Ok(None) } else { Err(bad("it goes on after a block of zeros")) };
        }
        let blank = |(index, byte): (usize, &u8)| if (148..156).contains(&index) { b' ' } else { *byte };
        let bytes = || header.iter().enumerate().map(blank);
        let wanted = number(&header[148..156])?;
        let signed: i64 = bytes().map(|byte| i64::from(byte.cast_signed())).sum();
        if bytes().map(u64::from).sum::<u64>() != wanted && i64::try_from(wanted) != Ok(signed) {
            return Err(bad(format!("the header at byte {} has a wrong checksum", self.at - BLOCK)));
        }
        Ok(Some(header))
    }

    /// The content of an extension, which follows its header.
    fn extension(&mut self, size: u64) -> io::Result<Vec<u8>> {
        if size > EXTENSION {
            return Err(bad(format!("one of its names or headers has {size} bytes")));
        }
        let bytes = self.read_at(self.at, size)?;
        self.at += size.next_multiple_of(BLOCK);
        Ok(bytes)
    }

    fn next(&mut self) -> io::Result<Option<Found>> {
        let mut before = Extensions::default();
        while let Some(header) = self.header()? {
            let size = number(&header[124..136])?;
            match header[156] {
                // An engine's reader doesn't apply global records either, and forgets what stands before them.
                b'g' => {
                    self.extension(size)?;
                    before = Extensions::default();
                }
                b'x' => before.records = records(&self.extension(size)?)?,
                b'L' => before.name = Some(until_nul(&self.extension(size)?).to_vec()),
                b'K' => before.link = Some(until_nul(&self.extension(size)?).to_vec()),
                _ => return self.entry(&header, &before).map(Some),
            }
        }
        Ok(None)
    }

    fn entry(&mut self, header: &[u8], before: &Extensions) -> io::Result<Found> {
        let name = name(header, before);
        if name.contains(&0) {
            return Err(bad("one of its names has a NUL"));
        }
        if let Some(part) = name.split(|byte| *byte == b'/').find(|part| part.len() > PART) {
            return Err(bad(format!("a name in it has {} bytes; file systems take {PART}", part.len())));
        }
        let is_folder = header[156] == b'5' || header[156] == 0 && name.ends_with(b"/");
        let name = text(name);
        let of_entry = |error: io::Error| bad(format!("{}: {error}", shown(&name)));
        let link = || {
            let link = before.link.clone().or_else(|| before.record("linkpath").map(<[u8]>::to_vec));
            let link = text(link.unwrap_or_else(|| until_nul(&header[157..257]).to_vec()));
            if link.len() >= LONGEST {
                return Err(bad(format!("it links to a path of {} bytes", link.len())));
            }
            if link.is_empty() || link.get(1..).is_some_and(|link| link.contains('\0')) {
                Err(bad("it links to nothing"))
            } else {
                Ok(link)
            }
        };
        let kind = match header[156] {
            _ if is_folder => EntryKind::Folder,
            b'1' => EntryKind::Hardlink(link().map_err(of_entry)?),
            b'2' => EntryKind::Symlink(link().map_err(of_entry)?),
            b'3' | b'4' | b'6' => EntryKind::Device,
            0 | b'0' | b'S' => self.content(header, before).map_err(of_entry)?,
            other => return Err(of_entry(bad(format!("engines don't know its type, {:?}", char::from(other))))),
        };
        let attributes = attributes(header, before).map_err(of_entry)?;
        if let Some((key, value)) = attributes.xattrs.iter().find(|(_, value)| value.len() > XATTR) {
            return Err(of_entry(bad(format!("its attribute {key} has {} bytes; Linux takes {XATTR}", value.len()))));
        }
        self.xattrs += attributes.xattrs.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>();
        if self.xattrs > XATTRS {
            return Err(bad(format!("it has more than {XATTRS} bytes of extended attributes")));
        }
        Ok(Found { attributes, name, kind, is_old_sparse: header[156] == b'S' })
    }

    /// A file's content. Afterwards, `at` is behind it.
    fn content(&mut self, header: &[u8], before: &Extensions) -> io::Result<EntryKind> {
        let size = before.number("size")?.map_or_else(|| number(&header[124..136]), Ok)?;
        let sparse = match header[156] {
            b'S' => Some(self.old_map(header)?),
            _ if before.is_sparse() => Some(self.pax_map(before, size)?),
            _ => None,
        };
        // PAX 1.0 has its map within the content.
        let (start, map_size) = (self.at, sparse.as_ref().map_or(0, |map| map.within));
        let padded = size.checked_next_multiple_of(BLOCK).and_then(|size| start.checked_add(size));
        // The last block's padding may be missing.
        let end = padded.filter(|_| start.checked_add(size).is_some_and(|end| end <= self.tar.size));
        self.at = end.ok_or_else(|| bad("the archive ends within it"))?.min(self.tar.size);
        let offset = self.tar.offset + start;
        let region = |from: u64, size: u64| Region { path: self.tar.path.clone(), offset: offset + from, size };
        let Some(map) = sparse else { return Ok(EntryKind::File(region(0, size))) };
        self.expanded = self.expanded.saturating_add(map.size);
        if self.expanded > self.tar.size.saturating_mul(RATIO).saturating_add(ALLOWANCE) {
            return Err(bad(format!("with the holes of its sparse files it unpacks to more than {RATIO} times its size")));
        }
        self.pieces += map.pieces.len();
        if self.pieces > ALL_PIECES {
            return Err(bad(format!("with it, the archive's sparse files have more than {ALL_PIECES} pieces")));
        }
        let (mut stored, mut last, mut pieces) = (map_size, 0, Vec::new());
        for (at, length) in map.pieces {
            let end = at.checked_add(length).filter(|end| at >= last && *end <= map.size);
            last = end.ok_or_else(|| bad("the map of its holes is wrong"))?;
            pieces.push((at, region(stored, length)));
            stored = stored.saturating_add(length);
        }
        if stored != size {
            return Err(bad("the map of its holes doesn't fit its content"));
        }
        pieces.retain(|(_, piece)| piece.size > 0);
        Ok(EntryKind::Sparse(map.size, pieces))
    }

    /// GNU's oldest form: in the header, and in blocks after it.
    fn old_map(&mut self, header: &[u8]) -> io::Result<Map> {
        let mut pieces = Vec::new();
        let mut add = |fields: &[u8]| -> io::Result<()> {
            for field in fields.chunks_exact(24).take_while(|field| field[0] != 0) {
                pieces.push((number(&field[..12])?, number(&field[12..])?));
            }
            if pieces.len() > PIECES { Err(bad(format!("it has more than {PIECES} holes"))) } else { Ok(()) }
        };
        add(&header[386..482])?;
        let mut goes_on = header[482] != 0;
        while goes_on {
            let block = self.read_at(self.at, BLOCK)?;
            self.at += BLOCK;
            add(&block[..504])?;
            goes_on = block[504] != 0;
        }
        Ok(Map { size: number(&header[483..495])?, pieces, within: 0 })
    }

    /// The forms 0.0, 0.1 and 1.0 in PAX records.
    fn pax_map(&mut self, before: &Extensions, stored: u64) -> io::Result<Map> {
        let size = before.number("GNU.sparse.realsize")?.map_or_else(|| before.number("GNU.sparse.size"), |size| Ok(Some(size)))?;
        let size = size.ok_or_else(|| bad("it is sparse, but doesn't tell its size"))?;
        let version = (before.record("GNU.sparse.major"), before.record("GNU.sparse.minor"));
        let (numbers, within) = match version {
            (Some(b"1"), Some(b"0")) => self.map_within(stored)?,
            (None, _) | (Some(b"0"), _) => match before.record("GNU.sparse.map") {
                Some(map) => (map.split(|byte| *byte == b',').map(decimal).collect::<io::Result<_>>()?, 0),
                None => {
                    let of_pieces = |(key, _): &&(String, _)| matches!(key.as_str(), "GNU.sparse.offset" | "GNU.sparse.numbytes");
                    (before.records.iter().filter(of_pieces).map(|(_, value)| decimal(value)).collect::<io::Result<_>>()?, 0)
                }
            },
            _ => return Err(bad("it is sparse in a form that remuda doesn't know; make the archive without `--sparse`")),
        };
        if numbers.len() % 2 != 0 || numbers.len() > 2 * PIECES {
            return Err(bad("the map of its holes is wrong"));
        }
        Ok(Map { size, pieces: numbers.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect(), within })
    }

    /// The form 1.0: numbers in lines before the content, in whole blocks.
    fn map_within(&mut self, stored: u64) -> io::Result<(Vec<u64>, u64)> {
        let (mut bytes, mut numbers, mut wanted) = (Vec::new(), Vec::new(), 1);
        let mut from = 0;
        while numbers.len() < wanted {
            let length = bytes.len() as u64;
            if length >= EXTENSION.min(stored) {
                return Err(bad("the map of its holes is wrong"));
            }
            bytes.extend(self.read_at(self.at + length, BLOCK)?);
            while let Some(line) = bytes[from..].iter().position(|byte| *byte == b'\n').filter(|_| numbers.len() < wanted) {
                numbers.push(decimal(&bytes[from..from + line])?);
                from += line + 1;
                if numbers.len() == 1 {
                    wanted = usize::try_from(numbers[0]).ok().filter(|count| *count <= PIECES).map_or(usize::MAX, |count| 1 + 2 * count);
                }
            }
        }
        numbers.remove(0);
        Ok((numbers, bytes.len() as u64))
    }
}

/// The pieces of a sparse file.
struct Map {
    size: u64,
    /// Offset in the file, and size.
    pieces: Vec<(u64, u64)>,
    /// The size of the map within the stored content.
    within: u64,
}

fn name(header: &[u8], before: &Extensions) -> Vec<u8> {
    let of_records = || before.record("GNU.sparse.name").or_else(|| before.record("path")).map(<[u8]>::to_vec);
    before.name.clone().or_else(of_records).unwrap_or_else(|| {
        let name = until_nul(&header[..100]);
        // star's format has times behind a shorter prefix. GNU's has none; there, an engine's reader takes what isn't times
        // for the prefix that Go wrote by mistake before 1.8.
        let is_time = |field: &[u8]| field[0] == 0 || number(field).is_ok();
        let prefix = match &header[257..263] {
            b"ustar\0" if &header[508..512] == b"tar\0" => until_nul(&header[345..476]),
            b"ustar\0" => until_nul(&header[345..500]),
            b"ustar " if !is_time(&header[345..357]) || !is_time(&header[357..369]) => {
                Some(until_nul(&header[345..500])).filter(|prefix| prefix.is_ascii()).unwrap_or_default()
            }
            _ => b"",
        };
        if prefix.is_empty() { name.to_vec() } else { [prefix, b"/", name].concat() }
    })
}

fn attributes(header: &[u8], before: &Extensions) -> io::Result<Attributes> {
    let owner = |key: &str, field: &[u8]| before.number(key)?.map_or_else(|| number(field), Ok);
    let time = match before.record("mtime").map(|time| String::from_utf8_lossy(time).into_owned()) {
        Some(time) => Some(time),
        // Before 1970: nothing that an engine would keep.
        None => number(&header[136..148]).ok().map(|time| time.to_string()),
    };
    let xattr = |(key, value): &(String, Vec<u8>)| Some((key.strip_prefix("SCHILY.xattr.")?.to_owned(), value.clone()));
    Ok(Attributes {
        mode: (number(&header[100..108])? & 0o7777) as u32,
        owner: (owner("uid", &header[108..116])?, owner("gid", &header[116..124])?),
        time: time.filter(|time| time != "0"),
        xattrs: before.records.iter().filter_map(xattr).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::layer;
    use super::*;
    use camino::Utf8PathBuf;

    fn block(name: &str, kind: u8, content: &[u8]) -> Vec<u8> {
        let header = layer::header(name, "link", tar::EntryType::new(kind), 0o644, (1, 2), content.len() as u64);
        let mut bytes = header.as_bytes().to_vec();
        bytes.extend(content);
        bytes.resize(bytes.len().next_multiple_of(BLOCK as usize), 0);
        bytes
    }

    /// The entries of an archive with these bytes, or what is wrong with it.
    fn read(bytes: &[u8]) -> Result<Vec<Found>, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = Utf8PathBuf::from_path_buf(folder.path().join("a.tar")).unwrap();
        std::fs::write(&path, bytes).unwrap();
        let mut all = Vec::new();
        let each = &mut |found| {
            all.push(found);
            Ok(())
        };
        walk(&Region { path, offset: 0, size: bytes.len() as u64 }, each).map_err(|error| error.to_string())?;
        Ok(all)
    }

    /// A file with attributes, a sparse file of form 1.0, a hard link, a long name.
    fn archive() -> Vec<u8> {
        let sparse = b"22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n25 GNU.sparse.name=holes\n28 GNU.sparse.realsize=5000\n";
        let mut content = b"2\n0\n3\n4096\n4\n".to_vec();
        content.resize(512, 0);
        content.extend(b"abcdefg");
        [
            block("x", b'x', b"30 SCHILY.xattr.user.a=b\nc\0=d\n"),
            block("a", b'0', b"content"),
            block("x", b'x', sparse),
            block("GNUSparseFile.0/holes", b'0', &content),
            block("l", b'1', b""),
            block("././@LongLink", b'L', &[[b'n'; 200].as_slice(), b"/", &[b'n'; 99]].concat()),
            block("n", b'0', b""),
            vec![0; 1024],
        ]
        .concat()
    }

    #[test]
    fn attributes_holes_and_long_names_are_read() {
        let all = read(&archive()).unwrap();
        assert_eq!(all[0].attributes.xattrs["user.a"], b"b\nc\0=d");
        let EntryKind::Sparse(size, pieces) = &all[1].kind else { panic!("{:?}", all[1].kind) };
        assert_eq!((all[1].name.as_str(), *size), ("holes", 5000));
        assert_eq!(pieces.iter().map(|(at, piece)| (*at, piece.size)).collect::<Vec<_>>(), [(0, 3), (4096, 4)]);
        assert_eq!(all[2].kind, EntryKind::Hardlink("link".to_owned()));
        assert_eq!(all[3].name.len(), 300);
    }

    /// Gives a header the checksum that fits.
    fn sum(header: &mut [u8]) {
        header[148..156].fill(b' ');
        let sum: u64 = header[..512].iter().copied().map(u64::from).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }

    /// A header with other bytes in some places.
    fn with(mut header: Vec<u8>, places: &[(usize, &[u8])]) -> Vec<u8> {
        for (at, bytes) in places {
            header[*at..at + bytes.len()].copy_from_slice(bytes);
        }
        sum(&mut header);
        header
    }

    #[test]
    fn a_name_is_what_an_engine_reads() {
        let gnu = b"ustar  \0";
        let one = |bytes: Vec<u8>| read(&[bytes, vec![0; 1024]].concat()).map(|all| all[0].name.clone());
        let file = || block("file", b'0', b"");
        assert_eq!(one(with(file(), &[(257, b"ustar\x0000"), (345, b"some/prefix")])).unwrap(), "some/prefix/file");
        assert_eq!(one(with(file(), &[(257, gnu), (345, b"some/prefix")])).unwrap(), "some/prefix/file");
        assert_eq!(one(with(file(), &[(257, gnu), (345, b"14000000000\0"), (357, b"14000000000\0")])).unwrap(), "file");
        let star: &[(usize, &[u8])] = &[(257, b"ustar\x0000"), (345, &[b'p'; 131]), (476, b"14000000000 "), (508, b"tar\0")];
        assert_eq!(one(with(file(), star)).unwrap(), format!("{}/file", "p".repeat(131)));
        // The last record counts, also an empty one; a global header ends what stands before it.
        let records = |bytes: &[u8]| block("x", b'x', bytes);
        assert_eq!(one([records(b"12 path=one\n8 path=\n"), file()].concat()).unwrap(), "file");
        assert_eq!(one([records(b"12 path=one\n"), block("g", b'g', b"11 comment=\n"), file()].concat()).unwrap(), "file");
        assert!(one([block("././@LongLink", b'L', &[b'n'; 256]), file()].concat()).unwrap_err().contains("file systems take 255"));
        let long = [b"65568 SCHILY.xattr.user.a=".to_vec(), vec![b'v'; 65541], b"\n".to_vec()].concat();
        assert!(one([records(&long), file()].concat()).unwrap_err().contains("Linux takes 65536"));
    }

    /// Headers with every bit turned, and their checksums made right again: whatever comes of it, nothing panics and
    /// no content is outside the archive.
    #[test]
    fn no_damage_leads_out_of_the_archive() {
        let whole = archive();
        for at in 0..whole.len() {
            for bit in [0, 3, 7] {
                let mut bytes = whole.clone();
                bytes[at] ^= 1 << bit;
                sum(&mut bytes[at / 512 * 512..]);
                for found in read(&bytes).unwrap_or_default() {
                    let parts = match found.kind {
                        EntryKind::File(part) => vec![part],
                        EntryKind::Sparse(_, pieces) => pieces.into_iter().map(|(_, part)| part).collect(),
                        _ => Vec::new(),
                    };
                    assert!(parts.iter().all(|part| part.offset + part.size <= bytes.len() as u64), "byte {at}, bit {bit}");
                }
            }
        }
    }
}
