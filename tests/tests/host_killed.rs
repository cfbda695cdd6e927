//! Plugins whose host is killed: real hosts, and plugins in three languages.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    ffi::{OsStr, OsString},
    fs,
    io::BufReader,
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use rpcplugin_tests::support::{
    process::{running_group, send, try_send},
    programs::conformance_plugin,
    signals,
    wait::blocking::eventually,
};
use rustix::process::Signal;
use tempfile::TempDir;

/// A host that the test kills, its plugin, and the directories of their sockets and files.
struct Mortal {
    host: Child,
    stdout: BufReader<ChildStdout>,
    /// The pid of the plugin, which is also its group.
    plugin: u32,
    directories: Directories,
}

/// The directories of the hosts of one test.
struct Directories {
    sockets: TempDir,
    files: TempDir,
}

/// A program with its arguments, and its cookie.
#[derive(Clone)]
struct Program {
    words: Vec<OsString>,
    cookie: &'static str,
}

/// The settings of the connection.
const MODES: [(&str, &[(&str, &str)]); 4] = [
    ("plain", &[("PLUGIN_AUTO_MTLS", "false")]),
    ("AutoMTLS", &[]),
    ("multiplexed", &[("PLUGIN_MULTIPLEX_GRPC", "true")]),
    ("inherited", &[("PLUGIN_INHERIT_CONNECTION", "true")]),
];

const SIGNALS: [Signal; 3] = [Signal::KILL, Signal::TERM, Signal::HUP];

impl Directories {
    fn new() -> Self {
        // In `/tmp`, because the path of a socket must be short.
        Self { sockets: TempDir::new_in("/tmp").unwrap(), files: TempDir::new().unwrap() }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.files.path().join(name)
    }

    /// The directories of sockets that exist.
    fn left(&self) -> Vec<PathBuf> {
        fs::read_dir(self.sockets.path()).unwrap().map(|entry| entry.unwrap().path()).collect()
    }

    /// Starts a host, and waits for the pid of its plugin.
    fn host(self, program: &Program, settings: &[(&str, &str)]) -> Mortal {
        let (mut host, mut stdout) = self.start(program, settings);
        let line = line(&mut stdout);
        let Ok(plugin) = line.trim().parse() else {
            host.kill().unwrap();
            host.wait().unwrap();
            panic!("{line}{}", std::io::read_to_string(stdout).unwrap());
        };
        Mortal { host, stdout, plugin, directories: self }
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
    fn die(&mut self, signal: Signal) {
        send(self.host.id(), signal);
        self.host.wait().unwrap();
    }

    /// Waits until no process of the group, the watchdog included, and no directory is left.
    #[track_caller]
    fn leaves_nothing(&self, what: &str) {
        eventually(&format!("{what}: no process is left"), || running_group(self.plugin).is_empty());
        eventually(&format!("{what}: no directory is left"), || self.directories.left().is_empty());
    }
}

/// A failed test leaves no process.
impl Drop for Mortal {
    fn drop(&mut self) {
        let _ = self.host.kill();
        let _ = self.host.wait();
        running_group(self.plugin).into_iter().for_each(|member| {
            let _ = try_send(member, Signal::KILL);
        });
    }
}

impl Program {
    fn new(cookie: &'static str, words: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        Self { words: words.into_iter().map(|word| word.as_ref().to_owned()).collect(), cookie }
    }

    /// A plugin of this library with a shutdown hook that writes a file after this many milliseconds.
    fn rust(directories: &Directories, hook_after: &str) -> Self {
        let subject = env!("CARGO_BIN_EXE_plugin-subject");
        let hook = directories.file("hook");
        let words: [&OsStr; 5] = [
            subject.as_ref(),
            "--hook".as_ref(),
            hook.as_os_str(),
            "--hook-after".as_ref(),
            hook_after.as_ref(),
        ];
        Self::new("PLUGIN_SUBJECT=yes", words)
    }

