//! The log of a plugin's container as one stream of bytes, over any number of requests.
//!
//! The API server closes a log stream early: after some hours, when it restarts, when the connection breaks. The reader then asks again, for
//! the lines since a moment before the last one, and leaves out those that it has passed on. So no line is lost and none comes twice, and
//! the handshake line is never read a second time. What a node has rotated away meanwhile is lost.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use futures_util::{AsyncBufRead, AsyncBufReadExt as _};
use kube::api::LogParams;
use tokio::{
    io::{AsyncRead, AsyncWriteExt as _, DuplexStream, ReadBuf, duplex},
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use crate::{
    error::{describe, is_not_found},
    pod_ref::{PodRef, REQUEST},
    status::{CONTAINER, EndedBy, ending},
};

mod recent;

use recent::{Recent, Seen, split};

/// One answer of the API server.
pub(crate) type LogStream = Pin<Box<dyn AsyncBufRead + Send>>;

/// The output of a plugin: stdout and stderr in one stream. Dropping it ends the task that reads the log.
#[derive(Debug)]
pub(crate) struct PodOutput {
    reader: DuplexStream,
    /// Cancelled when all of the log has been read and passed on.
    done: CancellationToken,
    _task: AbortOnDropHandle<()>,
}

impl PodOutput {
    /// Reads on from the first answer.
    pub(crate) fn start(pod: PodRef, first: LogStream) -> Self {
        let (reader, writer) = duplex(BUFFER);
        let done = CancellationToken::new();
        let guard = done.clone().drop_guard();
        let copy = Copy { pod, writer, recent: Recent::default(), line: Vec::new(), passing: false };
        let task = AbortOnDropHandle::new(tokio::spawn(async move {
            let _guard = guard;
            // An error: the host does not read any longer.
            let _ = copy.run(first).await;
        }));
        Self { reader, done, _task: task }
    }

    /// Returns a token that is cancelled when all of the log has been read.
    pub(crate) fn done(&self) -> CancellationToken {
        self.done.clone()
    }
}

impl AsyncRead for PodOutput {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.reader).poll_read(context, buffer)
    }
}

/// Asks for the log of the plugin's container. `since` is in whole seconds.
pub(crate) async fn open(pod: &PodRef, recent: &Recent, follow: bool) -> Result<LogStream, kube::Error> {
    let parameters = LogParams {
        container: Some(CONTAINER.to_owned()),
        follow,
        timestamps: true,
        since_time: recent.since(),
        ..LogParams::default()
    };
    Ok(Box::pin(pod.api.log_stream(&pod.name, &parameters).await?))
}

/// Asks for the whole log, from the beginning.
pub(crate) async fn open_first(pod: &PodRef) -> Result<LogStream, kube::Error> {
    open(pod, &Recent::default(), true).await
}

/// The copying of a log into a pipe.
struct Copy {
    pod: PodRef,
    writer: DuplexStream,
    recent: Recent,
    /// A line that has not ended, with its timestamp.
    line: Vec<u8>,
    /// Whether the beginning of a line that is too long to be held has been passed on, and its rest has to follow.
    passing: bool,
}

/// One answer that was passed on.
struct Copied {
    /// Whether there was anything new in it.
    any: bool,
    /// Whether it came to its end, and did not break off.
    whole: bool,
}

/// The state of the container between two answers.
enum Between {
    Runs,
    Ended,
    Gone,
}

