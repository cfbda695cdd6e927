//! What becomes of plugins whose host is killed: real hosts, and plugins in three languages.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/signals.rs"]
mod signals;

use std::{
    ffi::{OsStr, OsString},
    fs,
    io::BufReader,
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// As long as anything here may take on a machine that is busy with other things.
const PATIENCE: Duration = Duration::from_secs(30);

/// A host that is to be killed, its plugin, and the place of their sockets and files.
struct Mortal {
    host: Child,
    stdout: BufReader<ChildStdout>,
    /// The plugin's process, and its group.
    plugin: u32,
    place: Place,
}

/// Where one test's hosts make their directories.
struct Place {
    sockets: TempDir,
    files: TempDir,
}

/// A program with its arguments, and the cookie by which it knows its host.
#[derive(Clone)]
struct Program {
    words: Vec<OsString>,
    cookie: &'static str,
}

/// How the two speak.
const MODES: [(&str, &[(&str, &str)]); 3] = [
    ("plain", &[("PLUGIN_AUTO_MTLS", "false")]),
    ("AutoMTLS", &[]),
    ("multiplexed", &[("PLUGIN_MULTIPLEX_GRPC", "true")]),
];

const SIGNALS: [Signal; 3] = [Signal::KILL, Signal::TERM, Signal::HUP];

impl Place {
    fn new() -> Self {
        // Short, since the path of a socket has to be.
        Self { sockets: TempDir::new_in("/tmp").unwrap(), files: TempDir::new().unwrap() }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.files.path().join(name)
    }

    /// What is left of any directory.
    fn left(&self) -> Vec<PathBuf> {
        fs::read_dir(self.sockets.path()).unwrap().map(|entry| entry.unwrap().path()).collect()
    }

    /// Starts a host, and waits until it says which process its plugin is.
    fn host(self, program: &Program, settings: &[(&str, &str)]) -> Mortal {
        let (mut host, mut stdout) = self.start(program, settings);
        let line = line(&mut stdout);
        let Ok(plugin) = line.trim().parse() else {
            host.kill().unwrap();
            host.wait().unwrap();
            panic!("{line}{}", std::io::read_to_string(stdout).unwrap());
        };
        Mortal { host, stdout, plugin, place: self }
    }

    fn start(&self, program: &Program, settings: &[(&str, &str)]) -> (Child, BufReader<ChildStdout>) {
        at_a_terminal();
        let mut host = Command::new(env!("CARGO_BIN_EXE_mortal-host"))
            .args(&program.words)
            .env("MORTAL_HOST_COOKIE", program.cookie)
            .env("PLUGIN_UNIX_SOCKET_DIR", self.sockets.path())
            .envs(settings.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(host.stdout.take().unwrap());
        (host, stdout)
    }
}

impl Mortal {
    fn die(&mut self, signal: Signal) -> Instant {
        send(self.host.id(), signal);
        self.host.wait().unwrap();
        Instant::now()
    }

    /// Waits until nothing is left: no process of the group, the guard included, and no directory.
    #[track_caller]
    fn leaves_nothing(&self, what: &str) {
        eventually(&format!("{what}: no process is left"), || group(self.plugin).is_empty());
        eventually(&format!("{what}: no directory is left"), || self.place.left().is_empty());
    }
}

/// A test that fails leaves nothing behind.
impl Drop for Mortal {
    fn drop(&mut self) {
        let _ = self.host.kill();
        let _ = self.host.wait();
        group(self.plugin).into_iter().for_each(|member| {
            let _ = signalled(member, Signal::KILL);
        });
    }
}

impl Program {
    fn new(cookie: &'static str, words: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        Self { words: words.into_iter().map(|word| word.as_ref().to_owned()).collect(), cookie }
    }

    /// A plugin made with this library, whose shutdown hook takes its time and then writes a file.
    fn rust(place: &Place, hook_after: &str) -> Self {
        let subject = env!("CARGO_BIN_EXE_plugin-subject");
        let hook = place.file("hook");
        let words: [&OsStr; 5] = [
            subject.as_ref(),
            "--hook".as_ref(),
            hook.as_os_str(),
            "--hook-after".as_ref(),
            hook_after.as_ref(),
        ];
        Self::new("PLUGIN_SUBJECT=yes", words)
    }

    /// The same behind a shell that the host takes for the plugin.
    fn behind(self, script: &str) -> Self {
        let before = ["/bin/sh", "-c", script].map(OsString::from);
        Self { words: before.into_iter().chain(self.words).collect(), ..self }
    }

    /// A shell that says nothing.
    fn silent(script: &str) -> Self {
        Self::new("ANY=cookie", ["/bin/sh", "-c", script])
    }

    /// The conformance plugin in another language, if it is there.
    #[expect(
        clippy::disallowed_methods,
        clippy::print_stdout,
        reason = "a test's own switch, and what it does"
    )]
    fn peer(language: &str) -> Option<Self> {
        let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
        let interop = tests.join("../target/interop").join(language);
        let words: Vec<PathBuf> = match language {
            "go" => vec![interop.join("kit-plugin")],
            _ => vec![interop.join("bin/python"), tests.join("interop/python/kit_plugin.py")],
        };
        let is_there = words[0].exists();
        let required = std::env::var("RPCPLUGIN_REQUIRE").unwrap_or_default();
        assert!(is_there || !required.contains(language), "the {language} peer is required and not there");
        if !is_there {
            println!("skipped: there is no {} (cargo xtask interop builds it)", words[0].display());
        }
        is_there.then(|| Self::new("CONFORMANCE_KIT_COOKIE=b1d0c9a6-conformance", words))
    }
}

