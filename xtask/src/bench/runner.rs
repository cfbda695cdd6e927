//! Measures one figure: each pair in turn, round after round.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use super::figures::{Figure, Number};
use super::pairs::{Pair, Programs};
use super::report::{Row, Spread};
use crate::leaks;
use crate::workspace::Outcome;

/// The numbers that one host printed.
type Printed = BTreeMap<String, f64>;

/// Measures a figure. A host that fails is reported in the rows, and the others still take their turns.
pub(super) fn measure(figure: &Figure, rounds: usize, programs: &Programs, logs: &Path) -> Vec<Row> {
    let mut printed: BTreeMap<Pair, Vec<Option<Printed>>> = BTreeMap::new();
    let mut failures = Vec::new();
    for round in 1..=rounds {
        for &pair in programs.pairs.keys() {
            let Some(line) = command_line(figure, pair, programs) else { continue };
            let turn = host(&line, figure.seconds, logs).and_then(|output| read(pair, &output));
            let turn = turn.inspect_err(|why| {
                println!("   {pair}, round {round}: {why}");
                failures.push(format!("{pair}, round {round}: {why}"));
            });
            printed.entry(pair).or_default().push(turn.ok());
        }
    }
    figure.numbers.iter().map(|number| row(figure, number, &printed, &failures)).collect()
}

fn row(
    figure: &Figure,
    number: &Number,
    printed: &BTreeMap<Pair, Vec<Option<Printed>>>,
    failures: &[String],
) -> Row {
    let values = |pair| -> Vec<Option<f64>> {
        let turns = printed.get(&pair).into_iter().flatten();
        turns.map(|turn| turn.as_ref().and_then(|turn| turn.get(number.key)).copied()).collect()
    };
    let ours = values(Pair::Rust);
    let (mut pairs, mut ratios) = (BTreeMap::new(), BTreeMap::new());
    for &pair in printed.keys() {
        let theirs = values(pair);
        let all: Vec<f64> = theirs.iter().flatten().copied().collect();
        if !all.is_empty() {
            pairs.insert(pair, Spread::of(&all));
        }
        // Within one round, because the machine may be busier in the next.
        let turns = ours.iter().zip(&theirs).filter_map(|(ours, theirs)| Some((*ours)? / (*theirs)?));
        let within: Vec<f64> = turns.filter(|ratio| ratio.is_finite()).collect();
        if pair != Pair::Rust && !within.is_empty() {
            ratios.insert(pair, Spread::of(&within));
        }
    }
    Row { ratios, failures: failures.to_vec(), ..Row::new(&figure.name, number, pairs) }
}

/// `pin CORES -- HOST FIGURE FLAGS -- pin CORES -- PLUGIN`, with the pins only where the figure asks for them. `None` if
/// the pair has no such figure.
fn command_line(figure: &Figure, pair: Pair, programs: &Programs) -> Option<Vec<OsString>> {
    let (host, plugin) = programs.of(pair, figure)?;
    let arguments = match pair {
        Pair::Python => python_arguments(figure)?,
        Pair::Rust => [&figure.arguments[..], &figure.own].concat(),
        _ => figure.arguments.clone(),
    };
    let pin = |side: usize| figure.cores.map(|cores| programs.pin(cores[side])).unwrap_or_default();
    let mut line = pin(0);
    line.extend(host.iter().cloned());
    line.extend(arguments.into_iter().map(OsString::from));
    line.push("--".into());
    line.extend(pin(1));
    line.extend(plugin);
    Some(line)
}

/// Python's host counts calls and not seconds, and has the figures `launch` and `unary` only.
fn python_arguments(figure: &Figure) -> Option<Vec<String>> {
    let (calls, in_flight, payload) = match figure.arguments.first()?.as_str() {
        "launch" => ("1", "1", "64"),
        "unary" => ("3000", figure.value("--in-flight")?, figure.value("--payload")?),
        _ => return None,
    };
    if figure.arguments.iter().any(|argument| argument == "--mux") {
        return None;
    }
    let flags = ["--calls", calls, "--in-flight", in_flight, "--payload", payload];
    let security = figure.arguments.iter().filter(|argument| *argument == "--auto-mtls").cloned();
    Some(security.chain(flags.map(str::to_owned)).collect())
}

/// Runs a host to its end and returns its output.
fn host(line: &[OsString], seconds: f64, logs: &Path) -> Outcome<String> {
    let (program, arguments) = line.split_first().ok_or("a program has no name")?;
    let limit = LIMIT + Duration::from_secs_f64(seconds * 2.0);
    let ended = leaks::run(Command::new(program).args(arguments), "bench", logs, limit)?;
    match ended.status? {
        Some(status) if status.success() => Ok(fs::read_to_string(&ended.stdout)?),
        Some(status) => {
            let stderr = String::from_utf8_lossy(&fs::read(&ended.stderr)?).into_owned();
            let last = stderr.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default();
            Err(format!("{status}: {last}").into())
        }
        None => Err(format!("not done after {} s", limit.as_secs()).into()),
    }
}

/// Reads the line of numbers.
fn read(pair: Pair, output: &str) -> Outcome<Printed> {
    let line = output.lines().rfind(|line| line.starts_with('{')).ok_or("the host printed no numbers")?;
    let values: BTreeMap<String, Value> = serde_json::from_str(line)?;
    let mut printed: Printed =
        values.into_iter().filter_map(|(name, value)| Some((name, value.as_f64()?))).collect();
    if let (Pair::Python, Some(launch)) = (pair, printed.get("launch_us").copied()) {
        printed.insert("launch_ms".to_owned(), launch / 1e3);
    }
    Ok(printed)
}

/// How long a host may take beyond twice the time of its measurement.
const LIMIT: Duration = Duration::from_secs(90);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_among_other_lines() {
        let printed = read(Pair::Go, "noise\n{\"p50_us\":1.5,\"name\":\"x\"}\n").unwrap();
        assert_eq!(printed, BTreeMap::from([("p50_us".to_owned(), 1.5)]));
        assert_eq!(read(Pair::Python, "{\"launch_us\":2000}").unwrap()["launch_ms"], 2.0);
        assert!(read(Pair::Go, "nothing").is_err());
    }

    #[test]
    fn the_error_of_a_host_has_its_status_and_its_last_line() {
        let line = ["sh", "-c", "echo a >&2; echo why >&2; exit 3"].map(OsString::from);
        let error = host(&line, 0.0, tempfile::tempdir().unwrap().path()).unwrap_err().to_string();
        assert!(error.contains("3") && error.ends_with("why"), "{error}");
    }
}
