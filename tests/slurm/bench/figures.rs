//! Many times of one thing.

use crate::bench::crowd::Answer;

/// Seconds, the shortest first.
#[derive(Debug)]
pub(crate) struct Figures(Vec<f64>);

impl Figures {
    /// Of what these answers took.
    pub(crate) fn of<'a>(answers: impl IntoIterator<Item = &'a Answer>) -> Self {
        let mut times: Vec<_> = answers.into_iter().map(|answer| answer.seconds).collect();
        times.sort_by(f64::total_cmp);
        Self(times)
    }

    /// How many.
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// How many are longer than this.
    pub(crate) fn longer_than(&self, seconds: f64) -> usize {
        self.0.iter().filter(|time| **time > seconds).count()
    }

    /// The shortest.
    pub(crate) fn shortest(&self) -> f64 {
        self.0.first().copied().unwrap_or(f64::NAN)
    }

    /// Half of them are not longer.
    pub(crate) fn median(&self) -> f64 {
        self.0.get(self.0.len() / 2).copied().unwrap_or(f64::NAN)
    }

    /// The longest.
    pub(crate) fn longest(&self) -> f64 {
        self.0.last().copied().unwrap_or(f64::NAN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_put_in_order() {
        let answers = [3.0, 1.0, 2.0].map(|seconds| Answer { good: true, seconds, more: 0 });
        let figures = Figures::of(&answers);
        assert_eq!([figures.shortest(), figures.median(), figures.longest()], [1.0, 2.0, 3.0]);
        assert_eq!((figures.count(), figures.longer_than(1.5)), (3, 2));
    }
}
