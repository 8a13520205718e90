//! Which files a machine gets: a configuration, the shipped log, and what the user adds.

use std::fs::{self, FileType};
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};
use std::{fmt, io};

use crate::kernel::repository;
use crate::ramdisk::{AddError, Ramdisk};

/// The name under which the kernel looks for its configuration.
pub const CONFIG_NAME: &str = "weir.toml";

const SHIPPED_CONFIG: &str = "demo/weir.toml";
const SHIPPED_LOG: &str = "demo/demo.log";

/// Files past this size are refused before they are read; no machine has room for them.
const FILE_BYTES_MAX: u64 = 1 << 31;

/// Why a file cannot travel, and which.
#[derive(Debug)]
pub struct FileError {
    path: PathBuf,
    reason: Reason,
}

#[derive(Debug)]
enum Reason {
    Read(io::Error),
    Directory,
    Device,
    TooLarge(u64),
    NameNotUtf8,
    /// A file beside the configuration bears its name.
    ConfigName,
    Pack(AddError),
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.path.display())?;
        match &self.reason {
            Reason::Read(error) => error.fmt(f),
            Reason::Directory => f.write_str("is a directory, expected a file"),
            Reason::Device => f.write_str("is a device, expected a file"),
            Reason::TooLarge(bytes) => write!(f, "has {bytes} bytes, at most {FILE_BYTES_MAX} can travel"),
            Reason::NameNotUtf8 => f.write_str("the name is not UTF-8"),
            Reason::ConfigName => {
                write!(f, "{CONFIG_NAME} is the configuration's name; give it with --config")
            }
            Reason::Pack(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for FileError {}

/// What to do with a pipe, which gives its content once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pipes {
    /// Read it.
    Read,
    /// Leave it to who comes after, and take it for empty.
    Leave,
}

/// Collects the configuration (the shipped one unless told otherwise) as `weir.toml`, the shipped log unless a file
/// of its name is given, and `files` under their names without directories.
///
/// # Errors
/// [`FileError`] for the first file that cannot be read, or whose name cannot travel or is taken.
pub fn collect(config: Option<&Path>, files: &[PathBuf], pipes: Pipes) -> Result<Ramdisk, FileError> {
    let mut ramdisk = Ramdisk::default();
    // A checkout without the demo still boots: what is shipped is taken where it is there.
    let shipped = |path: &str| Some(repository().join(path)).filter(|path| path.exists());
    if let Some(config) = config.map(Path::to_owned).or_else(|| shipped(SHIPPED_CONFIG)) {
        add(&mut ramdisk, CONFIG_NAME, &config, pipes)?;
    }
    let log = shipped(SHIPPED_LOG).filter(|log| files.iter().all(|file| file.file_name() != log.file_name()));
    for path in log.iter().chain(files) {
        let error = |reason| FileError { path: path.clone(), reason };
        let name = path.file_name().ok_or_else(|| error(Reason::Directory))?;
        let name = name.to_str().ok_or_else(|| error(Reason::NameNotUtf8))?;
        if name == CONFIG_NAME {
            return Err(error(Reason::ConfigName));
        }
        add(&mut ramdisk, name, path, pipes)?;
    }
    Ok(ramdisk)
}

fn add(ramdisk: &mut Ramdisk, name: &str, path: &Path, pipes: Pipes) -> Result<(), FileError> {
    let error = |reason| FileError { path: path.to_owned(), reason };
    let metadata = fs::metadata(path).map_err(|cause| error(Reason::Read(cause)))?;
    if metadata.is_dir() {
        return Err(error(Reason::Directory));
    }
    if is_device(metadata.file_type()) {
        return Err(error(Reason::Device));
    }
    if metadata.len() > FILE_BYTES_MAX {
        return Err(error(Reason::TooLarge(metadata.len())));
    }
    let leave = pipes == Pipes::Leave && metadata.file_type().is_fifo();
    let content =
        if leave { Vec::new() } else { fs::read(path).map_err(|cause| error(Reason::Read(cause)))? };
    ramdisk.add(name, content).map_err(|cause| error(Reason::Pack(cause)))
}

/// A device may never end, or wait for a person; a pipe (`<(command)`) is as good as a file.
fn is_device(kind: FileType) -> bool {
    kind.is_char_device() || kind.is_block_device()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    #[test]
    fn a_configuration_and_files_travel_without_directories() {
        let scratch = Scratch::new().expect("a temporary directory");
        let config = scratch.write("mine.toml", b"[routes]\n").expect("a file");
        let log = scratch.write("demo.log", b"line\n").expect("a file");
        let ramdisk = collect(Some(&config), &[log], Pipes::Read).expect("good files");
        assert!(
            ramdisk.contains(CONFIG_NAME) && ramdisk.contains("demo.log") && !ramdisk.contains("mine.toml")
        );
    }

    #[test]
    fn what_cannot_travel_is_named() {
        let scratch = Scratch::new().expect("a temporary directory");
        let file = |name: &str| scratch.write(name, b"x").expect("a file");
        let twice = file("twice.log");
        for (files, expected) in [
            (vec![PathBuf::from("no-such-file")], "no-such-file: No such file"),
            (vec![PathBuf::from("/")], "is a directory"),
            (vec![PathBuf::from("/dev/zero")], "is a device"),
            (vec![file("weir.toml")], "give it with --config"),
            (vec![twice.clone(), twice], "another file has the same name"),
            (vec![file(&"n".repeat(101))], "101 bytes, at most 100"),
        ] {
            let error = collect(None, &files, Pipes::Read).expect_err(expected).to_string();
            assert!(error.contains(expected), "{error:?} does not say {expected:?}");
            assert_eq!(error.lines().count(), 1);
        }
    }
}
