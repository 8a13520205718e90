//! Kernel.
fn main(){}
