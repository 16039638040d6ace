//! How far a guesser gets, and who is not disturbed by it.

use super::*;

const ROMEO: &str = "romeo@montague.example";

fn at(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn guesser() -> IpAddr {
    address("192.0.2.1")
}

/// Tries without end, each at another account so that no delay is met; the times that were judged.
fn judged(throttle: &mut Throttle, from: IpAddr, millis: impl Iterator<Item = u64>) -> Vec<u64> {
    let mut account = 0;
    millis
        .filter(|&now| {
            account += 1;
            throttle.attempt(at(now), from, &format!("{account}@x")) != Verdict::Refuse
        })
        .collect()
}

#[test]
fn no_window_sees_more_than_sixty_failed_tries_from_one_address() {
    let mut throttle = Throttle::new(100_000);
    let times = judged(&mut throttle, guesser(), (0..60_000).step_by(7));
    for start in &times {
        let window = *start..=*start + 15_000;
        let tries = times.iter().filter(|time| window.contains(time)).count();
        assert!(tries <= MAX_TRIES_PER_ADDRESS as usize, "{tries} tries from {start} ms on");
    }
    assert!(times.len() > 100, "the address was locked out: {} tries in a minute", times.len());
}

#[test]
fn a_refused_try_costs_nothing() {
    let mut throttle = Throttle::new(1000);
    assert_eq!(judged(&mut throttle, guesser(), (0..1000).map(|_| 0)).len(), BURST as usize);
    assert_eq!(judged(&mut throttle, guesser(), [499, 500, 501].into_iter()), [500]);
}

#[test]
fn guesses_for_one_account_are_slowed_down_more_and_more() {
    let mut throttle = Throttle::new(1000);
    let verdicts: Vec<_> =
        (0..9).map(|second| throttle.attempt(at(second * 1000), guesser(), ROMEO)).collect();
    let delay = |millis| Verdict::Delay(at(millis));
    let (free, longest) = (Verdict::Allow, delay(8000));
    let expected =
        [free, free, free, delay(500), delay(1000), delay(2000), delay(4000), longest, longest];
    assert_eq!(verdicts, expected);
}

#[test]
fn the_owner_logs_in_from_elsewhere_whatever_a_guesser_does() {
    let mut throttle = Throttle::new(1000);
    for now in 0..20_000 {
        let _verdict = throttle.attempt(at(now), guesser(), ROMEO);
    }
    assert_eq!(throttle.attempt(at(20_000), address("192.0.2.2"), ROMEO), Verdict::Allow);
    assert_eq!(throttle.attempt(at(20_000), address("2001:db8::1"), ROMEO), Verdict::Allow);
}

#[test]
fn success_clears_the_accounts_failed_tries_from_that_address() {
    let mut throttle = Throttle::new(1000);
    for _ in 0..5 {
        let _verdict = throttle.attempt(at(0), guesser(), ROMEO);
    }
    throttle.succeeded(guesser(), ROMEO);
    assert_eq!(throttle.attempt(at(0), guesser(), ROMEO), Verdict::Allow);
}

#[test]
fn a_storm_of_good_log_ins_from_one_address_is_let_through() {
    let mut throttle = Throttle::new(1000);
    for user in 0..10_000 {
        let account = format!("user{user}@montague.example");
        assert_eq!(throttle.attempt(at(0), guesser(), &account), Verdict::Allow);
        throttle.succeeded(guesser(), &account);
    }
}

#[test]
fn a_guesser_gains_nothing_from_an_account_of_its_own() {
    let mut throttle = Throttle::new(1000);
    let mut guesses = 0;
    for victim in 0..1000 {
        if throttle.attempt(at(0), guesser(), &format!("{victim}@x")) != Verdict::Refuse {
            guesses += 1;
        }
        if throttle.attempt(at(0), guesser(), "mallory@x") != Verdict::Refuse {
            throttle.succeeded(guesser(), "mallory@x");
        }
    }
    assert_eq!(guesses, BURST);
}

#[test]
fn what_is_long_ago_is_forgotten() {
    let mut throttle = Throttle::new(1000);
    for _ in 0..10 {
        let _verdict = throttle.attempt(at(0), guesser(), ROMEO);
    }
    let later = FORGET + at(1);
    assert_eq!(throttle.attempt(later, guesser(), ROMEO), Verdict::Allow);
}

#[test]
fn memory_is_bounded_and_the_least_recent_is_forgotten_first() {
    let capacity = 100;
    let mut throttle = Throttle::new(capacity);
    for _ in 0..BURST {
        let _verdict = throttle.attempt(at(0), guesser(), ROMEO);
    }
    for stranger in 0..10_000_u32 {
        let _verdict = throttle.attempt(at(0), IpAddr::V4(stranger.into()), ROMEO);
        assert!(throttle.len() <= 4 * capacity);
        if stranger % 50 == 0 {
            assert_eq!(throttle.attempt(at(0), guesser(), ROMEO), Verdict::Refuse);
        }
    }
}

#[test]
fn time_that_stands_still_or_goes_back_does_no_harm() {
    let mut throttle = Throttle::new(1000);
    assert_eq!(throttle.attempt(at(5000), guesser(), ROMEO), Verdict::Allow);
    assert_eq!(throttle.attempt(at(0), guesser(), ROMEO), Verdict::Allow);
    throttle.succeeded(address("192.0.2.9"), ROMEO);
    assert_eq!(throttle.attempt(Duration::MAX - WINDOW, guesser(), ROMEO), Verdict::Allow);
}
