//! Owns the times of a connection: when something must happen though nothing came. Pure: the time is
//! handed in.

use std::time::Duration;

use socket::rate::{Spent, Traffic};
use tokio::time::Instant;

use crate::budgets::Budget;
use crate::config::{Limits, Rules};

/// When a connection must act.
#[derive(Debug)]
pub(super) struct Clock {
    started: Instant,
    /// The end of what is under way: signing in, binding, closing. Of all of it, not of silence.
    deadline: Option<Instant>,
    /// No reading before this.
    resume_at: Option<Instant>,
    rate: Spent,
    /// With all other connections of the account, once it is known.
    budget: Option<Budget>,
    /// The next look at whether anything came or went, once a session is bound.
    look_at: Option<Instant>,
    heard: bool,
    spoke: bool,
    silent_since: Instant,
}

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// What was under way took too long.
    Deadline,
    /// Nothing came for too long.
    Idle,
    /// Nothing came or went for long: a space would show whether anybody is there.
    Silence,
}

impl Clock {
    pub(super) fn new(now: Instant, limits: &Limits) -> Self {
        Self {
            started: now,
            deadline: Some(now + limits.login()),
            resume_at: None,
            rate: Spent::default(),
            budget: None,
            look_at: None,
            heard: false,
            spoke: false,
            silent_since: now,
        }
    }

    /// The earliest time at which [`Clock::due`] or [`Clock::may_read`] will say something new.
    pub(super) fn next_wake(&self) -> Option<Instant> {
        [self.deadline, self.resume_at, self.look_at].into_iter().flatten().min()
    }

    /// The client has so long for what it must do now.
    pub(super) fn allow(&mut self, now: Instant, time: Duration) {
        self.deadline = Some(now + time);
    }

    /// A session is bound: from here on a client may take its time, and shares a budget.
    pub(super) fn bound(&mut self, now: Instant, rules: &Rules, budget: Budget) {
        self.deadline = None;
        self.budget = Some(budget);
        self.silent_since = now;
        self.look_at = period(rules).map(|period| now + period);
    }

    /// Something was sent.
    pub(super) fn speak(&mut self) {
        self.spoke = true;
    }

    /// Something came.
    pub(super) fn received(&mut self) {
        self.heard = true;
    }

    /// Counts what came once a session is bound; too much, and reading stops for a while. Answers whether it
    /// does.
    pub(super) fn count(&mut self, now: Instant, came: Traffic, limits: &Limits) -> bool {
        if !limits.enabled {
            return false;
        }
        let own = self.rate.count(now - self.started, came, limits.of_connection());
        let shared = self.budget.as_ref().and_then(|it| it.count(now, came, limits));
        let wait = own.max(shared);
        self.resume_at = wait.map(|wait| now + wait);
        self.resume_at.is_some()
    }

    /// Whether what came of late leaves room for more.
    pub(super) fn may_read(&self) -> bool {
        self.resume_at.is_none()
    }

    /// What is due; ask again until nothing is.
    pub(super) fn due(&mut self, now: Instant, rules: &Rules) -> Option<Due> {
        self.resume_at = self.resume_at.filter(|at| *at > now);
        if self.deadline.take_if(|at| *at <= now).is_some() {
            return Some(Due::Deadline);
        }
        self.look_at.take_if(|at| *at <= now)?;
        self.look_at = period(rules).map(|period| now + period);
        let (heard, spoke) = (std::mem::take(&mut self.heard), std::mem::take(&mut self.spoke));
        if heard {
            self.silent_since = now;
        }
        let idle = Duration::from_secs(rules.idle_seconds);
        if !idle.is_zero() && now - self.silent_since >= idle {
            return Some(Due::Idle);
        }
        let keeps_alive = rules.keepalive_seconds > 0;
        (keeps_alive && !heard && !spoke).then_some(Due::Silence)
    }
}

/// How often to look; idle clients are found at most half as late again.
fn period(rules: &Rules) -> Option<Duration> {
    let seconds = [rules.keepalive_seconds, rules.idle_seconds.div_ceil(2)];
    seconds.into_iter().filter(|seconds| *seconds > 0).min().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use xmpp::BareJid;

    use super::*;
    use crate::budgets::Budgets;

    const SECOND: Duration = Duration::from_secs(1);

    fn rules(idle_seconds: u64, keepalive_seconds: u64) -> Rules {
        Rules { idle_seconds, keepalive_seconds, ..Rules::default() }
    }

    fn bound(rules: &Rules) -> (Clock, Instant) {
        let now = Instant::now();
        let mut clock = Clock::new(now, &Limits::default());
        clock.bound(
            now,
            rules,
            Budgets::new(now).join(&BareJid::parse("romeo@localhost").unwrap()),
        );
        (clock, now)
    }

    #[test]
    fn the_time_to_log_in_is_a_total_that_input_does_not_extend() {
        let (now, rules) = (Instant::now(), Rules::default());
        let mut clock = Clock::new(now, &Limits::default());
        clock.received();
        assert_eq!(clock.next_wake(), Some(now + 30 * SECOND));
        assert_eq!(clock.due(now + 29 * SECOND, &rules), None);
        assert_eq!(clock.due(now + 30 * SECOND, &rules), Some(Due::Deadline));
        assert_eq!(clock.due(now + 31 * SECOND, &rules), None);
    }

    #[test]
    fn a_bound_client_may_be_silent_but_is_probed() {
        let rules = rules(0, 300);
        let (mut clock, now) = bound(&rules);
        clock.speak();
        assert_eq!(clock.due(now + 300 * SECOND, &rules), None);
        assert_eq!(clock.due(now + 599 * SECOND, &rules), None);
        assert_eq!(clock.due(now + 600 * SECOND, &rules), Some(Due::Silence));
    }

    #[test]
    fn an_idle_client_is_noticed_where_that_is_wanted() {
        let rules = rules(100, 0);
        let (mut clock, now) = bound(&rules);
        clock.received();
        assert_eq!(clock.due(now + 50 * SECOND, &rules), None);
        assert_eq!(clock.due(now + 100 * SECOND, &rules), None);
        assert_eq!(clock.due(now + 150 * SECOND, &rules), Some(Due::Idle));
    }

    #[test]
    fn too_much_too_fast_stops_reading_for_a_while() {
        let (mut clock, now) = bound(&Rules::default());
        let limits = Limits { stanzas_per_second: 1, stanzas_burst: 1, ..Limits::default() };
        assert!(!clock.count(now, Traffic { bytes: 1, stanzas: 1 }, &limits));
        assert!(clock.count(now, Traffic { bytes: 1, stanzas: 1 }, &limits));
        assert!(!clock.may_read());
        assert_eq!(clock.due(now + SECOND, &Rules::default()), None);
        assert!(clock.may_read());
        let off = Limits { enabled: false, ..limits };
        assert!(!clock.count(now, Traffic { bytes: 1, stanzas: 1_000 }, &off));
    }
}
