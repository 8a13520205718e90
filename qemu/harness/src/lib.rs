//! Harness.
#![forbid(unsafe_code)]
