//! A process in a group of its own, with all that it prints.

use std::{
    io,
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use rpcplugin::ExitReason;
use tempfile::TempDir;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _},
    sync::watch,
    task::JoinHandle,
    time::sleep,
};

use crate::os::{Pid, ProcessGroup, Signal};

/// A process that was started, with all that it prints. Dropping it kills its process group and removes its temporary directory.
#[derive(Debug)]
pub(crate) struct Process {
    group: ProcessGroup,
    stdout: Printed,
    stderr: Printed,
    tmp: TempDir,
    pub(crate) started: Instant,
}

/// There is no handshake line.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoLine {
    #[error("it ended with {reason} before it printed a whole line{}", quoted(stdout, "stdout"))]
    Ended { reason: ExitReason, stdout: String },
    #[error("it closed its stdout before it printed a whole line{}", quoted(stdout, "stdout"))]
    Closed { stdout: String },
    #[error("it printed no whole line within {} s{}", waited.as_secs_f32(), quoted(stdout, "stdout"))]
    Late { waited: Duration, stdout: String },
}

impl Process {
    pub(super) fn spawn(mut command: std::process::Command, tmp: TempDir) -> io::Result<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let started = Instant::now();
        let (group, (stdout, stderr)) =
            ProcessGroup::spawn(command, |child| (child.stdout.take(), child.stderr.take()))?;
        let stdout = Printed::read(stdout.expect("stdout was asked to be a pipe"));
        let stderr = Printed::read(stderr.expect("stderr was asked to be a pipe"));
        Ok(Self { group, stdout, stderr, tmp, started })
    }

    /// The first line on stdout, with its line break.
    pub(crate) async fn first_line(&mut self, timeout: Duration) -> Result<Vec<u8>, NoLine> {
        let line = tokio::time::timeout(timeout, self.stdout.first_line()).await;
        let stdout = || self.stdout();
        match line {
            Ok(Some(line)) => Ok(line),
            Ok(None) => match self.ended(LAST_WORDS).await {
                Some(reason) => Err(NoLine::Ended { reason, stdout: stdout() }),
                None => Err(NoLine::Closed { stdout: stdout() }),
            },
            Err(_) => Err(NoLine::Late { waited: timeout, stdout: stdout() }),
        }
    }

    /// How the process has ended, if it does so in time. What it started may go on.
    pub(crate) async fn ended(&self, timeout: Duration) -> Option<ExitReason> {
        let deadline = Instant::now() + timeout;
        loop {
            match self.group.exit_reason() {
                None if Instant::now() < deadline => sleep(PAUSE).await,
                reason => return reason,
            }
        }
    }

    pub(crate) fn pid(&self) -> Pid {
        self.group.pid()
    }

    pub(crate) fn signal(&self, signal: Signal) -> io::Result<()> {
        self.group.signal(signal)
    }

    /// What it has printed on stdout so far.
    pub(crate) fn stdout(&self) -> String {
        self.stdout.text()
    }

    /// What it has printed on stderr so far.
    pub(crate) fn stderr(&self) -> String {
        self.stderr.text()
    }

    /// Waits until nobody can print on stdout and stderr any more, for a while.
    pub(crate) async fn all_printed(&mut self) {
        let both = async {
            self.stdout.ended().await;
            self.stderr.ended().await;
        };
        let _ = tokio::time::timeout(LAST_WORDS, both).await;
    }

    /// From now on nobody reads what it prints: its next words meet a broken pipe.
    pub(crate) fn close_pipes(&self) {
        self.stdout.reader.abort();
        self.stderr.reader.abort();
    }

    /// Its temporary directory.
    pub(crate) fn tmp(&self) -> &Path {
        self.tmp.path()
    }
}

/// All that came through a pipe, up to a limit.
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

/// `; its stdout: "…"`, or nothing where there is nothing to quote.
pub(crate) fn quoted(text: &str, what: &str) -> String {
    let text = text.trim_end();
    let tail: String = text.chars().rev().take(QUOTED).collect::<Vec<_>>().into_iter().rev().collect();
    if text.is_empty() { String::new() } else { format!("; its {what}: {tail:?}") }
}

/// A handshake line without the bulk of its certificate.
pub(crate) fn shown_line(line: &str) -> String {
    let short = |field: &str| match field.len() {
        0..=200 => field.to_owned(),
        length => format!("({length} characters of certificate)"),
    };
    line.trim().split('|').map(short).collect::<Vec<_>>().join("|")
}

const PAUSE: Duration = Duration::from_millis(5);

/// How long a process whose stdout has ended is waited for.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// As much as is kept of what a process prints.
const KEPT: usize = 1 << 20;

/// As much as is shown of it.
const QUOTED: usize = 300;
