//! The ways to start a plugin, with real processes: environment, standard input, checksums, retries, runners.

use std::{
    ffi::OsString,
    fs,
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
    time::{Duration, Instant},
};

use rpcplugin::{
    AttachError, Attachment, Checksum, ChildProcess, Command, Endpoint, Event, Exit, ExitReason,
    LaunchEnvironment, LaunchFault, PlainReport, PluginProcess, Runner, StartedProcess, Stdin,
    broker::{BoxError, Translate},
    config::{ByteSize, EnvPolicy, HostConfig, HostTls, RetryConfig},
    transport::{
        Listener, Security, Services,
        http2::{Serving, serve},
    },
};
use sha2::{Digest as _, Sha256, Sha512};
use tokio::io::AsyncWriteExt as _;
use tokio_util::sync::CancellationToken;
use tonic::{Request, service::interceptor::InterceptedService};

#[path = "support/hosts.rs"]
mod hosts;

use hosts::{Brood, eventually, faulty, host, says, script};

const SOON: Duration = Duration::from_secs(10);
const PLUGIN: &str = env!("CARGO_BIN_EXE_faulty-plugin");

/// What a script that fails writes to its stderr.
async fn stderr_of(change: impl FnOnce(&mut HostConfig), command: Command) -> Vec<String> {
    let long = |config: &mut HostConfig| {
        (config.stderr_tail_lines, config.stderr_tail_bytes) = (1000, ByteSize::mib(1))
    };
    let error = host(long).configure(change).launch(command).await.expect_err("it only writes");
    error.facts().stderr.clone()
}

#[tokio::test]
async fn the_environment_is_what_was_asked_for() {
    let shown = script("env >&2; exit 1").env("MINE", "won").env("PLUGIN_MIN_PORT", "12345");
    let inherited = stderr_of(|_| {}, shown.clone()).await;
    let has = |lines: &[String], line: &str| lines.iter().any(|known| known == line);
    for line in ["MINE=won", "PLUGIN_MIN_PORT=12345", "FAULTY_PLUGIN=cookie", "PLUGIN_PROTOCOL_VERSIONS=1"] {
        assert!(has(&inherited, line), "{line} is missing");
    }
    assert!(inherited.iter().any(|line| line.starts_with("PATH=")));
    let cleared = stderr_of(|config| config.inherit_env = EnvPolicy::Clear, shown.clone()).await;
    // A shell may set its own default.
    let home = |lines: &[String]| lines.iter().any(|line| line.starts_with("HOME="));
    assert!(has(&cleared, "MINE=won") && !home(&cleared), "{cleared:?}");
    let some = stderr_of(|_| {}, shown.environment(EnvPolicy::Only(vec!["HOME".to_owned()]))).await;
    assert_eq!(home(&some), home(&inherited), "{some:?}");
}

#[tokio::test]
async fn the_directory_and_the_arguments() {
    let dir = tempfile::tempdir().expect("a directory");
    let shown = script("pwd >&2; echo \"$0 $1\" >&2; exit 1").args(["zero", "one"]).current_dir(dir.path());
    let stderr = stderr_of(|_| {}, shown).await;
    assert_eq!(stderr, [dir.path().display().to_string(), "zero one".to_owned()]);
}

