//! The figures that are measured, and the meaning of each of their numbers: the table in `figures.txt`.

use serde::{Deserialize, Serialize};

use super::pairs::Pair;

/// One measurement, taken by each pair in turn.
#[derive(Debug, Clone, Default)]
pub(super) struct Figure {
    /// The name, for `--figure`.
    pub(super) name: String,
    /// The only pair that the figure compares with, if it is not about other libraries for plugins.
    pub(super) beside: Option<Pair>,
    /// The cores of the host and of the plugin, if they are pinned.
    pub(super) cores: Option<[&'static str; 2]>,
    /// The figure as the hosts know it, and its flags.
    pub(super) arguments: Vec<String>,
    /// The flags of this library alone.
    pub(super) own: Vec<String>,
    /// How often each pair takes its turn.
    pub(super) rounds: usize,
    /// How long one host measures, in seconds.
    pub(super) seconds: f64,
    pub(super) numbers: Vec<Number>,
}

/// One of the numbers of a measurement.
#[derive(Debug, Clone)]
pub(super) struct Number {
    /// The name that the hosts print.
    pub(super) key: &'static str,
    pub(super) what: String,
    pub(super) unit: &'static str,
    pub(super) better: Better,
    /// The ratio to the other pair that is wanted: at most, or at least.
    pub(super) target: Option<f64>,
    /// Whether the README shows it.
    pub(super) headline: bool,
}

/// Which numbers are good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Better {
    Lower,
    Higher,
}

/// All figures. Quick ones that matter come first.
pub(super) fn all(quick: bool) -> Vec<Figure> {
    let mut figures: Vec<Figure> = Vec::new();
    let mut left_out = false;
    for line in include_str!("figures.txt").lines().filter(|line| !line.starts_with('#')) {
        if let Some(number) = line.strip_prefix("  ") {
            if let Some(figure) = figures.last_mut().filter(|_| !left_out) {
                figure.numbers.push(Number::read(number));
            }
            continue;
        }
        left_out = quick && line.contains("@whole ");
        if !left_out {
            figures.push(Figure::read(line, quick));
        }
    }
    figures
}

impl Figure {
    /// Reads `NAME: FLAGS FIGURE ARGUMENTS`.
    fn read(line: &str, quick: bool) -> Self {
        let (name, words) = line.split_once(": ").unwrap_or((line, ""));
        let mut figure = Self { name: name.to_owned(), ..Self::default() };
        for word in words.split(' ') {
            let (whole, short) = word.split_once('|').unwrap_or((word, word));
            match word {
                "@one" => figure.cores = Some(["0", "0"]),
                "@two" => figure.cores = Some(["0", "1"]),
                "@tonic" => figure.beside = Some(Pair::Tonic),
                "@itself" => figure.beside = Some(Pair::Itself),
                "@whole" => {}
                _ if word.starts_with('+') => figure.own.push(word.trim_start_matches('+').to_owned()),
                _ => figure.arguments.push(if quick { short } else { whole }.to_owned()),
            }
        }
        figure.seconds = figure.value("--seconds").and_then(|value| value.parse().ok()).unwrap_or_default();
        figure.rounds = match (figure.beside.is_some(), quick) {
            // A difference of three per cent has to be seen.
            (true, false) => 11,
            (true, true) => 5,
            (false, false) if figure.seconds <= 10.0 => 7,
            (false, _) => 3,
        };
        figure
    }

    /// The value of a flag.
    pub(super) fn value(&self, flag: &str) -> Option<&str> {
        let at = self.arguments.iter().position(|argument| argument == flag)?;
        self.arguments.get(at + 1).map(String::as_str)
    }
}

impl Number {
    /// Reads `KEY UNIT <TARGET! DESCRIPTION`.
    pub(super) fn read(line: &'static str) -> Self {
        let mut words = line.splitn(4, ' ');
        let [key, unit, wanted, what] = [(); 4].map(|()| words.next().unwrap_or_default());
        Self {
            key,
            what: what.to_owned(),
            unit: unit.trim_matches('-'),
            better: if wanted.starts_with('<') { Better::Lower } else { Better::Higher },
            target: wanted.trim_matches(['<', '>', '!']).parse().ok(),
            headline: wanted.ends_with('!'),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_table_is_complete_and_names_are_unique() {
        let figures = all(false);
        assert_eq!(all(true).len(), figures.len() - 2);
        let names: BTreeSet<_> = figures.iter().map(|figure| &figure.name).collect();
        assert_eq!(names.len(), figures.len());
        let numbers: Vec<_> = figures.iter().flat_map(|figure| &figure.numbers).collect();
        assert!(numbers.iter().all(|number| !number.what.is_empty()));
        let different: BTreeSet<_> = numbers.iter().map(|number| &number.what).collect();
        assert_eq!(different.len(), numbers.len());
        let first = &figures[0];
        assert_eq!(first.arguments.join(" "), "launch --rounds 25");
        assert_eq!((first.numbers[0].unit, first.numbers[0].target), ("ms", Some(0.4)));
    }
}
