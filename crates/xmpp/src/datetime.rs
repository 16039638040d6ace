//! XEP-0082 XMPP Date and Time Profiles, version 1.1.1. Instants as text: the DateTime profile.
//!
//! An instant is a count of microseconds since 1970-01-01T00:00:00Z without leap seconds. Nothing
//! here reads a clock or knows a time zone by name.

use std::fmt::{self, Write};

const MICROS: i64 = 1_000_000;
const DAY_SECONDS: i64 = 86_400;
/// 9999-12-31T23:59:59.999999Z; the profile has four digits for the year.
const LAST: i64 = (days_before_year(10_000) - EPOCH_DAY) * DAY_SECONDS * MICROS - 1;
/// The days from 0000-01-01 to 1970-01-01.
const EPOCH_DAY: i64 = days_before_year(1970);

/// The text is not of the DateTime profile (XEP-0082 §3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a date and time with a zone")]
pub struct NotADateTime;

/// An instant in UTC with as many digits after the point as it needs: none, three or six.
/// What lies beyond the year 9999 is written as the end of it.
#[must_use]
pub fn format(unix_micros: u64) -> String {
    Utc(unix_micros).to_string()
}

/// An instant in UTC to the second, the form that every old client reads.
#[must_use]
pub fn format_seconds(unix_micros: u64) -> String {
    Utc(unix_micros - unix_micros % 1_000_000).to_string()
}

/// Reads `CCYY-MM-DDThh:mm:ss[.sss]TZD` into microseconds since 1970-01-01 UTC, negative before.
///
/// Digits beyond the sixth after the point are cut off (§3.2 lets all of them be ignored). A leap
/// second counts as the first second of the next minute, and hour 24 as midnight, which XML Schema
/// part 2, the referee of the profile, allows.
///
/// # Errors
/// [`NotADateTime`], also for days that no calendar has and for a missing zone.
pub fn parse(text: &str) -> Result<i64, NotADateTime> {
    read(text).ok_or(NotADateTime)
}

/// What [`format()`] writes, to be written without a string in between.
#[derive(Debug, Clone, Copy)]
pub struct Utc(pub u64);

impl fmt::Display for Utc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = i64::try_from(self.0).unwrap_or(LAST).min(LAST);
        let (seconds, fraction) = (micros / MICROS, micros % MICROS);
        let (day, second) = (EPOCH_DAY + seconds / DAY_SECONDS, seconds % DAY_SECONDS);
        let (year, month, day) = civil(day);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")?;
        match fraction {
            0 => {}
            _ if fraction % 1000 == 0 => write!(f, ".{:03}", fraction / 1000)?,
            _ => write!(f, ".{fraction:06}")?,
        }
        f.write_char('Z')
    }
}

fn read(text: &str) -> Option<i64> {
    let mut rest = Digits(text.as_bytes());
    let day = read_date(&mut rest)?;
    rest.expect(b'T')?;
    let time = read_time(&mut rest)?;
    let offset_minutes = read_zone(&mut rest)?;
    rest.0.is_empty().then_some(())?;
    let days = day - EPOCH_DAY;
    Some((days * DAY_SECONDS - offset_minutes * 60) * MICROS + time)
}

/// Days since 0000-01-01.
fn read_date(rest: &mut Digits<'_>) -> Option<i64> {
    let year = rest.number(4)?;
    rest.expect(b'-')?;
    let month = rest.number(2)?;
    rest.expect(b'-')?;
    let day = rest.number(2)?;
    ((1..=12).contains(&month) && (1..=days_in_month(year, month)).contains(&day)).then_some(())?;
    let before: i64 = (1..month).map(|month| days_in_month(year, month)).sum();
    Some(days_before_year(year) + before + day - 1)
}

/// Microseconds since midnight.
fn read_time(rest: &mut Digits<'_>) -> Option<i64> {
    let hour = rest.number(2)?;
    rest.expect(b':')?;
    let minute = rest.number(2)?;
    rest.expect(b':')?;
    let second = rest.number(2)?;
    let fraction = if rest.expect(b'.').is_some() { rest.fraction()? } else { 0 };
    let micros = (hour * 3600 + minute * 60 + second) * MICROS + fraction;
    let midnight = hour == 24 && micros == DAY_SECONDS * MICROS;
    ((hour < 24 || midnight) && minute < 60 && second <= 60).then_some(micros)
}

/// Minutes ahead of UTC; XML Schema lets zones go up to 14 hours.
fn read_zone(rest: &mut Digits<'_>) -> Option<i64> {
    if rest.expect(b'Z').is_some() {
        return Some(0);
    }
    let sign = if rest.expect(b'-').is_some() {
        -1
    } else {
        rest.expect(b'+')?;
        1
    };
    let hours = rest.number(2)?;
    rest.expect(b':')?;
    let minutes = rest.number(2)?;
    let ahead = hours * 60 + minutes;
    (minutes < 60 && ahead <= 14 * 60).then_some(sign * ahead)
}

/// What is left of the text.
struct Digits<'a>(&'a [u8]);

