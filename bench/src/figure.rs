//! Several runs of the same measurement: the median to quote, and how far they lay apart.

use std::fmt;

/// What several runs gave; at least one.
#[derive(Debug, Clone)]
pub(crate) struct Figures(Vec<f64>);

impl Figures {
    pub(crate) fn new(mut runs: Vec<f64>) -> Figures {
        runs.sort_by(f64::total_cmp);
        Figures(runs)
    }

    pub(crate) fn min(&self) -> f64 {
        self.0.first().copied().unwrap_or(f64::NAN)
    }

    pub(crate) fn max(&self) -> f64 {
        self.0.last().copied().unwrap_or(f64::NAN)
    }

    pub(crate) fn median(&self) -> f64 {
        let middle = self.0.len() / 2;
        match self.0.len() {
            0 => f64::NAN,
            even if even % 2 == 0 => (self.0[middle - 1] + self.0[middle]) / 2.0,
            _ => self.0[middle],
        }
    }
}

/// `1.32 (1.28 to 1.41 in 5 runs)`, with the precision of the format.
impl fmt::Display for Figures {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = formatter.precision().unwrap_or(2);
        let (median, min, max) = (self.median(), self.min(), self.max());
        write!(formatter, "{median:.digits$} ({min:.digits$} to {max:.digits$} in {} runs)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_quoted_with_the_spread() {
        assert_eq!(format!("{:.1}", Figures::new(vec![3.0, 1.0, 2.0])), "2.0 (1.0 to 3.0 in 3 runs)");
        assert!((Figures::new(vec![4.0, 1.0, 2.0, 9.0]).median() - 3.0).abs() < f64::EPSILON);
    }
}
