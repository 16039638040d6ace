//! What a server and this generator used between two looks at them.

use crate::process::{Tree, own_cpu};
use serde::Serialize;
use std::io;
use std::time::{Duration, Instant};

/// One look.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    at: Instant,
    own: Duration,
    server: Option<(Duration, u64)>,
}

/// The difference between two looks.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Used {
    /// Wall-clock time, s.
    pub seconds: f64,
    /// Processor time of the generator, ms.
    pub generator_cpu_ms: f64,
    /// What the server used, if it was named.
    pub server: Option<ServerUsed>,
}

/// What a server's process tree used.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct ServerUsed {
    /// User and system time, ms.
    pub cpu_ms: f64,
    /// Resident memory at the first look, KiB.
    pub resident_before_kib: u64,
    /// Resident memory at the second look, KiB.
    pub resident_after_kib: u64,
}

impl Look {
    /// Looks now.
    pub fn now(server: Option<Tree>) -> io::Result<Look> {
        let server = server.map(|tree| Ok::<_, io::Error>((tree.cpu()?, tree.resident_kib()?)));
        Ok(Look { server: server.transpose()?, at: Instant::now(), own: own_cpu() })
    }

    /// When this look was.
    pub fn at(&self) -> Instant {
        self.at
    }

    /// What was used from this look to a later one.
    pub fn until(&self, later: &Look) -> Used {
        let server = self.server.zip(later.server);
        Used {
            seconds: (later.at - self.at).as_secs_f64(),
            generator_cpu_ms: later.own.saturating_sub(self.own).as_secs_f64() * 1e3,
            server: server.map(|((cpu, resident), (later_cpu, later_resident))| ServerUsed {
                cpu_ms: later_cpu.saturating_sub(cpu).as_secs_f64() * 1e3,
                resident_before_kib: resident,
                resident_after_kib: later_resident,
            }),
        }
    }
}

impl Used {
    /// The server's processor time for each of `count` operations, us.
    pub fn server_us_per(&self, count: u64) -> Option<f64> {
        let server = self.server?;
        (count > 0).then(|| server.cpu_ms * 1e3 / as_f64(count))
    }

    /// The generator's processor time for each of `count` operations, us.
    pub fn generator_us_per(&self, count: u64) -> f64 {
        self.generator_cpu_ms * 1e3 / as_f64(count.max(1))
    }

    /// Growth of the server's resident memory for each of `count` sessions, KiB.
    pub fn growth_kib_per(&self, count: u64) -> Option<f64> {
        let server = self.server?;
        let growth = as_f64(server.resident_after_kib) - as_f64(server.resident_before_kib);
        (count > 0).then(|| growth / as_f64(count))
    }

    /// Operations in a second.
    pub fn per_second(&self, count: u64) -> f64 {
        as_f64(count) / self.seconds.max(1e-9)
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts and KiB stay far below 2^52")]
fn as_f64(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_differences_divided_by_counts() {
        let at = Instant::now();
        let look = |ms, cpu_ms, kib| Look {
            at: at + Duration::from_millis(ms),
            own: Duration::from_millis(ms / 2),
            server: Some((Duration::from_millis(cpu_ms), kib)),
        };
        let used = look(0, 100, 1000).until(&look(2000, 600, 1500));
        assert_eq!(used.server_us_per(1000), Some(500.0));
        assert_eq!(used.generator_us_per(1000), 1000.0);
        assert_eq!(used.growth_kib_per(100), Some(5.0));
        assert_eq!(used.per_second(1000), 500.0);
        assert_eq!(used.server_us_per(0), None);
    }
}
