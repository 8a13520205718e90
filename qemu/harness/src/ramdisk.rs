//! Packs files into a ustar archive, the form in which they reach the kernel (`-initrd`).
//!
//! The archive depends on names and contents only, so the same files give the same bytes.
//! Format: POSIX.1-2001, "ustar Interchange Format" (pax).

use core::fmt;

const BLOCK: usize = 512;

/// The longest name that fits the header's name field, in bytes.
pub const NAME_BYTES_MAX: usize = 100;
/// The largest content that its eleven octal digits of size can say.
pub const CONTENT_BYTES_MAX: u64 = 0o77_777_777_777;

/// Files in the order in which the kernel will list them.
///
/// ```
/// use harness::ramdisk::Ramdisk;
///
/// let mut files = Ramdisk::default();
/// files.add("weir.toml", b"[routes]\n".to_vec())?;
/// assert!(files.add("weir.toml", Vec::new()).is_err());
/// # Ok::<(), harness::ramdisk::AddError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Ramdisk {
    files: Vec<(String, Vec<u8>)>,
}

/// Why a file cannot be in a ramdisk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddError {
    /// The name is empty, or has a `/` or a control character in it.
    Name,
    /// The name has this many bytes, more than [`NAME_BYTES_MAX`].
    NameTooLong(usize),
    /// A file of this name is there already.
    Duplicate,
    /// The content is longer than [`CONTENT_BYTES_MAX`].
    ContentTooLong,
}

impl fmt::Display for AddError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name => f.write_str("the name is empty or has a slash or a control character in it"),
            Self::NameTooLong(bytes) => {
                write!(f, "the name has {bytes} bytes, at most {NAME_BYTES_MAX} fit")
            }
            Self::Duplicate => f.write_str("another file has the same name"),
            Self::ContentTooLong => write!(f, "it has more than {CONTENT_BYTES_MAX} bytes"),
        }
    }
}

impl core::error::Error for AddError {}

impl Ramdisk {
    /// Adds a file after those already there.
    ///
    /// # Errors
    /// See [`AddError`]; the ramdisk is unchanged then.
    pub fn add(&mut self, name: &str, content: Vec<u8>) -> Result<(), AddError> {
        if name.is_empty() || name.chars().any(|c| c == '/' || c.is_control()) {
            return Err(AddError::Name);
        }
        if name.len() > NAME_BYTES_MAX {
            return Err(AddError::NameTooLong(name.len()));
        }
        if self.contains(name) {
            return Err(AddError::Duplicate);
        }
        if u64::try_from(content.len()).map_or(true, |bytes| bytes > CONTENT_BYTES_MAX) {
            return Err(AddError::ContentTooLong);
        }
        self.files.push((name.to_owned(), content));
        Ok(())
    }

    /// Whether a file of this name is there.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.files.iter().any(|(present, _)| present == name)
    }

    /// The archive: for each file a header and its content, each padded to 512 bytes, then two empty blocks.
    #[must_use]
    pub fn pack(&self) -> Vec<u8> {
        let mut archive = Vec::new();
        for (name, content) in &self.files {
            archive.extend_from_slice(&header(name, content.len()));
            archive.extend_from_slice(content);
            archive.resize(archive.len().next_multiple_of(BLOCK), 0);
        }
        archive.resize(archive.len() + 2 * BLOCK, 0);
        archive
    }
}

/// The header block of a regular, read-only file that belongs to root and dates from 1970.
fn header(name: &str, size: usize) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    let mut field = |at: usize, text: &[u8]| block[at..at + text.len()].copy_from_slice(text);
    field(0, name.as_bytes());
    field(100, b"0000444\0");
    field(108, b"0000000\0");
    field(116, b"0000000\0");
    field(124, format!("{size:011o}\0").as_bytes());
    field(136, b"00000000000\0");
    field(148, b"        ");
    field(156, b"0");
    field(257, b"ustar\x0000");
    field(265, b"root");
    field(297, b"root");
    // The checksum is the sum of all bytes with its own field taken as blanks.
    let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    #[test]
    fn tar_reads_the_archive_back() {
        let mut ramdisk = Ramdisk::default();
        let long = "n".repeat(NAME_BYTES_MAX);
        let files: [(&str, Vec<u8>); 4] = [
            ("weir.toml", b"[routes]\n".to_vec()),
            ("empty.log", Vec::new()),
            ("block.bin", vec![7; BLOCK]),
            (&long, vec![b'x'; BLOCK + 1]),
        ];
        for (name, content) in &files {
            ramdisk.add(name, content.clone()).expect("a good file");
        }
        assert_eq!(
            tar(&["-t"], &ramdisk.pack()),
            files.map(|(name, _)| format!("{name}\n")).concat().as_bytes()
        );
        assert_eq!(tar(&["-x", "-O", &long], &ramdisk.pack()), vec![b'x'; BLOCK + 1]);
    }

    #[test]
    fn names_are_limited_and_unique() {
        let mut ramdisk = Ramdisk::default();
        for (name, expected) in [
            ("", Err(AddError::Name)),
            ("a/b", Err(AddError::Name)),
            ("a\nb", Err(AddError::Name)),
            (&*"n".repeat(NAME_BYTES_MAX + 1), Err(AddError::NameTooLong(NAME_BYTES_MAX + 1))),
            ("a b", Ok(())),
            ("a b", Err(AddError::Duplicate)),
        ] {
            assert_eq!(ramdisk.add(name, Vec::new()), expected, "{name:?}");
        }
        assert_eq!(ramdisk.files.len(), 1);
    }

    #[test]
    fn an_empty_ramdisk_is_two_empty_blocks() {
        assert_eq!(Ramdisk::default().pack(), vec![0; 2 * BLOCK]);
    }

    fn tar(arguments: &[&str], archive: &[u8]) -> Vec<u8> {
        let mut child = Command::new("tar")
            .args(["--warning=no-timestamp", "-f", "-"])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("tar starts");
        let mut input = child.stdin.take().expect("a pipe");
        input.write_all(archive).expect("tar reads it all");
        drop(input);
        let output = child.wait_with_output().expect("tar ends");
        assert!(output.status.success());
        output.stdout
    }
}
