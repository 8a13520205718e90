//! Where things are: the kernel image, its stacks, the map of physical memory, and the page tables.

pub mod layout;
pub mod paging;
pub mod physical;
pub mod stacks;

/// Bytes in a page.
pub const PAGE_SIZE: u64 = 4096;