    /// The same program as a child of a shell, which is the plugin for the host.
    fn behind(self, script: &str) -> Self {
        let before = ["/bin/sh", "-c", script].map(OsString::from);
        Self { words: before.into_iter().chain(self.words).collect(), ..self }
    }

    /// A shell that prints no handshake line.
    fn silent(script: &str) -> Self {
        Self::new("ANY=cookie", ["/bin/sh", "-c", script])
    }

    /// The conformance plugin in another language, if it is built.
    fn peer(language: &str) -> Option<Self> {
        Some(Self::new("CONFORMANCE_KIT_COOKIE=b1d0c9a6-conformance", conformance_plugin(language)?))
    }
}

fn line(stdout: &mut impl std::io::BufRead) -> String {
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    line
}

#[test]
fn plugins_in_rust_shut_down_cleanly() {
    for (mode, settings) in MODES {
        for signal in SIGNALS {
            let what = format!("{mode}, {signal:?}");
            let directories = Directories::new();
            let program = Program::rust(&directories, "300");
            // A clean end takes long on a busy machine.
            let settings = [settings, &[("PLUGIN_ORPHAN_GRACE", "30s")]].concat();
            let mut mortal = directories.host(&program, &settings);
            assert_eq!(mortal.directories.left().len(), 1, "{what}");
            mortal.die(signal);
            mortal.leaves_nothing(&what);
            let hook = fs::read_to_string(mortal.directories.file("hook"));
            assert_eq!(hook.unwrap_or_default(), "done", "{what}: the hook ran to its end");
        }
    }
}

fn peers_end(language: &str, modes: &[(&str, &[(&str, &str)])]) {
    let Some(program) = Program::peer(language) else { return };
    for (mode, settings) in modes {
        for signal in SIGNALS {
            let mut mortal = Directories::new().host(&program, settings);
            assert!(running_group(mortal.plugin).len() >= 2, "the plugin and its watchdog");
            mortal.die(signal);
            mortal.leaves_nothing(&format!("{language}, {mode}, {signal:?}"));
        }
    }
}

#[test]
fn plugins_in_go_end_and_leave_nothing() {
    peers_end("go", &MODES);
}

/// Plugins in Python do not multiplex.
#[test]
fn plugins_in_python_end_and_leave_nothing() {
    peers_end("python", &MODES[..2]);
}

#[test]
fn plugins_that_are_starting_end_too() {
    let silent = Program::silent("sleep 1000 & sleep 1000");
    let deaf = Program::silent("trap '' TERM HUP INT; sleep 1000 & while :; do sleep 1000; done");
    let peers = ["go", "python"].into_iter().filter_map(Program::peer);
    for program in [silent, deaf].into_iter().chain(peers) {
        for signal in SIGNALS {
            // The signal is sent as soon as the pid is known.
            let settings = [("MORTAL_HOST", "starting"), ("PLUGIN_ORPHAN_GRACE", "500ms")];
            let mut mortal = Directories::new().host(&program, &settings);
            mortal.die(signal);
            mortal.leaves_nothing(&format!("{:?}, {signal:?}", program.words));
        }
    }
}

#[test]
fn a_plugin_that_does_not_exit_in_time_is_killed() {
    for grace in ["300ms", "0"] {
        let directories = Directories::new();
        let program = Program::rust(&directories, "600000");
        let settings = [("PLUGIN_ORPHAN_GRACE", grace), ("PLUGIN_GRPC_GRACE_PERIOD", "600")];
        let mut mortal = directories.host(&program, &settings);
        let begin = Instant::now();
        mortal.die(Signal::KILL);
        eventually("it is killed", || running_group(mortal.plugin).is_empty());
        assert!(grace == "0" || begin.elapsed() >= Duration::from_millis(300), "{:?}", begin.elapsed());
        mortal.leaves_nothing(grace);
        assert!(!mortal.directories.file("hook").exists());
    }
}

/// The watchdog does not wait for the grace if all processes have exited.
#[test]
fn an_early_exit_is_noticed() {
    let directories = Directories::new();
    let program = Program::rust(&directories, "0");
    let mut mortal = directories.host(&program, &[("PLUGIN_ORPHAN_GRACE", "1h")]);
    mortal.die(Signal::KILL);
    mortal.leaves_nothing("a grace of an hour");
}

#[test]
fn processes_in_the_group_of_the_plugin_end_with_it() {
    // The plugin behind the shell receives the signal when the shell has exited. A process that ignores it is killed.
    for (script, hook) in
        [("\"$0\" \"$@\" & wait", true), ("trap '' TERM; sleep 1000 & exec \"$0\" \"$@\"", false)]
    {
        let directories = Directories::new();
        let program = Program::rust(&directories, "100").behind(script);
        let mut mortal =
            directories.host(&program, &[("PLUGIN_ORPHAN_GRACE", if hook { "30s" } else { "1s" })]);
        mortal.die(Signal::KILL);
        mortal.leaves_nothing(script);
        if hook {
            assert!(mortal.directories.file("hook").exists(), "{script}");
        }
    }
}

#[test]
fn a_suspended_plugin_shuts_down_cleanly_too() {
    let directories = Directories::new();
    let program = Program::rust(&directories, "0");
    let mut mortal = directories.host(&program, &[("PLUGIN_ORPHAN_GRACE", "30s")]);
    send(mortal.plugin, Signal::STOP);
    mortal.die(Signal::KILL);
    mortal.leaves_nothing("stopped");
    assert!(mortal.directories.file("hook").exists());
}

#[test]
fn a_signal_to_the_group_does_not_end_the_watchdog() {
    let mut mortal = Directories::new().host(
        &Program::silent("trap '' TERM HUP INT QUIT USR1 USR2 TTIN TTOU TSTP; while :; do sleep 1000; done"),
        &[("MORTAL_HOST", "starting"), ("PLUGIN_ORPHAN_GRACE", "100ms")],
    );
    eventually("the plugin, its child and the watchdog run", || running_group(mortal.plugin).len() == 3);
    // The watchdog is a shell that is starting.
    let signals = ["HUP", "INT", "QUIT", "TERM", "USR1", "USR2", "TTIN", "TTOU", "TSTP"];
    let ignores = |pid: &u32| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap_or_default();
        u64::from_str_radix(mask.trim(), 16).is_ok_and(|mask| mask >> 9 & 1 == 1)
    };
    eventually("all processes ignore the signals", || running_group(mortal.plugin).iter().all(ignores));
    for signal in signals {
        let script = format!("kill -{signal} -{}", mortal.plugin);
        assert!(Command::new("/bin/sh").args(["-c", &script]).status().unwrap().success());
    }
    mortal.die(Signal::KILL);
    mortal.leaves_nothing("after all those signals");
}

