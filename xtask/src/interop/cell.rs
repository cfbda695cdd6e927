//! One cell: a host's checks against a plugin, within a deadline, and a look at what is left.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::certificates::Certificates;
use super::limits;
use super::matrix::{Ability, Cell, Language, Network, Security};
use super::peers::{Programs, Readiness};
use crate::leftovers;
use crate::workspace::Outcome;

/// A host that takes longer is stuck: a list of checks takes seconds.
const DEADLINE: Duration = Duration::from_secs(180);

/// What cells run that try out one more kind of certificates. The others run everything that their host knows.
const CORE_OF_RUST: &str = "ping,put-get,server-stream,bidi,callback,open-sub,security,\
     plain-text-clients-refused,unknown-clients-refused,stop,stop-socket-gone";
const CORE_OF_GO: &str =
    "ping,put-get,server-stream,bidi,callback,open-sub,unauthorized-clients-refused,stop,stop-socket-gone";
const CORE_OF_PYTHON: &str = "network,security,put-get,server-stream,bidi,unauthorized-clients-refused,stop";

/// What all cells have to do with.
pub(super) struct Setting<'a> {
    pub(super) peers: &'a BTreeMap<Language, Readiness>,
    pub(super) certificates: &'a Certificates,
    /// Where logs go.
    pub(super) directory: &'a Path,
}

/// How a cell ended.
pub(super) enum Verdict {
    Passed,
    Failed(String),
    /// The peer took no part, as was expected of it, and why.
    Refused(String),
    /// Not run, and why.
    Skipped(String),
}

/// What became of a cell.
pub(super) struct CellResult {
    pub(super) cell: Cell,
    pub(super) verdict: Verdict,
    pub(super) checks: Checks,
    /// Left behind by a peer that is known to leave such things.
    pub(super) notes: Vec<String>,
    pub(super) elapsed: Duration,
    /// How to run it by hand; empty if it did not run.
    pub(super) reproduce: String,
    /// What the host printed on standard output and error, if it ran.
    pub(super) logs: Option<(PathBuf, PathBuf)>,
}

/// What the host reported, check by check.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Checks {
    pub(super) passed: Vec<String>,
    /// Name and reason.
    pub(super) failed: Vec<(String, String)>,
    /// Failed because the peer cannot do it with anyone: name and reason.
    pub(super) limited: Vec<(String, String)>,
    /// Name and reason.
    pub(super) skipped: Vec<(String, String)>,
    /// The last line's own count of passed and failed.
    summary: Option<(usize, usize)>,
}

/// How the host's process ended.
enum Ending {
    Exited(ExitStatus),
    TimedOut,
    NotStarted(io::Error),
}

/// Runs the cell, unless one of its ends cannot run.
pub(super) fn run(cell: &Cell, setting: &Setting<'_>) -> Outcome<CellResult> {
    match line(cell, setting) {
        Ok(line) => execute(cell, line, setting.directory),
        Err(verdict) => Ok(CellResult {
            cell: *cell,
            verdict,
            checks: Checks::default(),
            notes: Vec::new(),
            elapsed: Duration::ZERO,
            reproduce: String::new(),
            logs: None,
        }),
    }
}

/// The command that runs the cell, if both ends and what they need are there.
fn line(cell: &Cell, setting: &Setting<'_>) -> Result<Vec<OsString>, Verdict> {
    let (host, plugin) = (programs(setting.peers, cell.host)?, programs(setting.peers, cell.plugin)?);
    let given = match cell.security.given().map(|keys| setting.certificates.get(&keys)) {
        Some(Some(Ok(directory))) => Some(directory.as_path()),
        Some(Some(Err(why))) => return Err(Verdict::Skipped(why.clone())),
        Some(None) => return Err(Verdict::Skipped("the certificates were not made".to_owned())),
        None => None,
    };
    Ok(command_line(cell, host, plugin, given))
}

fn programs(peers: &BTreeMap<Language, Readiness>, language: Language) -> Result<&Programs, Verdict> {
    match peers.get(&language) {
        Some(Readiness::Ready { programs, .. }) => Ok(programs),
        Some(Readiness::Broken(why)) => Err(Verdict::Failed(why.clone())),
        Some(Readiness::Missing(why)) => Err(Verdict::Skipped(why.clone())),
        None => Err(Verdict::Skipped(format!("the {language} programs were not built"))),
    }
}