fn line(stdout: &mut impl std::io::BufRead) -> String {
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    line
}

fn signalled(pid: u32, signal: Signal) -> rustix::io::Result<()> {
    kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), signal)
}

#[track_caller]
fn send(pid: u32, signal: Signal) {
    signalled(pid, signal).unwrap();
}

/// The processes of a group that run: where nobody reaps, zombies stay.
fn group(leader: u32) -> Vec<u32> {
    let pids =
        fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    pids.filter(|pid: &u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let columns: Vec<_> = stat.rsplit_once(") ").map_or("", |(_, rest)| rest).split(' ').collect();
        columns.get(2).and_then(|group| group.parse().ok()) == Some(leader) && columns[0] != "Z"
    })
    .collect()
}

#[track_caller]
fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn plugins_in_rust_end_in_order() {
    for (mode, settings) in MODES {
        for signal in SIGNALS {
            let what = format!("{mode}, {signal:?}");
            let place = Place::new();
            let program = Program::rust(&place, "300");
            // A machine that is busy is slow to end anything.
            let settings = [settings, &[("PLUGIN_ORPHAN_GRACE", "30s")]].concat();
            let mut mortal = place.host(&program, &settings);
            assert_eq!(mortal.place.left().len(), 1, "{what}");
            mortal.die(signal);
            mortal.leaves_nothing(&what);
            let hook = fs::read_to_string(mortal.place.file("hook"));
            assert_eq!(hook.unwrap_or_default(), "done", "{what}: the hook ran to its end");
        }
    }
}

fn peers_end(language: &str, modes: &[(&str, &[(&str, &str)])]) {
    let Some(program) = Program::peer(language) else { return };
    for (mode, settings) in modes {
        for signal in SIGNALS {
            let mut mortal = Place::new().host(&program, settings);
            assert!(group(mortal.plugin).len() >= 2, "the plugin and its guard");
            mortal.die(signal);
            mortal.leaves_nothing(&format!("{language}, {mode}, {signal:?}"));
        }
    }
}

#[test]
fn plugins_in_go_end_and_leave_nothing() {
    peers_end("go", &MODES);
}

/// They do not multiplex.
#[test]
fn plugins_in_python_end_and_leave_nothing() {
    peers_end("python", &MODES[..2]);
}

#[test]
fn plugins_that_start_end_too() {
    let silent = Program::silent("sleep 1000 & sleep 1000");
    let deaf = Program::silent("trap '' TERM HUP INT; sleep 1000 & while :; do sleep 1000; done");
    let peers = ["go", "python"].into_iter().filter_map(Program::peer);
    for program in [silent, deaf].into_iter().chain(peers) {
        for signal in SIGNALS {
            // The signal comes as early as anything can know of the plugin.
            let settings = [("MORTAL_HOST", "starting"), ("PLUGIN_ORPHAN_GRACE", "500ms")];
            let mut mortal = Place::new().host(&program, &settings);
            mortal.die(signal);
            mortal.leaves_nothing(&format!("{:?}, {signal:?}", program.words));
        }
    }
}

