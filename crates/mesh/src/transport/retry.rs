//! Whether a failed try is followed by another. In: how far the try came, what the call allows, what
//! the source asked for, the time that is left. Out: the wait before the next try, or none. Pure, but
//! for the budget and the random part of a wait, which are given.
//!
//! | how far | tried again |
//! | --- | --- |
//! | a kept connection was found closed before a byte was written | at once, any call, without the budget (RFC 9110, 9.2.2) |
//! | no connection, or HTTP/2 says that the call was not looked at (RFC 9113, 8.7) | any call |
//! | sent, no byte of an answer, or half an answer | idempotent calls |
//! | 502, 503, 504 | idempotent calls, after the time that `Retry-After` asks for |
//! | anything else | never |

use std::time::Duration;

use super::breaker::Outcome;
use super::call::CallError;
use super::settings::RetrySettings;

/// A try that failed.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) error: CallError,
    pub(crate) reach: Reach,
    /// What it says about the source.
    pub(crate) outcome: Outcome,
}

/// How far a try came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// A kept connection was found closed, and nothing was written.
    Stale,
    /// The source saw nothing.
    Unsent,
    /// The source may have seen all of it.
    Sent,
    /// The source asks to be called later, perhaps after a time.
    Later(Option<Duration>),
    /// Another try would end in the same way.
    Final,
}

/// What is known when a try has failed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Situation {
    pub(crate) reach: Reach,
    pub(crate) idempotent: bool,
    /// Tries before this one that were retries.
    pub(crate) retries: u32,
    /// Whether a kept connection was found closed before in this call.
    pub(crate) was_stale: bool,
    pub(crate) left: Duration,
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Nothing: the call has failed.
    GiveUp,
    /// Another try on a new connection; it is none of the retries.
    Afresh,
    /// Another try after this time, if the budget pays for it.
    After(Duration),
}

/// What comes after a failed try. `random` below 1,000 chooses the wait.
pub(crate) fn next(situation: &Situation, settings: &RetrySettings, random: u64) -> Next {
    let asked = match situation.reach {
        Reach::Stale if !situation.was_stale => return Next::Afresh,
        Reach::Stale | Reach::Unsent => None,
        Reach::Sent if situation.idempotent => None,
        Reach::Later(asked) if situation.idempotent => asked,
        Reach::Sent | Reach::Later(_) | Reach::Final => return Next::GiveUp,
    };
    let wait = backoff(situation.retries, settings, random).max(asked.unwrap_or_default());
    // A try that begins when the time is over helps nobody.
    if situation.retries >= settings.most || wait >= situation.left {
        return Next::GiveUp;
    }
    Next::After(wait)
}

/// A random part of a time that doubles with each retry, so that callers that failed together do not
/// come back together ("full jitter", AWS Architecture Blog, 2015).
fn backoff(retries: u32, settings: &RetrySettings, random: u64) -> Duration {
    let doubled = settings.backoff.saturating_mul(1_u32.checked_shl(retries).unwrap_or(u32::MAX));
    let longest = doubled.min(settings.longest_backoff);
    longest.mul_f64(random as f64 / 1_000.0)
}

/// Reads `Retry-After`: seconds, or a date (RFC 9110, 10.2.3).
pub(crate) fn retry_after(text: &str, now: base::Timestamp) -> Option<Duration> {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
    }
    let date = chrono::DateTime::parse_from_rfc2822(text).ok()?;
    let micros = date.timestamp_micros().saturating_sub(now.as_micros());
    Some(Duration::from_micros(u64::try_from(micros).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    const BASE: Situation = Situation {
        reach: Reach::Sent,
        idempotent: true,
        retries: 0,
        was_stale: false,
        left: Duration::from_secs(1),
    };

    fn check(situation: Situation, expected: Next) {
        let settings = RetrySettings::default();
        assert_eq!(next(&situation, &settings, 500), expected, "{situation:?}");
    }

    #[test]
    fn only_what_is_safe_is_tried_again() {
        let wait = Next::After(10 * MS);
        check(BASE, wait);
        check(Situation { idempotent: false, ..BASE }, Next::GiveUp);
        check(Situation { reach: Reach::Unsent, idempotent: false, ..BASE }, wait);
        check(Situation { reach: Reach::Later(None), ..BASE }, wait);
        check(Situation { reach: Reach::Later(None), idempotent: false, ..BASE }, Next::GiveUp);
        check(Situation { reach: Reach::Final, ..BASE }, Next::GiveUp);
    }

    #[test]
    fn a_closed_connection_is_replaced_once_and_then_counts() {
        let stale = Situation { reach: Reach::Stale, idempotent: false, retries: 2, ..BASE };
        check(stale, Next::Afresh);
        check(Situation { was_stale: true, ..stale }, Next::GiveUp);
        check(Situation { was_stale: true, retries: 0, ..stale }, Next::After(10 * MS));
    }

    #[test]
    fn waits_double_and_end_with_the_time() {
        check(Situation { retries: 1, ..BASE }, Next::After(20 * MS));
        check(Situation { retries: 2, ..BASE }, Next::GiveUp);
        check(Situation { left: 10 * MS, ..BASE }, Next::GiveUp);
        check(Situation { reach: Reach::Later(Some(900 * MS)), ..BASE }, Next::After(900 * MS));
        check(Situation { reach: Reach::Later(Some(1_000 * MS)), ..BASE }, Next::GiveUp);
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = base::Timestamp::parse("1994-11-06T08:49:30Z").unwrap();
        let read = |text| retry_after(text, now);
        assert_eq!(read(" 3 "), Some(Duration::from_secs(3)));
        assert_eq!(read("99999999999999999999"), Some(Duration::from_secs(u64::MAX)));
        assert_eq!(read("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::from_secs(7)));
        assert_eq!(read("Sun, 06 Nov 1994 08:49:00 GMT"), Some(Duration::ZERO));
        assert_eq!(read("soon"), None);
        assert_eq!(read("-1"), None);
    }
}
