//! Owns the text form of metrics that Prometheus reads. Names end in their unit; labels come from closed sets.

use std::fmt::{Display, Write};

/// The content type of the text form.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A page of metrics being written.
#[derive(Debug, Default)]
pub struct Text {
    page: String,
}

impl Text {
    /// A figure that only grows.
    pub fn counter(&mut self, name: &str, help: &str, value: impl Display) {
        self.family(name, help, "counter");
        self.sample(name, "", value);
    }

    /// A figure that goes up and down.
    pub fn gauge(&mut self, name: &str, help: &str, value: impl Display) {
        self.family(name, help, "gauge");
        self.sample(name, "", value);
    }

    /// A figure that only grows, for each value of one label.
    pub fn counters<'a, V: Display>(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        values: impl IntoIterator<Item = (&'a str, V)>,
    ) {
        self.family(name, help, "counter");
        for (value, figure) in values {
            self.sample(name, &format!("{{{label}=\"{value}\"}}"), figure);
        }
    }

    /// A figure that goes up and down, for each value of one label.
    pub fn gauges<V: Display>(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        values: impl IntoIterator<Item = (String, V)>,
    ) {
        self.family(name, help, "gauge");
        for (value, figure) in values {
            self.sample(name, &format!("{{{label}=\"{value}\"}}"), figure);
        }
    }

    /// The page.
    pub fn finish(self) -> String {
        self.page
    }

    fn family(&mut self, name: &str, help: &str, kind: &str) {
        self.line(format_args!("# HELP rookery_{name} {help}"));
        self.line(format_args!("# TYPE rookery_{name} {kind}"));
    }

    fn sample(&mut self, name: &str, labels: &str, value: impl Display) {
        self.line(format_args!("rookery_{name}{labels} {value}"));
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        writeln!(self.page, "{line}").expect("writing to a String cannot fail");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_are_written_once_with_all_their_samples() {
        let mut text = Text::default();
        text.gauge("sessions", "Bound sessions.", 3);
        text.counters("logins_total", "Log-ins.", "result", [("ok", 1), ("failed", 2)]);
        assert_eq!(
            text.finish(),
            "# HELP rookery_sessions Bound sessions.\n# TYPE rookery_sessions gauge\nrookery_sessions 3\n\
             # HELP rookery_logins_total Log-ins.\n# TYPE rookery_logins_total counter\n\
             rookery_logins_total{result=\"ok\"} 1\nrookery_logins_total{result=\"failed\"} 2\n"
        );
    }
}
