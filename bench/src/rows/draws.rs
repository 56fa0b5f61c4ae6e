//! The draw: how long a million takes, and whether every order is as likely as another (Pearson's χ²).

use std::time::Instant;

use anyhow::Result;
use waiting_room::line::Draw;

use super::Finding;
use crate::figure::Figures;
use crate::servers::Bench;

const MILLION: u32 = 1_000_000;
const MS_MAX: f64 = 100.0;
/// With eight tests a run, a fair draw falls outside of this in less than two of a thousand runs.
const P_RANGE: std::ops::RangeInclusive<f64> = 1e-4..=0.9999;
/// Pairs are counted by tenths of the line where there are more people than this.
const CELLS_MAX: u32 = 50;

pub(super) fn measure(bench: &Bench) -> Result<Finding> {
    let took_ms = (0..bench.runs(9, 3)).map(|run| {
        let started = Instant::now();
        std::hint::black_box(Draw::make(seed(u64::MAX - run), MILLION));
        started.elapsed().as_secs_f64() * 1_000.0
    });
    let took_ms = Figures::new(took_ms.collect());
    let (mut ps, mut notes) = (Vec::new(), Vec::new());
    for (people, seeds) in bench.runs(
        [(3, 300_000), (10, 300_000), (50, 300_000), (1_000, 100_000)],
        [(3, 20_000), (10, 20_000), (50, 50_000), (1_000, 10_000)],
    ) {
        let (first, pairs) = uniformity(people, seeds);
        notes.push(format!("N = {people}, {seeds} seeds: p = {first:.3} (first places), {pairs:.3} (pairs)"));
        ps.extend([first, pairs]);
    }
    let holds = took_ms.median() < MS_MAX && ps.iter().all(|p| P_RANGE.contains(p));
    let ps = Figures::new(ps);
    let measured = format!("{took_ms:.0} ms; p from {:.3} to {:.3} in 8 tests", ps.min(), ps.max());
    Ok(notes.into_iter().fold(Finding::new(holds, measured), Finding::note))
}

/// Thirty-two bytes that differ for every counter. The draw hashes its seed before, so these are as good as any.
fn seed(counter: u64) -> [u8; 32] {
    let mut seed = [0; 32];
    seed[..8].copy_from_slice(&counter.to_be_bytes());
    seed
}

/// The p-values of who is first, and of where the numbers 1 and 2 stand.
fn uniformity(people: u32, seeds: u64) -> (f64, f64) {
    let side = if people > CELLS_MAX { 10 } else { people };
    let cell = |place: u64| ((place - 1) * u64::from(side) / u64::from(people)) as usize;
    let mut first = vec![0_u64; people as usize];
    let mut pairs = vec![0_u64; (side * side) as usize];
    for counter in 0..seeds {
        let draw = Draw::make(seed(u64::from(people) << 40 | counter), people);
        let places: Vec<u64> = (1..=u64::from(people)).filter_map(|number| draw.place_of(number)).collect();
        if let Some(winner) = places.iter().position(|place| *place == 1) {
            first[winner] += 1;
        }
        pairs[cell(places[0]) * side as usize + cell(places[1])] += 1;
    }
    let chance = |row: usize, column: usize| {
        let (people, block) = (f64::from(people), f64::from(people / side));
        let taken = if row == column { 1.0 } else { 0.0 };
        block * (block - taken) / (people * (people - 1.0))
    };
    let expected = (0..pairs.len()).map(|at| chance(at / side as usize, at % side as usize) * seeds as f64);
    let even = vec![seeds as f64 / f64::from(people); people as usize];
    (p_of(&first, &even), p_of(&pairs, &expected.collect::<Vec<_>>()))
}

/// The chance of counts at least this far from what is expected. Cells that cannot happen are left out.
fn p_of(counts: &[u64], expected: &[f64]) -> f64 {
    let cells = counts.iter().zip(expected).filter(|(_, expected)| **expected > 0.0);
    let chi2: f64 = cells.clone().map(|(count, expected)| (*count as f64 - expected).powi(2) / expected).sum();
    let freedom = cells.count() as f64 - 1.0;
    upper_gamma(freedom / 2.0, chi2 / 2.0)
}

/// The regularised upper incomplete gamma function Q(a, x): a series below a + 1, a continued fraction (Lentz) above.
fn upper_gamma(a: f64, x: f64) -> f64 {
    if x <= 0.0 {
        return 1.0;
    }
    let scale = (a * x.ln() - x - ln_gamma(a)).exp();
    if x < a + 1.0 {
        let (mut term, mut sum) = (1.0 / a, 1.0 / a);
        for step in 1..10_000 {
            term *= x / (a + f64::from(step));
            sum += term;
            if term < sum * 1e-12 {
                break;
            }
        }
        return 1.0 - scale * sum;
    }
    let (mut b, mut c) = (x + 1.0 - a, 1e300);
    let mut d = 1.0 / b;
    let mut fraction = d;
    for step in 1..10_000 {
        let n = f64::from(step);
        let an = -n * (n - a);
        b += 2.0;
        d = 1.0 / (an * d + b);
        c = b + an / c;
        fraction *= d * c;
        if (d * c - 1.0).abs() < 1e-12 {
            break;
        }
    }
    scale * fraction
}

/// The logarithm of the gamma function, by Stirling's series after moving up.
fn ln_gamma(x: f64) -> f64 {
    let (mut x, mut below) = (x, 0.0);
    while x < 10.0 {
        below += x.ln();
        x += 1.0;
    }
    let series = 1.0 / (12.0 * x) - 1.0 / (360.0 * x.powi(3)) + 1.0 / (1260.0 * x.powi(5));
    (x - 0.5) * x.ln() - x + 0.5 * (2.0 * std::f64::consts::PI).ln() + series - below
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p_values_are_those_of_the_tables() {
        for (freedom, chi2, p) in [(1.0, 3.841, 0.05), (5.0, 11.070, 0.05), (99.0, 134.642, 0.01), (10.0, 3.940, 0.95)]
        {
            let found = upper_gamma(freedom / 2.0, chi2 / 2.0);
            assert!((found - p).abs() < 1e-4, "{freedom} {chi2}: {found}");
        }
    }

    #[test]
    fn a_draw_that_favours_somebody_is_found_out() {
        assert!(p_of(&[1_000, 1_000, 1_000], &[1_000.0; 3]) > 0.999);
        assert!(p_of(&[1_200, 900, 900], &[1_000.0; 3]) < 1e-6);
    }
}
