//! Settings of HTTP/2 and of its pings.

use std::time::{Duration, Instant};

use miette::Diagnostic as _;
use rpcplugin::config::Loader;
use rpcplugin_tests::{
    raw_http2::{PeerSettings, SilentServer},
    support::{TIMEOUT, scripts::prints},
};
use tokio::time::timeout;

use crate::{
    servers::SilentSocket,
    support::{plain, with},
};

/// The HTTP/2 settings of a host.
async fn announced(variables: &[(&str, &str)]) -> PeerSettings {
    let silent = SilentSocket::new();
    let host = plain(variables).configure(|config| config.launch_timeout = TIMEOUT);
    tokio::select! {
        launched = host.launch(prints(&silent.line())) => panic!("{launched:?}"),
        announced = async {
            let (stream, _) = silent.socket.accept().await.unwrap();
            PeerSettings::read(stream, false).await.unwrap()
        } => announced,
    }
}

#[tokio::test]
async fn http2_stream_window() {
    assert_eq!(announced(&[("PLUGIN_HTTP2_STREAM_WINDOW", "1MiB")]).await.stream_window(), 1 << 20);
}

#[tokio::test]
async fn http2_connection_window() {
    assert_eq!(announced(&[("PLUGIN_HTTP2_CONNECTION_WINDOW", "3MiB")]).await.connection_window(), 3 << 20);
}

#[tokio::test]
async fn http2_max_frame() {
    assert_eq!(announced(&[("PLUGIN_HTTP2_MAX_FRAME", "32KiB")]).await.max_frame(), 32 << 10);
}

#[tokio::test]
async fn http2_max_headers() {
    assert_eq!(announced(&[("PLUGIN_HTTP2_MAX_HEADERS", "48KiB")]).await.max_headers(), 48 << 10);
}

#[tokio::test]
async fn http2_handshake_timeout() {
    let silent = SilentSocket::new();
    let host = with(&[("PLUGIN_HTTP2_HANDSHAKE_TIMEOUT", "70ms")]);
    let error = host.launch(prints(&silent.secure_line())).await.unwrap_err();
    assert!(format!("{error:?}").contains("within 0.07 s"), "{error:?}");
}

/// The number of pings of a host to a peer that answers none, until the host closes the connection. `None` if the host does not
/// close it in time.
async fn pinged(variables: &[(&str, &str)], limit: Duration) -> Option<usize> {
    let silent = SilentSocket::new();
    let host = plain(variables).configure(|config| {
        config.health_check = false;
        config.launch_timeout = TIMEOUT;
    });
    let (launched, connected) = tokio::join!(host.launch(prints(&silent.line())), silent.socket.accept());
    let _plugin = launched.unwrap();
    let mut frames = SilentServer::accept(connected.unwrap().0).await.unwrap();
    timeout(limit, frames.count_pings()).await.ok()
}

const PINGS: [(&str, &str); 2] =
    [("PLUGIN_GRPC_KEEPALIVE_TIME_MS", "1000"), ("PLUGIN_GRPC_KEEPALIVE_PERMITTED", "true")];

#[tokio::test]
async fn keepalive_enabled() {
    let off = [PINGS[0], PINGS[1], ("PLUGIN_GRPC_KEEPALIVE_ENABLED", "false")];
    assert_eq!(pinged(&off, Duration::from_millis(1500)).await, None);
}

#[tokio::test]
async fn keepalive_interval() {
    let variables = [PINGS[0], PINGS[1], ("PLUGIN_GRPC_KEEPALIVE_TIMEOUT_MS", "100")];
    assert!(pinged(&variables, TIMEOUT).await.is_some_and(|pings| pings > 0));
}

#[tokio::test]
async fn keepalive_timeout() {
    // The default is 20 s.
    let variables = [PINGS[0], PINGS[1], ("PLUGIN_GRPC_KEEPALIVE_TIMEOUT_MS", "100")];
    let begun = Instant::now();
    assert!(pinged(&variables, TIMEOUT).await.is_some());
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn keepalive_permitted() {
    let error = Loader::new().env([PINGS[0]]).host().unwrap_err();
    assert_eq!(error.faults()[0].code().unwrap().to_string(), "rpcplugin::config::keepalive_too_frequent");
    Loader::new().env(PINGS).host().unwrap();
}
