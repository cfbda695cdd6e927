//! Runners that users write.

use std::{
    ffi::OsString,
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use miette::Diagnostic;
use rpcplugin::host::{ConnectFault, HandshakeFault};
use rpcplugin::{
    Endpoint, Exit, Host, Services,
    broker::{BoxError, Translate},
    config::{EnvPolicy, HostTls},
    error::causes,
    host::{
        AttachError, Attachment, ChildProcess, Event, ExitCause, ExitReason, ExitReport, LaunchEnvironment,
        LaunchFault, Pid, PluginExited, PluginProcess, Runner, StartedProcess,
    },
    transport::{Dial, Stream, dial, http2::ChannelError},
};
use rpcplugin_tests::{
    contract,
    pb::{CountRequest, EchoRequest, SleepRequest, kit_client::KitClient},
    support::{
        conformance,
        faulty::{host, shows},
        process::send,
        programs::peer,
        scripts::script,
        wait::eventually_within,
    },
};
use rustix::process::Signal;
use tokio::{
    io::{copy, duplex, split},
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Request, service::interceptor::InterceptedService};

use crate::{
    double::{Double, DoubleRunning, Loopback},
    support::{PLUGIN, TIMEOUT},
};

#[tokio::test]
async fn a_runner_may_be_a_test_double() {
    let plain = host(|config| config.tls = HostTls::Plaintext);
    let double = Double { line: "1|1|tcp|plugin.example:PORT|grpc|\n" };
    let plugin = plain.launch_with(&double).await.expect("the plugin starts");
    assert_eq!((plugin.name(), plugin.pid(), plugin.id().pid), ("double", None, None));
    assert_eq!(plugin.reattach_config().pid, None);
    assert!(plugin.endpoint().to_string().starts_with("tcp:127.0.0.1:"));
    plugin.ping().await.expect("the plugin is healthy");
    let logged = || plugin.stderr_tail().iter().any(|line| line.contains("as good as a process"));
    eventually_within(TIMEOUT, "its log is read", logged).await;
    // The double has no controller, so that it is killed.
    assert_eq!(plugin.shut_down_within(Duration::from_millis(100)).await, Exit::Clean);

    let elsewhere = Double { line: "1|1|tcp|elsewhere.example:PORT|grpc|\n" };
    let error = plain.launch_with(&elsewhere).await.expect_err("the address cannot be translated");
    shows(
        &error,
        &[
            "cannot be translated for this host",
            "is not on the loopback",
            "rpcplugin::transport::translation",
        ],
    );
    let error = plain.launch_with(&Double { line: "" }).await.expect_err("the runner fails");
    shows(
        &error,
        &["the runner could not start the plugin", "there is no engine", "rpcplugin::transport::runner"],
    );
    let banner = Double { line: "Welcome!\n" };
    let error = plain.launch_with(&banner).await.expect_err("that is not a handshake line");
    shows(&error, &["notes about the program:\n    it is only a double"]);
}

/// A test double that never finishes `ready`.
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
async fn a_runner_that_is_never_ready_delays_a_launch_until_its_deadline() {
    let hasty = host(|config| {
        config.tls = HostTls::Plaintext;
        config.launch_timeout = Duration::from_millis(500);
    });
    let runner = NeverReady(Double { line: "1|1|tcp|plugin.example:PORT|grpc|\n" });
    let error = hasty.launch_with(&runner).await.expect_err("the runner is never ready");
    assert!(matches!(error.fault, LaunchFault::Connect(ConnectFault::Timeout(_))), "{error:?}");
}

#[tokio::test]
async fn callbacks_end_with_a_launch_that_failed_after_they_were_served() {
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
    hasty.launch_with(&runner).await.expect_err("the runner is never ready");
    // This function and the function that makes the services.
    eventually_within(TIMEOUT, "the services are dropped", || Arc::strong_count(&held) == 2).await;
}

#[tokio::test]
async fn an_attached_address_may_be_translated() {
    let plain = host(|config| config.tls = HostTls::Plaintext);
    let double = Double { line: "1|1|tcp|plugin.example:PORT|grpc|\n" };
    let plugin = plain.launch_with(&double).await.expect("the plugin starts");
    let Endpoint::Tcp(address) = plugin.endpoint() else { panic!("{plugin:?}") };
    let there = Endpoint::parse("tcp", &format!("plugin.example:{}", address.port())).expect("an address");
    let attachment = Attachment::new(there, 1).translate(Arc::new(Loopback));
    let second = plain.attach(attachment).await.expect("the plugin runs");
    second.ping().await.expect("the plugin is healthy");
    let elsewhere = Endpoint::parse("tcp", "elsewhere.example:1").expect("an address");
    let attachment = Attachment::new(elsewhere, 1).translate(Arc::new(Loopback));
    let error = plain.attach(attachment).await.expect_err("the address cannot be translated");
    let AttachError::Refused { source: LaunchFault::Handshake(HandshakeFault::Translate { .. }), .. } = error
    else {
        panic!("{error:?}")
    };
}

/// A runner whose plugin prints nothing, or does not start.
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
        let (printing, stdout) = duplex(16);
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
async fn a_runner_diagnoses_every_fault() {
    let short = host(|config| config.launch_timeout = Duration::from_millis(200));
    let error =
        short.launch_with(&Engine { starts: false }).await.expect_err("the runner never starts the plugin");
    shows(
        &error,
        &[
            "the runner did not start the plugin within 0.2 s",
            "the engine has heard that the runner did not start the plugin",
            "rpcplugin::transport::not_started",
        ],
    );
    assert!(error.fault.may_pass());
    let error = short.launch_with(&Engine { starts: true }).await.expect_err("the plugin prints nothing");
    shows(
        &error,
        &["the engine has heard that the plugin printed no handshake line", "rpcplugin::handshake::timeout"],
    );
}

/// A runner that starts plugins through a shell, as on another machine: with another environment, and with another path of the
/// socket directory.
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
    let plugin = host(|_| {}).launch_with(&shell).await.expect("the plugin starts");
    let Endpoint::Unix(path) = plugin.endpoint() else { panic!("{plugin:?}") };
    assert!(!path.as_path().starts_with(dir.path()), "the host dials its own path of the directory");
    assert!(plugin.security().is_mutual());
    plugin.ping().await.expect("the plugin is healthy");
    assert_eq!(plugin.shut_down().await, Exit::Clean);
}