impl Digits<'_> {
    fn expect(&mut self, byte: u8) -> Option<()> {
        let (&first, rest) = self.0.split_first()?;
        if first != byte {
            return None;
        }
        self.0 = rest;
        Some(())
    }

    fn digit(&mut self) -> Option<i64> {
        let (first, rest) = self.0.split_first()?;
        first.is_ascii_digit().then(|| {
            self.0 = rest;
            i64::from(first - b'0')
        })
    }

    fn number(&mut self, digits: usize) -> Option<i64> {
        (0..digits).try_fold(0, |number, _| Some(number * 10 + self.digit()?))
    }

    /// One digit or more after the point, as microseconds.
    fn fraction(&mut self) -> Option<i64> {
        let (mut fraction, mut unit) = (0, MICROS / 10);
        let mut digit = Some(self.digit()?);
        while let Some(value) = digit {
            fraction += value * unit;
            unit /= 10;
            digit = self.digit();
        }
        Some(fraction)
    }
}

/// Days from 0000-01-01 to the first day of a year of the Gregorian calendar, carried backwards.
const fn days_before_year(year: i64) -> i64 {
    let leap_years = (year + 3) / 4 - (year + 99) / 100 + (year + 399) / 400;
    year * 365 + leap_years
}

fn days_in_month(year: i64, month: i64) -> i64 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Year, month and day of the month, from days since 0000-01-01.
fn civil(days: i64) -> (i64, i64, i64) {
    // 400 years have 146,097 days; the guess is right or one too many.
    let mut year = days * 400 / 146_097 + 1;
    while days_before_year(year) > days {
        year -= 1;
    }
    let (mut month, mut left) = (1, days - days_before_year(year));
    while left >= days_in_month(year, month) {
        left -= days_in_month(year, month);
        month += 1;
    }
    (year, month, left + 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_first_steps_on_the_moon_are_the_same_instant_in_houston() {
        let seconds = -14_159_025;
        assert_eq!(parse("1969-07-21T02:56:15Z"), Ok(seconds * MICROS));
        assert_eq!(parse("1969-07-20T21:56:15-05:00"), Ok(seconds * MICROS));
    }

    #[test]
    fn instants_are_written_as_short_as_they_can_be() {
        let second = 1_031_699_305_000_000;
        assert_eq!(format(second), "2002-09-10T23:08:25Z");
        assert_eq!(format(second + 120_000), "2002-09-10T23:08:25.120Z");
        assert_eq!(format(second + 7), "2002-09-10T23:08:25.000007Z");
        assert_eq!(format_seconds(second + 999_999), "2002-09-10T23:08:25Z");
        assert_eq!(format(0), "1970-01-01T00:00:00Z");
        assert_eq!(format(u64::MAX), "9999-12-31T23:59:59.999999Z");
    }

    #[test]
    fn fractions_are_read_to_the_microsecond() {
        for (text, micros) in [
            ("1970-01-01T00:00:00.5Z", 500_000),
            ("1970-01-01T00:00:00.000001Z", 1),
            ("1970-01-01T00:00:00.0000019999999999999999999999999Z", 1),
            ("1969-12-31T23:59:59.999Z", -1000),
        ] {
            assert_eq!(parse(text), Ok(micros), "{text}");
        }
    }

    #[test]
    fn leap_days_leap_seconds_and_midnight_at_the_end_of_a_day_are_known() {
        let pairs = [
            ("2000-02-29T00:00:00Z", "2000-02-28T24:00:00Z"),
            ("2017-01-01T00:00:00Z", "2016-12-31T23:59:60Z"),
            ("2017-01-01T00:00:00Z", "2017-01-01T05:29:60+05:30"),
            ("2024-03-01T00:00:00Z", "2024-02-29T24:00:00.000Z"),
            ("2024-02-29T14:00:00+14:00", "2024-02-29T00:00:00-00:00"),
        ];
        for (one, other) in pairs {
            assert!(parse(one).is_ok());
            assert_eq!(parse(one), parse(other), "{one} {other}");
        }
        assert_eq!(parse("0000-01-01T00:00:00Z").map(|_| ()), Ok(()));
        assert_eq!(parse("9999-12-31T23:59:59.999999Z"), Ok(LAST));
    }

    #[test]
    fn other_profiles_and_impossible_days_are_refused() {
        for text in [
            "",
            "1776-07-04",
            "16:00:00",
            "20020910T17:58:35",
            "2002-09-10T23:08:25",
            "2002-09-10 23:08:25Z",
            "2002-09-10t23:08:25z",
            "2002-13-10T23:08:25Z",
            "2002-00-10T23:08:25Z",
            "2001-02-29T00:00:00Z",
            "1900-02-29T00:00:00Z",
            "2002-04-31T00:00:00Z",
            "2002-09-00T00:00:00Z",
            "2002-09-10T24:00:01Z",
            "2002-09-10T25:00:00Z",
            "2002-09-10T23:60:00Z",
            "2002-09-10T23:08:61Z",
            "2002-09-10T23:08:25.Z",
            "2002-09-10T23:08:25+0500",
            "2002-09-10T23:08:25+14:01",
            "2002-09-10T23:08:25+05:60",
            "2002-09-10T23:08:25Z ",
            "+2002-09-10T23:08:25Z",
            "12002-09-10T23:08:25Z",
            "2002-09-10T23:08:25\u{661}Z",
            "-002-09-10T23:08:25Z",
        ] {
            assert_eq!(parse(text), Err(NotADateTime), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(micros in 0..=LAST.unsigned_abs()) {
            prop_assert_eq!(parse(&format(micros)).map(i64::unsigned_abs), Ok(micros));
        }

        #[test]
        fn garbage_is_refused_or_an_instant_of_four_digit_years(text in "[0-9]{4}-[0-9TZ:.+-]{0,24}") {
            if let Ok(micros) = parse(&text) {
                prop_assert!(micros <= LAST + 14 * 3600 * MICROS);
            }
        }
    }
}
