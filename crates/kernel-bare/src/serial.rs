//! The first serial line (COM1): the console.
//!
//! Input is interrupt-driven into a queue. When the queue is full the receive interrupt is switched off and
//! bytes stay in the UART, so that the other end sees back-pressure; nothing is lost. Output is polled.
//!
//! Ctrl-C is found wherever it stands in the queue. One that was typed behind more than [`INPUT_BYTES`] of unread
//! input has not left the other end yet, and is seen once enough of the input before it has been read.

use core::fmt;
use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use uart_16550::spec::registers::{IER, LSR};
use uart_16550::{BaudRate, Config, Uart16550};
use x86_64::instructions::interrupts::without_interrupts;
use x86_64::instructions::port::Port;

use crate::queue::ByteQueue;
use crate::sync::TakeOnce;

/// The bytes of input that can wait to be read.
pub const INPUT_BYTES: usize = 8192;

/// Ctrl-C, as a terminal sends it.
const INTERRUPT_BYTE: u8 = 0x03;

/// The bytes that the UART takes at once when it has sent all before.
const FIFO_BYTES: usize = 16;

const BASE: u16 = 0x3f8;
const DATA: u16 = BASE;
const INTERRUPT_ENABLE: u16 = BASE + 1;
const LINE_STATUS: u16 = BASE + 5;

static INPUT: ByteQueue<INPUT_BYTES> = ByteQueue::new();
/// Ctrl-C bytes in `INPUT`, so that asking for one need not search.
static INTERRUPT_BYTES: AtomicUsize = AtomicUsize::new(0);
/// Whether the receive interrupt is off because `INPUT` was full.
static PAUSED: AtomicBool = AtomicBool::new(false);
/// Times that the UART had to drop bytes.
static OVERRUNS: AtomicU64 = AtomicU64::new(0);

/// What the line has seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stats {
    /// Bytes of input that wait to be read.
    pub waiting: usize,
    /// Times that the UART had to drop bytes; 0 as long as the queue does its work.
    pub overruns: u64,
}

/// The line's owner: it alone reads the queue and writes to the line.
pub struct Console(());

impl Console {
    /// Takes the line and sets it up: 115200 baud, 8 data bits, no parity, interrupt at 8 bytes. A line that
    /// is absent swallows what is written to it. Input starts with [`Console::enable_input`].
    ///
    /// # Panics
    ///
    /// If the line was taken before.
    pub fn take() -> Self {
        static OWNER: TakeOnce<()> = TakeOnce::new(());
        OWNER.take().expect("the console has one owner");
        // SAFETY: These are the ports of the first serial line, which nothing else uses before input is enabled.
        let uart = unsafe { Uart16550::new_port(BASE) };
        let mut uart = uart.expect("the line's eight ports exist");
        let config = Config {
            baud_rate: BaudRate::Baud115200,
            fifo_trigger_level: Some(uart_16550::spec::registers::FifoTriggerLevel::Eight),
            ..Config::DEFAULT
        };
        // No loop-back test: it would swallow input that is already there.
        let _ = uart.init(config);
        Self(())
    }

    /// Lets input in. The interrupt must be routed before: its edge is not repeated.
    pub fn enable_input(&mut self) {
        set_receive_interrupt(IER::DATA_READY);
    }

    /// The oldest byte of input, if one waits.
    pub fn read_byte(&mut self) -> Option<u8> {
        let byte = INPUT.pop()?;
        if byte == INTERRUPT_BYTE {
            INTERRUPT_BYTES.fetch_sub(1, Ordering::Relaxed);
        }
        resume_if_drained();
        Some(byte)
    }

    /// Takes a Ctrl-C out of the input, wherever it stands; says whether there was one.
    pub fn take_interrupt(&mut self) -> bool {
        if INTERRUPT_BYTES.load(Ordering::Acquire) == 0 || !INPUT.remove_first(INTERRUPT_BYTE) {
            return false;
        }
        INTERRUPT_BYTES.fetch_sub(1, Ordering::Relaxed);
        resume_if_drained();
        true
    }

