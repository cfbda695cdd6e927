//! Podman's own view, by its program.

use std::{
    env,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

/// The address of the engine that `cargo xtask containers` has started.
pub(crate) fn engine() -> String {
    variable("RPCPLUGIN_TEST_ENGINE")
}

/// A command of the same Podman.
pub(crate) fn podman(line: &str) -> Command {
    let words = variable("RPCPLUGIN_TEST_PODMAN");
    let mut words = words.split(' ');
    let mut command = Command::new(words.next().unwrap());
    command.args(words).args(line.split(' '));
    command
}

/// The output of a command that succeeds.
pub(crate) fn output(line: &str) -> String {
    let output = podman(line).output().unwrap();
    assert!(output.status.success(), "podman {line}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Whether there is such a container, running or not.
pub(crate) fn exists(container: &str) -> bool {
    podman(&format!("container exists {container}")).status().unwrap().success()
}

/// The containers whose directories of sockets are below this path.
pub(crate) fn labelled(path: &str) -> Vec<String> {
    let list = output("ps --all --format {{.Names}}={{.Labels}}");
    list.lines().filter(|line| line.contains(path)).map(str::to_owned).collect()
}

/// The pid of a container's process, as this machine sees it.
pub(crate) fn pid(container: &str) -> u32 {
    output(&format!("inspect --format {{{{.State.Pid}}}} {container}")).parse().unwrap()
}

/// A second service over the same containers, which a test may kill.
pub(crate) struct Service {
    dir: TempDir,
    child: Child,
}

impl Service {
    pub(crate) fn start() -> Self {
        let dir = TempDir::new_in("/tmp").unwrap();
        let child = Self::spawn(&dir);
        Self { dir, child }
    }

    /// A service that pulls from this registry without TLS.
    pub(crate) fn with_registry(address: &str) -> Self {
        let dir = TempDir::new_in("/tmp").unwrap();
        let settings = format!("[[registry]]\nlocation = \"{address}\"\ninsecure = true\n");
        std::fs::write(dir.path().join(REGISTRIES), settings).unwrap();
        let child = Self::spawn(&dir);
        Self { dir, child }
    }

    pub(crate) fn engine(&self) -> String {
        format!("unix://{}", Self::socket(&self.dir))
    }

    /// Kills the service. The containers run on.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        let _ = std::fs::remove_file(Self::socket(&self.dir));
    }

    pub(crate) fn restart(&mut self) {
        self.child = Self::spawn(&self.dir);
    }

    fn socket(dir: &TempDir) -> String {
        format!("{}/podman.sock", dir.path().display())
    }

    fn spawn(dir: &TempDir) -> Child {
        let socket = Self::socket(dir);
        let mut command = podman(&format!("system service --time 0 unix://{socket}"));
        let registries = dir.path().join(REGISTRIES);
        if registries.exists() {
            command.env("CONTAINERS_REGISTRIES_CONF", registries);
        }
        let child = command.current_dir(dir.path()).stdin(Stdio::null()).spawn().unwrap();
        let begun = Instant::now();
        while !std::path::Path::new(&socket).exists() {
            assert!(begun.elapsed() < Duration::from_secs(30), "podman does not listen");
            thread::sleep(Duration::from_millis(10));
        }
        child
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The settings of the registries.
const REGISTRIES: &str = "registries.conf";

#[expect(clippy::disallowed_methods, reason = "the switches of a test")]
pub(crate) fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run `cargo xtask containers`"))
}
