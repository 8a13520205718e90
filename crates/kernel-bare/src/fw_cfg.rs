//! QEMU's firmware configuration device: named files given on QEMU's command line, readable on every
//! machine and boot path.
//!
//! Protocol: QEMU, `docs/specs/fw_cfg.rst`; the traditional port interface.

use core::fmt;

use x86_64::instructions::port::Port;

const SELECTOR: u16 = 0x510;
const DATA: u16 = 0x511;
const SIGNATURE_KEY: u16 = 0x00;
const DIRECTORY_KEY: u16 = 0x19;
const ENTRY_BYTES: usize = 64;

/// Why a file could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FwCfgError {
    /// The machine has no such device.
    NoDevice,
    /// The device has no file of that name.
    NotFound,
    /// The file is larger than the room for it.
    TooLarge {
        /// The file's size in bytes.
        bytes: u32,
        /// The room in bytes.
        room: usize,
    },
}

impl fmt::Display for FwCfgError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoDevice => f.write_str("the machine has no firmware configuration device"),
            Self::NotFound => f.write_str("no firmware configuration file of that name"),
            Self::TooLarge { bytes, room } => {
                write!(f, "the firmware configuration file has {bytes} bytes, there is room for {room}")
            }
        }
    }
}

impl core::error::Error for FwCfgError {}

/// Reads the file called `name` to the start of `buffer` and gives that part back.
///
/// # Errors
///
/// See [`FwCfgError`]; the buffer is then unchanged.
pub fn read<'a>(name: &str, buffer: &'a mut [u8]) -> Result<&'a mut [u8], FwCfgError> {
    let mut signature = [0; 4];
    select(SIGNATURE_KEY);
    read_next(&mut signature);
    if &signature != b"QEMU" {
        return Err(FwCfgError::NoDevice);
    }
    let (key, bytes) = find(name).ok_or(FwCfgError::NotFound)?;
    let room = buffer.len();
    let size = usize::try_from(bytes).unwrap_or(usize::MAX);
    let file = buffer.get_mut(..size).ok_or(FwCfgError::TooLarge { bytes, room })?;
    select(key);
    read_next(file);
    Ok(file)
}

/// The key and the size of a file.
fn find(name: &str) -> Option<(u16, u32)> {
    let mut count = [0; 4];
    select(DIRECTORY_KEY);
    read_next(&mut count);
    for _ in 0..u32::from_be_bytes(count) {
        // Size (4 bytes), key (2), unused (2), name, all big-endian.
        let mut entry = [0; ENTRY_BYTES];
        read_next(&mut entry);
        let (head, text) = entry.split_at(8);
        let length = text.iter().position(|&byte| byte == 0).unwrap_or(text.len());
        if &text[..length] == name.as_bytes() {
            let size = u32::from_be_bytes([head[0], head[1], head[2], head[3]]);
            return Some((u16::from_be_bytes([head[4], head[5]]), size));
        }
    }
    None
}

fn select(key: u16) {
    // SAFETY: Selecting an item only moves the device's read position; on a machine without the device nothing
    // answers at this port.
    unsafe { Port::new(SELECTOR).write(key) };
}

fn read_next(bytes: &mut [u8]) {
    let mut port = Port::<u8>::new(DATA);
    for byte in bytes {
        // SAFETY: Reading moves the device's read position and nothing else.
        *byte = unsafe { port.read() };
    }
}