#[test]
fn what_does_not_end_in_time_is_killed() {
    for grace in ["300ms", "0"] {
        let place = Place::new();
        let program = Program::rust(&place, "600000");
        let settings = [("PLUGIN_ORPHAN_GRACE", grace), ("PLUGIN_GRPC_GRACE_PERIOD", "600")];
        let mut mortal = place.host(&program, &settings);
        let died = mortal.die(Signal::KILL);
        eventually("it is killed", || group(mortal.plugin).is_empty());
        assert!(grace == "0" || died.elapsed() >= Duration::from_millis(300), "{:?}", died.elapsed());
        mortal.leaves_nothing(grace);
        assert!(!mortal.place.file("hook").exists());
    }
}

/// The grace is not waited for when everything has ended.
#[test]
fn a_quick_end_is_noticed() {
    let place = Place::new();
    let program = Program::rust(&place, "0");
    let mut mortal = place.host(&program, &[("PLUGIN_ORPHAN_GRACE", "1h")]);
    mortal.die(Signal::KILL);
    mortal.leaves_nothing("a grace of an hour");
}

#[test]
fn what_the_plugin_left_in_its_group_goes_with_it() {
    // The plugin behind a shell is asked when the shell is gone; what hears of nothing is killed in the end.
    for (script, hook) in
        [("\"$0\" \"$@\" & wait", true), ("trap '' TERM; sleep 1000 & exec \"$0\" \"$@\"", false)]
    {
        let place = Place::new();
        let program = Program::rust(&place, "100").behind(script);
        let mut mortal = place.host(&program, &[("PLUGIN_ORPHAN_GRACE", if hook { "30s" } else { "1s" })]);
        mortal.die(Signal::KILL);
        mortal.leaves_nothing(script);
        if hook {
            assert!(mortal.place.file("hook").exists(), "{script}");
        }
    }
}

#[test]
fn a_stopped_plugin_ends_in_order_too() {
    let place = Place::new();
    let program = Program::rust(&place, "0");
    let mut mortal = place.host(&program, &[("PLUGIN_ORPHAN_GRACE", "30s")]);
    send(mortal.plugin, Signal::STOP);
    mortal.die(Signal::KILL);
    mortal.leaves_nothing("stopped");
    assert!(mortal.place.file("hook").exists());
}

#[test]
fn a_signal_to_the_group_does_not_end_the_guard() {
    let mut mortal = Place::new().host(
        &Program::silent("trap '' TERM HUP INT QUIT USR1 USR2 TTIN TTOU TSTP; while :; do sleep 1000; done"),
        &[("MORTAL_HOST", "starting"), ("PLUGIN_ORPHAN_GRACE", "100ms")],
    );
    eventually("plugin, its child and the guard", || group(mortal.plugin).len() == 3);
    // The guard is a shell that starts.
    let signals = ["HUP", "INT", "QUIT", "TERM", "USR1", "USR2", "TTIN", "TTOU", "TSTP"];
    let trapped = |pid: &u32| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap_or_default();
        u64::from_str_radix(mask.trim(), 16).is_ok_and(|mask| mask >> 9 & 1 == 1)
    };
    eventually("all hear nothing", || group(mortal.plugin).iter().all(trapped));
    for signal in signals {
        let script = format!("kill -{signal} -{}", mortal.plugin);
        assert!(Command::new("/bin/sh").args(["-c", &script]).status().unwrap().success());
    }
    mortal.die(Signal::KILL);
    mortal.leaves_nothing("after all those signals");
}

/// Hosts that are started from now on die of the signals of a terminal, also where this test runs under `nohup`.
fn at_a_terminal() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { signals::not_ignored() });
}

/// The guard of a plugin: the shell in its group that the plugin did not start.
fn guard(plugin: u32) -> u32 {
    let name = |pid: &u32| fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    group(plugin).into_iter().find(|pid| name(pid).contains("rpcplugin-watchdog")).unwrap()
}

