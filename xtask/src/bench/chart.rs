//! The results as a picture: how many times better than the other pair.

use std::fmt::Write as _;

use super::pairs::Pair;
use super::plan::Better;
use super::results::{Report, Row};
use super::table::number;

/// Bars on a logarithmic scale, from the other pair's 1× to the right. Readable on light and on dark pages.
pub(super) fn svg(report: &Report) -> String {
    let bars: Vec<(&Row, f64)> =
        report.rows.iter().filter_map(|row| Some((row, times_better(row)?))).collect();
    let best = bars.iter().map(|(_, times)| *times).fold(10.0, f64::max);
    let place = |times: f64| LABELS + (times.max(0.5) / 0.5).ln() / (best / 0.5).ln() * BARS;
    let height = TOP + ROW * bars.len() as f64 + 16.0;
    let width = LABELS + BARS + 70.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
         height=\"{height}\" font-family=\"sans-serif\" font-size=\"13\">\n<title>rpcplugin beside go-plugin, \
         {}</title>\n<style>text{{fill:#333}}.grid{{stroke:#bbb}}.one{{stroke:#666}}rect{{fill:#2f6fb3}}\
         @media(prefers-color-scheme:dark){{text{{fill:#ddd}}.grid{{stroke:#555}}.one{{stroke:#aaa}}\
         rect{{fill:#6aa5e0}}}}</style>\n<text x=\"{LABELS}\" y=\"16\">times better than go-plugin in the same \
         run</text>\n",
        report.date
    );
    for times in [0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0].into_iter().filter(|times| *times <= best) {
        let (x, class) = (place(times), if times == 1.0 { "one" } else { "grid" });
        let _ = writeln!(
            svg,
            "<line class=\"{class}\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{TOP}\" y2=\"{:.1}\"/><text x=\"{x:.1}\" \
             y=\"{:.1}\" text-anchor=\"middle\" font-size=\"11\">{times}×</text>",
            height - 16.0,
            TOP - 6.0
        );
    }
    for (n, (row, times)) in bars.iter().enumerate() {
        let y = TOP + ROW * n as f64;
        let (from, to) = (place(1.0).min(place(*times)), place(1.0).max(place(*times)));
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text><rect x=\"{from:.1}\" y=\"{:.1}\" \
             width=\"{:.1}\" height=\"14\"/><text x=\"{:.1}\" y=\"{:.1}\">{}×</text>",
            LABELS - 8.0,
            y + 15.0,
            row.what,
            y + 4.0,
            (to - from).max(1.0),
            to + 5.0,
            y + 15.0,
            number(*times)
        );
    }
    svg + "</svg>\n"
}

/// How many times better than go-plugin a headline figure is.
fn times_better(row: &Row) -> Option<f64> {
    let ratio = row.ratios.get(&Pair::Go).filter(|_| row.headline)?.median;
    Some(match row.better {
        Better::Lower => 1.0 / ratio,
        Better::Higher => ratio,
    })
}

const LABELS: f64 = 430.0;
const BARS: f64 = 380.0;
const ROW: f64 = 22.0;
const TOP: f64 = 44.0;
