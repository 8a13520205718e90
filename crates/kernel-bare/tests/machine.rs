//! The machine as the boot path left it and as `init` set it up: memory map, clocks, timer, files.
#![no_std]
#![no_main]

use governance::time::{CivilDate, Instant, NANOS_PER_SECOND, Nanos, TimeOfDay, WallTime};
use kernel_bare::arch::apic;
use kernel_bare::boot::RegionKind;
use kernel_bare::clock::{self, Scale};
use kernel_bare::fw_cfg::FwCfgError;
use kernel_bare::queue::ByteQueue;
use kernel_bare::rtc::{self, Registers};
use kernel_bare::{Machine, acpi, log};
use shell::system::System;
use wire::ustar::Archive;

kernel_bare::test_kernel![
    boot_info_is_sane,
    memory_regions_do_not_overlap,
    clock_never_goes_back,
    clock_scale_is_exact_at_the_far_end,
    rates_survive_any_measurement,
    timer_wakes_the_idle_loop_once,
    idle_does_not_wake_early,
    clock_registers_decode,
    wall_clock_is_plausible,
    options_are_read,
    ramdisk_files_are_there,
    log_keeps_the_last_lines,
    pools_are_not_overfull,
    queue_keeps_order_around_a_removal,
    power_off_is_found,
    tables_lie_neither_in_our_memory_nor_in_devices,
    damaged_tables_are_refused,
];

fn boot_info_is_sane(machine: &mut Machine) {
    let boot = machine.boot();
    assert_eq!(boot.regions.dropped(), 0);
    assert!(boot.regions.memory_bytes() >= 16 << 20, "{} bytes", boot.regions.memory_bytes());
    assert!(boot.rsdp.is_some());
    assert!(boot.entry_ticks > 0);
    let info = machine.machine();
    assert!(!info.processor.is_empty());
    assert!(["PVH", "BIOS", "UEFI"].contains(&info.boot));
}

fn memory_regions_do_not_overlap(machine: &mut Machine) {
    let list = machine.boot().regions.list();
    assert!(list.iter().any(|region| region.kind == RegionKind::InUse));
    for (index, a) in list.iter().enumerate() {
        assert!(a.start < a.end);
        for b in &list[index + 1..] {
            assert!(a.end <= b.start || b.end <= a.start, "{a:?} and {b:?}");
        }
    }
}

fn clock_never_goes_back(_: &mut Machine) {
    let first = clock::now();
    let mut last = first;
    for _ in 0..100_000 {
        let now = clock::now();
        assert!(now >= last);
        last = now;
    }
    assert!(last > first);
}

fn clock_scale_is_exact_at_the_far_end(_: &mut Machine) {
    let scale = Scale::new(NANOS_PER_SECOND, 2_600_000_000);
    for ticks in [0, 1, 26, 2_600_000_000, u64::MAX / 2, u64::MAX] {
        let exact = u128::from(ticks) * 10 / 26;
        let scaled = u128::from(scale.apply(ticks));
        assert!(scaled <= exact, "{ticks}");
        // 32 fraction bits: off by less than one part in a thousand million, and one for rounding.
        assert!(exact - scaled <= exact / 1_000_000_000 + 1, "{ticks}: {scaled} for {exact}");
    }
    assert_eq!(Scale::new(NANOS_PER_SECOND, 1_000_000).apply(u64::MAX), u64::MAX);
}

fn rates_survive_any_measurement(_: &mut Machine) {
    assert_eq!(clock::rate(26_000_000, 1_000_000_000, 10_000_000), 2_600_000_000);
    for (counted, ticks) in [(0, 1), (1, u64::MAX), (1 << 40, 1), (u64::MAX, 1), (u64::MAX, u64::MAX)] {
        let hz = clock::rate(counted, 1_000_000_000, ticks);
        // Both scales of the clock can be made of it.
        let _ = (Scale::new(NANOS_PER_SECOND, hz), Scale::new(hz, NANOS_PER_SECOND));
    }
    assert_eq!(clock::spread_ppm(1_000_000, 1_000_250), 250);
    assert_eq!(clock::spread_ppm(5, 4), 0);
    assert_eq!(clock::spread_ppm(0, 0), 0);
    assert_eq!(clock::spread_ppm(0, u64::MAX), u64::MAX);
}