#[tokio::test]
async fn standard_input() {
    let mut plugin = host(|_| {}).launch(faulty("stdin").stdin(Stdin::Piped)).await.expect("it starts");
    let mut stdin = plugin.take_stdin().expect("it was asked for");
    assert!(plugin.take_stdin().is_none());
    stdin.write_all(b"hello\n").await.expect("it is read");
    let read = || plugin.stderr_tail().iter().any(|line| line.contains(r#"read "hello\n""#));
    eventually(SOON, "the plugin has read it", read).await;
    assert_eq!(plugin.shut_down().await, Exit::Clean);

    let stderr = stderr_of(|_| {}, script("cat >&2; echo end >&2; exit 1").stdin(Stdin::Null)).await;
    assert_eq!(stderr, ["end"]);
}

#[tokio::test]
async fn a_checksum_lets_only_the_right_file_run() {
    let bytes = fs::read(PLUGIN).expect("it was built");
    let hexadecimal: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    let right = Checksum::sha256(&hexadecimal).expect("a digest");
    let plugin = host(|_| {}).launch(faulty("healthy").checksum(right)).await.expect("it is the right one");
    let arguments = fs::read(format!("/proc/{}/cmdline", plugin.pid().unwrap().get())).expect("it runs");
    assert!(arguments.starts_with(PLUGIN.as_bytes()), "it sees its own name");
    assert_eq!(plugin.shut_down().await, Exit::Clean);

    let other = Checksum::new::<Sha512>(Sha512::digest(&bytes).to_vec()).expect("a digest");
    host(|_| {}).launch(faulty("healthy").checksum(other)).await.expect("other digests do as well");

    let marker = tempfile::NamedTempFile::new().expect("a file");
    let program = format!("#!/bin/sh\necho ran > {}\nexit 1\n", marker.path().display());
    let dir = tempfile::tempdir().expect("a directory");
    let path = executable(dir.path(), program.as_bytes());
    let wrong = Checksum::sha256(&hexadecimal).expect("a digest");
    let error =
        host(|_| {}).launch(Command::new(&path).checksum(wrong)).await.expect_err("it is another one");
    says(
        &error,
        &[
            "is not the file that was meant",
            &hexadecimal,
            "install the plugin anew",
            "rpcplugin::security::checksum_mismatch",
        ],
    );
    assert!(
        matches!(error.fault, LaunchFault::Program(rpcplugin::host::ProgramFault::Checksum { .. })),
        "{error:?}"
    );
    assert_eq!(fs::read_to_string(marker.path()).expect("readable"), "", "nothing ran");

    let unreadable = Checksum::sha256(&hexadecimal).expect("a digest");
    let error =
        host(|_| {}).launch(Command::new("/proc/self/mem").checksum(unreadable)).await.expect_err("no bytes");
    says(&error, &["cannot be read to verify its checksum", "rpcplugin::security::checksum_unreadable"]);

    let error = Checksum::sha256("2c26").expect_err("a digest has 32 bytes");
    assert!(PlainReport(&error).to_string().contains("code: rpcplugin::config::checksum_length"));

    let absent = Checksum::sha256(&hexadecimal).expect("a digest");
    let error = host(|_| {}).launch(Command::new("/no/such").checksum(absent)).await.expect_err("none");
    assert!(
        matches!(error.fault, LaunchFault::Program(rpcplugin::host::ProgramFault::NotFound { .. })),
        "{error:?}"
    );
}

#[tokio::test]
async fn only_files_are_verified() {
    let dir = tempfile::tempdir().expect("a directory");
    let pipe = dir.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().expect("it runs").success());
    let checksum = || Checksum::new::<Sha256>([0; 32]).expect("a digest");
    // Whoever opens a pipe waits for its other end, and whoever reads a device may do so for ever.
    for program in [pipe, "/dev/zero".into()] {
        let error =
            host(|_| {}).launch(Command::new(program).checksum(checksum())).await.expect_err("no file");
        says(&error, &["is a pipe or a device, not a program", "rpcplugin::transport::plugin_not_a_file"]);
    }
    let error = host(|_| {}).launch(Command::new(dir.path()).checksum(checksum())).await;
    assert!(matches!(
        error.expect_err("a directory").fault,
        LaunchFault::Program(rpcplugin::host::ProgramFault::IsDirectory { .. })
    ));
}

/// SHA-256 of the file that is verified; when the last byte of it has been read, another file comes to its path.
#[derive(Default)]
#[cfg(target_os = "linux")]
struct ThenSwapped(Sha256);

/// The file that comes to a path when the one that was there has been read.
#[cfg(target_os = "linux")]
static SWAP: std::sync::Mutex<Option<(PathBuf, PathBuf)>> = std::sync::Mutex::new(None);

#[cfg(target_os = "linux")]
mod then_swapped {
    use sha2::{
        Sha256,
        digest::{FixedOutput, HashMarker, Output, OutputSizeUser, Update},
    };

    use super::{SWAP, ThenSwapped};

    impl OutputSizeUser for ThenSwapped {
        type OutputSize = <Sha256 as OutputSizeUser>::OutputSize;
    }

    impl HashMarker for ThenSwapped {}

    impl Update for ThenSwapped {
        fn update(&mut self, data: &[u8]) {
            Update::update(&mut self.0, data);
        }
    }

    impl FixedOutput for ThenSwapped {
        fn finalize_into(self, out: &mut Output<Self>) {
            let (other, path) = SWAP.lock().expect("unpoisoned").take().expect("one swap for each check");
            std::fs::rename(other, path).expect("both are there");
            FixedOutput::finalize_into(self.0, out);
        }
    }
}

/// Between the verification and the start another file comes to the path: the one that was verified runs, be it a script
/// or a program.
#[tokio::test]
#[cfg(target_os = "linux")]
async fn what_was_verified_is_what_runs() {
    let dir = tempfile::tempdir().expect("a directory");
    let checked = |contents: &[u8]| {
        let other = executable(dir.path(), b"#!/bin/sh\necho 'I am another' >&2\nexit 7\n");
        let aside = dir.path().join("another");
        fs::rename(other, &aside).expect("ours");
        let path = executable(dir.path(), contents);
        *SWAP.lock().expect("unpoisoned") = Some((aside, path.clone()));
        let checksum = Checksum::new::<ThenSwapped>(Sha256::digest(contents).to_vec()).expect("a digest");
        (Command::new(&path).checksum(checksum), path)
    };
    let was_swapped = |path: &Path| {
        SWAP.lock().expect("unpoisoned").is_none()
            && fs::read_to_string(path).is_ok_and(|text| text.contains("another"))
    };

    let (script, path) = checked(b"#!/bin/sh\necho 'I was verified' >&2\nexit 1\n");
    let stderr = stderr_of(|_| {}, script).await;
    assert_eq!(stderr, ["I was verified"]);
    assert!(was_swapped(&path), "the test swaps");

    let (program, path) = checked(&fs::read(PLUGIN).expect("it was built"));
    let plugin = host(|_| {}).launch(program.arg("healthy")).await.expect("the program that was verified");
    assert!(was_swapped(&path), "the test swaps");
    assert_eq!(plugin.shut_down().await, Exit::Clean);
}

fn executable(dir: &Path, contents: &[u8]) -> PathBuf {
    let path = dir.join("a-plugin");
    fs::write(&path, contents).expect("writable");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("ours");
    path
}

#[tokio::test]
async fn a_program_that_is_still_being_written_is_waited_for() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = executable(dir.path(), &fs::read(PLUGIN).expect("it was built"));
    let writing = fs::OpenOptions::new().append(true).open(&path).expect("ours");
    let impatient = host(|config| config.busy_timeout = Duration::from_millis(100));
    let error = impatient.launch(Command::new(&path).arg("healthy")).await.expect_err("it is busy");
    says(
        &error,
        &["is still being written", "wait until it is installed", "rpcplugin::transport::program_busy"],
    );
    assert!(
        matches!(error.fault, LaunchFault::Program(rpcplugin::host::ProgramFault::TextFileBusy { .. })),
        "{error:?}"
    );

    let patient = host(|config| config.busy_timeout = SOON);
    let closing = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        drop(writing);
    };
    let (launched, ()) = tokio::join!(patient.launch(Command::new(&path).arg("healthy")), closing);
    assert_eq!(launched.expect("it is there").shut_down().await, Exit::Clean);
}