    /// Writes `bytes` as they are, waiting for the line where it must.
    pub fn write_bytes(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(FIFO_BYTES) {
            while !line_status().contains(LSR::THR_EMPTY) {
                core::hint::spin_loop();
            }
            chunk.iter().for_each(|&byte| send(byte));
        }
    }
}

impl fmt::Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        write_lines(text, |bytes| self.write_bytes(bytes));
        Ok(())
    }
}

/// What the line has seen so far.
#[must_use]
pub fn stats() -> Stats {
    Stats { waiting: INPUT.len(), overruns: OVERRUNS.load(Ordering::Relaxed) }
}

/// Whether input waits to be read.
#[must_use]
pub fn has_input() -> bool {
    !INPUT.is_empty()
}

/// The way to the line that needs no owner, no lock and no set-up: for the kernel's last words.
pub(crate) struct EmergencyConsole(());

impl EmergencyConsole {
    pub(crate) const fn new() -> Self {
        Self(())
    }

    /// Waits until everything has left, but not for ever.
    pub(crate) fn drain(&mut self) {
        wait_for(LSR::TRANSMITTER_EMPTY);
    }
}

impl fmt::Write for EmergencyConsole {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        write_lines(text, |bytes| {
            for &byte in bytes {
                wait_for(LSR::THR_EMPTY);
                send(byte);
            }
        });
        Ok(())
    }
}

/// Called with interrupts off when bytes have arrived. Touches atomics and the queue only.
pub(crate) fn on_interrupt() {
    loop {
        if !line_status().contains(LSR::DATA_READY) {
            return;
        }
        if INPUT.is_full() {
            PAUSED.store(true, Ordering::Release);
            set_receive_interrupt(IER::empty());
            return;
        }
        // SAFETY: Reading the data register takes a byte that the line status has announced.
        let byte: u8 = unsafe { Port::new(DATA).read() };
        // There is room, and this is the only producer.
        let _ = INPUT.push(byte);
        if byte == INTERRUPT_BYTE {
            INTERRUPT_BYTES.fetch_add(1, Ordering::Release);
        }
    }
}

/// Lets input in again once half of a queue that was full is free.
fn resume_if_drained() {
    if PAUSED.load(Ordering::Acquire) && INPUT.len() <= INPUT_BYTES / 2 {
        without_interrupts(|| {
            PAUSED.store(false, Ordering::Release);
            set_receive_interrupt(IER::DATA_READY);
        });
    }
}

fn set_receive_interrupt(enabled: IER) {
    // SAFETY: This register decides which events of the line raise an interrupt, all of which are handled.
    unsafe { Port::new(INTERRUPT_ENABLE).write(enabled.bits()) };
}

/// Reads the line status. All reads go through here, because each clears the error bits.
fn line_status() -> LSR {
    // SAFETY: Reading the line status clears its error bits and has no other effect.
    let status = LSR::from_bits_retain(unsafe { Port::new(LINE_STATUS).read() });
    // An absent line answers with all bits set.
    if status.contains(LSR::OVERRUN_ERROR) && status.bits() != 0xff {
        OVERRUNS.fetch_add(1, Ordering::Relaxed);
    }
    status
}

/// Gives the UART a byte to send, for which it must have room.
fn send(byte: u8) {
    // SAFETY: The transmit register takes any byte; writing it has no effect on memory.
    unsafe { Port::new(DATA).write(byte) };
}

fn wait_for(wanted: LSR) {
    const PATIENCE: u32 = 10_000_000;
    for _ in 0..PATIENCE {
        if line_status().contains(wanted) {
            return;
        }
        core::hint::spin_loop();
    }
}

/// Gives `text` to `write` piece by piece with line ends as terminals want them.
fn write_lines(text: &str, mut write: impl FnMut(&[u8])) {
    let mut lines = text.split('\n');
    if let Some(first) = lines.next() {
        write(first.as_bytes());
    }
    for line in lines {
        write(b"\r\n");
        write(line.as_bytes());
    }
}
