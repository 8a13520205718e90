//! Kernel.
fn main() {}
