//! Codecs: bytes and text on one side, typed records on the other.
//!
//! Each module reads or writes one format, allocates nothing and never panics on bad input:
//!
//! - [`ustar`]: the archive that carries files into the kernel.
//! - [`log_reader`]: the lines of a log file, and which format they are in.
//! - [`access_log`]: one line of a web server's access log.
//! - [`csv`] and [`token_log`]: comma-separated records, and the log of LLM requests that is kept in them.
//! - [`retry_after`]: how long an answer asks to wait.
//! - [`toml`]: configuration documents.
//!
//! Readers borrow from their input. What has to be decoded goes to a buffer that the caller owns, such as
//! [`access_log::LineBuffer`] or [`toml::Reader`].
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

pub mod access_log;
pub mod config;
pub mod csv;
pub mod log_reader;
pub mod retry_after;
pub mod token_log;
pub mod toml;
pub mod ustar;

mod digits;