/// Lets hosts that are started from now on die of the signals of a terminal, also if this test runs under `nohup`.
fn at_a_terminal() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { signals::reset_ignored() });
}

/// The watchdog of a plugin: the shell in its group that the plugin did not start.
fn watchdog(plugin: u32) -> u32 {
    let name = |pid: &u32| fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    running_group(plugin).into_iter().find(|pid| name(pid).contains("rpcplugin-watchdog")).unwrap()
}

#[test]
fn leftovers_of_host_and_watchdog_are_removed_by_the_next_host() {
    let directories = Directories::new();
    let program = Program::rust(&directories, "0");
    let alive = directories.host(&program, &[]);
    let shared = alive.directories.sockets.path().to_str().unwrap().to_owned();
    let its_own = alive.directories.left();

    // Three hosts with the same directory: all are killed together with their watchdogs, and one plugin survives.
    let there = [("PLUGIN_UNIX_SOCKET_DIR", &*shared), ("PLUGIN_EXIT_WITH_HOST", "false")];
    let mut dead: Vec<_> = (0..3).map(|_| Directories::new().host(&program, &there)).collect();
    for (number, mortal) in dead.iter_mut().enumerate() {
        send(watchdog(mortal.plugin), Signal::KILL);
        mortal.die(Signal::KILL);
        if number < 2 {
            send(mortal.plugin, Signal::KILL);
            eventually("it is killed", || running_group(mortal.plugin).is_empty());
        }
    }
    assert_eq!(alive.directories.left().len(), 4, "{:?}", alive.directories.left());

    let mut next = Directories::new().host(&program, &there);
    eventually("two directories are removed", || alive.directories.left().len() == 3);
    assert!(
        its_own.iter().all(|dir| alive.directories.left().contains(dir)),
        "the directory of a live host stays"
    );
    assert!(running_group(dead[2].plugin).contains(&dead[2].plugin), "the surviving plugin is not killed");
    send(dead[2].plugin, Signal::KILL);
    next.die(Signal::KILL);
    eventually("its watchdog has ended", || running_group(next.plugin).is_empty());
    assert_eq!(
        alive.directories.left().len(),
        2,
        "the next host removes the directory of the surviving plugin"
    );
    let mut last = Directories::new().host(&program, &there);
    eventually("the last directory is removed", || alive.directories.left().len() == 2);
    last.die(Signal::KILL);
    eventually("its watchdog has ended", || running_group(last.plugin).is_empty());
    assert_eq!(alive.directories.left(), its_own);
}

