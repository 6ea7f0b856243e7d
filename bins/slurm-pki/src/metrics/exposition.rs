//! Prometheus' text format, version 0.0.4, as far as gauges need it.

use std::fmt::Write as _;

/// Metrics as they are written, family by family.
#[derive(Debug, Default)]
pub(super) struct Exposition(String);

/// Label names and values of one sample, and its value.
pub(super) type Sample<'a> = (Vec<(&'static str, &'a str)>, i64);

impl Exposition {
    /// A gauge with all its samples; nothing when there are none.
    pub(super) fn gauge<'a>(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = Sample<'a>>,
    ) {
        let mut samples = samples.into_iter().peekable();
        if samples.peek().is_none() {
            return;
        }
        let help = help.replace('\\', "\\\\").replace('\n', "\\n");
        self.add(format_args!("# HELP {name} {help}\n# TYPE {name} gauge\n"));
        for (labels, value) in samples {
            self.add(format_args!("{name}{} {value}\n", labelled(&labels)));
        }
    }

    /// A gauge without labels; nothing when there is no value.
    pub(super) fn one(&mut self, name: &str, help: &str, value: Option<i64>) {
        self.gauge(name, help, value.map(|value| (Vec::new(), value)));
    }

    /// The whole text.
    pub(super) fn into_text(self) -> String {
        self.0
    }

    fn add(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing to a String cannot fail.
        let _ = self.0.write_fmt(text);
    }
}

fn labelled(labels: &[(&str, &str)]) -> String {
    if labels.is_empty() {
        return String::new();
    }
    let pairs: Vec<_> = labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
    format!("{{{}}}", pairs.join(","))
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_chose_stays_inside_its_label() {
        let mut text = Exposition::default();
        text.gauge("m", "a\\b\nc", [(vec![("subject", "CN=a\\\"b\n} 1"), ("x", "y")], -3)]);
        assert_eq!(
            text.into_text(),
            "# HELP m a\\\\b\\nc\n# TYPE m gauge\nm{subject=\"CN=a\\\\\\\"b\\n} 1\",x=\"y\"} -3\n"
        );
    }

    #[test]
    fn a_gauge_without_samples_is_not_there() {
        let mut text = Exposition::default();
        text.one("m", "help", None);
        text.one("n", "help", Some(1));
        assert_eq!(text.into_text(), "# HELP n help\n# TYPE n gauge\nn 1\n");
    }
}