fn retry(config: &mut HostConfig) {
    let mut retry = RetryConfig::default();
    (retry.max_retries, retry.initial) = (2, Duration::from_millis(100));
    retry.jitter = Duration::ZERO;
    config.retry = Some(retry);
}

/// A script that fails as often as it is told to, and then becomes a plugin.
fn fails(times: usize, dir: &Path) -> Command {
    let text = r#"
        echo try >> "$2"
        if [ "$(wc -l < "$2")" -le "$1" ]; then echo "not yet" >&2; exit 7; fi
        exec "$0" healthy"#;
    script(text).arg(PLUGIN).arg(times.to_string()).arg(dir.join("tries"))
}

#[tokio::test]
async fn what_may_pass_is_tried_again() {
    let dir = tempfile::tempdir().expect("a directory");
    let begun = Instant::now();
    let plugin = host(retry).launch(fails(2, dir.path())).await.expect("the third try succeeds");
    assert!(begun.elapsed() >= Duration::from_millis(300), "the pauses are 100 and 200 ms");
    assert_eq!(plugin.shut_down().await, Exit::Clean);

    let dir = tempfile::tempdir().expect("a directory");
    let error = host(retry).launch(fails(9, dir.path())).await.expect_err("it always fails");
    assert_eq!(error.earlier().len(), 2);
    says(&error, &["did not start in 3 tries", "try 1, after ", "try 2, after ", "exit status 7", "not yet"]);
    assert!(matches!(
        error.earlier()[0].fault,
        LaunchFault::Handshake(rpcplugin::host::HandshakeFault::ExitedEarly(ExitReason::Status(7)))
    ));
}

