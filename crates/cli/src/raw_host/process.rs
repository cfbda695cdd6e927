//! A plugin's process and its output.

use std::{
    io,
    path::Path,
    process::Stdio,
    sync::Arc,
    time::{Duration, Instant},
};

use rpcplugin::{
    Endpoint,
    broker::{BoxError, Translate},
    handshake::HandshakeLine,
    host::{ExitReason, LaunchEnvironment, LaunchFault, Runner as _, StartedProcess},
    transport::Dialer,
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _},
    sync::watch,
    task::JoinHandle,
    time::sleep,
};

use super::{address::Address, runner_process::RunnerProcess};
use crate::{
    os::{ProcessGroup, StopSignal},
    runner::AnyRunner,
};

/// A plugin's process and its output. Dropping this ends the process with all that it started, and removes its temporary directory.
#[derive(Debug)]
pub(crate) struct Process {
    body: Body,
    route: Route,
    stdout: Printed,
    stderr: Printed,
    tmp: TempDir,
    pub(crate) started: Instant,
}

#[derive(Debug)]
enum Body {
    Child(ProcessGroup),
    Started(RunnerProcess),
}

/// How this side reaches the addresses of the process.
#[derive(Debug, Default)]
struct Route {
    translate: Option<Arc<dyn Translate>>,
    dialer: Dialer,
}

/// The process was not started.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SpawnError {
    #[error(transparent)]
    System(#[from] io::Error),
    #[error(transparent)]
    Runner(#[from] LaunchFault),
    #[error(transparent)]
    Address(#[from] NoWay),
}

/// This side cannot reach the endpoint that a plugin announced.
#[derive(Debug, thiserror::Error)]
#[error("the plugin announces {endpoint}, which this side cannot reach")]
pub(crate) struct NoWay {
    endpoint: Endpoint,
    source: BoxError,
}

/// The process printed no handshake line.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoLine {
    #[error("the plugin ended with {reason} before it printed a line{}", quoted(stdout, "stdout"))]
    Exited { reason: ExitReason, stdout: String },
    #[error("the plugin closed its stdout before it printed a line{}", quoted(stdout, "stdout"))]
    Closed { stdout: String },
    #[error("the plugin printed no line within {} s{}", waited.as_secs_f32(), quoted(stdout, "stdout"))]
    Timeout { waited: Duration, stdout: String },
}

impl Process {
    pub(super) fn spawn(mut command: std::process::Command, tmp: TempDir) -> io::Result<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let started = Instant::now();
        let (group, (stdout, stderr)) =
            ProcessGroup::spawn(command, |child| (child.stdout.take(), child.stderr.take()))?;
        let stdout = Printed::read(stdout.expect("stdout was asked to be a pipe"));
        let stderr = Printed::read(stderr.expect("stderr was asked to be a pipe"));
        Ok(Self { body: Body::Child(group), route: Route::default(), stdout, stderr, tmp, started })
    }

    /// Starts the process by a runner. The directory for sockets is the temporary directory.
    pub(super) async fn start(
        runner: &AnyRunner,
        environment: &LaunchEnvironment,
        tmp: TempDir,
    ) -> Result<Self, LaunchFault> {
        let started = Instant::now();
        let StartedProcess { process, stdout, stderr, translate, dialer, .. } =
            runner.start(environment).await?;
        let (stdout, stderr) = (Printed::read(stdout), Printed::read(stderr));
        let body = Body::Started(RunnerProcess::own(process));
        Ok(Self { body, route: Route { translate, dialer }, stdout, stderr, tmp, started })
    }

    /// Returns the way to the endpoint in the handshake line of this process.
    pub(crate) fn address(&self, line: &HandshakeLine) -> Result<Address, NoWay> {
        let endpoint = match &self.route.translate {
            None => line.endpoint.clone(),
            Some(translate) => translate
                .dial_as(&line.endpoint)
                .map_err(|source| NoWay { endpoint: line.endpoint.clone(), source })?,
        };
        Ok(Address { endpoint, dialer: self.route.dialer.clone() })
    }

    /// Reads the first line on stdout, with its line break.
    pub(crate) async fn first_line(&mut self, timeout: Duration) -> Result<Vec<u8>, NoLine> {
        let line = tokio::time::timeout(timeout, self.stdout.first_line()).await;
        let stdout = || self.stdout();
        match line {
            Ok(Some(line)) => Ok(line),
            Ok(None) => match self.exit_within(DRAIN_TIMEOUT).await {
                Some(reason) => Err(NoLine::Exited { reason, stdout: stdout() }),
                None => Err(NoLine::Closed { stdout: stdout() }),
            },
            Err(_) => Err(NoLine::Timeout { waited: timeout, stdout: stdout() }),
        }
    }

    /// Waits for the process to exit. Returns `None` at the timeout, to which the time is added in which a runner learns of an exit.
    /// Processes that it started may still run.
    pub(crate) async fn exit_within(&self, timeout: Duration) -> Option<ExitReason> {
        let late = match &self.body {
            Body::Child(_) => Duration::ZERO,
            Body::Started(process) => process.report_delay(),
        };
        let deadline = Instant::now() + timeout + late;
        loop {
            match self.exit_reason() {
                None if Instant::now() < deadline => sleep(PAUSE).await,
                reason => return reason,
            }
        }
    }

    fn exit_reason(&self) -> Option<ExitReason> {
        match &self.body {
            Body::Child(group) => group.exit_reason(),
            Body::Started(process) => process.exit_reason(),
        }
    }

    /// Returns the pid, or the name of the container.
    pub(crate) fn id(&self) -> String {
        match &self.body {
            Body::Child(group) => group.pid().to_string(),
            Body::Started(process) => process.id().to_owned(),
        }
    }

    /// Sends a signal. Fails with [`io::ErrorKind::Unsupported`] if the system or the runner does not have this signal.
    pub(crate) fn signal(&self, signal: StopSignal) -> io::Result<()> {
        match &self.body {
            Body::Child(group) => group.signal(signal),
            Body::Started(process) => process.signal(signal),
        }
    }

    /// Returns the output on stdout so far.
    pub(crate) fn stdout(&self) -> String {
        self.stdout.text()
    }

    /// Returns the output on stderr so far.
    pub(crate) fn stderr(&self) -> String {
        self.stderr.text()
    }

    /// Waits until stdout and stderr are closed, for at most [`DRAIN_TIMEOUT`].
    pub(crate) async fn all_printed(&mut self) {
        let both = async {
            self.stdout.ended().await;
            self.stderr.ended().await;
        };
        let _ = tokio::time::timeout(DRAIN_TIMEOUT, both).await;
    }

    /// Closes the pipes. The next write of the process fails with a broken pipe.
    pub(crate) fn close_pipes(&self) {
        self.stdout.reader.abort();
        self.stderr.reader.abort();
    }

    /// Returns the temporary directory of the process.
    pub(crate) fn tmp(&self) -> &Path {
        self.tmp.path()
    }
}

