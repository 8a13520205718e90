//! The monotonic clock: the time-stamp counter, scaled by a rate that is measured once during start-up.
//!
//! The rate comes from windows of 10 ms against the programmable interval timer (PIT), whose rate is known.
//! Emulation and host scheduling can only make a window look longer, so the shortest of several counts.
//! The same windows give the rate of the local APIC's timer, which wakes the idle loop.

use core::sync::atomic::{AtomicU64, Ordering};

use governance::time::{Instant, NANOS_PER_SECOND, Nanos};
use x86_64::instructions::port::Port;

use crate::arch::{apic, cpu};
use crate::bits::low32;
use crate::sync::SetOnce;

const PIT_HZ: u64 = 1_193_182;
const WINDOW_PIT_TICKS: u16 = 11_932; // 10 ms
const WARM_UP_PIT_TICKS: u16 = 1_193; // 1 ms
const WINDOWS: usize = 3;
/// The local APIC's timer under QEMU without hardware acceleration, by construction.
const EMULATED_TIMER_HZ: u64 = 1_000_000_000;

/// No counter of a processor runs faster than this.
const MAX_HZ: u64 = 1_000_000_000_000;

/// Measured rates, and where they came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rates {
    /// The time-stamp counter's rate in Hz.
    pub counter_hz: u64,
    /// The local APIC timer's rate in Hz.
    pub timer_hz: u64,
    /// How far apart the longest and the shortest window were, in parts per million of the shortest.
    pub spread_ppm: u64,
    /// What the rates were measured against.
    pub reference: Reference,
}

/// What the clock was measured against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reference {
    /// The programmable interval timer.
    Pit,
    /// There is no interval timer; the local APIC's timer, taken to run at 1 GHz as QEMU's does.
    AssumedTimer,
}

/// A factor of the form `mult / 2^32`: multiplying by it needs no division.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    mult: u64,
}

impl Scale {
    /// The factor `numerator / denominator`; both below 2^32 times the other.
    #[must_use]
    pub const fn new(numerator: u64, denominator: u64) -> Self {
        assert!(denominator != 0 && numerator / denominator < 1 << 32, "not a factor that fits");
        let mult = ((numerator as u128) << 32) / denominator as u128;
        #[expect(clippy::cast_possible_truncation, reason = "the quotient is below 2^32, so this below 2^64")]
        Self { mult: mult as u64 }
    }

    /// `value` times the factor, rounded down; the largest number if it is larger.
    #[must_use]
    pub fn apply(self, value: u64) -> u64 {
        let product = (u128::from(value) * u128::from(self.mult)) >> 32;
        u64::try_from(product).unwrap_or(u64::MAX)
    }
}

struct Clock {
    boot_ticks: u64,
    to_nanos: Scale,
    to_timer: Scale,
    rates: Rates,
}

static CLOCK: SetOnce<Clock> = SetOnce::new();
/// The latest time that was given out.
static LATEST: AtomicU64 = AtomicU64::new(0);

/// Measures the rates, in about 31 ms, and starts the clock at the counter value `boot_ticks`. The local APIC
/// must be set up, and interrupts off.
pub fn init(boot_ticks: u64) -> Rates {
    let rates = measure();
    CLOCK.set(Clock {
        boot_ticks,
        to_nanos: Scale::new(NANOS_PER_SECOND, rates.counter_hz),
        to_timer: Scale::new(rates.timer_hz, NANOS_PER_SECOND),
        rates,
    });
    rates
}

/// The time since the kernel was entered. It never goes back; before [`init`] it stands at 0.
pub fn now() -> Instant {
    let Some(clock) = CLOCK.get() else { return Instant(0) };
    let nanos = clock.to_nanos.apply(cpu::ticks().saturating_sub(clock.boot_ticks));
    Instant(LATEST.fetch_max(nanos, Ordering::Relaxed).max(nanos))
}

/// The time since the processor's reset, if the counter began at 0 there, as it does under QEMU.
#[must_use]
pub fn since_power_on() -> Nanos {
    Nanos(CLOCK.get().map_or(0, |clock| clock.to_nanos.apply(cpu::ticks())))
}

/// The measured rates, once the clock runs.
#[must_use]
pub fn rates() -> Option<Rates> {
    CLOCK.get().map(|clock| clock.rates)
}

/// Asks the timer to interrupt when `length` has passed, or as late as it can; `None` takes the request back.
pub fn wake_after(length: Option<Nanos>) {
    let count = match (length, CLOCK.get()) {
        (Some(length), Some(clock)) => clock.to_timer.apply(length.0).clamp(1, u64::from(u32::MAX)),
        _ => 0,
    };
    apic::arm_timer(low32(count));
}