#[tokio::test]
async fn what_cannot_pass_is_not_tried_again() {
    for command in [Command::new("/no/such/plugin"), faulty("healthy").env("FAULTY_PLUGIN", "another")] {
        let error = host(retry).launch(command).await.expect_err("it cannot start");
        assert!(error.earlier().is_empty(), "{error:?}");
    }
    let hopeless = |config: &mut HostConfig| {
        retry(config);
        config.retry.as_mut().expect("set").total = Duration::from_millis(50);
    };
    let error = host(hopeless).launch(script("exit 7")).await.expect_err("it always fails");
    assert!(error.earlier().is_empty(), "the first pause would be longer than all tries together: {error:?}");
}

#[tokio::test]
async fn a_host_that_waits_says_so() {
    let waiting = host(|config| {
        config.launch_timeout = Duration::from_millis(500);
        config.still_waiting_interval = Duration::from_millis(50);
    });
    let mut events = waiting.events();
    waiting.launch(script("sleep 60")).await.expect_err("it is silent");
    let mut waits = 0;
    while let Some(event) = events.next().await {
        match event.event {
            Event::StillWaiting { .. } => waits += 1,
            Event::Exited { .. } => break,
            _ => {}
        }
    }
    assert!(waits >= 3, "{waits}");
}

#[tokio::test]
async fn impossible_settings_are_refused() {
    let error = host(|config| config.launch_timeout = Duration::ZERO).launch(faulty("healthy")).await;
    let error = error.expect_err("nothing starts in no time");
    assert!(matches!(error.fault, LaunchFault::Setup(rpcplugin::host::SetupFault::Settings(_))), "{error:?}");
}

/// What becomes of the plugin of a host that is killed.
async fn after_the_host_was_killed(fate: &str, brood: &Brood) {
    let mut doomed = std::process::Command::new(env!("CARGO_BIN_EXE_doomed-host"));
    let mut doomed = doomed
        .args([fate, PLUGIN])
        .env(hosts::MARK, brood.name())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it was built");
    let mut line = String::new();
    let stdout = doomed.stdout.take().expect("a pipe");
    std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut line).expect("readable");
    assert_eq!(line, "ready\n");
    assert!(brood.alive().len() >= 2, "the host and what it has started");
    doomed.kill().expect("it runs");
    doomed.wait().expect("it is ours");
}

