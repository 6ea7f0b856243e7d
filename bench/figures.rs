//! Many measurements of one thing, and what is said of them.

use std::time::Duration;

/// Shortest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Figures(Vec<f64>);

impl Figures {
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_unstable_by(f64::total_cmp);
        Self(values)
    }

    /// In seconds.
    pub(crate) fn of_times(times: impl IntoIterator<Item = Duration>) -> Self {
        Self::of(times.into_iter().map(|time| time.as_secs_f64()))
    }

    pub(crate) fn min(&self) -> f64 {
        self.at(0)
    }

    pub(crate) fn median(&self) -> f64 {
        self.at(self.0.len() / 2)
    }

    pub(crate) fn max(&self) -> f64 {
        self.at(self.0.len().saturating_sub(1))
    }

    /// So many hundredths of the runs were not longer.
    pub(crate) fn percentile(&self, hundredths: usize) -> f64 {
        self.at(self.0.len() * hundredths / 100)
    }

    /// How far the middle half of the runs is spread, in hundredths of the median.
    pub(crate) fn spread(&self) -> f64 {
        (self.percentile(75) - self.percentile(25)) / self.median() * 100.0
    }

    fn at(&self, index: usize) -> f64 {
        self.0.get(index).copied().unwrap_or(f64::NAN)
    }
}