fn timer_wakes_the_idle_loop_once(machine: &mut Machine) {
    let interrupts = apic::timer_interrupts();
    let deadline = clock::now().after(Nanos::from_millis(2));
    machine.idle_until(Some(deadline));
    assert!(clock::now() >= deadline);
    let raised = apic::timer_interrupts() - interrupts;
    // A timer that runs a little fast wakes the loop before its time, and it arms again.
    assert!((1..=3).contains(&raised), "{raised} interrupts");
}

fn idle_does_not_wake_early(machine: &mut Machine) {
    machine.idle_until(Some(Instant(0)));
    for micros in [1, 10, 100, 1000] {
        let deadline = clock::now().after(Nanos(micros * 1000));
        machine.idle_until(Some(deadline));
        assert!(clock::now() >= deadline);
    }
}

fn clock_registers_decode(_: &mut Machine) {
    let decimal = Registers {
        second: 0x59,
        minute: 0x58,
        hour: 0x23,
        day: 0x29,
        month: 0x02,
        year: 0x24,
        century: 0x20,
        status_b: 0b010,
    };
    let wall = |hour| {
        let date = CivilDate { year: 2024, month: 2, day: 29 };
        WallTime::from_civil(date, TimeOfDay { hour, minute: 58, second: 59, nanos: 0 })
    };
    assert_eq!(rtc::decode(decimal), wall(23));
    let binary =
        Registers { second: 59, minute: 58, hour: 23, day: 29, month: 2, year: 24, century: 20, status_b: 6 };
    assert_eq!(rtc::decode(binary), wall(23));
    let evening = Registers { status_b: 0, ..decimal };
    for register in [0x00, 0x13, 0x80, 0x93] {
        assert_eq!(rtc::decode(Registers { hour: register, ..evening }), None, "{register:#x} is not of 12");
    }
    for (register, hour) in [(0x12, 0), (0x01, 1), (0x11, 11), (0x92, 12), (0x81, 13), (0x91, 23)] {
        assert_eq!(rtc::decode(Registers { hour: register, ..evening }), wall(hour), "{register:#x}");
    }
    assert_eq!(rtc::decode(Registers { century: 0xff, ..decimal }), wall(23));
    assert_eq!(rtc::decode(Registers { year: 0x23, ..decimal }), None, "no 29 February");
    assert_eq!(rtc::decode(Registers { minute: 0x5a, ..decimal }), None, "not a decimal digit");
    let absent = Registers {
        second: 0xff,
        minute: 0xff,
        hour: 0xff,
        day: 0xff,
        month: 0xff,
        year: 0xff,
        century: 0xff,
        status_b: 0xff,
    };
    assert_eq!(rtc::decode(absent), None);
}

fn wall_clock_is_plausible(machine: &mut Machine) {
    assert!(machine.has_wall_clock());
    let (date, _) = machine.now().wall.to_civil();
    assert!((2025..2100).contains(&date.year), "{date}");
    let (first, second) = (machine.now(), machine.now());
    assert_eq!(second.wall.0 - first.wall.0, second.instant.0 - first.instant.0);
}

fn options_are_read(machine: &mut Machine) {
    assert_eq!(machine.option("opt/weir/greeting"), Ok(&b"hello"[..]));
    assert_eq!(machine.option("opt/weir/greetings"), Err(FwCfgError::NotFound));
    // A failed read leaves the room as it was, and files do not overwrite one another.
    let first = machine.option("opt/weir/greeting").expect("it is there");
    let second = machine.option("opt/weir/greeting").expect("it is there");
    assert_ne!(first.as_ptr(), second.as_ptr());
    assert_eq!(first, second);
}

fn ramdisk_files_are_there(machine: &mut Machine) {
    let files = Archive::new(machine.ramdisk()).entries();
    let files: heapless::Vec<_, 4> = files.map(|file| file.map(|file| (file.name, file.content))).collect();
    assert_eq!(files, [Ok(("alpha.txt", &b"alpha\n"[..])), Ok(("files/beta.txt", &b"beta"[..]))]);
}