#[tokio::test]
async fn plugins_die_with_a_killed_host() {
    let brood = Brood::new();
    after_the_host_was_killed("dies", &brood).await;
    brood.dies_out().await;
}

#[tokio::test]
async fn plugins_that_left_their_group_die_too() {
    let brood = Brood::new();
    after_the_host_was_killed("leaves", &brood).await;
    brood.dies_out().await;
}

#[tokio::test]
async fn plugins_that_are_still_starting_die_too() {
    let brood = Brood::new();
    after_the_host_was_killed("starts", &brood).await;
    brood.dies_out().await;
}

#[tokio::test]
async fn plugins_outlive_a_killed_host_if_they_are_allowed_to() {
    let brood = Brood::new();
    after_the_host_was_killed("lives", &brood).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let left = brood.alive();
    assert!(left.len() >= 2, "they died: {left:?}");
    brood.kill();
    brood.dies_out().await;
}

#[tokio::test]
async fn a_dropped_launch_leaves_nothing() {
    let brood = Brood::new();
    let launching = host(|_| {});
    let launch = launching.launch(brood.mark(script("sleep 1000 & sleep 1000")));
    tokio::time::timeout(Duration::from_millis(300), launch).await.expect_err("it is silent");
    brood.dies_out().await;
}

/// A plugin within the test, which listens at an address that it calls by another name.
#[derive(Debug)]
struct Double {
    /// What it announces.
    line: &'static str,
}

#[derive(Debug)]
struct DoubleRunning(CancellationToken);

#[derive(Debug)]
struct Loopback;

impl Translate for Loopback {
    fn announce_as(&self, endpoint: &Endpoint) -> Result<Endpoint, BoxError> {
        Ok(endpoint.clone())
    }

    fn dial_as(&self, endpoint: &Endpoint) -> Result<Endpoint, BoxError> {
        match endpoint {
            Endpoint::Tcp(address) if address.host() == "plugin.example" => {
                Ok(Endpoint::parse("tcp", &format!("127.0.0.1:{}", address.port()))?)
            }
            other => Err(format!("{other} is not on the loopback").into()),
        }
    }
}

impl Runner for Double {
    type Process = DoubleRunning;

    fn program(&self) -> PathBuf {
        "double".into()
    }

    async fn start(
        &self,
        surroundings: &LaunchEnvironment,
    ) -> Result<StartedProcess<DoubleRunning>, LaunchFault> {
        assert!(surroundings.socket_dir.is_dir());
        if self.line.is_empty() {
            return Err(LaunchFault::runner("there is no engine"));
        }
        let listener = Listener::tcp([127, 0, 0, 1].into(), 0..=0).await.map_err(LaunchFault::runner)?;
        let Endpoint::Tcp(address) = listener.endpoint() else { unreachable!("it was asked for") };
        let line = self.line.replace("PORT", &address.port().to_string());
        let (mut printing, stdout) = tokio::io::duplex(1024);
        let (mut logging, stderr) = tokio::io::duplex(1024);
        let end = CancellationToken::new();
        let (reporter, health) = tonic_health::server::health_reporter();
        reporter.set_service_status("plugin", tonic_health::ServingStatus::Serving).await;
        let serving = Serving::new(Services::new().add(health), Security::Plain, end.clone());
        tokio::spawn(async move {
            let _ = printing.write_all(line.as_bytes()).await;
            let _ = logging.write_all(b"a double is as good as a process\n").await;
            serve(listener, serving).await;
        });
        Ok(StartedProcess::new(DoubleRunning(end), stdout, stderr).translate(Arc::new(Loopback)))
    }

    async fn diagnose(&self, _: &LaunchFault) -> Option<String> {
        Some("it is only a double".to_owned())
    }
}

