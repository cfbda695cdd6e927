//! One cell: the checks of a host against a plugin, within a limit of time, and a look for leftovers.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use super::matrix::{Ability, Cell, Language};
use super::peers::{Certificates, Peers, Programs, Readiness};
use crate::leaks::{self, Ended};
use crate::workspace::Outcome;

/// How long a host may take. A list of checks takes seconds.
const LIMIT: Duration = Duration::from_secs(180);

/// The checks of cells with given certificates. All other cells run every check of their host.
fn core(host: Language) -> &'static str {
    match host {
        Language::Rust => {
            "ping,put-get,server-stream,bidi,callback,open-sub,security,\
             plain-text-clients-refused,unknown-clients-refused,stop,stop-socket-gone"
        }
        Language::Go => {
            "ping,put-get,server-stream,bidi,callback,open-sub,unauthorized-clients-refused,stop,stop-socket-gone"
        }
        Language::Python => "network,security,put-get,server-stream,bidi,unauthorized-clients-refused,stop",
    }
}

/// What all cells have in common.
pub(super) struct Setup<'a> {
    pub(super) peers: &'a Peers,
    pub(super) certificates: &'a Certificates,
    /// The directory for logs.
    pub(super) directory: &'a Path,
}

/// How a cell ended.
#[derive(Debug)]
pub(super) enum Verdict {
    Passed,
    Failed(String),
    /// The peer refused, as was expected of it, and why.
    Refused(String),
    /// Not run, and why.
    Skipped(String),
}

/// The result of a cell.
pub(super) struct CellResult {
    pub(super) cell: Cell,
    pub(super) verdict: Verdict,
    pub(super) checks: Checks,
    /// Files that a peer left behind that is known to leave such files.
    pub(super) tolerated: Vec<String>,
    pub(super) elapsed: Duration,
    pub(super) run: Option<Run>,
}

/// For a person who looks into a failure.
pub(super) struct Run {
    /// The command.
    pub(super) line: String,
    pub(super) stdout: PathBuf,
    pub(super) stderr: PathBuf,
}

/// The report of a host, check by check.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Checks {
    pub(super) passed: Vec<String>,
    /// Name and reason, here and below.
    pub(super) failed: Vec<(String, String)>,
    /// Failed because the peer cannot do it with any host.
    pub(super) limited: Vec<(String, String)>,
    pub(super) skipped: Vec<(String, String)>,
    /// The counts of passed and failed checks in the last line.
    summary: Option<(usize, usize)>,
}

/// Runs the cell, unless its host, its plugin or its certificates are missing.
pub(super) fn run(cell: &Cell, setup: &Setup<'_>) -> Outcome<CellResult> {
    command_line(cell, setup).map_or_else(
        |verdict| Ok(CellResult { verdict, ..CellResult::passed(*cell) }),
        |line| execute(cell, &line, setup.directory),
    )
}

impl CellResult {
    /// The result of a cell before anything is known about it.
    pub(super) fn passed(cell: Cell) -> Self {
        let (checks, tolerated) = (Checks::default(), Vec::new());
        Self { cell, verdict: Verdict::Passed, checks, tolerated, elapsed: Duration::ZERO, run: None }
    }
}

fn programs(peers: &Peers, language: Language) -> Result<&Programs, Verdict> {
    match peers.get(&language) {
        Some(Readiness::Ready { programs, .. }) => Ok(programs),
        Some(Readiness::Broken(why)) => Err(Verdict::Failed(why.clone())),
        Some(Readiness::Missing(why)) => Err(Verdict::Skipped(why.clone())),
        None => Err(Verdict::Skipped(format!("the {language} programs were not built"))),
    }
}

/// `HOST check [FLAGS] -- PLUGIN [FLAGS]`
fn command_line(cell: &Cell, setup: &Setup<'_>) -> Result<Vec<OsString>, Verdict> {
    let (host, plugin) = (programs(setup.peers, cell.host)?, programs(setup.peers, cell.plugin)?);
    let mut given: Vec<OsString> = Vec::new();
    if cell.security.is_given {
        let made = setup.certificates.get(cell.security.name);
        match made.ok_or_else(|| Verdict::Skipped("the certificates were not made".to_owned()))? {
            Ok(directory) => given.extend(["--tls-dir".into(), directory.into()]),
            Err(why) => return Err(Verdict::Skipped(why.clone())),
        }
    }
    let mut line = host.host.clone();
    let mut add = |condition: bool, words: &[&str]| {
        line.extend(words.iter().filter(|_| condition).map(OsString::from));
    };
    add(true, &["check"]);
    add(cell.security.name == "auto-mtls", &["--auto-mtls"]);
    // The other hosts find out by themselves.
    add(cell.host == Language::Python, &["--net", cell.network]);
    add(cell.mux, &["--mux"]);
    // The broker of pyvider-rpcplugin does not serve connections.
    add(!cell.has_python(), &["--broker"]);
    add(cell.host == Language::Rust && *cell != Cell::FIRST, &["--no-others"]);
    add(!given.is_empty() || cell.ability() != Ability::Works, &["--only", core(cell.host)]);
    line.extend(given.iter().cloned());
    line.push("--".into());
    line.extend(plugin.plugin.iter().cloned());
    if cell.network == "tcp" {
        line.extend(["--net".into(), "tcp".into()]);
    }
    line.extend(given);
    Ok(line)
}

