//! The streams of a container, through the engine.

use std::{convert::Infallible, pin::Pin};

use bollard::{
    container::{AttachContainerResults, LogOutput},
    query_parameters::AttachContainerOptionsBuilder,
};
use futures_util::StreamExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, DuplexStream, duplex};

use crate::engine::{Connection, Failure};

/// The plugin's ends of its streams.
#[derive(Debug)]
pub(crate) struct PluginEnds {
    stdout: DuplexStream,
    stderr: DuplexStream,
    stdin: Option<DuplexStream>,
}

/// The host's ends of the streams.
#[derive(Debug)]
pub(crate) struct HostEnds {
    pub(crate) stdout: DuplexStream,
    pub(crate) stderr: DuplexStream,
    pub(crate) stdin: Option<DuplexStream>,
}

/// Makes both ends.
pub(crate) fn streams(has_stdin: bool) -> (PluginEnds, HostEnds) {
    let (stdout, read_stdout) = duplex(BUFFER);
    let (stderr, read_stderr) = duplex(BUFFER);
    let stdin = has_stdin.then(|| duplex(BUFFER));
    let (stdin, write_stdin) = stdin.map_or((None, None), |(near, far)| (Some(near), Some(far)));
    (
        PluginEnds { stdout, stderr, stdin },
        HostEnds { stdout: read_stdout, stderr: read_stderr, stdin: write_stdin },
    )
}

/// Attaches to a container. Before the start, so that nothing is lost.
pub(crate) async fn attach(
    connection: &Connection,
    name: &str,
    has_stdin: bool,
) -> Result<AttachContainerResults, Failure> {
    let options = AttachContainerOptionsBuilder::default()
        .stream(true)
        .stdout(true)
        .stderr(true)
        .stdin(has_stdin)
        .build();
    let attached = connection.docker.attach_container(name, Some(options));
    connection.request("attach to the container", attached).await
}

impl PluginEnds {
    /// Whether the plugin has a standard input.
    pub(crate) fn has_stdin(&self) -> bool {
        self.stdin.is_some()
    }

    /// Passes the streams on until the engine ends them.
    ///
    /// # Cancel safety
    /// Dropping the future loses the piece that is being passed on.
    pub(crate) async fn pass_on(&mut self, attached: &mut AttachContainerResults) {
        let AttachContainerResults { output, input } = attached;
        let Self { stdout, stderr, stdin } = self;
        let forward = async {
            while let Some(Ok(piece)) = output.next().await {
                // A host that has given up does not read, and the container must not wait for it.
                let _ = match piece {
                    LogOutput::StdErr { message } => stderr.write_all(&message).await,
                    piece => stdout.write_all(&piece.into_bytes()).await,
                };
            }
        };
        tokio::select! {
            () = forward => {}
            never = write(stdin, input) => match never {},
        }
    }
}

/// Passes the standard input on, and its end.
async fn write(stdin: &mut Option<DuplexStream>, input: &mut Pin<Box<dyn AsyncWrite + Send>>) -> Infallible {
    let mut buffer = vec![0; 8 << 10];
    while let Some(source) = stdin {
        match source.read(&mut buffer).await {
            Ok(read) if read > 0 => {
                let _ = input.write_all(&buffer[..read]).await;
                let _ = input.flush().await;
            }
            _ => {
                let _ = input.shutdown().await;
                *stdin = None;
            }
        }
    }
    std::future::pending().await
}

/// The bytes that each stream holds, as a pipe of Linux does.
const BUFFER: usize = 64 << 10;
