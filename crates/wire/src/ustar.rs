//! Reads the ustar archive that carries files into the kernel.
//!
//! [`Archive::entries`] gives the regular files of an archive in the order in which they were packed, borrowed
//! from it. Directories are skipped. Whatever else an archive may hold (links, devices, GNU or pax headers with
//! long names) is refused by name rather than skipped, so that no file goes missing silently. Damage ends the
//! iteration with one [`UstarError`] that carries the offset of the block at fault.
//!
//! Format: POSIX.1-2017, `pax`, "ustar Interchange Format"; the `ustar  ` magic is GNU tar's.

use core::fmt;
use core::str;

/// The size of a block; headers take one, contents are padded to a multiple.
pub const BLOCK_BYTES: usize = 512;

/// The longest file name, in bytes: what the name field of a header holds.
pub const MAX_NAME_BYTES: usize = 100;

/// A ustar archive in memory.
#[derive(Clone, Copy, Debug)]
pub struct Archive<'a> {
    bytes: &'a [u8],
}

impl<'a> Archive<'a> {
    /// An archive over `bytes`. Nothing is checked before [`Archive::entries`] is walked.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// The regular files, in packing order, up to the end mark or the first damage. An archive ends at two zero
    /// blocks, or where its bytes end.
    #[must_use]
    pub const fn entries(&self) -> Entries<'a> {
        Entries { bytes: self.bytes, offset: 0, ended: false }
    }
}

/// A regular file of an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// The name as packed, without a leading `./`.
    pub name: &'a str,
    /// The content.
    pub content: &'a [u8],
}

/// The files of an archive; see [`Archive::entries`].
#[derive(Clone, Debug)]
pub struct Entries<'a> {
    bytes: &'a [u8],
    offset: usize,
    ended: bool,
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<Entry<'a>, UstarError>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.ended {
            match self.read_member() {
                Ok(Member::File(entry)) => return Some(Ok(entry)),
                Ok(Member::Directory) => {}
                Ok(Member::End) => self.ended = true,
                Err(error) => {
                    self.ended = true;
                    return Some(Err(error));
                }
            }
        }
        None
    }
}

/// Why an archive cannot be read. Offsets are in bytes from its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UstarError {
    /// The archive ends inside a member.
    Truncated {
        /// Where the member's header starts.
        offset: usize,
    },
    /// A header does not say that it is one.
    Magic {
        /// Where the header starts.
        offset: usize,
    },
    /// A header does not add up.
    Checksum {
        /// Where the header starts.
        offset: usize,
    },
    /// A member's size is not octal digits.
    Size {
        /// Where the header starts.
        offset: usize,
    },
    /// A file has no name.
    NameEmpty {
        /// Where the header starts.
        offset: usize,
    },
    /// A file's name is longer than [`MAX_NAME_BYTES`], and so is kept in a second field or header.
    NameTooLong {
        /// Where the header starts.
        offset: usize,
    },
    /// A file's name is not UTF-8.
    NameNotUtf8 {
        /// Where the header starts.
        offset: usize,
    },
    /// A pax extended header.
    Pax {
        /// Where the header starts.
        offset: usize,
    },
    /// A member that is neither a regular file nor a directory.
    Type {
        /// Where the header starts.
        offset: usize,
        /// The header's type flag.
        flag: u8,
    },
    /// A single zero block inside the archive; its end would be two.
    LoneZeroBlock {
        /// Where the block starts.
        offset: usize,
    },
}

impl fmt::Display for UstarError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Truncated { offset } => {
                write!(f, "archive ends inside the member at byte {offset}, expected the rest of it")
            }
            Self::Magic { offset } => write!(f, "no ustar header at byte {offset}, expected magic `ustar`"),
            Self::Checksum { offset } => write!(f, "damaged header at byte {offset}: its checksum is wrong"),
            Self::Size { offset } => {
                write!(f, "damaged header at byte {offset}: expected a size in octal digits")
            }
            Self::NameEmpty { offset } => write!(f, "file without a name at byte {offset}"),
            Self::NameTooLong { offset } => {
                write!(f, "file name too long at byte {offset}, expected at most {MAX_NAME_BYTES} bytes")
            }
            Self::NameNotUtf8 { offset } => write!(f, "file name at byte {offset} is not UTF-8"),
            Self::Pax { offset } => {
                write!(f, "pax header at byte {offset}, expected plain ustar (tar --format=ustar)")
            }
            Self::Type { offset, flag } => {
                let flag = char::from(flag).escape_default();
                write!(f, "member of type `{flag}` at byte {offset}, expected a regular file or a directory")
            }
            Self::LoneZeroBlock { offset } => {
                write!(f, "single zero block at byte {offset}, expected two at the end of the archive")
            }
        }
    }
}