impl PluginProcess for DoubleRunning {
    fn id(&self) -> String {
        "double-1".to_owned()
    }

    async fn wait(&mut self) -> ExitReason {
        self.0.cancelled().await;
        ExitReason::Status(0)
    }

    async fn kill(&mut self) {
        self.0.cancel();
    }
}

#[tokio::test]
async fn a_runner_may_be_a_double() {
    let plain = host(|config| config.tls = HostTls::Plaintext);
    let double = Double { line: "1|1|tcp|plugin.example:PORT|grpc|\n" };
    let plugin = plain.launch_with(&double).await.expect("it starts");
    assert_eq!((plugin.name(), plugin.pid(), plugin.id().pid), ("double", None, None));
    assert_eq!(plugin.reattach_config().pid, None);
    assert!(plugin.endpoint().to_string().starts_with("tcp:127.0.0.1:"));
    plugin.ping().await.expect("it is well");
    let logged = || plugin.stderr_tail().iter().any(|line| line.contains("as good as a process"));
    eventually(SOON, "its log is read", logged).await;
    // It has no controller, so that only killing it helps.
    assert_eq!(plugin.shut_down_within(Duration::from_millis(100)).await, Exit::Clean);

    let elsewhere = Double { line: "1|1|tcp|elsewhere.example:PORT|grpc|\n" };
    let error = plain.launch_with(&elsewhere).await.expect_err("its address means nothing");
    says(
        &error,
        &[
            "cannot be translated for this host",
            "is not on the loopback",
            "rpcplugin::transport::translation",
        ],
    );
    let error = plain.launch_with(&Double { line: "" }).await.expect_err("its runner fails");
    says(
        &error,
        &["the runner could not start the plugin", "there is no engine", "rpcplugin::transport::runner"],
    );
    let banner = Double { line: "Welcome!\n" };
    let error = plain.launch_with(&banner).await.expect_err("that is no answer");
    says(&error, &["notes about the program:\n    it is only a double"]);
}

/// A double that is never done with what it does when it is ready.
struct NeverReady(Double);

struct NeverReadyRunning(DoubleRunning);

impl Runner for NeverReady {
    type Process = NeverReadyRunning;

    fn program(&self) -> PathBuf {
        self.0.program()
    }

    async fn start(
        &self,
        surroundings: &LaunchEnvironment,
    ) -> Result<StartedProcess<NeverReadyRunning>, LaunchFault> {
        let StartedProcess { process: running, stdout, stderr, translate, .. } =
            self.0.start(surroundings).await?;
        let started = StartedProcess::new(NeverReadyRunning(running), stdout, stderr);
        Ok(translate.into_iter().fold(started, StartedProcess::translate))
    }
}

impl PluginProcess for NeverReadyRunning {
    fn id(&self) -> String {
        self.0.id()
    }

    async fn ready(&mut self) {
        std::future::pending().await
    }

    async fn wait(&mut self) -> ExitReason {
        self.0.wait().await
    }

    async fn kill(&mut self) {
        self.0.kill().await;
    }
}

#[tokio::test]
async fn a_runner_that_is_never_done_holds_up_a_launch_until_its_deadline() {
    let hasty = host(|config| {
        config.tls = HostTls::Plaintext;
        config.launch_timeout = Duration::from_millis(500);
    });
    let runner = NeverReady(Double { line: "1|1|tcp|plugin.example:PORT|grpc|\n" });
    let error = hasty.launch_with(&runner).await.expect_err("it is never ready");
    assert!(
        matches!(error.fault, LaunchFault::Connect(rpcplugin::host::ConnectFault::Timeout(_))),
        "{error:?}"
    );
}