fn execute(cell: &Cell, line: &[OsString], directory: &Path) -> Outcome<CellResult> {
    let (program, arguments) = line.split_first().ok_or("a program has no name")?;
    let mut command = Command::new(program);
    command.args(arguments).env("PYTHONDONTWRITEBYTECODE", "1");
    let name = cell.to_string().replace('/', "-");
    let ended = leaks::run(&mut command, &name, &directory.join("logs"), LIMIT)?;
    let [stdout, stderr] = [&ended.stdout, &ended.stderr]
        .map(|file| fs::read(file).map(|text| String::from_utf8_lossy(&text).into_owned()));
    let (stdout, stderr) = (stdout?, stderr?);
    let checks = Checks::read(*cell, &stdout);
    let mut left = ended.processes.clone();
    let mut tolerated = Vec::new();
    // A plugin on pyvider-rpcplugin leaves its socket, and a host cannot change that.
    let files = if cell.plugin == Language::Python { &mut tolerated } else { &mut left };
    files.extend(ended.files.iter().cloned());
    let verdict = verdict(cell.ability(), &ended, &checks, &(stdout + &stderr), &left);
    let line = line.iter().map(|word| word.display().to_string()).collect::<Vec<_>>().join(" ");
    let run = Some(Run { line, stdout: ended.stdout, stderr: ended.stderr });
    Ok(CellResult { cell: *cell, verdict, checks, tolerated, elapsed: ended.elapsed, run })
}

/// A cell passes if the checks, their summary and the exit status agree, and nothing is left behind. A cell that a peer
/// refuses has to show the sign of that, no check that passes, and nothing left behind.
fn verdict(ability: Ability, ended: &Ended, checks: &Checks, printed: &str, left: &[String]) -> Verdict {
    let fault = match (&ended.status, ability) {
        (Err(error), _) => Some(format!("the host cannot be started: {error}")),
        (Ok(None), _) => Some(format!("not done after {} s", LIMIT.as_secs())),
        (Ok(Some(_)), Ability::Refused { sign, why }) => match checks.passed.first() {
            Some(passed) => Some(format!("{passed} passed, although {why}")),
            None if !printed.contains(sign) => {
                Some(format!("it fails, but not because {why}: {sign:?} was not printed"))
            }
            None => None,
        },
        (Ok(Some(status)), _) => checks.fault(*status),
    };
    let fault = fault.or_else(|| (!left.is_empty()).then(|| format!("left behind: {}", left.join(", "))));
    match (fault, ability) {
        (Some(why), _) => Verdict::Failed(why),
        (None, Ability::Refused { why, .. }) => Verdict::Refused(why.to_owned()),
        (None, _) => Verdict::Passed,
    }
}

impl Checks {
    /// Reads `PASS name`, `FAIL name: why`, `SKIP name: why` and `N passed, M failed`, and passes over all other lines.
    fn read(cell: Cell, output: &str) -> Self {
        let name_and_reason = |text: &str| {
            let (name, reason) = text.split_once(':').unwrap_or((text, ""));
            (name.trim().to_owned(), reason.trim().to_owned())
        };
        let mut checks = Self::default();
        for line in output.lines() {
            let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
            match word {
                // Some hosts add the time that the check took.
                "PASS" => checks.passed.extend(rest.split_whitespace().next().map(str::to_owned)),
                "SKIP" => checks.skipped.push(name_and_reason(rest)),
                "FAIL" => {
                    let (name, why) = name_and_reason(rest);
                    match cell.limit(&name) {
                        Some(limit) => checks.limited.push((name, limit.to_owned())),
                        None => checks.failed.push((name, why)),
                    }
                }
                _ => checks.summary = summary(line).or(checks.summary),
            }
        }
        checks
    }