enum Member<'a> {
    File(Entry<'a>),
    Directory,
    End,
}

impl<'a> Entries<'a> {
    fn read_member(&mut self) -> Result<Member<'a>, UstarError> {
        let offset = self.offset;
        let rest = self.bytes.get(offset..).unwrap_or_default();
        let Some((header, body)) = rest.split_first_chunk::<BLOCK_BYTES>() else {
            let padding = rest.iter().all(|byte| *byte == 0);
            return if padding { Ok(Member::End) } else { Err(UstarError::Truncated { offset }) };
        };
        if is_zero(header) {
            let second = &body[..body.len().min(BLOCK_BYTES)];
            return if is_zero(second) { Ok(Member::End) } else { Err(UstarError::LoneZeroBlock { offset }) };
        }
        let header = Header { bytes: header, offset };
        header.check()?;
        let size = header.size()?;
        // The padding is part of the member: an archive cut inside of it is cut.
        let padded = size.checked_next_multiple_of(BLOCK_BYTES);
        let padded = padded.filter(|padded| *padded <= body.len()).ok_or(UstarError::Truncated { offset })?;
        self.offset = offset + BLOCK_BYTES + padded;
        match header.bytes[TYPE_FLAG] {
            // NUL is what archives older than POSIX have; 7 is a contiguous file, to be read as a regular one.
            b'0' | 0 | b'7' => Ok(Member::File(Entry { name: header.name()?, content: &body[..size] })),
            b'5' => Ok(Member::Directory),
            b'x' | b'g' => Err(UstarError::Pax { offset }),
            b'L' => Err(UstarError::NameTooLong { offset }),
            flag => Err(UstarError::Type { offset, flag }),
        }
    }
}

const NAME: core::ops::Range<usize> = 0..MAX_NAME_BYTES;
const SIZE: core::ops::Range<usize> = 124..136;
const CHECKSUM: core::ops::Range<usize> = 148..156;
const TYPE_FLAG: usize = 156;
const MAGIC: core::ops::Range<usize> = 257..265;
const PREFIX: core::ops::Range<usize> = 345..500;

const POSIX_MAGIC: &[u8; 8] = b"ustar\x0000";
const GNU_MAGIC: &[u8; 8] = b"ustar  \x00";

struct Header<'a> {
    bytes: &'a [u8; BLOCK_BYTES],
    offset: usize,
}

impl<'a> Header<'a> {
    fn check(&self) -> Result<(), UstarError> {
        let magic = &self.bytes[MAGIC];
        if magic != POSIX_MAGIC && magic != GNU_MAGIC {
            return Err(UstarError::Magic { offset: self.offset });
        }
        // The checksum is taken with its own field full of spaces.
        let byte = |(index, byte): (usize, &u8)| if CHECKSUM.contains(&index) { b' ' } else { *byte };
        let sum: u64 = self.bytes.iter().enumerate().map(byte).map(u64::from).sum();
        match octal(&self.bytes[CHECKSUM]) {
            Some(expected) if expected == sum => Ok(()),
            _ => Err(UstarError::Checksum { offset: self.offset }),
        }
    }

    fn size(&self) -> Result<usize, UstarError> {
        octal(&self.bytes[SIZE])
            .and_then(|size| usize::try_from(size).ok())
            .ok_or(UstarError::Size { offset: self.offset })
    }

    fn name(&self) -> Result<&'a str, UstarError> {
        let offset = self.offset;
        // GNU tar keeps times where POSIX has the prefix.
        if &self.bytes[MAGIC] == POSIX_MAGIC && self.bytes[PREFIX.start] != 0 {
            return Err(UstarError::NameTooLong { offset });
        }
        let name = until_nul(&self.bytes[NAME]);
        let mut name = str::from_utf8(name).map_err(|_| UstarError::NameNotUtf8 { offset })?;
        while let Some(rest) = name.strip_prefix("./") {
            name = rest;
        }
        if name.is_empty() { Err(UstarError::NameEmpty { offset }) } else { Ok(name) }
    }
}

