//! A simulation as a picture: people waiting, people admitted per minute, and some people's places, over time. Pure.

use std::fmt::Write as _;

use waiting_room::simulation::Outcome;

/// The whole picture, in pixels.
const WIDTH: f64 = 960.0;
const PANEL_HEIGHT: f64 = 190.0;
const PANEL_GAP: f64 = 70.0;
/// Where a panel's plane lies.
const LEFT: f64 = 84.0;
const RIGHT: f64 = 24.0;
const TOP: f64 = 64.0;
/// More points than this in a line cannot be seen.
const POINTS_MAX: usize = 1_200;

/// Readable on white and on black, whichever the viewer prefers.
const STYLE: &str = "text{font:13px system-ui,sans-serif;fill:#444}.title{font-weight:600;font-size:15px}\
    .ground{fill:#fff}.axis{stroke:#888;fill:none}.grid{stroke:#8884;fill:none}path{fill:none;stroke-width:1.8}\
    .a{stroke:#0b76b7}.b{stroke:#c2570c}.limit{stroke:#888;stroke-dasharray:5 4}.place{stroke-width:1.2;opacity:.85}\
    @media(prefers-color-scheme:dark){text{fill:#ccc}.ground{fill:#16181c}.a{stroke:#4fb0ea}.b{stroke:#f08c48}}";

/// A curve of (milliseconds, value), and how it is drawn.
struct Curve<'a> {
    name: &'a str,
    class: &'a str,
    points: Vec<(i64, f64)>,
    /// Values hold until the next one.
    steps: bool,
}

/// The picture.
pub(super) fn svg(outcome: &Outcome) -> String {
    let sampled = |value: fn(&waiting_room::simulation::Sample) -> f64| -> Vec<(i64, f64)> {
        outcome.samples.iter().map(|sample| (sample.at_ms, value(sample))).collect()
    };
    let curve = |name, class, points| Curve { name, class, points, steps: false };
    let mut waiting = vec![curve("waiting", "a", sampled(|sample| sample.waiting as f64))];
    if outcome.samples.iter().any(|sample| sample.there != sample.waiting) {
        waiting.push(curve("and asking", "b", sampled(|sample| sample.there as f64)));
    }
    let admitted = [
        curve("admitted in the last 60 s", "a", sampled(|sample| sample.admitted_last_minute as f64)),
        curve("rate", "limit", sampled(|sample| f64::from(sample.rate_per_minute))),
    ];
    let places: Vec<Curve<'_>> = outcome
        .places
        .iter()
        .enumerate()
        .map(|(index, told)| Curve {
            name: if index == 0 { "one line a person; 0 = called" } else { "" },
            class: if index % 2 == 0 { "a place" } else { "b place" },
            points: told.iter().map(|&(at_ms, place)| (at_ms, place as f64)).collect(),
            steps: true,
        })
        .collect();
    let height = TOP + 3.0 * PANEL_HEIGHT + 2.0 * PANEL_GAP + 56.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" \
         role=\"img\" aria-label=\"A simulated waiting room over time\"><style>{STYLE}</style>\
         <rect class=\"ground\" width=\"{WIDTH}\" height=\"{height}\"/>\n"
    );
    let last_ms = outcome.lasted_ms.max(1_000);
    let panels =
        [("People waiting", &waiting[..]), ("Admitted per minute", &admitted[..]), ("Place in line", &places[..])];
    for (index, (title, curves)) in panels.into_iter().enumerate() {
        let top = TOP + index as f64 * (PANEL_HEIGHT + PANEL_GAP);
        panel(&mut svg, title, top, last_ms, curves);
    }
    svg.push_str("</svg>\n");
    svg
}

