//! The same calls with tonic alone: its server and channel, with the same kind of socket and the same settings.

use std::{
    io::{self, Write as _},
    process::Stdio,
};

use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    net::{UnixListener, UnixStream},
    process::Command,
};
use tokio_stream::wrappers::UnixListenerStream;
use tonic::transport::{Endpoint, Server};
use tower::service_fn;

use crate::bench::{
    Measured, args::Options, connected::Connected, few_calls::FewCalls, measure_calls, result::Results,
};

/// Starts the server that the options name, connects and measures.
pub(crate) async fn measure(options: Options) -> Measured<Results> {
    let (program, args) = options.command.split_first().ok_or("no server is named")?;
    let mut server = Command::new(program)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let pid = server.id().ok_or("the server has ended")?;
    let stdout = server.stdout.take().ok_or("the server has no stdout")?;
    let path = BufReader::new(stdout).lines().next_line().await?.ok_or("the server printed nothing")?;
    let connector = service_fn(move |_| {
        let path = path.clone();
        async move { UnixStream::connect(path).await.map(TokioIo::new) }
    });
    let channel = Endpoint::from_static("http://localhost")
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_frame_size(MAX_FRAME)
        .connect_with_connector(connector)
        .await?;
    let results = measure_calls(&options, &Connected { channel, pid }).await;
    // The server ends with its stdin.
    drop(server.stdin.take());
    server.wait().await?;
    results
}

/// Serves until stdin ends, on a socket whose path it prints.
pub(crate) fn serve() -> Measured<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(runtime.spawn(async {
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("socket");
        let listener = UnixListener::bind(&path)?;
        writeln!(io::stdout(), "{}", path.display())?;
        Server::builder()
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_frame_size(MAX_FRAME)
            .add_service(FewCalls)
            .serve_with_incoming_shutdown(UnixListenerStream::new(listener), async {
                let _ = tokio::io::copy(&mut tokio::io::stdin(), &mut tokio::io::sink()).await;
            })
            .await?;
        Ok(())
    }))?
}

// The defaults of `rpcplugin`.
const STREAM_WINDOW: u32 = 8 << 20;
const CONNECTION_WINDOW: u32 = 16 << 20;
const MAX_FRAME: u32 = 256 << 10;
