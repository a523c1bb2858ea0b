//! Reads dates and points in time, exactly and quickly.
//!
//! In: text, or a number of seconds, milliseconds or microseconds. Out: days or microseconds since
//! the epoch. `2026-11-23T08:00:00Z`, `2026-11-23 08:00`, with any offset; without an offset it is
//! UTC; digits below a microsecond are cut off.

use chrono::{Datelike, NaiveDate, NaiveDateTime};

use super::fault::Misfit;
use crate::source::Epoch;

const MICROS: i64 = 1_000_000;

/// What a date looks like.
const DATE: &str = "a date like `2026-11-23`";
/// What a point in time looks like.
const DATETIME: &str = "a point in time like `2026-11-23T08:00:00Z`";

/// Days since the epoch.
pub fn date(text: &[u8], format: Option<&str>) -> Result<i32, Misfit> {
    if let Some(format) = format {
        let text = std::str::from_utf8(text).unwrap_or_default();
        let date = NaiveDate::parse_from_str(text, format)
            .map_err(|_| Misfit::of_type(format!("a date in the format `{format}`")))?;
        return Ok(days_of(date));
    }
    match ymd(text) {
        Some((days, [])) => Ok(days),
        _ => Err(Misfit::of_type(DATE).hint(date_hint(text))),
    }
}

fn date_hint(text: &[u8]) -> String {
    let digits = text.iter().filter(|byte| byte.is_ascii_digit()).count();
    if digits >= 3 && text.len() >= 6 {
        "say how dates are written, for instance `--date-format '%d/%m/%Y'`".to_owned()
    } else {
        "write it as year-month-day, or name texts that mean no value with `--null TEXT`".to_owned()
    }
}

/// Microseconds since the epoch.
pub fn datetime(text: &[u8], format: Option<&str>) -> Result<i64, Misfit> {
    if let Some(format) = format {
        return formatted(std::str::from_utf8(text).unwrap_or_default(), format);
    }
    parse_datetime(text).ok_or_else(|| {
        let all_digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
        Misfit::of_type(DATETIME).hint(if all_digits {
            "if it counts seconds since 1970, say `--epoch seconds` (or `millis`)"
        } else {
            "say how it is written, for instance `--datetime-format '%d/%m/%Y %H:%M:%S'`"
        })
    })
}

fn formatted(text: &str, format: &str) -> Result<i64, Misfit> {
    if let Ok(time) = chrono::DateTime::parse_from_str(text, format) {
        return Ok(time.timestamp_micros());
    }
    let time = NaiveDateTime::parse_from_str(text, format).or_else(|_| {
        NaiveDate::parse_from_str(text, format).map(|date| date.and_time(chrono::NaiveTime::MIN))
    });
    time.map(|time| time.and_utc().timestamp_micros())
        .map_err(|_| Misfit::of_type(format!("a point in time in the format `{format}`")))
}

/// Microseconds from a whole number; without a unit its size tells: below 10^11 seconds, below 10^14
/// milliseconds, else microseconds.
pub fn from_epoch(number: i64, unit: Option<Epoch>) -> Result<i64, Misfit> {
    let size = number.unsigned_abs();
    let unit = unit.unwrap_or(match size {
        0..100_000_000_000 => Epoch::Seconds,
        100_000_000_000..100_000_000_000_000 => Epoch::Millis,
        _ => Epoch::Micros,
    });
    let factor = match unit {
        Epoch::Seconds => MICROS,
        Epoch::Millis => 1000,
        Epoch::Micros => 1,
    };
    number.checked_mul(factor).ok_or_else(|| Misfit::out_of_range(DATETIME))
}

fn parse_datetime(text: &[u8]) -> Option<i64> {
    let (days, rest) = ymd(text)?;
    let midnight = i64::from(days) * 86_400 * MICROS;
    let [separator, rest @ ..] = rest else { return Some(midnight) };
    if !matches!(separator, b'T' | b't' | b' ') {
        return None;
    }
    let (hour, rest) = two(rest)?;
    let (minute, rest) = two(rest.strip_prefix(b":")?)?;
    let (second, rest) = match rest.strip_prefix(b":") {
        Some(rest) => two(rest)?,
        None => (0, rest),
    };
    // A leap second is taken as the last second of its minute.
    let second = if second == 60 { 59 } else { second };
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let (micros, rest) = fraction(rest)?;
    let offset = offset_seconds(rest)?;
    let seconds = i64::from(hour) * 3600 + i64::from(minute) * 60 + i64::from(second) - offset;
    Some(midnight + seconds * MICROS + micros)
}

/// Days since the epoch of `YYYY-MM-DD`, and what follows.
fn ymd(text: &[u8]) -> Option<(i32, &[u8])> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    let (century, rest) = two(digits)?;
    let (year, rest) = two(rest)?;
    let (month, rest) = two(rest.strip_prefix(b"-")?)?;
    let (day, rest) = two(rest.strip_prefix(b"-")?)?;
    let year = (century * 100 + year) as i32;
    Some((days_from_civil(if negative { -year } else { year }, month, day)?, rest))
}