fn panel(svg: &mut String, title: &str, top: f64, last_ms: i64, curves: &[Curve<'_>]) {
    let bottom = top + PANEL_HEIGHT;
    let highest = curves.iter().flat_map(|curve| &curve.points).map(|point| point.1).fold(1.0, f64::max);
    let (every, highest) = scale(highest);
    let x = |at_ms: f64| LEFT + at_ms / last_ms as f64 * (WIDTH - LEFT - RIGHT);
    let y = |value: f64| bottom - value / highest * PANEL_HEIGHT;
    // Writing to a string cannot fail.
    let _ = writeln!(svg, "<text class=\"title\" x=\"{LEFT}\" y=\"{:.0}\">{title}</text>", top - 16.0);
    let mut key_x = WIDTH - RIGHT;
    for curve in curves.iter().rev().filter(|curve| !curve.name.is_empty()) {
        let (text_x, line_y) = (key_x, top - 20.0);
        key_x -= curve.name.len() as f64 * 7.4 + 36.0;
        let _ = writeln!(
            svg,
            "<text x=\"{text_x:.0}\" y=\"{:.0}\" text-anchor=\"end\">{}</text><path class=\"{}\" d=\"M{:.0} {line_y:.0}h18\"/>",
            top - 16.0,
            curve.name,
            curve.class,
            key_x + 6.0
        );
    }
    let mut value = 0.0;
    while value <= highest + every / 2.0 {
        let (text_x, line_y) = (LEFT - 8.0, y(value));
        let _ = writeln!(
            svg,
            "<path class=\"grid\" d=\"M{LEFT} {line_y:.1}H{}\"/><text x=\"{text_x}\" y=\"{:.1}\" text-anchor=\"end\">{value}</text>",
            WIDTH - RIGHT,
            line_y + 4.0
        );
        value += every;
    }
    time_axis(svg, bottom, last_ms, x);
    for curve in curves.iter().filter(|curve| !curve.points.is_empty()) {
        let _ = writeln!(svg, "<path class=\"{}\" d=\"{}\"/>", curve.class, path(curve, x, y));
    }
}

fn time_axis(svg: &mut String, bottom: f64, last_ms: i64, x: impl Fn(f64) -> f64) {
    let in_minutes = last_ms > 180_000;
    let (unit_ms, unit) = if in_minutes { (60_000.0, "minutes") } else { (1_000.0, "seconds") };
    let (every, _) = scale(last_ms as f64 / unit_ms / 1.6);
    let _ = writeln!(svg, "<path class=\"axis\" d=\"M{LEFT} {bottom}H{}\"/>", WIDTH - RIGHT);
    let mut at = 0.0;
    while at * unit_ms <= last_ms as f64 {
        let _ = writeln!(
            svg,
            "<path class=\"axis\" d=\"M{0:.1} {bottom}v5\"/><text x=\"{0:.1}\" y=\"{1:.0}\" text-anchor=\"middle\">{at}</text>",
            x(at * unit_ms),
            bottom + 19.0
        );
        at += every;
    }
    let _ =
        writeln!(svg, "<text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"end\">{unit}</text>", WIDTH - RIGHT, bottom + 35.0);
}

/// The distance of round marks, and the mark at or above `highest`.
fn scale(highest: f64) -> (f64, f64) {
    let rough = highest.max(1.0) / 5.0;
    let power = 10_f64.powf(rough.log10().floor());
    let every = [1.0, 2.0, 5.0, 10.0].into_iter().map(|step| step * power).find(|step| *step >= rough);
    let every = every.unwrap_or(power * 10.0).max(1.0);
    (every, (highest / every).ceil().max(1.0) * every)
}

fn path(curve: &Curve<'_>, x: impl Fn(f64) -> f64, y: impl Fn(f64) -> f64) -> String {
    let every = curve.points.len().div_ceil(POINTS_MAX).max(1);
    let last = curve.points.len() - 1;
    let kept = curve.points.iter().enumerate().filter(|(index, _)| index % every == 0 || *index == last);
    let mut path = String::new();
    for (_, &(at_ms, value)) in kept {
        let (x, y) = (x(at_ms as f64), y(value));
        let _ = match (path.is_empty(), curve.steps) {
            (true, _) => write!(path, "M{x:.1} {y:.1}"),
            (false, true) => write!(path, "H{x:.1}V{y:.1}"),
            (false, false) => write!(path, "L{x:.1} {y:.1}"),
        };
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;
    use waiting_room::simulation::{Scenario, run};

    #[test]
    fn marks_are_round_and_reach_the_top() {
        assert_eq!(
            [1.0, 7.0, 61.0, 300.0, 1_000_000.0].map(scale),
            [(1.0, 1.0), (2.0, 8.0), (20.0, 80.0), (100.0, 300.0), (200_000.0, 1_000_000.0)]
        );
    }

    #[test]
    fn the_picture_is_whole_and_stays_inside() {
        let outcome = run(&Scenario { rate_per_minute: 600, ..Scenario::default() }).expect("the rules hold");
        let svg = svg(&outcome);
        for words in ["People waiting", "Admitted per minute", "Place in line", "seconds"] {
            assert_eq!(svg.matches(words).count(), if words == "seconds" { 3 } else { 1 }, "{words}");
        }
        assert!(svg.ends_with("</svg>\n") && !svg.contains("NaN") && !svg.contains("inf"));
    }

    #[test]
    fn nobody_is_a_picture_too() {
        assert!(svg(&Outcome::default()).ends_with("</svg>\n"));
    }
}
