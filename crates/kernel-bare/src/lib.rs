//! The machine under Weir: boot, memory protection, exceptions and interrupts, clocks, console, power.
//!
//! A kernel is a binary that names its main function in [`kernel!`]; that function gets a
//! [`BootInfo`] and calls [`init`] to make of it a [`Machine`], which implements
//! [`shell::system::System`].
//!
//! This is the only crate with unsafe code. Its statics are const-initialised and all-zero when empty.
#![no_std]

pub mod acpi;
pub mod arch;
pub mod bits;
pub mod boot;
pub mod clock;
pub mod entropy;
pub mod fw_cfg;
pub mod ktest;
pub mod log;
mod machine;
pub mod memory;
pub mod panic;
pub mod power;
pub mod queue;
pub mod rtc;
pub mod serial;
pub mod sync;

pub use machine::{Machine, OPTIONS_BYTES, Warning};

use boot::BootInfo;
use governance::time::WallTime;
use machine::Parts;
use memory::{paging, physical};
use sync::TakeOnce;
use wire::ustar::Archive;

/// Makes a binary a kernel: names its main function, a `fn(&'static BootInfo) -> !`, and handles panics by
/// [`panic::report`], or by the function given as `panic = …`.
#[macro_export]
macro_rules! kernel {
    ($main:path) => {
        $crate::kernel!($main, panic = $crate::panic::report);
    };
    ($main:path, panic = $panic:path) => {
        #[unsafe(no_mangle)]
        fn weir_kernel_main(boot: &'static $crate::boot::BootInfo) -> ! {
            $main(boot)
        }

        #[panic_handler]
        fn handle_panic(info: &::core::panic::PanicInfo<'_>) -> ! {
            $panic(info)
        }
    };
}

/// Brings the machine up, in the one order that works: exceptions first, so that whatever goes wrong later is
/// reported; then protection; then interrupts and clocks; input last.
///
/// # Panics
///
/// If it is called twice.
pub fn init(boot: &'static BootInfo) -> Machine {
    arch::init();
    let mut console = serial::Console::take();
    paging::build();
    arch::apic::init();
    let rates = clock::init(boot.entry_ticks);
    let wall_now = rtc::read();
    let wall_at_boot = wall_now.map(|wall| WallTime(wall.0.saturating_sub(clock::now().0)));
    let secret = entropy::secret(wall_now.map_or(0, |wall| wall.0));
    power::init(acpi_power(boot).unwrap_or_default(), &boot.regions);
    static OPTIONS: TakeOnce<[u8; OPTIONS_BYTES]> = TakeOnce::new([0; OPTIONS_BYTES]);
    let options = OPTIONS.take().expect("the machine is brought up once");
    console.enable_input();
    x86_64::instructions::interrupts::enable();

    note(boot, rates, wall_now, secret.quality);
    let lacks = [
        (Warning::AssumedClock, rates.reference == clock::Reference::AssumedTimer),
        (Warning::NoWallClock, wall_now.is_none()),
        (Warning::GuessableSecret, secret.quality == entropy::Quality::Guessable),
    ];
    let warnings = lacks.map(|(warning, applies)| applies.then_some(warning));
    for warning in warnings.iter().flatten() {
        log!("WARNING: {warning}");
    }
    Machine::new(Parts { boot, console, wall_at_boot, secret, options, warnings })
}

/// Writes to the log what the start-up found.
fn note(boot: &BootInfo, rates: clock::Rates, wall: Option<WallTime>, quality: entropy::Quality) {
    log!("boot path {}, {} KiB of memory", boot.path.name(), boot.regions.memory_bytes() / 1024);
    if boot.regions.dropped() > 0 {
        log!("{} memory regions did not fit into the map and are not used", boot.regions.dropped());
    }
    match Archive::new(boot.ramdisk).entries().find_map(Result::err) {
        _ if boot.ramdisk.is_empty() => log!("no ramdisk"),
        None => log!("ramdisk of {} bytes", boot.ramdisk.len()),
        Some(error) => log!("WARNING: the ramdisk is damaged; files up to the damage are there: {error}"),
    }
    log!(
        "clock {} Hz, timer {} Hz, measured to within {} ppm",
        rates.counter_hz,
        rates.timer_hz,
        rates.spread_ppm
    );
    if let Some(wall) = wall {
        log!("wall clock {wall}");
    }
    if quality == entropy::Quality::Random {
        log!("hash secret from the processor's random number generator");
    }
}

/// What the machine's ACPI tables say about power, if there are any, and all of them lie where tables can.
#[must_use]
pub fn acpi_power(boot: &BootInfo) -> Option<acpi::Power> {
    let memory = |address: u64, len: u64| {
        if !boot.regions.hold_tables(address..address.checked_add(len)?) {
            return None;
        }
        // SAFETY: The memory map, which is whole, has the range in memory of the firmware. No device answers there,
        // the kernel has its image, its statics and its ramdisk in other regions and never writes outside of them,
        // and the firmware does not run any more.
        unsafe { physical::bytes(address, len) }
    };
    acpi::power(boot.rsdp?, &memory)
}
