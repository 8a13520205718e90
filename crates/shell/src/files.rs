//! The files of the ramdisk, by name.

use wire::ustar::{Archive, UstarError};

/// A file. Its content lives as long as the machine.
#[derive(Clone, Copy, Debug)]
pub struct File {
    /// The name, without directories.
    pub name: &'static str,
    /// The content.
    pub content: &'static [u8],
}

/// The files of a ramdisk.
#[derive(Clone, Copy, Debug)]
pub struct Files(&'static [u8]);

impl Files {
    /// The files of a ustar archive; none if it is empty.
    #[must_use]
    pub const fn new(ramdisk: &'static [u8]) -> Self {
        Self(ramdisk)
    }

    /// Whether there is no ramdisk at all.
    #[must_use]
    pub const fn is_absent(&self) -> bool {
        self.0.is_empty()
    }

    /// The files in the order in which they were packed, up to the end or to where the archive is damaged.
    pub fn iter(&self) -> impl Iterator<Item = File> + use<> {
        Archive::new(self.0).entries().map_while(Result::ok).map(|entry| File {
            name: entry.name.rsplit('/').next().unwrap_or(entry.name),
            content: entry.content,
        })
    }

    /// The file of that name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<File> {
        self.iter().find(|file| file.name == name)
    }

    /// What is wrong with the archive, if anything.
    #[must_use]
    pub fn damage(&self) -> Option<UstarError> {
        Archive::new(self.0).entries().find_map(Result::err)
    }
}
