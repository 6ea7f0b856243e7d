//! The plot of the README: what each of the seven takes, beside its script and beside doing nothing.

use std::fmt::Write as _;

use crate::programs::Programs;

const WIDTH: f64 = 760.0;
const NAMES: f64 = 170.0;
const NUMBERS: f64 = 150.0;
const ROW: f64 = 34.0;
const TOP: f64 = 44.0;

/// Bars by the logarithm: the longest script takes some forty times as long as the shortest program.
pub(crate) fn svg(programs: &Programs) -> String {
    let pairs = programs.pairs();
    let nothing = programs.nothing().wall.median();
    let longest = pairs.iter().map(|(_, twin)| twin.wall.median()).fold(nothing, f64::max);
    let least = nothing / 2.0;
    let bar = |seconds: f64| (seconds / least).ln() / (longest / least).ln() * (WIDTH - NAMES - NUMBERS);
    let mut rows = String::new();
    let mut top = TOP;
    for (ours, twin) in pairs {
        let (mine, theirs) = (ours.wall.median(), twin.wall.median());
        let _ = write!(
            rows,
            r##"<text x="{name:.0}" y="{middle:.0}" text-anchor="end">{}</text>
<rect x="{NAMES}" y="{top:.0}" width="{:.1}" height="12" fill="#2a7f62"/>
<rect x="{NAMES}" y="{lower:.0}" width="{:.1}" height="12" fill="#c9a66b"/>
<text x="{:.1}" y="{:.0}">{:.2} ms</text>
<text x="{:.1}" y="{:.0}">{:.2} ms, {:.1} times</text>
"##,
            ours.name,
            bar(mine),
            bar(theirs),
            NAMES + bar(mine) + 6.0,
            top + 10.0,
            mine * 1e3,
            NAMES + bar(theirs) + 6.0,
            top + 23.0,
            theirs * 1e3,
            theirs / mine,
            name = NAMES - 8.0,
            middle = top + 16.0,
            lower = top + 13.0,
        );
        top += ROW;
    }
    let floor = NAMES + bar(nothing);
    format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0}" font-family="sans-serif" font-size="12">
<title>What each program takes as a whole process, beside the shell script that it replaces</title>
<rect width="100%" height="100%" fill="#ffffff"/>
<rect x="{NAMES}" y="12" width="12" height="12" fill="#2a7f62"/><text x="188" y="22">slurm-pki</text>
<rect x="270" y="12" width="12" height="12" fill="#c9a66b"/><text x="288" y="22">shell and openssl</text>
<text x="420" y="22">dashes: a program that does nothing ({:.2} ms); logarithmic</text>
<line x1="{floor:.1}" y1="{TOP}" x2="{floor:.1}" y2="{top:.0}" stroke="#444444" stroke-dasharray="3 3"/>
{rows}</svg>
"##,
        nothing * 1e3,
        height = top + 6.0,
    )
}