/// A runner of a child process whose connections stay open after its exit, as a port-forward or another process with the
/// same socket holds them.
struct HeldOpen(rpcplugin::Command);

#[derive(Debug)]
struct Hold;

impl Runner for HeldOpen {
    type Process = ChildProcess;

    fn program(&self) -> PathBuf {
        Runner::program(&self.0)
    }

    async fn start(
        &self,
        environment: &LaunchEnvironment,
    ) -> Result<StartedProcess<ChildProcess>, LaunchFault> {
        Ok(self.0.start(environment).await?.dial(Hold))
    }
}

impl Dial for Hold {
    async fn dial(&self, endpoint: &Endpoint) -> io::Result<Stream> {
        let (mut from_plugin, mut to_plugin) = split(dial(endpoint).await.map_err(|error| error.source)?);
        let (near, far) = duplex(1 << 16);
        let (mut from_host, mut to_host) = split(far);
        tokio::spawn(async move {
            let held = async {
                let _ = copy(&mut from_plugin, &mut to_host).await;
                std::future::pending().await
            };
            tokio::select! {
                _ = copy(&mut from_host, &mut to_plugin) => {}
                () = held => {}
            }
        });
        Ok(Stream::other(near))
    }
}

#[tokio::test]
async fn calls_end_with_the_process_although_its_connections_stay_open() {
    let Some(program) = peer("go", "kit-plugin") else { return };
    for multiplex in [false, true] {
        let host = Host::new(contract::cookie(), 3).configure(|config| config.multiplex = multiplex);
        let runner = HeldOpen(rpcplugin::Command::new(&program));
        let plugin = host.launch_with(&runner).await.expect("the plugin starts");
        let mut kit = KitClient::new(plugin.channel());
        let endless = CountRequest { n: -1, interval_us: 1000, ..CountRequest::default() };
        let mut counting = kit.count(endless).await.expect("the stream begins").into_inner();
        let mut sleeping = kit.clone();
        let sleeping = tokio::spawn(async move { sleeping.sleep(SleepRequest { ms: 3_600_000 }).await });
        kit.echo(EchoRequest::default()).await.expect("the plugin answers");
        send(plugin.pid().expect("a child process"), Signal::KILL);
        let slept = timeout(TIMEOUT, sleeping).await.expect("the call ends").expect("no panic");
        let counted = timeout(TIMEOUT, async {
            loop {
                match counting.message().await {
                    Ok(Some(_)) => {}
                    Ok(None) => panic!("the stream was cut, and not complete"),
                    Err(status) => break status,
                }
            }
        });
        let counted = counted.await.expect("the stream ends");
        for status in [slept.expect_err("killed"), counted] {
            assert_eq!(status.code(), Code::Unavailable, "{status}");
            assert!(status.message().contains("has ended: signal"), "{status}");
        }
        let later = timeout(TIMEOUT, kit.echo(EchoRequest::default())).await.expect("a later call ends");
        let later = later.expect_err("there is no plugin");
        assert_eq!(later.code(), Code::Unavailable);
        let fault = causes(&later).find_map(|cause| cause.downcast_ref::<ChannelError>());
        let code = fault.and_then(Diagnostic::code).expect("a fault of the channel").to_string();
        assert_eq!(code, "rpcplugin::transport::peer_exited");
    }
}