fn log_keeps_the_last_lines(machine: &mut Machine) {
    for number in 0..1000 {
        log!("filler {number} with\na line end");
    }
    log!("{:1000}", "long");
    let (mut lines, mut last_number) = (0, None);
    machine.log_lines(&mut |line| {
        lines += 1;
        assert!(line.starts_with('[') && line.len() <= log::MAX_LINE, "{line}");
        if let Some((_, rest)) = line.split_once("filler ") {
            let number = rest.split(' ').next().and_then(|number| number.parse::<u32>().ok());
            let number = number.expect("a whole line");
            assert!(last_number.is_none_or(|last| number == last + 1), "{line}");
            last_number = Some(number);
        }
    });
    assert_eq!(last_number, Some(999));
    assert!((200..1000).contains(&lines), "{lines}");
}

fn pools_are_not_overfull(machine: &mut Machine) {
    let mut pools = 0;
    machine.memory_pools(&mut |pool| {
        pools += 1;
        assert!(pool.used_bytes.is_none_or(|used| used <= pool.bytes), "{pool:?}");
        if pool.name == "stack" {
            assert!(pool.used_bytes.is_some_and(|used| used > 500), "{pool:?}");
        }
    });
    assert!(pools > 5);
}

fn queue_keeps_order_around_a_removal(_: &mut Machine) {
    let queue = ByteQueue::<8>::new();
    for round in 0..100 {
        for byte in [1, 2, 3, 4, 3, 6, 7, 8] {
            assert_eq!(queue.push(byte), Ok(()));
        }
        assert_eq!(queue.push(9), Err(9));
        assert!(queue.remove_first(3) && !queue.remove_first(9));
        for byte in [1, 2, 4, 3, 6, 7, 8] {
            assert_eq!(queue.pop(), Some(byte), "round {round}");
        }
        assert_eq!(queue.pop(), None);
        // Another start for the next round.
        assert_eq!(queue.push(0), Ok(()));
        assert_eq!(queue.pop(), Some(0));
    }
}

fn power_off_is_found(machine: &mut Machine) {
    assert!(machine.boot().rsdp.is_some());
    assert!(kernel_bare::acpi_power(machine.boot()).and_then(|power| power.off).is_some());
}

fn tables_lie_neither_in_our_memory_nor_in_devices(machine: &mut Machine) {
    let regions = &machine.boot().regions;
    let rsdp = machine.boot().rsdp.expect("both machines have ACPI");
    assert!(regions.hold_tables(rsdp..rsdp + 20) && !regions.are_device_at(rsdp));
    assert!(!regions.hold_tables(rsdp..rsdp), "nothing is nowhere");
    for region in regions.list() {
        if matches!(region.kind, RegionKind::Usable | RegionKind::InUse) {
            for address in [region.start, region.end - 1] {
                assert!(!regions.hold_tables(address..address + 1), "{address:#x}");
                assert!(!regions.are_device_at(address), "{address:#x}");
            }
            assert!(!regions.hold_tables(region.start..region.end + 1) && !regions.hold_tables(0..u64::MAX));
        }
    }
    for device in [0xfec0_0000, 0xfee0_0000] {
        assert!(!regions.hold_tables(device..device + 36) && regions.are_device_at(device), "{device:#x}");
    }
}

fn damaged_tables_are_refused(_: &mut Machine) {
    let package = |body: &'static [u8]| acpi::soft_off_type(body);
    assert_eq!(package(b"\x08_S5_\x12\x06\x04\x0a\x05\x00\x00\x00"), Some(5));
    assert_eq!(package(b"..\x08\\_S5_\x12\x06\x04\x01\x00\x00\x00"), Some(1));
    assert_eq!(package(b"..\x08_S5_\x12\x46\x00\x04\x00\x00\x00\x00"), Some(0));
    assert_eq!(package(b"\x08_S5_\x12\x06\x04\x0a\x09"), None, "a type has 3 bits");
    assert_eq!(package(b"\x08_S5_\x12\x06\x04\x0a"), None, "cut off");
    assert_eq!(package(b"\x08_S5_\x12"), None, "cut off");
    assert_eq!(package(b"\x08_S5_"), None, "cut off");
    assert_eq!(package(b"_S5_\x12\x06\x04\x01"), None, "not a definition");
    assert_eq!(package(b""), None);
    assert_eq!(acpi::power(0x1000, &|_, _| None), None);
    let zeros = [0; 64];
    assert_eq!(acpi::power(0x1000, &|_, len| zeros.get(..usize::try_from(len).ok()?)), None);
}