impl Copy {
    async fn run(mut self, first: LogStream) -> io::Result<()> {
        let mut answer = Some(first);
        let mut pause = FIRST_PAUSE;
        loop {
            if let Some(stream) = answer.take()
                && self.copy(stream).await?.any
            {
                pause = FIRST_PAUSE;
            }
            match self.between().await {
                Between::Runs => {}
                Between::Ended => break self.finish().await,
                Between::Gone => break self.end_line().await,
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
            match timeout(REQUEST, open(&self.pod, &self.recent, true)).await {
                Ok(Ok(stream)) => {
                    self.begin_anew().await?;
                    answer = Some(stream);
                }
                Ok(Err(error)) => {
                    tracing::debug!(pod = self.pod.id(), error = describe(&error), "no log for a moment")
                }
                Err(_) => tracing::debug!(
                    pod = self.pod.id(),
                    "no log for a moment: the API server does not answer"
                ),
            }
        }
    }

    /// Passes on one answer.
    async fn copy(&mut self, mut stream: LogStream) -> io::Result<Copied> {
        let mut seen = self.recent.seen();
        let mut any = false;
        loop {
            let chunk = match timeout(SILENCE, stream.fill_buf()).await {
                Ok(Ok([])) => return Ok(Copied { any, whole: true }),
                Ok(Ok(chunk)) => chunk,
                Ok(Err(error)) => {
                    tracing::debug!(pod = self.pod.id(), %error, "the log breaks off");
                    return Ok(Copied { any, whole: false });
                }
                // A connection that is lost without a word looks like a plugin that logs nothing: asking again distinguishes them.
                Err(_) => return Ok(Copied { any, whole: false }),
            };
            let (taken, ends) = match chunk.iter().position(|byte| *byte == b'\n') {
                Some(end) => (end + 1, true),
                None => (chunk.len(), false),
            };
            self.line.extend_from_slice(&chunk[..taken]);
            stream.consume_unpin(taken);
            if ends || self.line.len() > LONGEST_HELD {
                any |= self.pass_on(&mut seen, ends).await?;
            }
        }
    }

    /// Passes on the line that is held, or a part of it. Returns whether the line is new.
    async fn pass_on(&mut self, seen: &mut Seen, ends: bool) -> io::Result<bool> {
        let line = std::mem::take(&mut self.line);
        if self.passing {
            self.passing = !ends;
            self.writer.write_all(&line).await?;
            return Ok(true);
        }
        let (time, text) = split(&line);
        if seen.skips(time, &line) {
            // The rest of a very long line that is not new: it starts without a timestamp and is not new either.
            return Ok(false);
        }
        self.recent.add(time, &line);
        self.passing = !ends;
        self.writer.write_all(text).await?;
        Ok(true)
    }

    /// Forgets the line that the last answer broke off in: the next answer has all of the line. Of a very long one, the rest is left out.
    async fn begin_anew(&mut self) -> io::Result<()> {
        self.line.clear();
        if std::mem::take(&mut self.passing) {
            self.writer.write_all(b"\n").await?;
        }
        Ok(())
    }

    /// Reads what is left of the log of a container that has ended: the last answer may have broken off.
    async fn finish(&mut self) -> io::Result<()> {
        let mut pause = FIRST_PAUSE;
        for _ in 0..LAST_ATTEMPTS {
            match timeout(REQUEST, open(&self.pod, &self.recent, false)).await {
                Ok(Ok(stream)) => {
                    self.begin_anew().await?;
                    if self.copy(stream).await?.whole {
                        break;
                    }
                }
                Ok(Err(error)) if is_not_found(&error) => break,
                Ok(Err(error)) => {
                    tracing::debug!(
                        pod = self.pod.id(),
                        error = describe(&error),
                        "the end of the log is not read"
                    );
                }
                Err(_) => tracing::debug!(pod = self.pod.id(), "the end of the log is not read"),
            }
            sleep(pause).await;
            pause *= 2;
        }
        self.end_line().await
    }

    /// Passes on the last line, which need not have a line break.
    async fn end_line(&mut self) -> io::Result<()> {
        if !self.line.is_empty() {
            let mut seen = self.recent.seen();
            self.pass_on(&mut seen, true).await?;
        }
        self.writer.shutdown().await
    }

    /// Whether the container runs on. Without an answer, it is taken to run.
    async fn between(&self) -> Between {
        match timeout(REQUEST, self.pod.api.get_opt(&self.pod.name)).await {
            Ok(Ok(Some(pod))) if self.pod.is(&pod) => match ending(&pod, EndedBy::Other) {
                Some(_) => Between::Ended,
                None => Between::Runs,
            },
            Ok(Ok(_)) => Between::Gone,
            Ok(Err(error)) if is_not_found(&error) => Between::Gone,
            Ok(Err(_)) | Err(_) => Between::Runs,
        }
    }
}

/// The bytes of output that the host has not read yet.
const BUFFER: usize = 64 << 10;
/// A line up to this length is passed on whole. A longer one is passed on in parts, and its rest is lost if the log breaks off in it.
const LONGEST_HELD: usize = 256 << 10;
/// The longest time without a byte before the reader asks again.
const SILENCE: Duration = Duration::from_secs(120);
/// How often the end of the log of a container that has ended is asked for.
const LAST_ATTEMPTS: u32 = 5;
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