fn is_zero(block: &[u8]) -> bool {
    block.iter().all(|byte| *byte == 0)
}

fn until_nul(field: &[u8]) -> &[u8] {
    let length = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
    &field[..length]
}

/// A number in octal digits with spaces before, and spaces and NULs after it. GNU tar's base-256 numbers, for
/// members of 8 GiB and more, are not read.
fn octal(field: &[u8]) -> Option<u64> {
    let digits = until_nul(field).trim_ascii();
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |value, byte| match byte {
        b'0'..=b'7' => value.checked_mul(8)?.checked_add(u64::from(byte - b'0')),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::{
        Archive, BLOCK_BYTES, CHECKSUM, Entry, GNU_MAGIC, MAGIC, PREFIX, SIZE, TYPE_FLAG, UstarError,
    };
    use proptest::prelude::*;

    /// A header as a textbook has it.
    fn header(name: &[u8], size: usize, flag: u8) -> [u8; BLOCK_BYTES] {
        let mut block = [0; BLOCK_BYTES];
        block[..name.len()].copy_from_slice(name);
        block[SIZE].copy_from_slice(format!("{size:011o}\0").as_bytes());
        block[TYPE_FLAG] = flag;
        block[MAGIC].copy_from_slice(b"ustar\x0000");
        sign(&mut block);
        block
    }

    fn sign(block: &mut [u8; BLOCK_BYTES]) {
        block[CHECKSUM].copy_from_slice(b"        ");
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        block[CHECKSUM].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }

    fn member(name: &str, content: &[u8]) -> Vec<u8> {
        let mut bytes = header(name.as_bytes(), content.len(), b'0').to_vec();
        bytes.extend_from_slice(content);
        bytes.resize(bytes.len().next_multiple_of(BLOCK_BYTES), 0);
        bytes
    }

    fn archive(files: &[(String, Vec<u8>)]) -> Vec<u8> {
        let mut bytes: Vec<u8> = files.iter().flat_map(|(name, content)| member(name, content)).collect();
        bytes.extend_from_slice(&[0; 2 * BLOCK_BYTES]);
        bytes
    }

    fn read(bytes: &[u8]) -> Result<Vec<Entry<'_>>, UstarError> {
        Archive::new(bytes).entries().collect()
    }

    #[test]
    fn files_come_in_packing_order_and_directories_are_skipped() {
        let mut bytes = header(b"./", 0, b'5').to_vec();
        bytes.extend(member("./weir.toml", b"[[limit]]"));
        bytes.extend(member("empty", b""));
        bytes.extend(member("demo.log", &[b'x'; BLOCK_BYTES]));
        bytes.extend(member("empty", b"again"));
        bytes.extend([0; 2 * BLOCK_BYTES]);
        let entries = read(&bytes).unwrap();
        let names: Vec<_> = entries.iter().map(|entry| (entry.name, entry.content.len())).collect();
        assert_eq!(names, [("weir.toml", 9), ("empty", 0), ("demo.log", 512), ("empty", 5)]);
        assert_eq!(entries[0].content, b"[[limit]]");
    }

    #[test]
    fn an_archive_ends_at_zero_blocks_or_where_its_bytes_end() {
        assert_eq!(read(&[]), Ok(vec![]));
        assert_eq!(read(&[0; 10_240]), Ok(vec![]));
        let file = member("a", b"1");
        assert_eq!(read(&file).unwrap().len(), 1);
        let one_zero_block = [file.clone(), vec![0; BLOCK_BYTES]].concat();
        assert_eq!(read(&one_zero_block).unwrap().len(), 1);
        let lone = [file.clone(), vec![0; BLOCK_BYTES], file.clone()].concat();
        assert_eq!(read(&lone), Err(UstarError::LoneZeroBlock { offset: 1024 }));
        let after_the_end = [file, vec![0; 2 * BLOCK_BYTES], b"anything".to_vec()].concat();
        assert_eq!(read(&after_the_end).unwrap().len(), 1);
    }

    #[test]
    fn damage_is_named_with_its_offset() {
        let good = member("a", b"1");
        let damaged = |change: &dyn Fn(&mut [u8; BLOCK_BYTES])| {
            let mut block = header(b"b", 0, b'0');
            change(&mut block);
            read(&[good.clone(), block.to_vec()].concat()).map(|entries| entries.len())
        };
        let offset = good.len();
        assert_eq!(damaged(&|block| block[0] ^= 1), Err(UstarError::Checksum { offset }));
        assert_eq!(damaged(&|block| block[257] = b'U'), Err(UstarError::Magic { offset }));
        let signed = |change: &dyn Fn(&mut [u8; BLOCK_BYTES])| {
            damaged(&|block| {
                change(block);
                sign(block);
            })
        };
        assert_eq!(signed(&|block| block[0] = 0xff), Err(UstarError::NameNotUtf8 { offset }));
        assert_eq!(signed(&|block| block[0] = 0), Err(UstarError::NameEmpty { offset }));
        assert_eq!(signed(&|block| block[PREFIX.start] = b'p'), Err(UstarError::NameTooLong { offset }));
        assert_eq!(signed(&|block| block[124] = 0x80), Err(UstarError::Size { offset }));
        assert_eq!(signed(&|block| block[130] = b'9'), Err(UstarError::Size { offset }));
        assert_eq!(signed(&|block| block[124] = b'7'), Err(UstarError::Truncated { offset }));
        for (flag, error) in [
            (b'x', UstarError::Pax { offset }),
            (b'g', UstarError::Pax { offset }),
            (b'L', UstarError::NameTooLong { offset }),
            (b'2', UstarError::Type { offset, flag: b'2' }),
        ] {
            assert_eq!(signed(&|block| block[TYPE_FLAG] = flag), Err(error));
        }
    }

    #[test]
    fn gnu_headers_are_read() {
        let mut block = header(b"notes.txt", 0, b'0');
        block[MAGIC].copy_from_slice(GNU_MAGIC);
        block[PREFIX.start..PREFIX.start + 11].copy_from_slice(b"14567012345");
        sign(&mut block);
        assert_eq!(read(&block), Ok(vec![Entry { name: "notes.txt", content: &[] }]));
    }

    #[test]
    fn a_name_may_fill_its_field() {
        let name = "n".repeat(100);
        assert_eq!(read(&member(&name, b"1")).unwrap()[0].name, name);
    }

    #[test]
    fn errors_say_what_was_expected() {
        let error = UstarError::Type { offset: 512, flag: b'2' };
        assert_eq!(
            error.to_string(),
            "member of type `2` at byte 512, expected a regular file or a directory"
        );
    }

    fn files() -> impl Strategy<Value = Vec<(String, Vec<u8>)>> {
        prop::collection::vec(("[a-z]{1,100}", prop::collection::vec(any::<u8>(), 0..1500)), 0..5)
    }

    proptest! {
        #[test]
        fn what_was_packed_is_read(files in files()) {
            let bytes = archive(&files);
            let entries = read(&bytes).unwrap();
            let entries: Vec<_> =
                entries.iter().map(|entry| (entry.name.to_owned(), entry.content.to_vec())).collect();
            prop_assert_eq!(entries, files);
        }

        #[test]
        fn a_cut_archive_gives_whole_files_then_one_error(files in files(), cut in any::<prop::sample::Index>()) {
            let bytes = archive(&files);
            let members = bytes.len() - 2 * BLOCK_BYTES;
            let cut = cut.index(bytes.len());
            let mut boundaries = vec![0];
            for (name, content) in &files {
                boundaries.push(boundaries[boundaries.len() - 1] + member(name, content).len());
            }
            let results: Vec<_> = Archive::new(&bytes[..cut]).entries().collect();
            let whole = results.iter().filter(|result| result.is_ok()).count();
            prop_assert_eq!(whole, boundaries.iter().skip(1).filter(|end| **end <= cut).count());
            let clean = cut >= members || boundaries.contains(&cut);
            prop_assert_eq!(results.iter().any(Result::is_err), !clean);
            prop_assert!(results.len() <= whole + 1);
        }

        #[test]
        fn arbitrary_bytes_end_with_at_most_one_error(bytes in prop::collection::vec(any::<u8>(), 0..3000)) {
            prop_assert!(Archive::new(&bytes).entries().filter(Result::is_err).count() <= 1);
        }

        #[test]
        fn a_flipped_bit_never_goes_beyond_the_archive(
            files in files(),
            at in any::<prop::sample::Index>(),
            bit in 0..8,
        ) {
            let mut bytes = archive(&files);
            let at = at.index(bytes.len());
            bytes[at] ^= 1_u8 << bit;
            prop_assert!(Archive::new(&bytes).entries().count() <= files.len() + 1);
        }
    }
}
