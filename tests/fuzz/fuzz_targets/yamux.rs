//! The bytes of a multiplexed connection, for a session whose streams are echoed.
#![no_main]

use std::{sync::LazyLock, time::Duration};

use libfuzzer_sys::fuzz_target;
use rpcplugin_yamux::{Config, Session};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    runtime::{Builder, Runtime},
    task::JoinSet,
    time::timeout,
};

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_current_thread().enable_time().build().expect("a runtime"));

fuzz_target!(|input: (bool, &[u8])| {
    let (client, bytes) = input;
    RUNTIME.block_on(async {
        let done = timeout(Duration::from_secs(10), session(client, bytes)).await;
        assert!(done.is_ok(), "the session hangs");
    });
});

/// A session that reads these bytes and then loses its connection.
async fn session(client: bool, bytes: &[u8]) {
    let (near, far) = tokio::io::duplex(1 << 16);
    let session = if client {
        Session::client(near, Config::default())
    } else {
        Session::server(near, Config::default())
    };
    let (mut replies, mut requests) = tokio::io::split(far);
    let drain = tokio::spawn(async move {
        let mut reply = Vec::new();
        let _ = replies.read_to_end(&mut reply).await;
    });
    let mut streams = JoinSet::new();
    let serve = async {
        if client {
            // The first frames of the peer may refer to these streams.
            for _ in 0..2 {
                if let Ok(stream) = session.open().await {
                    streams.spawn(echo(stream));
                }
            }
        }
        while let Some(stream) = session.accept().await {
            streams.spawn(echo(stream));
        }
    };
    let feed = async move {
        let _ = requests.write_all(bytes).await;
        let _ = requests.shutdown().await;
    };
    tokio::join!(serve, feed);
    while streams.join_next().await.is_some() {}
    session.closed().await;
    drop(session);
    drain.await.expect("no panic");
}

/// Echoes a stream.
async fn echo(stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + 'static) {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let _ = tokio::io::copy(&mut reader, &mut writer).await;
    let _ = writer.shutdown().await;
}