/// Days since the epoch of a date of the Gregorian calendar, `None` for one that is none. Years begin
/// in March here, so that the leap day is their last (Howard Hinnant, "chrono-Compatible Low-Level
/// Date Algorithms").
fn days_from_civil(year: i32, month: u32, day: u32) -> Option<i32> {
    const DAYS: [u32; 12] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let most = DAYS.get(month.checked_sub(1)? as usize)? + u32::from(is_leap && month == 2);
    if day == 0 || day > most {
        return None;
    }
    let year = year - i32::from(month <= 2);
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let of_era = of_era * 365 + of_era / 4 - of_era / 100 + of_year as i32;
    Some(era * 146_097 + of_era - 719_468)
}

/// The epoch, counted in days from the first day of the year 1.
const EPOCH: i32 = 719_163;

fn days_of(date: NaiveDate) -> i32 {
    date.num_days_from_ce() - EPOCH
}

fn two(text: &[u8]) -> Option<(u32, &[u8])> {
    match text {
        [a @ b'0'..=b'9', b @ b'0'..=b'9', rest @ ..] => {
            Some((u32::from(a - b'0') * 10 + u32::from(b - b'0'), rest))
        }
        _ => None,
    }
}

fn fraction(text: &[u8]) -> Option<(i64, &[u8])> {
    let Some(digits) = text.strip_prefix(b".").or_else(|| text.strip_prefix(b",")) else {
        return Some((0, text));
    };
    let count = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if count == 0 {
        return None;
    }
    let digit = |at: usize| if at < count { i64::from(digits[at] - b'0') } else { 0 };
    Some(((0..6).fold(0, |micros, at| micros * 10 + digit(at)), &digits[count..]))
}

fn offset_seconds(text: &[u8]) -> Option<i64> {
    let text = text.strip_prefix(b" ").unwrap_or(text);
    let (sign, rest) = match text {
        [] | b"Z" | b"z" | b"UTC" => return Some(0),
        [b'+', rest @ ..] => (1, rest),
        [b'-', rest @ ..] => (-1, rest),
        _ => return None,
    };
    let (hours, rest) = two(rest)?;
    let (minutes, rest) = match rest.strip_prefix(b":").unwrap_or(rest) {
        [] => (0, [].as_slice()),
        rest => two(rest)?,
    };
    (rest.is_empty() && hours < 24 && minutes < 60)
        .then(|| sign * (i64::from(hours) * 3600 + i64::from(minutes) * 60))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<&str>) {
        let found = datetime(text.as_bytes(), None).ok();
        let expected =
            expected.map(|text| base::Timestamp::parse(text).expect("valid").as_micros());
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn points_in_time_are_read_in_their_forms() {
        check("2026-11-23T08:00:00Z", Some("2026-11-23T08:00:00Z"));
        check("2026-11-23 08:00", Some("2026-11-23T08:00:00Z"));
        check("2026-11-23", Some("2026-11-23T00:00:00Z"));
        check("1969-12-31T23:59:59.123456789+01:30", Some("1969-12-31T22:29:59.123456Z"));
        check("2026-11-23 08:00:00 +0200", Some("2026-11-23T06:00:00Z"));
        check("2026-02-30T00:00:00Z", None);
        check("2026-11-23T24:00:00Z", None);
        check("2026-11-23T08:00:00Zulu", None);
        check("23/11/2026", None);
        check("1763884800", None);
    }

    #[test]
    fn every_day_is_counted_as_chrono_counts_it() {
        for year in (-801..=1).chain(1895..=2405) {
            for (month, day) in (0..=13).flat_map(|month| (0..=32).map(move |day| (month, day))) {
                let expected = NaiveDate::from_ymd_opt(year, month, day).map(days_of);
                assert_eq!(days_from_civil(year, month, day), expected, "{year}-{month}-{day}");
            }
        }
    }

    #[test]
    fn dates_and_numbers_are_read_by_their_rules() {
        assert_eq!(date(b"1970-01-02", None), Ok(1));
        assert_eq!(date(b"01-Jan-1995", Some("%d-%b-%Y")), Ok(9131));
        assert!(date(b"1995-13-01", None).is_err());
        assert_eq!(from_epoch(881_250_949, None), Ok(881_250_949_000_000));
        assert_eq!(from_epoch(881_250_949_000, None), Ok(881_250_949_000_000));
        assert_eq!(from_epoch(5, Some(Epoch::Millis)), Ok(5000));
        assert!(from_epoch(i64::MAX, Some(Epoch::Seconds)).is_err());
    }

    proptest::proptest! {
        #[test]
        fn the_reader_agrees_with_chrono(micros in -60_000_000_000_000_000_i64..200_000_000_000_000_000) {
            let text = base::Timestamp::from_micros(micros).to_string();
            proptest::prop_assert_eq!(datetime(text.as_bytes(), None), Ok(micros));
        }
    }
}
