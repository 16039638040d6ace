//! Owns the text form of metrics that Prometheus reads. Names end in their unit; labels come from closed sets.

use std::fmt::{Display, Write};

use meter::Reading;

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
    pub fn counters<L: Display, V: Display>(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        values: impl IntoIterator<Item = (L, V)>,
    ) {
        self.family(name, help, "counter");
        self.samples(name, label, values);
    }

    /// A figure that goes up and down, for each value of one label.
    pub fn gauges<L: Display, V: Display>(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        values: impl IntoIterator<Item = (L, V)>,
    ) {
        self.family(name, help, "gauge");
        self.samples(name, label, values);
    }

    /// A figure that only grows, for each pair of values of two labels.
    pub fn counter_pairs<V: Display>(
        &mut self,
        name: &str,
        help: &str,
        labels: [&str; 2],
        values: impl IntoIterator<Item = ([&'static str; 2], V)>,
    ) {
        self.family(name, help, "counter");
        self.pairs(name, labels, values);
    }

    /// A figure that goes up and down, for each pair of values of two labels.
    pub fn gauge_pairs<V: Display>(
        &mut self,
        name: &str,
        help: &str,
        labels: [&str; 2],
        values: impl IntoIterator<Item = ([&'static str; 2], V)>,
    ) {
        self.family(name, help, "gauge");
        self.pairs(name, labels, values);
    }

    /// How often a quantity was how large.
    pub fn histogram(&mut self, name: &str, help: &str, reading: &Reading) {
        self.family(name, help, "histogram");
        self.reading(name, "", reading);
    }

    /// How often a quantity was how large, for each value of one label.
    pub fn histograms<L: Display>(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        values: impl IntoIterator<Item = (L, Reading)>,
    ) {
        self.family(name, help, "histogram");
        for (value, reading) in values {
            self.reading(name, &pair(label, value), &reading);
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

    fn samples<L: Display, V: Display>(
        &mut self,
        name: &str,
        label: &str,
        values: impl IntoIterator<Item = (L, V)>,
    ) {
        for (value, figure) in values {
            self.sample(name, &format!("{{{}}}", pair(label, value)), figure);
        }
    }

    fn pairs<V: Display>(
        &mut self,
        name: &str,
        [first, second]: [&str; 2],
        values: impl IntoIterator<Item = ([&'static str; 2], V)>,
    ) {
        for ([one, other], figure) in values {
            let labels = format!("{{{},{}}}", pair(first, one), pair(second, other));
            self.sample(name, &labels, figure);
        }
    }

    /// Buckets, each with all that is not above its bound; then the sum, then the count.
    fn reading(&mut self, name: &str, label: &str, reading: &Reading) {
        let (comma, labels) = match label {
            "" => ("", String::new()),
            label => (",", format!("{{{label}}}")),
        };
        for (bound, count) in &reading.buckets {
            let labels = format!("{{{label}{comma}le=\"{bound}\"}}");
            self.sample(&format!("{name}_bucket"), &labels, count);
        }
        let all = format!("{{{label}{comma}le=\"+Inf\"}}");
        self.sample(&format!("{name}_bucket"), &all, reading.count);
        self.sample(&format!("{name}_sum"), &labels, reading.sum);
        self.sample(&format!("{name}_count"), &labels, reading.count);
    }

    fn sample(&mut self, name: &str, labels: &str, value: impl Display) {
        self.line(format_args!("rookery_{name}{labels} {value}"));
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        writeln!(self.page, "{line}").expect("writing to a String cannot fail");
    }
}

/// A label with its value. Values come from closed sets; were there a quote in one, it would end no label.
fn pair(label: &str, value: impl Display) -> String {
    let value = value.to_string().replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    format!("{label}=\"{value}\"")
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

    #[test]
    fn a_histogram_has_growing_buckets_a_sum_and_a_count() {
        let mut text = Text::default();
        let reading = Reading { buckets: vec![(0.5, 1), (1.0, 3)], count: 4, sum: 9.5 };
        text.histograms("wait_seconds", "Waiting.", "queue", [("a", reading)]);
        assert_eq!(
            text.finish(),
            "# HELP rookery_wait_seconds Waiting.\n# TYPE rookery_wait_seconds histogram\n\
             rookery_wait_seconds_bucket{queue=\"a\",le=\"0.5\"} 1\n\
             rookery_wait_seconds_bucket{queue=\"a\",le=\"1\"} 3\n\
             rookery_wait_seconds_bucket{queue=\"a\",le=\"+Inf\"} 4\n\
             rookery_wait_seconds_sum{queue=\"a\"} 9.5\nrookery_wait_seconds_count{queue=\"a\"} 4\n"
        );
    }

    #[test]
    fn a_label_cannot_be_ended_by_its_value() {
        let mut text = Text::default();
        text.counter_pairs("x_total", "X.", ["a", "b"], [(["1\"", "2\n\\"], 1)]);
        let page = text.finish();
        assert!(page.ends_with("rookery_x_total{a=\"1\\\"\",b=\"2\\n\\\\\"} 1\n"), "{page}");
    }
}
