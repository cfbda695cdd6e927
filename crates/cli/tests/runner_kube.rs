//! `--runner kube:IMAGE`, with the cluster and the images of `cargo xtask cluster`.

#![cfg(all(unix, feature = "kube"))]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[expect(dead_code, reason = "`checks` uses the rest")]
#[path = "checks/program.rs"]
mod program;

use std::{
    io::{BufRead as _, BufReader},
    process::{Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use self::program::Run;

/// The conformance plugin in Rust, which listens on TCP itself.
const RUST: &str = "kube:localhost/rpcplugin-tests/kit-rust:1";
/// The program `rpcplugin`, and beside it the conformance plugin in Go, which listens on a Unix socket.
const BRIDGED: &str = "kube:localhost/rpcplugin-tests/rpcplugin:1";
const GO: &[&str] = &["--runner-option", "bridge=/rpcplugin", "--", "/kit-plugin"];

/// A namespace, which is deleted with all that is in it.
struct Namespace(String);

impl Namespace {
    fn create(name: &str) -> Self {
        kubectl(&["create", "namespace", name]);
        let this = Self(name.to_owned());
        this.eventually("the default account", || {
            let account = ["--namespace", name, "get", "serviceaccount", "default"];
            Command::new("kubectl").args(account).output().unwrap().status.success()
        });
        this
    }

    /// A command of the program, for the kit's plugin in this image.
    fn command(&self, image: &str, command: &[&str], plugin: &[&str]) -> Command {
        let namespace = format!("namespace={}", self.0);
        let mut program = Command::new(env!("CARGO_BIN_EXE_rpcplugin"));
        program.args(command).args(["--runner", image, "--preset", "kit"]);
        program.args(["--runner-option", &namespace, "--runner-option", "pull=never"]);
        program.args(plugin).stdin(Stdio::null());
        program
    }

    /// Runs a command of the program, which must leave no pod.
    fn run(&self, image: &str, command: &[&str], plugin: &[&str]) -> Run {
        let Output { status, stdout, stderr } = self.command(image, command, plugin).output().unwrap();
        self.is_empty();
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Run { code: status.code(), stdout: text(stdout), stderr: text(stderr) }
    }

    /// Waits until no pod is left.
    fn is_empty(&self) {
        self.eventually("no pod is left", || {
            kubectl(&["--namespace", &self.0, "get", "pods", "--output", "name"]).is_empty()
        });
    }

    fn eventually(&self, what: &str, holds: impl Fn() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(120);
        while !holds() {
            assert!(Instant::now() < deadline, "not in time in {}: {what}", self.0);
            thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        kubectl(&["delete", "namespace", &self.0, "--wait=false"]);
    }
}

/// Runs kubectl, and returns its output.
fn kubectl(arguments: &[&str]) -> String {
    let output = Command::new("kubectl").args(arguments).output().expect("kubectl is in PATH");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[test]
#[ignore = "needs a cluster: cargo xtask cluster"]
fn inspect_and_call_start_the_program_of_a_pod() {
    let namespace = Namespace::create("runner-inspect");
    let facts = namespace.run(RUST, &["--json", "inspect"], &[]).ended_with(0).json();
    assert_eq!(
        (&facts["name"], &facts["security"]["kind"]),
        (&"kit-rust".into(), &"mutual".into()),
        "{facts}"
    );
    assert_eq!(facts["end"]["clean"], true, "{facts}");
    let info = namespace.run(BRIDGED, &["--json", "call", "Info", "-d", "{}"], GO).ended_with(0).json();
    assert!(info["implementation"].as_str().unwrap().starts_with("go"), "{info}");
}

#[test]
#[ignore = "needs a cluster: cargo xtask cluster"]
fn run_shows_the_log_of_a_pod_until_it_is_asked_to_end() {
    let namespace = Namespace::create("runner-run");
    let mut run = namespace.command(RUST, &["--json", "run"], &[]);
    let mut run = run.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(run.stdout.take().unwrap()).lines().map_while(Result::ok);
    let ready = lines.find(|line| line.contains(r#""kind":"ready""#)).expect("the plugin is ready");
    assert!(ready.contains(r#""mutual_tls":true"#), "{ready}");
    let pods = kubectl(&["--namespace", &namespace.0, "get", "pods", "--output", "name"]);
    assert!(pods.starts_with("pod/kit-rust-") && pods.lines().count() == 1, "{pods}");
    kill_process(Pid::from_child(&run), Signal::INT).unwrap();
    lines.for_each(drop);
    assert_eq!(run.wait().unwrap().code(), Some(0));
    namespace.is_empty();
}

#[test]
#[ignore = "needs a cluster: cargo xtask cluster"]
fn plugins_in_pods_conform() {
    let namespace = Namespace::create("runner-conformance");
    for (image, plugin) in [(RUST, &[][..]), (BRIDGED, GO)] {
        let command = ["conformance", "--jobs", "4", "--only", ONLY];
        let report = namespace.run(image, &command, plugin).ended_with(0);
        report.prints(&["PASS  mtls-serves", "PASS  mux-mtls", "PASS  shutdown", " 0 failed"]);
    }
}

/// One check of each kind: each starts a pod.
const ONLY: &str = "line-form,line-address,mtls-serves,mux-mtls,health-serving,shutdown,large-message";

#[test]
#[ignore = "needs a cluster: cargo xtask cluster"]
fn doctor_names_what_is_missing() {
    let namespace = Namespace::create("runner-doctor");
    let doctor = |image: &str, plugin: &[&str]| namespace.run(image, &["doctor"], plugin);
    doctor(RUST, &[]).ended_with(0).prints(&[
        "ok     runner",
        "ok     start",
        "kit-rust starts, and has no fault",
    ]);
    doctor("kube:localhost/no-such-image:1", &[])
        .ended_with(1)
        .prints(&["wrong  start", "ErrImageNeverPull"]);
    doctor(RUST, &["--", "/no-such-program"]).ended_with(1).prints(&["wrong  start", "/no-such-program"]);
    let class = ["--runner-option", "runtime-class=no-such-class"];
    doctor(RUST, &class).ended_with(1).prints(&["wrong  start", "no-such-class"]);

    let failed =
        namespace.run("kube:localhost/no-such-image:1", &["--json", "inspect"], &[]).ended_with(3).json();
    assert_eq!(failed["error"]["code"], "rpcplugin::kube::image", "{failed}");
    assert!(failed["error"]["help"].as_str().unwrap().contains("load the image"), "{failed}");
    let mut away = namespace.command(RUST, &["doctor"], &[]);
    let Output { status, stdout, .. } = away.env("KUBECONFIG", "/nowhere/kubeconfig").output().unwrap();
    let text = String::from_utf8_lossy(&stdout);
    assert!(status.code() == Some(1) && text.contains("set KUBECONFIG"), "{text}");
}