/// The output of a pipe, up to a limit.
#[derive(Debug)]
struct Printed {
    bytes: watch::Receiver<Vec<u8>>,
    reader: JoinHandle<()>,
}

impl Printed {
    fn read(mut pipe: impl AsyncRead + Send + Unpin + 'static) -> Self {
        let (sender, bytes) = watch::channel(Vec::new());
        let reader = tokio::spawn(async move {
            let mut buffer = vec![0; 16 << 10];
            while let Ok(read @ 1..) = pipe.read(&mut buffer).await {
                sender.send_modify(|bytes| {
                    let room = KEPT.saturating_sub(bytes.len());
                    bytes.extend_from_slice(&buffer[..read.min(room)]);
                });
            }
        });
        Self { bytes, reader }
    }

    async fn first_line(&mut self) -> Option<Vec<u8>> {
        let found = self.bytes.wait_for(|bytes| bytes.contains(&b'\n')).await.ok()?;
        let end = found.iter().position(|byte| *byte == b'\n')?;
        Some(found[..=end].to_vec())
    }

    async fn ended(&mut self) {
        while self.bytes.changed().await.is_ok() {}
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes.borrow()).into_owned()
    }
}

impl Drop for Printed {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

/// Returns `; stdout: "…"`, or nothing for an empty text.
pub(crate) fn quoted(text: &str, what: &str) -> String {
    let text = text.trim_end();
    let tail: String = text.chars().rev().take(QUOTED).collect::<Vec<_>>().into_iter().rev().collect();
    if text.is_empty() { String::new() } else { format!("; {what}: {tail:?}") }
}

/// Shortens the certificate in a handshake line.
pub(crate) fn shown_line(line: &str) -> String {
    let short = |field: &str| match field.len() {
        0..=200 => field.to_owned(),
        length => format!("({length} characters of certificate)"),
    };
    line.trim().split('|').map(short).collect::<Vec<_>>().join("|")
}

const PAUSE: Duration = Duration::from_millis(5);

/// The limit for the exit of a process, and for its remaining output.
const DRAIN_TIMEOUT: Duration = Duration::from_millis(500);

/// The maximum length of kept output, in bytes.
const KEPT: usize = 1 << 20;

/// The maximum length of quoted output, in characters.
const QUOTED: usize = 300;