#[test]
fn what_host_and_guard_left_is_swept_by_the_next_host() {
    let place = Place::new();
    let program = Program::rust(&place, "0");
    let alive = place.host(&program, &[]);
    let shared = alive.place.sockets.path().to_str().unwrap().to_owned();
    let its_own = alive.place.left();

    // Three hosts in the same place: all are killed together with their guards, one plugin lives on.
    let there = [("PLUGIN_UNIX_SOCKET_DIR", &*shared), ("PLUGIN_EXIT_WITH_HOST", "false")];
    let mut dead: Vec<_> = (0..3).map(|_| Place::new().host(&program, &there)).collect();
    for (number, mortal) in dead.iter_mut().enumerate() {
        send(guard(mortal.plugin), Signal::KILL);
        mortal.die(Signal::KILL);
        if number < 2 {
            send(mortal.plugin, Signal::KILL);
            eventually("it is killed", || group(mortal.plugin).is_empty());
        }
    }
    assert_eq!(alive.place.left().len(), 4, "{:?}", alive.place.left());

    let mut next = Place::new().host(&program, &there);
    eventually("two directories are swept", || alive.place.left().len() == 3);
    assert!(its_own.iter().all(|dir| alive.place.left().contains(dir)), "that of a host that lives stays");
    assert!(group(dead[2].plugin).contains(&dead[2].plugin), "what was left alive lives on");
    send(dead[2].plugin, Signal::KILL);
    next.die(Signal::KILL);
    eventually("its guard has done all", || group(next.plugin).is_empty());
    assert_eq!(alive.place.left().len(), 2, "that of the one that lived is for the next");
    let mut last = Place::new().host(&program, &there);
    eventually("the last is swept", || alive.place.left().len() == 2);
    last.die(Signal::KILL);
    eventually("its guard has done all", || group(last.plugin).is_empty());
    assert_eq!(alive.place.left(), its_own);
}

/// The directory that a plugin makes where no host names one.
#[test]
fn what_a_killed_plugin_left_is_swept_by_the_next() {
    let place = Place::new();
    let start = || {
        let mut plugin = Command::new(env!("CARGO_BIN_EXE_plugin-subject"))
            .env("PLUGIN_SUBJECT", "yes")
            .env("TMPDIR", place.sockets.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        assert!(line(&mut BufReader::new(plugin.stdout.as_mut().unwrap())).contains("|unix|"));
        plugin
    };
    let mut first = start();
    let left = place.left();
    assert_eq!(left.len(), 1);
    first.kill().unwrap();
    // Before it is reaped, too.
    let mut second = start();
    eventually("it is swept", || !left[0].exists());
    assert_eq!(place.left().len(), 1);
    first.wait().unwrap();
    second.kill().unwrap();
    second.wait().unwrap();
}

#[test]
fn what_a_plugin_leaves_in_its_group_dies_with_it_whatever_dies_with_the_host() {
    for dies in ["true", "false"] {
        let place = Place::new();
        let program = Program::rust(&place, "0").behind("sleep 1000 & exec \"$0\" \"$@\"");
        let mut mortal = place.host(&program, &[("MORTAL_HOST", "stopping"), ("PLUGIN_DIE_WITH_HOST", dies)]);
        assert!(group(mortal.plugin).len() >= 2);
        drop(mortal.host.stdin.take());
        assert_eq!(line(&mut mortal.stdout), "Clean\n");
        mortal.leaves_nothing(dies);
    }
}

/// At a real terminal, which `script` makes.
#[test]
fn a_plugin_that_asks_on_the_terminal_is_told_to_be_stopped() {
    if !Path::new("/usr/bin/script").exists() {
        println!("skipped: there is no script(1)");
        return;
    }
    for (ask, signal) in [("read -r answer", "SIGTTIN"), ("stty -echo </dev/tty", "SIGTTOU")] {
        let place = Place::new();
        let host = env!("CARGO_BIN_EXE_mortal-host");
        let mut terminal = Command::new("/usr/bin/script")
            .args(["-qec", &format!("exec '{host}' /bin/sh -c '{ask}; sleep 1000'"), "/dev/null"])
            .env("MORTAL_HOST", "terminal")
            .env("MORTAL_HOST_COOKIE", "ANY=cookie")
            .env("PLUGIN_UNIX_SOCKET_DIR", place.sockets.path())
            .env("PLUGIN_HANDSHAKE_TIMEOUT", "1s")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let said = std::io::read_to_string(terminal.stdout.take().unwrap()).unwrap();
        terminal.wait().unwrap();
        assert!(said.contains("rpcplugin::handshake::stopped"), "{said}");
        assert!(said.contains(signal) && said.contains("terminal"), "{said}");
    }
}
