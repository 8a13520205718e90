//! From a civil date and time to nanoseconds of UTC, by counting years and months.

/// A date and time of day as it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Civil {
    /// The year.
    pub year: u64,
    /// The month, from 1.
    pub month: u64,
    /// The day, from 1.
    pub day: u64,
    /// The hour, 0 to 23.
    pub hour: u64,
    /// The minute, 0 to 59.
    pub minute: u64,
    /// The second, 0 to 60; 60 is the first second of the next minute.
    pub second: u64,
    /// The fraction of the second.
    pub nanos: u64,
    /// How far the clock that was read is ahead of UTC.
    pub ahead_minutes: i64,
}

impl Civil {
    /// Nanoseconds of UTC since 1970-01-01T00:00:00Z, or `None` if there is no such date or time, or it
    /// lies before that or too far after it.
    #[must_use]
    pub fn utc_ns(&self) -> Option<u64> {
        let lengths = month_lengths(self.year);
        let month = usize::try_from(self.month).ok()?.checked_sub(1)?;
        let exists = (1..=*lengths.get(month)?).contains(&self.day)
            && (1970..=2600).contains(&self.year)
            && self.hour <= 23
            && self.minute <= 59
            && self.second <= 60
            && self.nanos <= 999_999_999;
        if !exists {
            return None;
        }
        let years: u64 = (1970..self.year).map(|year| month_lengths(year).iter().sum::<u64>()).sum();
        let days = years + lengths[..month].iter().sum::<u64>() + self.day - 1;
        let minutes = i64::try_from((days * 24 + self.hour) * 60 + self.minute).ok()? - self.ahead_minutes;
        let seconds = u64::try_from(minutes).ok()? * 60 + self.second;
        seconds.checked_mul(1_000_000_000)?.checked_add(self.nanos)
    }
}

const fn month_lengths(year: u64) -> [u64; 12] {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    [31, if leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
}

#[cfg(test)]
mod tests {
    use super::Civil;

    const BASE: Civil =
        Civil { year: 2015, month: 5, day: 17, hour: 10, minute: 5, second: 3, nanos: 0, ahead_minutes: 0 };

    #[test]
    fn known_times_are_known() {
        assert_eq!(BASE.utc_ns(), Some(1_431_857_103_000_000_000)); // date -u -d 2015-05-17T10:05:03Z +%s
        assert_eq!(Civil { ahead_minutes: 330, ..BASE }.utc_ns(), Some(1_431_837_303_000_000_000));
        let leap = Civil { year: 2024, month: 2, day: 29, hour: 0, minute: 0, second: 0, nanos: 7, ..BASE };
        assert_eq!(leap.utc_ns(), Some(1_709_164_800_000_000_007));
        let epoch = Civil { year: 1970, month: 1, day: 1, hour: 0, minute: 0, second: 0, ..BASE };
        assert_eq!(epoch.utc_ns(), Some(0));
        assert_eq!(Civil { ahead_minutes: 1, ..epoch }.utc_ns(), None);
    }

    #[test]
    fn what_no_calendar_or_clock_shows_is_refused() {
        for wrong in [
            Civil { month: 0, ..BASE },
            Civil { month: 13, ..BASE },
            Civil { day: 0, ..BASE },
            Civil { month: 2, day: 29, ..BASE },
            Civil { day: 32, ..BASE },
            Civil { hour: 24, ..BASE },
            Civil { minute: 60, ..BASE },
            Civil { second: 61, ..BASE },
            Civil { year: 1969, ..BASE },
            Civil { year: 2600, ..BASE },
            Civil { year: u64::MAX, ..BASE },
        ] {
            assert_eq!(wrong.utc_ns(), None, "{wrong:?}");
        }
    }
}