/// A runner of commands that reports each end as that of a container without memory.
struct OutOfMemory(rpcplugin::Command);

struct WithoutMemory(ChildProcess);

fn out_of_memory() -> ExitReason {
    ExitReport::new(ExitCause::OutOfMemory, "the limit of the container is 32 MiB").status(137).into()
}

impl Runner for OutOfMemory {
    type Process = WithoutMemory;

    fn program(&self) -> PathBuf {
        Runner::program(&self.0)
    }

    async fn start(
        &self,
        environment: &LaunchEnvironment,
    ) -> Result<StartedProcess<WithoutMemory>, LaunchFault> {
        Ok(self.0.start(environment).await?.map(WithoutMemory))
    }
}

impl PluginProcess for WithoutMemory {
    fn id(&self) -> String {
        self.0.id()
    }

    fn pid(&self) -> Option<Pid> {
        self.0.pid()
    }

    async fn wait(&mut self) -> ExitReason {
        self.0.wait().await;
        out_of_memory()
    }

    async fn kill(&mut self) {
        self.0.kill().await;
    }
}

#[tokio::test]
async fn the_reason_of_a_runner_is_in_errors_events_and_statuses() {
    let words = "out of memory, exit status 137: the limit of the container is 32 MiB";
    // The plugin's own words are shown beside the reason, and not in its place.
    let early = OutOfMemory(script("echo 'error: cannot open the database' >&2; exit 1"));
    let error = host(|_| {}).launch_with(&early).await.expect_err("it exits");
    let reason = format!("before it printed a handshake line: {words}");
    let help = "raise the memory limit";
    shows(&error, &[&reason, help, "rpcplugin::handshake::exited_early", "cannot open the database"]);

    let runner = OutOfMemory(conformance::plugin(&[]));
    let plugin = conformance::host().launch_with(&runner).await.expect("the plugin starts");
    let (mut events, mut kit) = (plugin.events(), KitClient::new(plugin.channel()));
    let sleeping = tokio::spawn(async move { kit.sleep(SleepRequest { ms: 3_600_000 }).await });
    send(plugin.pid().expect("a child process"), Signal::KILL);
    let slept = timeout(TIMEOUT, sleeping).await.expect("the call ends").expect("no panic");
    let status = slept.expect_err("the plugin is gone");
    assert!(status.message().ends_with(&format!("has ended: {words}")), "{status}");
    let exited = causes(&status).find_map(|cause| cause.downcast_ref::<PluginExited>()).expect("explained");
    assert_eq!(exited.reason, out_of_memory());
    let exit = async {
        loop {
            if let Event::Exited { reason } = events.next().await.expect("the exit is reported").event {
                return reason;
            }
        }
    };
    assert_eq!(timeout(TIMEOUT, exit).await.expect("in time"), out_of_memory());
    assert_eq!(plugin.ended(), Some(out_of_memory()));
    let exit = plugin.shut_down().await;
    assert_eq!(exit, Exit::Failed(out_of_memory()));
    assert_eq!(exit.to_string(), format!("ended: {words}"));

    let supervised = conformance::host().supervise_with(runner).await.expect("the plugin starts");
    let mut events = supervised.events();
    send(supervised.generation().and_then(|first| first.plugin().pid).expect("a pid"), Signal::KILL);
    let exit = async {
        loop {
            if let Event::Exited { reason } = events.next().await.expect("the exit is reported").event {
                return reason;
            }
        }
    };
    assert_eq!(timeout(TIMEOUT, exit).await.expect("in time"), out_of_memory());
    timeout(TIMEOUT, supervised.later_generation(1)).await.expect("in time").expect("it is restarted");
}