/// What passed on both counters while a known time went by.
#[derive(Clone, Copy)]
struct Window {
    counter: u64,
    timer: u64,
}

fn measure() -> Rates {
    apic::arm_timer(u32::MAX);
    start_pit();
    let reference = match pit_window(WARM_UP_PIT_TICKS) {
        Some(_) => Reference::Pit,
        None => Reference::AssumedTimer,
    };
    let mut shortest: Option<Window> = None;
    let mut longest = 0;
    for _ in 0..WINDOWS {
        let window = match reference {
            Reference::Pit => pit_window(WINDOW_PIT_TICKS),
            Reference::AssumedTimer => Some(timer_window()),
        };
        let Some(window) = window else { continue };
        longest = longest.max(window.counter);
        if shortest.is_none_or(|shortest| window.counter < shortest.counter) {
            shortest = Some(window);
        }
    }
    apic::arm_timer(0);
    let window = shortest.unwrap_or(Window { counter: 1, timer: 1 });
    let (hz, ticks) = match reference {
        Reference::Pit => (PIT_HZ, u64::from(WINDOW_PIT_TICKS)),
        Reference::AssumedTimer => (EMULATED_TIMER_HZ, window.timer.max(1)),
    };
    Rates {
        counter_hz: rate(window.counter, hz, ticks),
        timer_hz: rate(window.timer, hz, ticks),
        spread_ppm: spread_ppm(window.counter, longest),
        reference,
    }
}

/// The rate in Hz of a counter that went `counted` steps while one of `reference_hz` went `reference_ticks`, which
/// is not 0. It stays within what [`Scale`] can express: beyond, nothing was measured; the clock then runs, but says
/// nothing true.
#[must_use]
pub fn rate(counted: u64, reference_hz: u64, reference_ticks: u64) -> u64 {
    let hz = u128::from(counted) * u128::from(reference_hz) / u128::from(reference_ticks);
    u64::try_from(hz).unwrap_or(u64::MAX).clamp(1_000_000, MAX_HZ)
}

/// How much longer than `shortest` the length `longest` is, in parts per million.
#[must_use]
pub fn spread_ppm(shortest: u64, longest: u64) -> u64 {
    let ppm = u128::from(longest.saturating_sub(shortest)) * 1_000_000 / u128::from(shortest.max(1));
    u64::try_from(ppm).unwrap_or(u64::MAX)
}

/// Waits until the PIT has counted `length`, scaled to exactly that; `None` if it does not count.
fn pit_window(length: u16) -> Option<Window> {
    const PATIENCE: u32 = 300_000;
    let counter_before = cpu::ticks();
    let timer_before = apic::timer_remaining();
    let start = read_pit();
    for _ in 0..PATIENCE {
        let elapsed = start.wrapping_sub(read_pit());
        if elapsed >= length {
            let timer = u64::from(timer_before.wrapping_sub(apic::timer_remaining()));
            let counter = cpu::ticks().saturating_sub(counter_before);
            let scaled = |ticks: u64| ticks.saturating_mul(u64::from(length)) / u64::from(elapsed);
            return Some(Window { counter: scaled(counter), timer: scaled(timer) });
        }
    }
    None
}

/// 10 ms by the local APIC's timer.
fn timer_window() -> Window {
    let counter_before = cpu::ticks();
    let timer_before = apic::timer_remaining();
    loop {
        let timer = u64::from(timer_before.wrapping_sub(apic::timer_remaining()));
        let counter = cpu::ticks().saturating_sub(counter_before);
        // The second condition ends the wait where not even this timer counts.
        if timer >= EMULATED_TIMER_HZ / 100 || counter > 1 << 30 {
            return Window { counter, timer };
        }
    }
}

const PIT_CHANNEL_0: u16 = 0x40;
const PIT_COMMAND: u16 = 0x43;

/// Lets channel 0 count down from 65536 over and over, one step a tick. Its interrupt is masked.
fn start_pit() {
    for (port, value) in [(PIT_COMMAND, 0x34), (PIT_CHANNEL_0, 0), (PIT_CHANNEL_0, 0)] {
        // SAFETY: These are the ports of the interval timer, whose channel 0 nothing else uses.
        unsafe { Port::<u8>::new(port).write(value) };
    }
}

fn read_pit() -> u16 {
    const LATCH: u8 = 0;
    // SAFETY: Latching keeps the count for the two reads that follow.
    unsafe { Port::new(PIT_COMMAND).write(LATCH) };
    let mut port = Port::<u8>::new(PIT_CHANNEL_0);
    // SAFETY: The latched count is read low byte first.
    let low = unsafe { port.read() };
    // SAFETY: As above.
    let high = unsafe { port.read() };
    u16::from_le_bytes([low, high])
}
