//! Bridges without a host library, and their plugins.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    net::TcpStream,
    os::unix::net::{UnixListener, UnixStream},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::program::eventually;

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_rpcplugin");

/// The longest that anything may take on a busy machine.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(30);

/// The variable that marks every process of a test.
const MARK: &str = "RPCPLUGIN_TEST_MARK";

/// Every process that one test starts, and their temporary directory. Dropping it kills them.
pub(crate) struct Tree {
    mark: String,
    pub(crate) tmp: TempDir,
}

impl Tree {
    pub(crate) fn new() -> Self {
        // In `/tmp`, because the path of a socket must be short.
        let tmp = tempfile::Builder::new().prefix("rp").tempdir_in("/tmp").unwrap();
        Self { mark: format!("{}-{}", std::process::id(), tmp.path().display()), tmp }
    }

    /// Puts a process, and all that it starts, into the tree.
    pub(crate) fn mark<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        command.env(MARK, &self.mark).env("TMPDIR", self.tmp.path()).env_remove("RPCPLUGIN_COOKIE")
    }

    /// The processes of the tree that run, zombies not included.
    pub(crate) fn alive(&self) -> Vec<i32> {
        let mark = format!("{MARK}={}", self.mark);
        let all = fs::read_dir("/proc").unwrap().flatten();
        let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        pids.filter(|pid| {
            let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environment.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes())
        })
        .collect()
    }

    /// Waits until no process of the tree is left.
    #[track_caller]
    pub(crate) fn dies_out(&self) {
        eventually(|| self.alive().is_empty().then_some(()));
    }

    /// Waits until no process of the tree is left, and in the temporary directory no file but those of `tolerated`.
    #[track_caller]
    pub(crate) fn leaves_nothing(&self, tolerated: impl Fn(&Path) -> bool) {
        self.dies_out();
        // A watchdog is no process of the tree. It removes the directory of a bridge that was killed.
        let files = || fs::read_dir(self.tmp.path()).unwrap().flatten().map(|entry| entry.path());
        let left = || files().filter(|file| !tolerated(file)).collect::<Vec<_>>();
        let deadline = Instant::now() + TIMEOUT;
        while !left().is_empty() {
            assert!(Instant::now() < deadline, "{:?} is left", left());
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        for pid in self.alive() {
            send(pid, Signal::KILL);
        }
    }
}

/// A running bridge, whose stdout the test reads. Its stderr is a file, unless a test takes another one.
pub(crate) struct Bridge {
    pub(crate) child: Child,
    pub(crate) stdin: Option<ChildStdin>,
    pub(crate) stdout: BufReader<ChildStdout>,
    stderr: PathBuf,
    pub(crate) tree: Tree,
}

/// A plugin that is a script. The test listens on its socket.
pub(crate) struct Stub {
    pub(crate) listener: UnixListener,
    pub(crate) socket: PathBuf,
    _dir: TempDir,
}

impl Stub {
    pub(crate) fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("rp").tempdir_in("/tmp").unwrap();
        let socket = dir.path().join("plugin");
        Self { listener: UnixListener::bind(&socket).unwrap(), socket, _dir: dir }
    }

    /// Starts a bridge with this plugin, which runs until its stdin ends.
    pub(crate) fn bridge(&self) -> Bridge {
        self.bridge_with(|_| {})
    }

    pub(crate) fn bridge_with(&self, change: impl FnOnce(&mut Command)) -> Bridge {
        let line = format!("1|1|unix|{}|grpc|", self.socket.display());
        Bridge::start(&["--"], &format!("echo '{line}'; exec cat > /dev/null"), change)
    }

    /// Connects a host with the plugin: the host's socket, and the plugin's.
    pub(crate) fn connect(&self, address: &str) -> (TcpStream, UnixStream) {
        let host = TcpStream::connect(address).unwrap();
        let (plugin, _) = self.listener.accept().unwrap();
        host.set_read_timeout(Some(TIMEOUT)).unwrap();
        plugin.set_read_timeout(Some(TIMEOUT)).unwrap();
        (host, plugin)
    }
}

impl Bridge {
    /// Starts a bridge whose plugin is a shell script.
    pub(crate) fn start(args: &[&str], script: &str, change: impl FnOnce(&mut Command)) -> Self {
        let tree = Tree::new();
        let stderr = tree.tmp.path().join("stderr");
        let mut command = Command::new(PROGRAM);
        command.arg("bridge").args(args).args(["/bin/sh", "-c", script]);
        tree.mark(&mut command);
        for name in ["PLUGIN_MIN_PORT", "PLUGIN_MAX_PORT", "PLUGIN_ORPHAN_TIMEOUT", "PLUGIN_MULTIPLEX_GRPC"] {
            command.env_remove(name);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(fs::File::create(&stderr).unwrap());
        change(&mut command);
        let mut child = command.spawn().unwrap();
        let (stdin, stdout) = (child.stdin.take(), BufReader::new(child.stdout.take().unwrap()));
        Self { child, stdin, stdout, stderr, tree }
    }

    /// Reads the next line on stdout. It is empty at the end.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        line.trim_end_matches('\n').to_owned()
    }

    /// Reads the handshake line. Returns the address in it.
    #[track_caller]
    pub(crate) fn address(&mut self) -> String {
        let line = self.line();
        let fields: Vec<&str> = line.split('|').collect();
        assert_eq!(fields.get(2), Some(&"tcp"), "{line:?}: {}", self.stderr());
        fields[3].to_owned()
    }

    pub(crate) fn stderr(&self) -> String {
        fs::read_to_string(&self.stderr).unwrap()
    }

    pub(crate) fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).unwrap()
    }

    pub(crate) fn send(&self, signal: Signal) {
        send(self.pid(), signal);
    }

    /// Waits until the bridge and all that it started have exited.
    #[track_caller]
    pub(crate) fn ends(&mut self) -> ExitStatus {
        let status = eventually(|| self.child.try_wait().unwrap());
        self.tree.leaves_nothing(|file| file == self.stderr);
        status
    }

    /// The number of open descriptors of the bridge.
    pub(crate) fn descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.pid())).unwrap().count()
    }

    /// The memory of the bridge, in bytes.
    pub(crate) fn memory(&self) -> usize {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() << 10
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn send(pid: i32, signal: Signal) {
    // The process may have exited.
    let _ = kill_process(Pid::from_raw(pid).unwrap(), signal);
}

/// The result of a program that ends by itself.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) printed: String,
    pub(crate) took: Duration,
}

/// Runs a program to its end. It must leave no process, and no file but those of `tolerated`.
#[track_caller]
pub(crate) fn run(program: &Path, args: &[String], tolerated: impl Fn(&Path) -> bool) -> Ended {
    let tree = Tree::new();
    let mut command = Command::new(program);
    command.args(args).env("PYTHONDONTWRITEBYTECODE", "1").stdin(Stdio::null());
    let begun = Instant::now();
    let output = tree.mark(&mut command).output().unwrap();
    let took = begun.elapsed();
    let printed =
        [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
    tree.leaves_nothing(tolerated);
    Ended { status: output.status, printed, took }
}
