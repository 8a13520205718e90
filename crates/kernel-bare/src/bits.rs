//! Conversions that lose nothing here, or exactly what their name says.

/// A `u64` as an index; the kernel exists for 64-bit machines only.
#[expect(clippy::cast_possible_truncation, reason = "usize has 64 bits on the only target")]
#[must_use]
pub const fn usize_from(value: u64) -> usize {
    const { assert!(usize::BITS == 64) };
    value as usize
}

/// The low 16 bits.
#[expect(clippy::cast_possible_truncation, reason = "taking the low part is the purpose")]
#[must_use]
pub const fn low16(value: u64) -> u16 {
    value as u16
}

/// The low 32 bits.
#[expect(clippy::cast_possible_truncation, reason = "taking the low part is the purpose")]
#[must_use]
pub const fn low32(value: u64) -> u32 {
    value as u32
}

/// The little-endian 32-bit number at `offset`, if `bytes` reaches that far.
#[must_use]
pub fn le32(bytes: &[u8], offset: usize) -> Option<u32> {
    bytes.get(offset..)?.first_chunk().copied().map(u32::from_le_bytes)
}

/// The little-endian 64-bit number at `offset`, if `bytes` reaches that far.
#[must_use]
pub fn le64(bytes: &[u8], offset: usize) -> Option<u64> {
    bytes.get(offset..)?.first_chunk().copied().map(u64::from_le_bytes)
}
