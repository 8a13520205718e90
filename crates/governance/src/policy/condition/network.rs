//! Addresses with a common prefix.

use super::super::error::ConditionError;
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Where IPv4 addresses lie among those of IPv6, `::ffff:0:0/96`: below it, and behind it.
pub(in crate::policy) const V4_FIRST: u128 = 0xffff_0000_0000;
/// The last of them.
pub(in crate::policy) const V4_LAST: u128 = 0xffff_ffff_ffff;

/// The addresses that begin with the same bits. Those of IPv4 are not among those of IPv6: `::/0` holds no IPv4
/// address, and an IPv4 address that is written as one of IPv6, `::ffff:10.0.0.1`, is one of IPv4.
///
/// ```
/// use governance::policy::Network;
/// assert_eq!(Network::parse("10.0.0.0/8").unwrap().to_string(), "10.0.0.0/8");
/// assert_eq!(Network::parse("::ffff:10.1.2.3").unwrap().to_string(), "10.1.2.3");
/// assert!(Network::parse("10.0.0.1/8").unwrap_err().to_string().ends_with("expected 10.0.0.0/8"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    first: IpAddr,
    prefix: u8,
}

impl Network {
    /// Reads `ADDRESS/PREFIX`, or an address that stands for itself.
    ///
    /// # Errors
    /// [`ConditionError`] if it is neither, or has bits set behind the prefix.
    pub fn parse(text: &str) -> Result<Self, ConditionError> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| ConditionError::NotANetwork)?;
        let bits = bits_of(address);
        let prefix = match prefix {
            None => bits,
            Some(digits) => {
                let plain =
                    (1..=3).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
                let prefix = digits.parse::<u8>().ok().filter(|_| plain);
                match prefix {
                    Some(prefix) if prefix <= bits => prefix,
                    None if !plain => return Err(ConditionError::NotANetwork),
                    _ => return Err(ConditionError::LongPrefix { bits }),
                }
            }
        };
        let meant = Self { first: masked(address, prefix), prefix }.canonical();
        if masked(address, prefix) != address {
            return Err(ConditionError::HostBits { meant });
        }
        Ok(meant)
    }

    /// The first of the addresses.
    #[must_use]
    pub const fn first(&self) -> IpAddr {
        self.first
    }

    /// How many bits they have in common.
    #[must_use]
    pub const fn prefix(&self) -> u8 {
        self.prefix
    }

    /// Whether an address is one of them.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.first, address.to_canonical()) {
            (IpAddr::V4(_), IpAddr::V4(_)) | (IpAddr::V6(_), IpAddr::V6(_)) => {
                masked(address.to_canonical(), self.prefix) == self.first
            }
            _ => false,
        }
    }

    /// The first and the last of them as numbers of IPv6, in which IPv4 has its place.
    pub(in crate::policy) fn range(&self) -> (u128, u128) {
        let (first, bits) = (number_of(self.first), bits_of(self.first));
        let behind = u32::from(bits.saturating_sub(self.prefix));
        (first, first | 1_u128.checked_shl(behind).unwrap_or(0).wrapping_sub(1))
    }

    /// An IPv6 network that lies in the place of IPv4 is one of IPv4.
    fn canonical(self) -> Self {
        match (self.first.to_canonical(), self.prefix.checked_sub(96)) {
            (first @ IpAddr::V4(_), Some(prefix)) if self.first.is_ipv6() => Self { first, prefix },
            _ => self,
        }
    }

    pub(super) fn write_octets<'a>(&self, octets: &'a mut [u8; 16]) -> &'a [u8] {
        match self.first {
            IpAddr::V4(address) => {
                octets[..4].copy_from_slice(&address.octets());
                &octets[..4]
            }
            IpAddr::V6(address) => {
                *octets = address.octets();
                octets
            }
        }
    }

    pub(super) fn read_octets(octets: &[u8], prefix: u8) -> Self {
        let first = match (<[u8; 4]>::try_from(octets), <[u8; 16]>::try_from(octets)) {
            (Ok(octets), _) => IpAddr::V4(Ipv4Addr::from_octets(octets)),
            (_, Ok(octets)) => IpAddr::V6(Ipv6Addr::from_octets(octets)),
            _ => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        };
        Self { first, prefix }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.first)?;
        if self.prefix != bits_of(self.first) {
            write!(f, "/{}", self.prefix)?;
        }
        Ok(())
    }
}

/// An address as a number of IPv6, in which IPv4 has its place.
pub(in crate::policy) fn number_of(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => V4_FIRST | u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    }
}

const fn bits_of(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

fn masked(address: IpAddr, prefix: u8) -> IpAddr {
    let prefix = u32::from(prefix);
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32_u32.saturating_sub(prefix)).unwrap_or(0);
            IpAddr::V4(Ipv4Addr::from_bits(address.to_bits() & mask))
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128_u32.saturating_sub(prefix)).unwrap_or(0);
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & mask))
        }
    }
}

/// The address that a number of IPv6 stands for.
pub(in crate::policy) fn address_of(number: u128) -> IpAddr {
    IpAddr::V6(Ipv6Addr::from_bits(number)).to_canonical()
}
