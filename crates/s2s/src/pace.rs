//! Owns how soon another server is tried again. Time and chance are handed in.

use std::time::Duration;

/// The first and the longest pause; each is drawn between half of it and the whole.
const PAUSE: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));
/// Where trying again may help, it is tried at least this often.
const PAUSE_BUSY: Duration = Duration::from_secs(5);
/// A stream that has stood for this long has not failed by being closed.
const STEADY: Duration = Duration::from_secs(10);

/// How many attempts have failed in a row when a stream has ended, which the other end closed or which broke. One that
/// was there too short to be of use is a failed attempt, however well it was opened: otherwise a server that closes
/// every stream at once would be called again at once, for ever.
pub(crate) fn failures(before: u32, lasted: Duration, has_carried: bool) -> u32 {
    match has_carried {
        _ if lasted >= STEADY => 0,
        true => 1,
        false => before.saturating_add(1),
    }
}

/// How long to wait after so many failures, of which the last may be one that trying again soon does not mend.
/// `random` answers a number below its argument.
pub(crate) fn pause(failures: u32, is_final: bool, random: impl FnOnce(u32) -> u32) -> Duration {
    let most = if is_final { PAUSE.1 } else { PAUSE_BUSY };
    let whole = (PAUSE.0 * 2_u32.saturating_pow(failures.saturating_sub(1).min(8))).min(most);
    let half = u32::try_from(whole.as_millis() / 2).unwrap_or(u32::MAX);
    whole / 2 + Duration::from_millis(random(half.max(1)).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_five_seconds_or_to_thirty_where_trying_is_of_no_use() {
        // Failures, whether the last is final, the shortest pause in milliseconds.
        let cases = [
            (0, false, 250),
            (1, false, 250),
            (2, false, 500),
            (4, false, 2_000),
            (5, false, 2_500),
            (u32::MAX, false, 2_500),
            (5, true, 4_000),
            (7, true, 15_000),
            (u32::MAX, true, 15_000),
        ];
        for (failures, is_final, shortest) in cases {
            let drawn = |random: fn(u32) -> u32| pause(failures, is_final, random).as_millis();
            assert_eq!(drawn(|_| 0), shortest, "{failures} {is_final}");
            assert_eq!(drawn(|below| below - 1), shortest * 2 - 1, "{failures} {is_final}");
        }
    }

    #[test]
    fn only_a_stream_that_was_of_use_makes_up_for_failures() {
        let short = Duration::from_secs(1);
        assert_eq!(failures(0, short, false), 1);
        assert_eq!(failures(7, short, false), 8);
        assert_eq!(failures(7, short, true), 1);
        assert_eq!(failures(7, STEADY, false), 0);
        assert_eq!(failures(u32::MAX, Duration::ZERO, false), u32::MAX);
    }
}
