//! The kernel's ELF file: building it, and how much memory it claims.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::{env, fs, io};

/// The top of the checkout that this crate was built from.
#[must_use]
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("the crate is in qemu/harness")
}

/// Builds the kernel, once for each process, and returns its ELF file.
///
/// # Panics
/// Where cargo cannot build it; what cargo says is on the error output.
pub fn build() -> &'static Path {
    static ELF: OnceLock<PathBuf> = OnceLock::new();
    ELF.get_or_init(|| {
        let built = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
            .args(["build", "--quiet", "-p", "kernel-bare", "--target", "x86_64-unknown-none", "--release"])
            .args(["--message-format", "json-render-diagnostics"])
            .current_dir(repository())
            .stderr(std::process::Stdio::inherit())
            .output()
            .expect("cargo starts");
        assert!(built.status.success(), "the kernel does not build");
        let messages = String::from_utf8_lossy(&built.stdout);
        let path = messages.split("\"executable\":\"").nth(1).and_then(|rest| rest.split('"').next());
        PathBuf::from(path.expect("cargo names the kernel's ELF file"))
    })
}

/// The physical address after the last byte that the kernel's segments occupy once loaded.
///
/// # Errors
/// [`io::ErrorKind::InvalidData`] for anything but a little-endian ELF64 file, else the error of reading it.
pub fn memory_end(elf: &Path) -> io::Result<u64> {
    let bytes = fs::read(elf)?;
    segments_end(&bytes)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "not a little-endian ELF64 program"))
}

/// How many bytes of the kernel's segments are in its file; the others are zero when it starts.
///
/// # Errors
/// As [`memory_end`].
pub fn loaded_bytes(elf: &Path) -> io::Result<u64> {
    let bytes = fs::read(elf)?;
    let mut sum = 0;
    each_segment(&bytes, |segment| sum += segment.file_bytes)
        .map(|()| sum)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "not a little-endian ELF64 program"))
}

/// A part of the program that is loaded.
struct Segment {
    physical: u64,
    file_bytes: u64,
    memory_bytes: u64,
}

fn segments_end(elf: &[u8]) -> Option<u64> {
    let mut end = Some(0);
    each_segment(elf, |segment| {
        let after = segment.physical.checked_add(segment.memory_bytes);
        end = end.and_then(|end: u64| after.map(|after| end.max(after)));
    })?;
    end
}

/// Walks the program headers (System V ABI, "ELF-64 Object File Format", tables 2 and 6).
fn each_segment(elf: &[u8], mut each: impl FnMut(&Segment)) -> Option<()> {
    const LOAD: u64 = 1;
    if !elf.starts_with(b"\x7fELF\x02\x01") {
        return None;
    }
    let (table, entry_bytes, entries) = (word(elf, 32, 8)?, word(elf, 54, 2)?, word(elf, 56, 2)?);
    for index in 0..entries {
        let header = usize::try_from(table.checked_add(index * entry_bytes)?).ok()?;
        if word(elf, header, 4)? == LOAD {
            each(&Segment {
                physical: word(elf, header + 24, 8)?,
                file_bytes: word(elf, header + 32, 8)?,
                memory_bytes: word(elf, header + 40, 8)?,
            });
        }
    }
    Some(())
}

/// Reads a little-endian number of up to eight bytes.
fn word(bytes: &[u8], at: usize, length: usize) -> Option<u64> {
    let mut full = [0; 8];
    full[..length].copy_from_slice(bytes.get(at..at.checked_add(length)?)?);
    Some(u64::from_le_bytes(full))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_that_of_the_highest_loaded_segment() {
        let mut elf = vec![0; 64 + 3 * 56];
        elf[..6].copy_from_slice(b"\x7fELF\x02\x01");
        elf[32] = 64;
        elf[54] = 56;
        elf[56] = 3;
        for (index, (kind, physical, size)) in
            [(1, 0x30_0000_u64, 0x1000_u64), (1, 0x20_0000, 0x500), (4, 0x90_0000, 1)].into_iter().enumerate()
        {
            let at = 64 + index * 56;
            elf[at] = kind;
            elf[at + 24..at + 32].copy_from_slice(&physical.to_le_bytes());
            elf[at + 40..at + 48].copy_from_slice(&size.to_le_bytes());
        }
        assert_eq!(segments_end(&elf), Some(0x30_1000));
        assert_eq!(
            segments_end(&elf[..elf.len() - 1]),
            Some(0x30_1000),
            "an unused last byte does not matter"
        );
        assert_eq!(segments_end(&elf[..64 + 2 * 56]), None, "a header is cut off");
        assert_eq!(segments_end(b"#!/bin/sh"), None);
    }
}