#[tokio::test]
async fn callbacks_end_with_a_launch_that_failed_after_they_were_offered() {
    let held = Arc::new(());
    let kept = Arc::clone(&held);
    let hasty = host(|config| {
        config.tls = HostTls::Plaintext;
        config.launch_timeout = Duration::from_millis(500);
    })
    .callbacks_with(move |caller| {
        let own = (caller.broker.clone(), Arc::clone(&kept));
        let (_, health) = tonic_health::server::health_reporter();
        let holding = InterceptedService::new(health, move |request: Request<()>| {
            let _ = &own;
            Ok(request)
        });
        Services::new().add(holding)
    });
    let runner = NeverReady(Double { line: "1|1|tcp|plugin.example:PORT|grpc|\n" });
    hasty.launch_with(&runner).await.expect_err("it is never ready");
    // This function and the one that makes the services.
    eventually(SOON, "nobody serves them any more", || Arc::strong_count(&held) == 2).await;
}

#[tokio::test]
async fn an_address_that_is_attached_to_may_be_translated() {
    let plain = host(|config| config.tls = HostTls::Plaintext);
    let double = Double { line: "1|1|tcp|plugin.example:PORT|grpc|\n" };
    let plugin = plain.launch_with(&double).await.expect("it starts");
    let Endpoint::Tcp(address) = plugin.endpoint() else { panic!("{plugin:?}") };
    let there = Endpoint::parse("tcp", &format!("plugin.example:{}", address.port())).expect("an address");
    let attachment = Attachment::new(there, 1).translate(Arc::new(Loopback));
    let second = plain.attach(attachment).await.expect("it runs");
    second.ping().await.expect("it is well");
    let elsewhere = Endpoint::parse("tcp", "elsewhere.example:1").expect("an address");
    let attachment = Attachment::new(elsewhere, 1).translate(Arc::new(Loopback));
    let error = plain.attach(attachment).await.expect_err("its address means nothing");
    let AttachError::Refused {
        source: LaunchFault::Handshake(rpcplugin::host::HandshakeFault::Translate { .. }),
        ..
    } = error
    else {
        panic!("{error:?}")
    };
}

#[tokio::test]
async fn a_deadline_beyond_all_time_is_a_fault_of_the_settings() {
    let endless = host(|config| config.launch_timeout = Duration::MAX);
    let error = endless.launch(faulty("healthy")).await.expect_err("no clock goes so far");
    assert!(matches!(error.fault, LaunchFault::Setup(rpcplugin::host::SetupFault::Settings(_))), "{error:?}");
}

/// What becomes of a host that is told nothing of its children's ends.
#[tokio::test]
async fn the_end_is_known_where_the_ends_of_children_are_ignored() {
    let host = env!("CARGO_BIN_EXE_doomed-host");
    let output = std::process::Command::new("/bin/sh")
        .args(["-c", "trap '' CHLD; exec \"$0\" ends \"$1\"", host, PLUGIN])
        .stdin(Stdio::null())
        .output()
        .expect("it was built");
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(stdout, "Clean\n", "{stderr}");
}

/// An engine that says nothing, or does not even start what it is asked for.
struct Engine {
    starts: bool,
}

impl Runner for Engine {
    type Process = DoubleRunning;

    fn program(&self) -> PathBuf {
        "engine".into()
    }

    async fn start(&self, _: &LaunchEnvironment) -> Result<StartedProcess<DoubleRunning>, LaunchFault> {
        if !self.starts {
            return std::future::pending().await;
        }
        let end = CancellationToken::new();
        let (printing, stdout) = tokio::io::duplex(16);
        let ended = end.clone();
        tokio::spawn(async move {
            ended.cancelled().await;
            drop(printing);
        });
        Ok(StartedProcess::new(DoubleRunning(end), stdout, tokio::io::empty()))
    }

    async fn diagnose(&self, fault: &LaunchFault) -> Option<String> {
        Some(format!("the engine has heard that {fault}"))
    }
}

