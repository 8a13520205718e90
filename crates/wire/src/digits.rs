//! Decimal numbers in ASCII text.

/// The value of a text that is nothing but decimal digits; `None` if it is not, is empty, or is too large.
pub(crate) fn decimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0_u64, |value, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        value.checked_mul(10)?.checked_add(digit)
    })
}

/// [`decimal`], for numbers that have to fit a smaller type.
pub(crate) fn small_decimal<T: TryFrom<u64>>(text: &[u8]) -> Option<T> {
    T::try_from(decimal(text)?).ok()
}

#[cfg(test)]
mod tests {
    use super::{decimal, small_decimal};

    #[test]
    fn only_digits_that_fit_are_a_number() {
        assert_eq!(decimal(b"0"), Some(0));
        assert_eq!(decimal(b"007"), Some(7));
        assert_eq!(decimal(b"18446744073709551615"), Some(u64::MAX));
        assert_eq!(decimal(b"18446744073709551616"), None);
        for text in ["", "-1", "+1", "1 ", "1.5", "0x1"] {
            assert_eq!(decimal(text.as_bytes()), None, "{text:?}");
        }
        assert_eq!(small_decimal::<u8>(b"255"), Some(255));
        assert_eq!(small_decimal::<u8>(b"256"), None);
    }
}
