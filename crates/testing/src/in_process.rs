//! The runner that starts a plugin as a task.

use std::{
    ffi::OsString,
    fmt,
    path::PathBuf,
    sync::{Arc, OnceLock},
};

use bytes::Bytes;
use rpcplugin_client::{ExitReason, LaunchEnvironment, LaunchFault, Runner, StartedProcess};
use rpcplugin_core::{Endpoint, PlainReport};
use rpcplugin_server::{PluginOutput, Serve, Shutdown};
use tokio::{
    io::{AsyncWriteExt as _, DuplexStream, duplex},
    sync::watch,
};
use tokio_util::task::AbortOnDropHandle;

use crate::{
    memory::{self, MemoryListener},
    task::InProcessTask,
};

/// Starts a plugin as a task of this process. For
/// [`Host::launch_with`](rpcplugin_client::Host::launch_with) and
/// [`Host::supervise_with`](rpcplugin_client::Host::supervise_with).
///
/// The [crate's documentation](crate) has an example, and the differences from a process.
pub struct InProcess {
    name: PathBuf,
    make: Arc<dyn Fn() -> Serve + Send + Sync>,
    /// The output of the plugin that was started last, once it listens.
    output: watch::Sender<Option<PluginOutput>>,
}

impl InProcess {
    /// Makes a runner of this plugin. Each start calls `make`: a supervised plugin starts several times.
    pub fn new(make: impl Fn() -> Serve + Send + Sync + 'static) -> Self {
        Self { name: "in-process".into(), make: Arc::new(make), output: watch::Sender::new(None) }
    }

    /// Sets the name of the plugin in logs and errors. Default: `in-process`.
    #[must_use]
    pub fn name(self, name: impl Into<PathBuf>) -> Self {
        Self { name: name.into(), ..self }
    }

    /// Sends a piece of stdout to the host, as if the plugin had printed it. Waits until the plugin listens, and while its
    /// output buffer is full.
    ///
    /// # Cancel safety
    /// Once the plugin listens, the piece is sent even if the future is dropped.
    pub async fn print_stdout(&self, data: impl Into<Bytes>) {
        if let Some(output) = self.started().await {
            output.stdout(data).await;
        }
    }

    /// Sends a piece of stderr to the host, as [`print_stdout`](Self::print_stdout) does for stdout.
    ///
    /// # Cancel safety
    /// Once the plugin listens, the piece is sent even if the future is dropped.
    pub async fn print_stderr(&self, data: impl Into<Bytes>) {
        if let Some(output) = self.started().await {
            output.stderr(data).await;
        }
    }

    async fn started(&self) -> Option<PluginOutput> {
        self.output.subscribe().wait_for(Option::is_some).await.ok().and_then(|output| output.clone())
    }
}

impl Runner for InProcess {
    type Process = InProcessTask;

    fn program(&self) -> PathBuf {
        self.name.clone()
    }

    async fn start(
        &self,
        environment: &LaunchEnvironment,
    ) -> Result<StartedProcess<InProcessTask>, LaunchFault> {
        let endpoint = Arc::new(OnceLock::new());
        let (dial, listener) = memory::pair(Arc::clone(&endpoint));
        let (stdout, read_stdout) = duplex(PIPE);
        let (stderr, read_stderr) = duplex(PIPE);
        let (report_shutdown, shutdown) = watch::channel(None);
        let plugin = PluginTask {
            make: Arc::clone(&self.make),
            environment: environment.handshake_env.clone(),
            listener,
            endpoint,
            stdout,
            stderr,
            output: self.output.clone(),
            shutdown: report_shutdown,
        };
        let task = AbortOnDropHandle::new(tokio::spawn(plugin.run()));
        let process = InProcessTask::new(task, shutdown);
        Ok(StartedProcess::new(process, read_stdout, read_stderr).dial(dial))
    }
}

impl fmt::Debug for InProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InProcess").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A plugin that is about to start.
struct PluginTask {
    make: Arc<dyn Fn() -> Serve + Send + Sync>,
    /// The variables that the host sets, or removes.
    environment: Vec<(String, Option<OsString>)>,
    listener: MemoryListener,
    /// Set before the handshake line is printed.
    endpoint: Arc<OnceLock<Endpoint>>,
    stdout: DuplexStream,
    stderr: DuplexStream,
    output: watch::Sender<Option<PluginOutput>>,
    shutdown: watch::Sender<Option<Shutdown>>,
}

impl PluginTask {
    /// Does what the `main` of a plugin does. Returns the status of the process.
    async fn run(self) -> ExitReason {
        let Self { make, environment, listener, endpoint, mut stdout, mut stderr, output, shutdown } = self;
        // As in a process, the last value of a variable counts.
        let variable = |name: &str| {
            environment
                .iter()
                .rev()
                .find(|(variable, _)| variable == name)
                .and_then(|(_, value)| value.clone())
        };
        let plugin = match make().in_process(listener, variable).await {
            Ok(plugin) => plugin,
            Err(error) => {
                let report = format!("{}\n", PlainReport(&error));
                // A host that has given up does not read.
                let _ = stderr.write_all(report.as_bytes()).await;
                return ExitReason::Status(1);
            }
        };
        output.send_replace(Some(plugin.output()));
        shutdown.send_replace(Some(plugin.shutdown()));
        let line = plugin.handshake_line();
        let _ = endpoint.set(line.endpoint.clone());
        if stdout.write_all(format!("{line}\n").as_bytes()).await.is_err() {
            return ExitReason::Status(1);
        }
        plugin.serve().await;
        ExitReason::Status(0)
    }
}

/// The bytes that a pipe of the plugin holds.
const PIPE: usize = 64 << 10;