#[tokio::test]
async fn a_runner_is_asked_about_every_fault() {
    let short = host(|config| config.launch_timeout = Duration::from_millis(200));
    let error = short.launch_with(&Engine { starts: false }).await.expect_err("it never starts");
    says(
        &error,
        &[
            "the runner did not start the plugin within 0.2 s",
            "the engine has heard that it was not started",
            "rpcplugin::transport::not_started",
        ],
    );
    assert!(error.fault.may_pass());
    let error = short.launch_with(&Engine { starts: true }).await.expect_err("it says nothing");
    says(&error, &["the engine has heard that it said nothing", "rpcplugin::handshake::timeout"]);
}

/// Starts plugins through a shell, as on another machine: with an environment of their own, and with the directory for
/// sockets under another name.
#[derive(Debug)]
struct Shell {
    alias: PathBuf,
}

#[derive(Debug)]
struct Alias {
    theirs: PathBuf,
    ours: PathBuf,
}

impl Alias {
    fn translate(endpoint: &Endpoint, from: &Path, to: &Path) -> Result<Endpoint, BoxError> {
        let Endpoint::Unix(path) = endpoint else { return Err("only Unix sockets can be shared".into()) };
        let name = path.as_path().strip_prefix(from)?;
        Ok(Endpoint::parse("unix", &to.join(name).display().to_string())?)
    }
}

impl Translate for Alias {
    fn announce_as(&self, endpoint: &Endpoint) -> Result<Endpoint, BoxError> {
        Self::translate(endpoint, &self.ours, &self.theirs)
    }

    fn dial_as(&self, endpoint: &Endpoint) -> Result<Endpoint, BoxError> {
        Self::translate(endpoint, &self.theirs, &self.ours)
    }
}

impl Runner for Shell {
    type Process = ChildProcess;

    fn program(&self) -> PathBuf {
        "remote/faulty-plugin".into()
    }

    async fn start(
        &self,
        surroundings: &LaunchEnvironment,
    ) -> Result<StartedProcess<ChildProcess>, LaunchFault> {
        std::os::unix::fs::symlink(&surroundings.socket_dir, &self.alias).map_err(LaunchFault::runner)?;
        let mut there = surroundings.clone();
        there.inherit = EnvPolicy::Clear;
        for (name, value) in &mut there.handshake_env {
            if name == "PLUGIN_UNIX_SOCKET_DIR" {
                *value = Some(OsString::from(&self.alias));
            }
        }
        let started = script("exec \"$0\" healthy").arg(PLUGIN).start(&there).await?;
        let alias = Alias { theirs: self.alias.clone(), ours: surroundings.socket_dir.clone() };
        Ok(started.translate(Arc::new(alias)))
    }
}

#[tokio::test]
async fn a_runner_may_start_plugins_elsewhere() {
    let dir = tempfile::tempdir().expect("a directory");
    let shell = Shell { alias: dir.path().join("sockets") };
    let plugin = host(|_| {}).launch_with(&shell).await.expect("it starts");
    let Endpoint::Unix(path) = plugin.endpoint() else { panic!("{plugin:?}") };
    assert!(!path.as_path().starts_with(dir.path()), "the host dials by its own name for the directory");
    assert!(plugin.security().is_mutual());
    plugin.ping().await.expect("it is well");
    assert_eq!(plugin.shut_down().await, Exit::Clean);
}

#[tokio::test]
async fn sockets_are_gone_in_the_end() {
    let dir = tempfile::tempdir().expect("a directory");
    let here = host(|config| config.unix_socket_dir = Some(dir.path().to_owned()));
    let plugin = here.launch(faulty("healthy")).await.expect("it starts");
    assert_eq!(fs::read_dir(dir.path()).expect("readable").count(), 1);
    drop(plugin);
    eventually(SOON, "nothing is left", || fs::read_dir(dir.path()).expect("readable").count() == 0).await;
    std::io::stdout().flush().expect("open");
}