/// The directory that a plugin creates without a directory from a host.
#[test]
fn leftovers_of_a_killed_plugin_are_removed_by_the_next() {
    let directories = Directories::new();
    let start = || {
        let mut plugin = Command::new(env!("CARGO_BIN_EXE_plugin-subject"))
            .env("PLUGIN_SUBJECT", "yes")
            .env("TMPDIR", directories.sockets.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        assert!(line(&mut BufReader::new(plugin.stdout.as_mut().unwrap())).contains("|unix|"));
        plugin
    };
    let mut first = start();
    let left = directories.left();
    assert_eq!(left.len(), 1);
    first.kill().unwrap();
    // Also before the process is reaped.
    let mut second = start();
    eventually("it is removed", || !left[0].exists());
    assert_eq!(directories.left().len(), 1);
    first.wait().unwrap();
    second.kill().unwrap();
    second.wait().unwrap();
}

#[test]
fn processes_in_the_group_are_killed_with_the_plugin_for_either_die_with_host() {
    for dies in ["true", "false"] {
        let directories = Directories::new();
        let program = Program::rust(&directories, "0").behind("sleep 1000 & exec \"$0\" \"$@\"");
        let mut mortal =
            directories.host(&program, &[("MORTAL_HOST", "stopping"), ("PLUGIN_DIE_WITH_HOST", dies)]);
        assert!(running_group(mortal.plugin).len() >= 2);
        drop(mortal.host.stdin.take());
        assert_eq!(line(&mut mortal.stdout), "Clean\n");
        mortal.leaves_nothing(dies);
    }
}

/// At a real terminal, which `script(1)` makes.
#[test]
fn a_plugin_that_reads_from_the_terminal_is_reported_as_stopped() {
    if !Path::new("/usr/bin/script").exists() {
        println!("skipped: script(1) is missing");
        return;
    }
    for (ask, signal) in [("read -r answer", "SIGTTIN"), ("stty -echo </dev/tty", "SIGTTOU")] {
        let directories = Directories::new();
        let host = env!("CARGO_BIN_EXE_mortal-host");
        let mut terminal = Command::new("/usr/bin/script")
            .args(["-qec", &format!("exec '{host}' /bin/sh -c '{ask}; sleep 1000'"), "/dev/null"])
            .env("MORTAL_HOST", "terminal")
            .env("MORTAL_HOST_COOKIE", "ANY=cookie")
            .env("PLUGIN_UNIX_SOCKET_DIR", directories.sockets.path())
            .env("PLUGIN_HANDSHAKE_TIMEOUT", "1s")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let printed = std::io::read_to_string(terminal.stdout.take().unwrap()).unwrap();
        terminal.wait().unwrap();
        assert!(printed.contains("rpcplugin::handshake::stopped"), "{printed}");
        assert!(printed.contains(signal) && printed.contains("terminal"), "{printed}");
    }
}
