//! Taking one figure: each pair in turn, round after round.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Read as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use serde_json::Value;

use super::pairs::{Pair, Programs};
use super::plan::{Cores, Figure};
use super::results::{Row, Spread};
use crate::leftovers;
use crate::workspace::Outcome;

/// What one host printed.
type Printed = BTreeMap<String, f64>;

/// Measures a figure. A host that fails is reported in the rows and does not keep the others from their turns.
pub(super) fn measure(figure: &Figure, rounds: usize, programs: &Programs) -> Vec<Row> {
    let mut printed: BTreeMap<Pair, Vec<Option<Printed>>> = BTreeMap::new();
    let mut failures = Vec::new();
    for round in 1..=rounds {
        for &pair in programs.pairs.keys() {
            let Some(line) = command_line(figure, pair, programs) else { continue };
            let turn = host(&line, figure.seconds).and_then(|output| read(pair, &output));
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
    number: &super::plan::Number,
    printed: &BTreeMap<Pair, Vec<Option<Printed>>>,
    failures: &[String],
) -> Row {
    let values = |pair| -> Vec<Option<f64>> {
        let turns = printed.get(&pair).into_iter().flatten();
        turns.map(|turn| turn.as_ref().and_then(|turn| turn.get(number.key)).copied()).collect()
    };
    let ours = values(Pair::Rust);
    let mut pairs = BTreeMap::new();
    let mut ratios = BTreeMap::new();
    for &pair in printed.keys() {
        let theirs = values(pair);
        let all: Vec<f64> = theirs.iter().flatten().copied().collect();
        if !all.is_empty() {
            pairs.insert(pair, Spread::of(&all));
        }
        // Within one round, because the next may have fallen on a busier moment.
        let within: Vec<f64> = ours
            .iter()
            .zip(&theirs)
            .filter_map(|(ours, theirs)| Some((*ours)? / (*theirs)?))
            .filter(|ratio| ratio.is_finite())
            .collect();
        if pair != Pair::Rust && !within.is_empty() {
            ratios.insert(pair, Spread::of(&within));
        }
    }
    Row {
        figure: figure.name.clone(),
        what: number.what.clone(),
        unit: number.unit.to_owned(),
        better: number.better,
        target: number.target,
        headline: number.headline,
        pairs,
        ratios,
        failures: failures.to_vec(),
    }
}

/// `pin CORES -- HOST FIGURE FLAGS -- pin CORES -- PLUGIN`, with the pins only where they are asked for. None where the
/// pair has no such figure.
fn command_line(figure: &Figure, pair: Pair, programs: &Programs) -> Option<Vec<OsString>> {
    let (host, plugin) = programs.of(pair, figure.contest)?;
    let arguments = match pair {
        Pair::Python => python_arguments(figure)?,
        _ => figure.arguments.clone(),
    };
    let (host_cores, plugin_cores) = match figure.cores {
        Cores::Any => (None, None),
        Cores::One => (Some("0"), None),
        Cores::Two => (Some("0"), Some("1")),
    };
    let pin = |cores: Option<&str>| cores.map(|cores| programs.pin(cores)).unwrap_or_default();
    let mut line = pin(host_cores);
    line.extend(host.iter().cloned());
    line.extend(arguments.into_iter().map(OsString::from));
    line.push("--".into());
    line.extend(pin(plugin_cores));
    line.extend(plugin);
    Some(line)
}

/// Python's host counts calls instead of seconds, and knows launches and calls only.
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

/// Runs a host to its end and returns what it printed. One that takes too long is killed with everything it started.
fn host(line: &[OsString], seconds: f64) -> Outcome<String> {
    let temporary = tempfile::Builder::new().prefix("xb").tempdir()?;
    let token = format!("bench-{}", std::process::id());
    let (program, arguments) = line.split_first().ok_or("a program has no name")?;
    let child = Command::new(program)
        .args(arguments)
        .env("TMPDIR", temporary.path())
        .env(leftovers::MARKER, &token)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()?;
    let leader = child.id();
    let (sender, receiver) = mpsc::channel();
    // A thread that waits costs the machine nothing, unlike one that looks every few milliseconds.
    thread::spawn(move || sender.send(wait(child)));
    let limit = LIMIT + Duration::from_secs_f64(seconds * 2.0);
    let Ok(ended) = receiver.recv_timeout(limit) else {
        leftovers::kill_group(leader);
        leftovers::end(&token);
        return Err(format!("not done after {} s", limit.as_secs()).into());
    };
    let (status, stdout, stderr) = ended?;
    if !status.success() {
        let last = stderr.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default();
        return Err(format!("{status}: {last}").into());
    }
    Ok(stdout)
}

fn wait(mut child: Child) -> std::io::Result<(ExitStatus, String, String)> {
    let mut stderr = child.stderr.take();
    // A host that says a lot must not stop at a full pipe.
    let errors = thread::spawn(move || {
        let mut text = Vec::new();
        let _ = stderr.as_mut().map(|stderr| stderr.read_to_end(&mut text));
        String::from_utf8_lossy(&text).into_owned()
    });
    let mut text = String::new();
    if let Some(mut stdout) = child.stdout.take() {
        stdout.read_to_string(&mut text)?;
    }
    let status = child.wait()?;
    // Something that was left behind may hold stderr open.
    let errors = if status.success() { String::new() } else { errors.join().unwrap_or_default() };
    Ok((status, text, errors))
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

/// Beyond twice the time of its measurement, this is what a host may take.
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
    fn a_failing_host_is_told_by_its_last_words() {
        let line = ["sh", "-c", "echo a >&2; echo why >&2; exit 3"].map(OsString::from);
        let error = host(&line, 0.0).unwrap_err().to_string();
        assert!(error.contains("3") && error.ends_with("why"), "{error}");
    }
}
