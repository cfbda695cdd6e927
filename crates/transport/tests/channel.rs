//! Channels against peers that break off, send GOAWAY, or do not speak gRPC. The peers write each frame themselves,
//! because the server of a library does not behave like most of them.

#[path = "channel/peer.rs"]
mod peer;

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use http::uri::PathAndQuery;
use rpcplugin_transport::http2::{self, Explain, PluginChannel, Settings};
use tonic::{Code, Request, Status, Streaming, client::Grpc};
use tonic_prost::ProstCodec;

use self::peer::{
    CONTINUES, DATA, END_STREAM, GOAWAY, Peer, RST_STREAM, Script, answer, goaway, headers, message,
    response_headers, trailers,
};

/// Long enough for any step on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Every error code of HTTP/2 with gRPC's code for it, and a code that HTTP/2 does not define.
const RESETS: [(u32, Code, &str); 15] = [
    (0, Code::Internal, "NO_ERROR"),
    (1, Code::Internal, "PROTOCOL_ERROR"),
    (2, Code::Internal, "INTERNAL_ERROR"),
    (3, Code::Internal, "FLOW_CONTROL_ERROR"),
    (4, Code::Internal, "SETTINGS_TIMEOUT"),
    (5, Code::Internal, "STREAM_CLOSED"),
    (6, Code::Internal, "FRAME_SIZE_ERROR"),
    (7, Code::Unavailable, "REFUSED_STREAM"),
    (8, Code::Cancelled, "CANCEL"),
    (9, Code::Internal, "COMPRESSION_ERROR"),
    (10, Code::Internal, "CONNECT_ERROR"),
    (11, Code::ResourceExhausted, "ENHANCE_YOUR_CALM"),
    (12, Code::PermissionDenied, "INADEQUATE_SECURITY"),
    (13, Code::Internal, "HTTP_1_1_REQUIRED"),
    (0x63, Code::Unknown, "0x63"),
];

/// Explains nothing and counts how often it is asked.
#[derive(Default)]
struct Asked(AtomicUsize);

impl Explain for Asked {
    fn explain(self: Arc<Self>, status: Status) -> Pin<Box<dyn Future<Output = Status> + Send>> {
        self.0.fetch_add(1, Relaxed);
        Box::pin(async move { Status::new(status.code(), format!("asked: {}", status.message())) })
    }
}

async fn unary(channel: &PluginChannel) -> Result<Vec<u8>, Status> {
    unary_with(channel, Request::new(b"hello".to_vec())).await
}

async fn unary_with(channel: &PluginChannel, request: Request<Vec<u8>>) -> Result<Vec<u8>, Status> {
    let mut client = Grpc::new(channel.clone());
    client.ready().await?;
    let path = PathAndQuery::from_static("/test.Test/Call");
    let calling = client.unary(request, path, ProstCodec::<Vec<u8>, Vec<u8>>::default());
    tokio::time::timeout(TIMEOUT, calling).await.expect("a call ends").map(tonic::Response::into_inner)
}

async fn stream(channel: &PluginChannel, request: Request<Vec<u8>>) -> Result<Streaming<Vec<u8>>, Status> {
    let mut client = Grpc::new(channel.clone());
    client.ready().await?;
    let path = PathAndQuery::from_static("/test.Test/Stream");
    let calling = client.server_streaming(request, path, ProstCodec::<Vec<u8>, Vec<u8>>::default());
    tokio::time::timeout(TIMEOUT, calling).await.expect("a call ends").map(tonic::Response::into_inner)
}

async fn last(stream: &mut Streaming<Vec<u8>>) -> Status {
    loop {
        match tokio::time::timeout(TIMEOUT, stream.message()).await.expect("a stream ends") {
            Ok(Some(_)) => {}
            Ok(None) => return Status::ok(""),
            Err(status) => return status,
        }
    }
}

async fn connected(peer: &Peer) -> PluginChannel {
    http2::connect(peer.clone(), &Settings::default()).await.expect("connected")
}

#[tokio::test]
async fn a_reset_has_the_grpc_code_and_is_not_explained() {
    for (reason, code, name) in RESETS {
        let reset = move |stream| vec![(RST_STREAM, 0, stream, reason.to_be_bytes().to_vec())];
        let peer = Peer::new(Script::each(reset));
        let asked = Arc::<Asked>::default();
        let channel = connected(&peer).await.explained(asked.clone());
        let status = unary(&channel).await.expect_err("reset");
        assert_eq!(status.code(), code, "{status:?}");
        assert!(status.message().contains(name), "{status:?}");
        assert_eq!(asked.0.load(Relaxed), 0, "the connection goes on");
        assert!(!http2::is_broken_connection(&status), "{status:?}");
        assert_eq!(peer.dialled(), 1);
    }
}

