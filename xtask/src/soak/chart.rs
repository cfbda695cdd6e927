//! The curves of a run, as SVG.

use std::fmt::Write as _;

use super::figures::{Sample, Summary, Use};

/// One curve: its name and its values over time.
struct Curve {
    name: String,
    points: Vec<(f64, f64)>,
    /// Whether only the points are drawn, without a line.
    is_dotted: bool,
}

/// Draws all curves, one panel below the other.
pub(super) fn draw(summary: &Summary, samples: &[Sample]) -> String {
    let end = samples.last().map_or(1.0, |last| last.seconds).max(1.0);
    let of = |name: &str, value: &dyn Fn(&Sample) -> f64| Curve {
        name: name.to_owned(),
        points: thinned(samples.iter().map(|sample| (sample.seconds, value(sample))).collect(), end),
        is_dotted: false,
    };
    let languages: Vec<String> = samples
        .first()
        .map_or_else(Vec::new, |first| first.residents.iter().map(|(name, _)| name.clone()).collect());
    let residents = |value: fn(&Use) -> f64| -> Vec<Curve> {
        let curve = |(index, name): (usize, &String)| {
            of(&format!("plugin in {name}"), &|sample| {
                sample.residents.get(index).map_or(0.0, |(_, used)| value(used))
            })
        };
        languages.iter().enumerate().map(curve).collect()
    };
    let at_rest = Curve {
        name: "host at rest".to_owned(),
        points: summary.rests.iter().map(|rest| (rest.seconds, rest.host.rss_kib / 1024.0)).collect(),
        is_dotted: true,
    };
    let mut memory = vec![of("host", &|sample| sample.host.rss_kib / 1024.0)];
    memory.extend(residents(|used| used.rss_kib / 1024.0));
    memory.push(at_rest);
    let mut descriptors = vec![of("host", &|sample| sample.host.descriptors)];
    descriptors.extend(residents(|used| used.descriptors));
    let mut threads = vec![of("host", &|sample| sample.host.threads)];
    threads.extend(residents(|used| used.threads));
    let rate = Curve { name: "calls".to_owned(), points: thinned(rates(samples), end), is_dotted: false };
    let panels = [
        ("Calls in each second", vec![rate]),
        ("Resident memory, MiB", memory),
        ("Open descriptors", descriptors),
        ("Threads", threads),
        ("Tasks of the host's runtime", vec![of("tasks", &|sample| sample.tasks)]),
        (
            "Of the host",
            vec![
                of("child processes", &|sample| sample.children),
                of("files in the socket directory", &|sample| sample.files),
            ],
        ),
    ];
    let height = PANEL * panels.len() as f64 + 30.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    for (index, (title, curves)) in panels.iter().enumerate() {
        panel(&mut svg, title, curves, index as f64 * PANEL, end);
    }
    let minutes = end / 60.0;
    for part in 0..=4 {
        let (x, at) = (LEFT + f64::from(part) / 4.0 * (RIGHT - LEFT), minutes * f64::from(part) / 4.0);
        let _ = writeln!(
            svg,
            "<text x=\"{x:.0}\" y=\"{:.0}\" text-anchor=\"middle\">{at:.0} min</text>",
            height - 8.0
        );
    }
    svg + "</svg>\n"
}

const WIDTH: f64 = 960.0;
const PANEL: f64 = 140.0;
const LEFT: f64 = 60.0;
const RIGHT: f64 = 760.0;
const COLOURS: [&str; 5] = ["#1f77b4", "#d62728", "#2ca02c", "#9467bd", "black"];

fn panel(svg: &mut String, title: &str, curves: &[Curve], top: f64, end: f64) {
    let values = curves.iter().flat_map(|curve| curve.points.iter().map(|(_, value)| *value));
    let most = values.fold(1.0, f64::max);
    let (low, high) = (top + PANEL - 10.0, top + 25.0);
    let x = |seconds: f64| LEFT + seconds / end * (RIGHT - LEFT);
    let y = |value: f64| low - value / most * (low - high);
    let _ = writeln!(svg, "<text x=\"{LEFT}\" y=\"{:.0}\" font-weight=\"bold\">{title}</text>", top + 16.0);
    for (value, height) in [(0.0, low), (most, high)] {
        let _ = writeln!(
            svg,
            "<path d=\"M{LEFT} {height:.0}H{RIGHT}\" stroke=\"#ccc\"/><text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"end\">{value:.0}</text>",
            LEFT - 6.0,
            height + 4.0
        );
    }
    for (index, curve) in curves.iter().enumerate() {
        let colour = COLOURS[index % COLOURS.len()];
        if curve.is_dotted {
            for (seconds, value) in &curve.points {
                let _ = writeln!(
                    svg,
                    "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"1.5\" fill=\"{colour}\"/>",
                    x(*seconds),
                    y(*value)
                );
            }
        } else {
            let points =
                curve.points.iter().map(|(seconds, value)| format!("{:.1},{:.1}", x(*seconds), y(*value)));
            let points = points.collect::<Vec<_>>().join(" ");
            let _ = writeln!(svg, "<polyline points=\"{points}\" fill=\"none\" stroke=\"{colour}\"/>");
        }
        let at = high + 12.0 + 16.0 * index as f64;
        let _ = writeln!(
            svg,
            "<text x=\"{:.0}\" y=\"{at:.0}\" fill=\"{colour}\">{}</text>",
            RIGHT + 10.0,
            curve.name
        );
    }
}

/// The calls of each second.
fn rates(samples: &[Sample]) -> Vec<(f64, f64)> {
    let rate = |pair: &[Sample]| {
        let (calls, seconds) = (pair[1].calls - pair[0].calls, pair[1].seconds - pair[0].seconds);
        (pair[1].seconds, if seconds > 0.0 { calls / seconds } else { 0.0 })
    };
    samples.windows(2).map(rate).collect()
}

/// At most some hundred points: the largest value of each part of the time.
fn thinned(points: Vec<(f64, f64)>, end: f64) -> Vec<(f64, f64)> {
    const PARTS: f64 = 350.0;
    let mut kept: Vec<(f64, f64)> = Vec::new();
    let part = |seconds: f64| (seconds / end * PARTS) as u64;
    for point in points {
        match kept.last_mut() {
            Some(last) if part(last.0) == part(point.0) => last.1 = last.1.max(point.1),
            _ => kept.push(point),
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::thinned;

    #[test]
    fn the_largest_value_of_a_part_is_kept() {
        let points: Vec<_> = (0..3500).map(|second| (f64::from(second), f64::from(second % 10))).collect();
        let kept = thinned(points, 3500.0);
        assert_eq!(kept.len(), 350);
        assert!(kept.iter().all(|(_, value)| *value == 9.0));
    }
}
