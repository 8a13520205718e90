//! Boots Weir under QEMU and talks to it over the serial line.
//!
//! - [`machine`]: the one place that knows QEMU's command line and what its exit status means.
//! - [`guest`]: a booted kernel to type at and to read from, killed when it is dropped.
//! - [`ramdisk`]: the ustar archive in which configuration and logs travel.
//! - [`files`]: which files a machine gets.
//! - [`transcript`]: recorded sessions, played against a guest and compared line by line.
//! - [`kernel`]: builds the kernel once for a test run and reads how much memory it takes.
//! - [`console`]: what is left of serial output without escape sequences.
//!
//! The program `weir-run` (`scripts/run.sh` calls it) boots the kernel for a person or a pipe with the same parts;
//! `weir-boot-bench` (`scripts/bench.sh --boot`) measures how fast it does.
//! Needs nothing but `std`, and `qemu-system-x86_64` at run time.

#![forbid(unsafe_code)]

pub mod console;
pub mod files;
pub mod guest;
pub mod kernel;
pub mod machine;
pub mod ramdisk;
mod scratch;
pub mod transcript;