/// `HOST check [FLAGS] -- PLUGIN [FLAGS]`
fn command_line(cell: &Cell, host: &Programs, plugin: &Programs, given: Option<&Path>) -> Vec<OsString> {
    let mut line = host.host.clone();
    line.push("check".into());
    if cell.security == Security::AutoMtls {
        line.push("--auto-mtls".into());
    }
    if cell.host == Language::Python {
        // The one host that has to be told what to expect.
        line.extend(["--net".into(), cell.network.name().into()]);
    }
    if cell.mux {
        line.push("--mux".into());
    }
    if cell.both(Language::brokers) {
        line.push("--broker".into());
    }
    if cell.host == Language::Rust && *cell != Cell::FIRST {
        line.push("--no-others".into());
    }
    if given.is_some() || cell.ability() != Ability::Works {
        let core = match cell.host {
            Language::Rust => CORE_OF_RUST,
            Language::Go => CORE_OF_GO,
            Language::Python => CORE_OF_PYTHON,
        };
        line.extend(["--only".into(), core.into()]);
    }
    line.extend(given.into_iter().flat_map(|directory| ["--tls-dir".into(), directory.into()]));
    line.push("--".into());
    line.extend(plugin.plugin.iter().cloned());
    if cell.network == Network::Tcp {
        line.extend(["--net".into(), "tcp".into()]);
    }
    line.extend(given.into_iter().flat_map(|directory| ["--tls-dir".into(), directory.into()]));
    line
}

/// Runs the command with a temporary directory and a marker of its own.
fn execute(cell: &Cell, line: Vec<OsString>, directory: &Path) -> Outcome<CellResult> {
    let name = cell.to_string().replace('/', "-");
    let token = format!("{}-{name}", std::process::id());
    // Socket paths are short, so the names that lead to them are too.
    let temporary = tempfile::Builder::new().prefix("ix").tempdir()?;
    let logs = directory.join("logs");
    fs::create_dir_all(&logs)?;
    let (stdout, stderr) = (logs.join(format!("{name}.out")), logs.join(format!("{name}.err")));

    let reproduce = line.iter().map(|word| word.display().to_string()).collect::<Vec<_>>().join(" ");
    let mut words = line.into_iter();
    let mut command = Command::new(words.next().ok_or("a program has no name")?);
    command
        .args(words)
        .env("TMPDIR", temporary.path())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env(leftovers::MARKER, &token)
        .stdin(Stdio::null())
        .stdout(File::create(&stdout)?)
        .stderr(File::create(&stderr)?);
    lead_a_group(&mut command);

    let begin = Instant::now();
    let ending = match command.spawn() {
        Ok(child) => wait(child, &token, DEADLINE)?,
        Err(error) => Ending::NotStarted(error),
    };
    let elapsed = begin.elapsed();

    let survivors = leftovers::survivors(&token);
    let files = leftovers::files(temporary.path());
    let printed = String::from_utf8_lossy(&fs::read(&stdout)?).into_owned();
    let checks = Checks::read(cell, &printed);
    // A plugin on pyvider.rpcplugin leaves its socket where it is, which is nothing that a host could change.
    let (left, notes) = match cell.plugin {
        Language::Python => (survivors, files),
        Language::Rust | Language::Go => ([survivors, files].concat(), Vec::new()),
    };
    let verdict = match cell.ability() {
        Ability::Refused { sign, why } => {
            let printed = printed + &String::from_utf8_lossy(&fs::read(&stderr)?);
            refusal(sign, why, &ending, &checks, &printed, &left)
        }
        Ability::Works | Ability::Absent { .. } => verdict(&ending, &checks, &left),
    };
    Ok(CellResult { cell: *cell, verdict, checks, notes, elapsed, reproduce, logs: Some((stdout, stderr)) })
}

/// Lets the host be ended together with its children.
fn lead_a_group(command: &mut Command) {
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(command, 0);
    #[cfg(not(unix))]
    let _ = command;
}