    /// The fault of a list of checks, if it has one.
    fn fault(&self, status: ExitStatus) -> Option<String> {
        let (passed, failed) = (self.passed.len(), self.failed.len());
        if failed > 0 {
            let names: Vec<_> = self.failed.iter().map(|(name, _)| name.as_str()).collect();
            return Some(format!("{failed} failed: {}", names.join(", ")));
        }
        // A host knows no limits of peers, and counts these checks as failed.
        if !status.success() && self.limited.is_empty() {
            return Some(format!("the host ended with {status}"));
        }
        if passed == 0 {
            return Some("no check passed".to_owned());
        }
        let agrees = self.summary == Some((passed, self.limited.len()));
        (!agrees).then(|| "the host's summary does not match its lines".to_owned())
    }
}

fn summary(line: &str) -> Option<(usize, usize)> {
    let (passed, failed) = line.strip_suffix(" failed")?.split_once(" passed, ")?;
    Some((passed.parse().ok()?, failed.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::interop::matrix::{NETWORKS, SECURITIES};

    const CELL: Cell = Cell {
        host: Language::Rust,
        plugin: Language::Python,
        security: SECURITIES[0],
        network: NETWORKS[0],
        mux: false,
    };

    fn verdict_of(ability: Ability, script: &str, output: &str, left: &[&str]) -> Verdict {
        let status = match script {
            "late" => Ok(None),
            "missing" => Err(io::ErrorKind::NotFound.into()),
            _ => Ok(Some(Command::new("sh").args(["-c", script]).status().unwrap())),
        };
        let ended = Ended {
            status,
            elapsed: Duration::ZERO,
            stdout: PathBuf::new(),
            stderr: PathBuf::new(),
            processes: Vec::new(),
            files: Vec::new(),
        };
        let left: Vec<_> = left.iter().map(ToString::to_string).collect();
        verdict(ability, &ended, &Checks::read(CELL, output), output, &left)
    }

    #[track_caller]
    fn check(script: &str, output: &str, left: &[&str], passes: bool) {
        let verdict = verdict_of(Ability::Works, script, output, left);
        assert_eq!(matches!(verdict, Verdict::Passed), passes, "{script}, {output:?}, {left:?}: {verdict:?}");
    }

    #[test]
    fn reports_are_read_line_by_line() {
        let report =
            "PASS echo (3 ms)\nnoise\nSKIP broker: not asked: for\nFAIL get: NOT_FOUND\n1 passed, 1 failed\n";
        let checks = Checks::read(CELL, report);
        let pair = |name: &str, why: &str| (name.to_owned(), why.to_owned());
        assert_eq!(checks.passed, ["echo"]);
        assert_eq!(checks.skipped, [pair("broker", "not asked: for")]);
        assert_eq!(checks.failed, [pair("get", "NOT_FOUND")]);
        assert_eq!(checks.summary, Some((1, 1)));
    }

    #[test]
    fn a_cell_passes_only_if_everything_agrees() {
        let good = "PASS echo\n1 passed, 0 failed\n";
        check("true", good, &[], true);
        check("late", good, &[], false);
        check("missing", good, &[], false);
        check("false", good, &[], false);
        check("true", good, &["socket s"], false);
        check("true", "PASS echo\n", &[], false);
        check("true", "PASS echo\n2 passed, 0 failed\n", &[], false);
        check("true", "0 passed, 0 failed\n", &[], false);
        check("true", "PASS a\nFAIL b: c\n1 passed, 1 failed\n", &[], false);
    }

    #[test]
    fn a_limit_of_a_peer_is_no_failure() {
        let output = "PASS echo\nFAIL stdio: nothing came\n1 passed, 1 failed\n";
        check("exit 1", output, &[], true);
        assert_eq!(Checks::read(CELL, output).limited[0].0, "stdio");
        assert_eq!(Checks::read(Cell::FIRST, output).failed.len(), 1);
    }

    #[test]
    fn a_refusal_shows_its_sign_and_nothing_else() {
        let is_refused = |output: &str, left: &[&str]| {
            let ability = Ability::Refused { sign: "no mux", why: "why" };
            matches!(verdict_of(ability, "exit 1", output, left), Verdict::Refused(_))
        };
        let good = "SKIP ping: no mux\n0 passed, 0 failed\n";
        assert!(is_refused(good, &[]));
        assert!(!is_refused("SKIP ping: something else\n", &[]), "another reason");
        assert!(!is_refused("SKIP ping: no mux\nPASS echo\n1 passed, 0 failed\n", &[]), "it works");
        assert!(!is_refused(good, &["socket s"]), "something left");
    }
}
