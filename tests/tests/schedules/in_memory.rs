//! A plugin in this process, whose streams are disturbed, and which can be killed.

use std::{
    collections::BTreeMap,
    io,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rpcplugin::{
    Endpoint, Host, Serve, Services, Versions,
    config::{HostConfig, HostTls, PluginConfig, PluginTls},
    host::{ExitReason, LaunchEnvironment, LaunchFault, PluginProcess, Runner, Signal, StartedProcess},
    testing::{InProcess, InProcessTask},
    transport::{Dial, Dialer, Stream},
};
use rpcplugin_tests::{
    contract::cookie,
    pb::{
        CloseRequest, CloseResponse, GreetRequest, GreetResponse, TicksRequest, TicksResponse,
        sub_server::{Sub, SubServer},
    },
};
use tokio::{
    sync::Notify,
    time::{Instant, sleep},
};
use tonic::{Request, Response, Status, codegen::BoxStream};

use crate::chaos::Chaos;

/// The host of these plugins.
pub(crate) fn host(change: impl FnOnce(&mut HostConfig)) -> Host {
    Host::new(cookie(), Versions::new([1]).unwrap())
        .configure(|config| {
            config.tls = HostTls::Plaintext;
            config.print_logs = false;
        })
        .configure(change)
}

/// The handlers that ran, by the name in the request. Clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Calls(Arc<Mutex<BTreeMap<String, u32>>>);

impl Calls {
    /// How often the handler of this call began.
    pub(crate) fn began(&self, name: &str) -> u32 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(name).copied().unwrap_or(0)
    }
}

/// `Sub`, whose `Greet` takes the milliseconds before the first blank of the name.
struct Timed(Calls);

#[tonic::async_trait]
impl Sub for Timed {
    async fn greet(&self, request: Request<GreetRequest>) -> Result<Response<GreetResponse>, Status> {
        let name = request.into_inner().name;
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner).entry(name.clone()).or_default() += 1;
        let millis = name.split(' ').next().and_then(|millis| millis.parse().ok()).unwrap_or(0);
        sleep(Duration::from_millis(millis)).await;
        Ok(Response::new(GreetResponse { text: name }))
    }

    type TicksStream = BoxStream<TicksResponse>;

    async fn ticks(&self, _: Request<TicksRequest>) -> Result<Response<Self::TicksStream>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn close(&self, _: Request<CloseRequest>) -> Result<Response<CloseResponse>, Status> {
        Err(Status::unimplemented("not here"))
    }
}

/// Starts the plugin.
pub(crate) struct InMemory {
    runner: InProcess,
    chaos: Chaos,
    /// Kills the plugin that was started last.
    pub(crate) kill: Arc<Mutex<Arc<Notify>>>,
    /// When the last exit was reported to the host.
    pub(crate) exited: Arc<Mutex<Option<Instant>>>,
}

impl InMemory {
    pub(crate) fn new(chaos: &Chaos, calls: &Calls, grace: Duration) -> Self {
        let calls = calls.clone();
        let make = move || {
            let mut config = PluginConfig::default();
            config.tls = PluginTls::Plaintext;
            config.grace = grace;
            let calls = calls.clone();
            Serve::new(cookie())
                .config(config)
                .version_with(1, move |_| Services::new().add(SubServer::new(Timed(calls.clone()))))
        };
        Self {
            runner: InProcess::new(make),
            chaos: chaos.clone(),
            kill: Arc::default(),
            exited: Arc::default(),
        }
    }
}

/// The task of the plugin.
pub(crate) struct Killable {
    task: InProcessTask,
    kill: Arc<Notify>,
    is_killed: bool,
    exited: Arc<Mutex<Option<Instant>>>,
}

impl Runner for InMemory {
    type Process = Killable;

    fn program(&self) -> PathBuf {
        "in-memory".into()
    }

    async fn start(&self, environment: &LaunchEnvironment) -> Result<StartedProcess<Killable>, LaunchFault> {
        let started = self.runner.start(environment).await?;
        let kill = Arc::new(Notify::new());
        *self.kill.lock().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&kill);
        let process =
            Killable { task: started.process, kill, is_killed: false, exited: Arc::clone(&self.exited) };
        let stdout = self.chaos.disturb(started.stdout);
        let stderr = self.chaos.disturb(started.stderr);
        let dial = DisturbedDial { dialer: started.dialer, chaos: self.chaos.clone() };
        Ok(StartedProcess::new(process, stdout, stderr).dial(dial))
    }
}

impl PluginProcess for Killable {
    fn id(&self) -> String {
        self.task.id()
    }

    async fn wait(&mut self) -> ExitReason {
        if !self.is_killed {
            tokio::select! {
                reason = self.task.wait() => return reason,
                () = self.kill.notified() => self.is_killed = true,
            }
            self.task.kill().await;
        }
        let _ = self.task.wait().await;
        *self.exited.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        ExitReason::Signal(Signal::KILL)
    }

    async fn terminate(&mut self) {
        self.task.terminate().await;
    }

    async fn kill(&mut self) {
        self.task.kill().await;
    }
}

#[derive(Debug)]
struct DisturbedDial {
    dialer: Dialer,
    chaos: Chaos,
}

impl Dial for DisturbedDial {
    async fn dial(&self, endpoint: &Endpoint) -> io::Result<Stream> {
        self.chaos.pause().await;
        let stream = self.dialer.dial(endpoint).await.map_err(io::Error::other)?;
        Ok(Stream::other(self.chaos.disturb(stream)))
    }
}