/// Waits for the host. One that passes the deadline is ended with everything it started.
fn wait(mut child: Child, token: &str, patience: Duration) -> Outcome<Ending> {
    let deadline = Instant::now() + patience;
    while Instant::now() < deadline {
        if let Some(status) = child.try_wait()? {
            return Ok(Ending::Exited(status));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    leftovers::kill_group(child.id());
    child.kill()?;
    child.wait()?;
    // Plugins may have process groups of their own.
    leftovers::end(token);
    Ok(Ending::TimedOut)
}

/// A cell passes if everything agrees that it did: the checks, their summary, the exit status, and an empty house.
fn verdict(ending: &Ending, checks: &Checks, left: &[String]) -> Verdict {
    let (passed, failed) = (checks.passed.len(), checks.failed.len());
    let status = match ending {
        Ending::Exited(status) => status,
        Ending::TimedOut => return Verdict::Failed(format!("not done after {} s", DEADLINE.as_secs())),
        Ending::NotStarted(error) => return Verdict::Failed(format!("the host cannot be started: {error}")),
    };
    if failed > 0 {
        let names: Vec<_> = checks.failed.iter().map(|(name, _)| name.as_str()).collect();
        return Verdict::Failed(format!("{failed} failed: {}", names.join(", ")));
    }
    // A host knows nothing of limits, so it counts them among its failures.
    if !status.success() && checks.limited.is_empty() {
        return Verdict::Failed(format!("the host ended with {status}"));
    }
    if passed == 0 {
        return Verdict::Failed("no check passed".to_owned());
    }
    if checks.summary != Some((passed, checks.limited.len())) {
        return Verdict::Failed("the host's summary does not match its lines".to_owned());
    }
    if !left.is_empty() {
        return Verdict::Failed(format!("left behind: {}", left.join(", ")));
    }
    Verdict::Passed
}

/// A cell that a peer refuses shows the sign of that, and nothing else: no check passes, and nothing is left.
fn refusal(
    sign: &str,
    why: &str,
    ending: &Ending,
    checks: &Checks,
    printed: &str,
    left: &[String],
) -> Verdict {
    if !matches!(ending, Ending::Exited(_)) {
        return verdict(ending, checks, left);
    }
    if let Some(passed) = checks.passed.first() {
        return Verdict::Failed(format!("{passed} passed, though it was thought that {why}"));
    }
    if !printed.contains(sign) {
        return Verdict::Failed(format!("it does not work, but not because {why}: {sign:?} was not printed"));
    }
    if !left.is_empty() {
        return Verdict::Failed(format!("left behind: {}", left.join(", ")));
    }
    Verdict::Refused(why.to_owned())
}

impl Checks {
    /// Reads `PASS name`, `FAIL name: why`, `SKIP name: why` and `N passed, M failed`; other lines mean nothing.
    fn read(cell: &Cell, output: &str) -> Self {
        let mut checks = Self::default();
        for line in output.lines() {
            if let Some(name) = line.strip_prefix("PASS ") {
                // Some hosts add how long it took.
                checks.passed.push(name.split_whitespace().next().unwrap_or_default().to_owned());
            } else if let Some(rest) = line.strip_prefix("FAIL ") {
                let (name, why) = name_and_reason(rest);
                match limits::of(cell, &name) {
                    Some(limit) => checks.limited.push((name, limit.to_owned())),
                    None => checks.failed.push((name, why)),
                }
            } else if let Some(rest) = line.strip_prefix("SKIP ") {
                checks.skipped.push(name_and_reason(rest));
            } else if let Some(summary) = summary(line) {
                checks.summary = Some(summary);
            }
        }
        checks
    }
}

fn name_and_reason(text: &str) -> (String, String) {
    let (name, reason) = text.split_once(':').unwrap_or((text, ""));
    (name.trim().to_owned(), reason.trim().to_owned())
}

fn summary(line: &str) -> Option<(usize, usize)> {
    let (passed, failed) = line.strip_suffix(" failed")?.split_once(" passed, ")?;
    Some((passed.parse().ok()?, failed.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exit(command: &str) -> Ending {
        Ending::Exited(Command::new("sh").args(["-c", command]).status().unwrap())
    }

    const CELL: Cell = Cell {
        host: Language::Rust,
        plugin: Language::Python,
        security: Security::Plain,
        network: Network::Unix,
        mux: false,
    };

    fn is_pass(ending: &Ending, output: &str, left: &[String]) -> bool {
        matches!(verdict(ending, &Checks::read(&CELL, output), left), Verdict::Passed)
    }

    #[test]
    fn reports_are_read_line_by_line() {
        let checks = Checks::read(
            &CELL,
            "PASS echo (3 ms)\nnoise\nSKIP broker: not asked: for\nFAIL get: NOT_FOUND\n1 passed, 1 failed\n",
        );
        let pair = |name: &str, why: &str| (name.to_owned(), why.to_owned());
        assert_eq!(checks.passed, ["echo"]);
        assert_eq!(checks.skipped, [pair("broker", "not asked: for")]);
        assert_eq!(checks.failed, [pair("get", "NOT_FOUND")]);
        assert_eq!(checks.summary, Some((1, 1)));
    }

    #[test]
    #[cfg(unix)]
    fn a_cell_passes_only_if_everything_agrees() {
        let good = "PASS echo\n1 passed, 0 failed\n";
        assert!(is_pass(&exit("true"), good, &[]));
        assert!(!is_pass(&Ending::TimedOut, good, &[]), "past the deadline");
        assert!(!is_pass(&Ending::NotStarted(io::ErrorKind::NotFound.into()), good, &[]), "not started");
        assert!(!is_pass(&exit("false"), good, &[]), "bad status");
        assert!(!is_pass(&exit("true"), good, &["socket s".to_owned()]), "something left");
        assert!(!is_pass(&exit("true"), "PASS echo\n", &[]), "no summary");
        assert!(!is_pass(&exit("true"), "PASS echo\n2 passed, 0 failed\n", &[]), "wrong summary");
        assert!(!is_pass(&exit("true"), "0 passed, 0 failed\n", &[]), "nothing done");
        assert!(!is_pass(&exit("true"), "PASS a\nFAIL b: c\n1 passed, 1 failed\n", &[]), "a failure");
    }

    #[test]
    #[cfg(unix)]
    fn what_a_peer_cannot_do_is_a_gap() {
        let output = "PASS echo\nFAIL stdio: nothing came\n1 passed, 1 failed\n";
        assert!(is_pass(&exit("exit 1"), output, &[]));
        assert_eq!(Checks::read(&CELL, output).limited[0].0, "stdio");
        let ours = Cell { plugin: Language::Rust, ..CELL };
        assert_eq!(Checks::read(&ours, output).failed.len(), 1);
    }

    #[test]
    #[cfg(unix)]
    fn a_refusal_shows_its_sign_and_nothing_else() {
        let is_refused = |output: &str, left: &[String]| {
            let verdict =
                refusal("no mux", "why", &exit("exit 1"), &Checks::read(&CELL, output), output, left);
            matches!(verdict, Verdict::Refused(_))
        };
        let good = "SKIP ping: no mux\n0 passed, 0 failed\n";
        assert!(is_refused(good, &[]));
        assert!(!is_refused("SKIP ping: something else\n", &[]), "another reason");
        assert!(!is_refused("SKIP ping: no mux\nPASS echo\n1 passed, 0 failed\n", &[]), "it works");
        assert!(!is_refused(good, &["socket s".to_owned()]), "something left");
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_host_past_its_deadline_is_ended_with_all_it_started() {
        let token = format!("deadline-{}", std::process::id());
        // One child stays in the host's process group, one leaves it.
        let mut command = Command::new("sh");
        command.args(["-c", "sleep 60 & setsid sleep 60 & wait"]).env(leftovers::MARKER, &token);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        lead_a_group(&mut command);
        let child = command.spawn().unwrap();
        leftovers::wait_for(&token, &["sleep", "sleep"]);
        let ending = wait(child, &token, Duration::ZERO).unwrap();
        assert!(matches!(ending, Ending::TimedOut));
        assert_eq!(leftovers::survivors(&token), Vec::<String>::new());
    }
}