#[tokio::test]
async fn a_reset_within_the_response_has_the_grpc_code() {
    for (reason, code, name) in RESETS {
        for messages in 0..2 {
            let peer = Peer::new(Script::each(move |stream| {
                let mut frames =
                    vec![headers(stream, response_headers("200", "application/grpc"), CONTINUES)];
                frames.extend((0..messages).map(|_| (DATA, 0, stream, message(b"one"))));
                frames.push((RST_STREAM, 0, stream, reason.to_be_bytes().to_vec()));
                frames
            }));
            let channel = connected(&peer).await;
            let status = match stream(&channel, Request::new(Vec::new())).await {
                Ok(mut stream) => last(&mut stream).await,
                Err(status) => status,
            };
            assert_eq!(status.code(), code, "{status:?}");
            assert!(status.message().contains(name), "{status:?}");
            let status = unary(&channel).await.expect_err("reset");
            assert_eq!(status.code(), code, "{status:?}");
        }
    }
}

#[tokio::test]
async fn a_call_after_a_goaway_goes_out_on_the_next_connection() {
    // The first GOAWAY of an orderly shutdown has the highest stream id. A second GOAWAY has the id of the last call.
    for last_stream in [0x7fff_ffff, 0] {
        let peer = Peer::new(Script::each(move |stream| {
            let mut frames = answer(stream, b"hi");
            frames.push(goaway(if last_stream == 0 { stream } else { last_stream }, 0, b"max_age"));
            frames
        }));
        let channel = connected(&peer).await;
        for call in 1..=100 {
            assert_eq!(unary(&channel).await.expect("none is lost"), b"hi", "call {call}");
        }
        assert_eq!(peer.dialled(), 100);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_calls_survive_goaways() {
    let calls = Arc::new(AtomicUsize::new(0));
    let peer = Peer::new(Script::each(move |stream| {
        let mut frames = answer(stream, b"hi");
        // The peer sends GOAWAY while calls are in flight, and processes no later call.
        if calls.fetch_add(1, Relaxed) % 7 == 6 {
            frames.push(goaway(stream, 0, b""));
        }
        frames
    }));
    let channel = connected(&peer).await;
    let calling = (0..8).map(|_| {
        let channel = channel.clone();
        tokio::spawn(async move {
            for _ in 0..50 {
                match unary(&channel).await {
                    Ok(answer) => assert_eq!(answer, b"hi"),
                    // Only a call that was left out by two GOAWAYs in a row.
                    Err(status) => assert!(
                        status.code() == Code::Unavailable && status.message().contains("NO_ERROR"),
                        "{status:?}"
                    ),
                }
            }
        })
    });
    for calling in calling.collect::<Vec<_>>() {
        calling.await.expect("no panic");
    }
}

#[tokio::test]
async fn a_call_that_a_goaway_leaves_out_is_made_once_more() {
    let peer = Peer::new(Script::connections(|connection, stream| match (connection, stream) {
        (0, 1) => answer(stream, b"first"),
        (0, _) => vec![goaway(1, 0, b"")],
        _ => answer(stream, b"second"),
    }));
    let channel = connected(&peer).await;
    assert_eq!(unary(&channel).await.expect("answered"), b"first");
    assert_eq!(unary(&channel).await.expect("made again"), b"second");
    assert_eq!(peer.requests(), [b"hello", b"hello", b"hello"]);
}

#[tokio::test]
async fn a_call_that_the_peer_refuses_is_made_once_more() {
    let refused = |stream| vec![(RST_STREAM, 0, stream, 7_u32.to_be_bytes().to_vec())];
    let peer = Peer::new(Script::each(move |stream| {
        // Streams of a client are 1, 3, 5: the first of each two is refused.
        if stream % 4 == 1 { refused(stream) } else { answer(stream, b"hi") }
    }));
    let channel = connected(&peer).await;
    for _ in 0..10 {
        assert_eq!(unary(&channel).await.expect("made again"), b"hi");
    }
    assert_eq!(peer.requests().len(), 20);
    assert_eq!(peer.dialled(), 1, "the connection goes on");

    let peer = Peer::new(Script::each(refused));
    let status = unary(&connected(&peer).await).await.expect_err("refused twice");
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    assert_eq!(peer.requests().len(), 2, "once more, and no third time");
}

#[tokio::test]
async fn a_call_that_every_goaway_leaves_out_is_unavailable() {
    for (reason, name) in [(0_u32, "NO_ERROR"), (11, "ENHANCE_YOUR_CALM"), (2, "INTERNAL_ERROR")] {
        let peer = Peer::new(Script::each(move |_| vec![goaway(0, reason, b"too_many_pings")]));
        let channel = connected(&peer).await;
        for _ in 0..5 {
            let before = peer.dialled();
            let status = unary(&channel).await.expect_err("left out");
            assert_eq!(status.code(), Code::Unavailable, "{status:?}");
            assert!(status.message().contains(name), "{status:?}");
            assert!(status.message().contains("too_many_pings"), "{status:?}");
            assert!(peer.dialled() <= before + 2);
        }
    }
}

#[tokio::test]
async fn a_connection_that_breaks_is_unavailable_and_explained() {
    for begun in [false, true] {
        let peer = Peer::new(Script::each(move |stream| {
            let mut frames = vec![headers(stream, response_headers("200", "application/grpc"), CONTINUES)];
            frames.truncate(usize::from(begun));
            frames.push(peer::HANG_UP);
            frames
        }));
        let asked = Arc::<Asked>::default();
        let channel = connected(&peer).await.explained(asked.clone());
        let status = unary(&channel).await.expect_err("broken");
        assert_eq!(status.code(), Code::Unavailable, "{status:?}");
        assert!(status.message().starts_with("asked: "), "{status:?}");
        assert_eq!(asked.0.load(Relaxed), 1);
    }
}

#[tokio::test]
async fn the_status_of_a_broken_connection_has_the_goaway_before_it() {
    let peer =
        Peer::new(Script::each(move |stream| vec![goaway(stream, 11, b"too_many_pings"), peer::HANG_UP]));
    let channel = connected(&peer).await;
    let status = unary(&channel).await.expect_err("broken");
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    assert!(status.message().contains("ENHANCE_YOUR_CALM"), "{status:?}");
    assert!(status.message().contains("too_many_pings"), "{status:?}");
}

#[tokio::test]
async fn a_deadline_holds_before_and_within_the_response() {
    for begun in [false, true] {
        for gives_up in [false, true] {
            let peer = Peer::new(Script::each(move |stream| {
                let mut frames =
                    vec![headers(stream, response_headers("200", "application/grpc"), CONTINUES)];
                frames.truncate(usize::from(begun));
                if gives_up {
                    frames.push(peer::pause(Duration::from_millis(60)));
                    frames.push((RST_STREAM, 0, stream, 8_u32.to_be_bytes().to_vec()));
                }
                frames
            }));
            let channel = connected(&peer).await;
            let mut request = Request::new(Vec::new());
            request.set_timeout(Duration::from_millis(50));
            let began = Instant::now();
            let status = unary_with(&channel, request).await.expect_err("late");
            assert_eq!(status.code(), Code::DeadlineExceeded, "{status:?}");
            assert!(began.elapsed() >= Duration::from_millis(50));
        }
    }
}

#[tokio::test]
async fn a_response_that_is_not_grpc_has_the_code_of_its_http_status() {
    for (http, kind, code) in [
        ("400", "text/html", Code::Internal),
        ("401", "text/html", Code::Unauthenticated),
        ("403", "text/html", Code::PermissionDenied),
        ("404", "text/plain", Code::Unimplemented),
        ("429", "application/grpc", Code::Unavailable),
        ("431", "text/html", Code::Unknown),
        ("500", "text/html", Code::Unknown),
        ("502", "text/html", Code::Unavailable),
        ("503", "application/grpc", Code::Unavailable),
        ("504", "text/html", Code::Unavailable),
        ("200", "text/html", Code::Unknown),
    ] {
        let peer = Peer::new(Script::each(move |stream| {
            vec![
                headers(stream, response_headers(http, kind), CONTINUES),
                (DATA, END_STREAM, stream, b"<html>no</html>".to_vec()),
            ]
        }));
        let status = unary(&connected(&peer).await).await.expect_err("not gRPC");
        assert_eq!(status.code(), code, "{http}: {status:?}");
        assert!(status.message().contains(http), "{status:?}");
    }
}

#[tokio::test]
async fn a_malformed_status_keeps_its_code() {
    for in_trailers in [false, true] {
        for (name, value) in [
            ("grpc-status-details-bin", &b"%%% no base64 %%%"[..]),
            ("grpc-status-details-bin", b"a"),
            ("grpc-message", b"bad %ff end"),
            ("grpc-message", b"raw \xff\xfe end"),
        ] {
            let peer = Peer::new(Script::each(move |stream| {
                if in_trailers {
                    let begin = headers(stream, response_headers("200", "application/grpc"), CONTINUES);
                    return vec![begin, trailers(stream, &[], &[("grpc-status", b"5"), (name, value)])];
                }
                let begin = response_headers("200", "application/grpc");
                vec![trailers(stream, &begin, &[("grpc-status", b"5"), (name, value)])]
            }));
            let status = unary(&connected(&peer).await).await.expect_err("a status");
            assert_eq!(status.code(), Code::NotFound, "{name} {value:?}: {status:?}");
        }
    }
}

#[tokio::test]
async fn calls_above_the_limit_of_the_peer_wait() {
    let peer = Peer::new(Script::each(|stream| answer(stream, b"hi"))).with_settings(&[(3, 1)]);
    let channel = connected(&peer).await;
    let calls = (0..30).map(|_| {
        let channel = channel.clone();
        tokio::spawn(async move { unary(&channel).await })
    });
    for call in calls.collect::<Vec<_>>() {
        assert_eq!(call.await.expect("no panic").expect("answered"), b"hi");
    }
    assert_eq!(peer.dialled(), 1);
}

#[tokio::test]
async fn a_message_above_the_limit_is_refused_by_its_prefix() {
    let peer = Peer::new(Script::each(|stream| {
        vec![
            headers(stream, response_headers("200", "application/grpc"), CONTINUES),
            (DATA, 0, stream, vec![0, 0xff, 0xff, 0xff, 0xff, 1]),
        ]
    }));
    let status = unary(&connected(&peer).await).await.expect_err("too large");
    assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");

    let mut settings = Settings::default();
    settings.max_receive_message_size = Some(100);
    for (bytes, fits) in [(100, true), (101, false)] {
        let peer = Peer::new(Script::each(move |stream| answer(stream, &vec![7; bytes - 2])));
        let channel = http2::connect_lazy(peer.clone(), &settings);
        assert_eq!(unary(&channel).await.is_ok(), fits, "{bytes}");
    }
}

#[tokio::test]
async fn an_unanswered_ping_ends_the_connection() {
    let peer = Peer::new(Script::each(|_| Vec::new())).without_pongs();
    let mut settings = Settings::default();
    settings.keepalive =
        Some(http2::Keepalive { interval: Duration::from_millis(20), timeout: Duration::from_millis(20) });
    let channel = http2::connect_lazy(peer.clone(), &settings);
    let status = unary(&channel).await.expect_err("no answer");
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    assert!(status.message().contains("ping"), "{status:?}");

    let peer = Peer::new(Script::each(|stream| {
        let mut frames = vec![peer::pause(Duration::from_millis(200))];
        frames.extend(answer(stream, b"late"));
        frames
    }));
    let mut settings = Settings::default();
    settings.keepalive = Some(http2::Keepalive { interval: Duration::from_millis(10), timeout: TIMEOUT });
    let channel = http2::connect_lazy(peer.clone(), &settings);
    assert_eq!(unary(&channel).await.expect("it answers pings"), b"late");
}

#[tokio::test]
async fn an_error_of_the_caller_ends_the_call() {
    let peer = Peer::new(Script::each(|_| Vec::new()));
    let channel = connected(&peer).await;
    let mut client = Grpc::new(channel).max_encoding_message_size(3);
    client.ready().await.expect("ready");
    let path = PathAndQuery::from_static("/test.Test/Call");
    let call = client.unary(Request::new(b"hello".to_vec()), path, ProstCodec::<Vec<u8>, Vec<u8>>::default());
    let status = call.await.expect_err("too large");
    assert_eq!(status.code(), Code::OutOfRange, "{status:?}");
    // The peer receives the reset.
    peer.receives(RST_STREAM).await;
}

#[tokio::test]
async fn a_dropped_call_is_cancelled() {
    let peer = Peer::new(Script::each(|_| Vec::new()));
    let channel = connected(&peer).await;
    tokio::time::timeout(Duration::from_millis(50), unary(&channel)).await.expect_err("no answer");
    peer.receives(RST_STREAM).await;

    let peer = Peer::new(Script::each(|stream| {
        vec![headers(stream, response_headers("200", "application/grpc"), CONTINUES)]
    }));
    let channel = connected(&peer).await;
    drop(stream(&channel, Request::new(Vec::new())).await.expect("begun"));
    peer.receives(RST_STREAM).await;
}

#[tokio::test]
async fn the_connection_ends_with_the_last_channel() {
    let peer = Peer::new(Script::each(|stream| answer(stream, b"hi")));
    let channel = connected(&peer).await;
    unary(&channel).await.expect("answered");
    drop(channel);
    peer.receives(GOAWAY).await;
}

#[tokio::test]
async fn waiting_calls_share_one_failure() {
    struct Silent;
    impl http2::Connect for Silent {
        async fn connect(&self) -> Result<rpcplugin_transport::SecureStream, http2::ChannelError> {
            std::future::pending().await
        }
    }
    let mut settings = Settings::default();
    settings.handshake_timeout = Duration::from_millis(300);
    let channel = http2::connect_lazy(Silent, &settings);
    let began = Instant::now();
    let calls = (0..20).map(|_| {
        let channel = channel.clone();
        tokio::spawn(async move { unary(&channel).await })
    });
    for call in calls.collect::<Vec<_>>() {
        let status = call.await.expect("no panic").expect_err("no answer");
        assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    }
    assert!(began.elapsed() < Duration::from_millis(300) * 20);
}
