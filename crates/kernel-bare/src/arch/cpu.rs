//! Single instructions: the time-stamp counter, identification, halting.

use core::arch::x86_64::{__cpuid, _rdtsc};

/// The longest brand string in bytes.
pub const MAX_BRAND: usize = 48;

const LEAF_VENDOR: u32 = 0;
const LEAF_EXTENDED: u32 = 0x8000_0000;
const LEAF_BRAND: u32 = 0x8000_0002;

/// The time-stamp counter, in ticks since the processor's reset.
#[must_use]
pub fn ticks() -> u64 {
    // SAFETY: The kernel runs in ring 0, where `rdtsc` is always allowed; every x86-64 processor has it.
    unsafe { _rdtsc() }
}

/// The processor's brand string, or its vendor if it has none.
#[must_use]
pub fn brand() -> heapless::String<MAX_BRAND> {
    let mut bytes = heapless::Vec::<u8, MAX_BRAND>::new();
    if __cpuid(LEAF_EXTENDED).eax >= LEAF_BRAND + 2 {
        for leaf in LEAF_BRAND..LEAF_BRAND + 3 {
            let part = __cpuid(leaf);
            for word in [part.eax, part.ebx, part.ecx, part.edx] {
                bytes.extend(word.to_le_bytes());
            }
        }
    } else {
        let part = __cpuid(LEAF_VENDOR);
        for word in [part.ebx, part.edx, part.ecx] {
            bytes.extend(word.to_le_bytes());
        }
    }
    let text =
        bytes.iter().take_while(|&&byte| byte != 0).filter(|byte| byte.is_ascii_graphic() || **byte == b' ');
    let mut brand = heapless::String::<MAX_BRAND>::new();
    for &byte in text {
        // As many bytes as there are characters: it fits.
        let _ = brand.push(char::from(byte));
    }
    brand.trim().try_into().unwrap_or_default()
}

/// Stops for good, with interrupts off.
pub fn stop() -> ! {
    loop {
        x86_64::instructions::interrupts::disable();
        x86_64::instructions::hlt();
    }
}
