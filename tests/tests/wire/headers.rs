//! Headers of any length, cut into any frames.

use prost::Message as _;
use rpcplugin::{Command, Endpoint, config::HostTls, transport::http2};
use rpcplugin_tests::{
    pb::{CountRequest, FailRequest, InfoRequest, InfoResponse, kit_client::KitClient},
    raw_http2::{self, DATA, HEADERS, RawPeer, block, message},
    support::programs::peer,
};
use tempfile::TempDir;
use tokio::{
    net::{UnixListener, UnixStream},
    time::timeout,
};
use tokio_util::task::AbortOnDropHandle;
use tonic::Code;

use crate::support::{INFO, TIMEOUT, To, answers, host, launch, raw};

const KIB: usize = 1 << 10;

/// Calls Info with a header of this length, cut into these frames. Returns whether the answer has a message.
async fn info(peer: &mut RawPeer<UnixStream>, stream: u32, header: usize, pieces: &[usize]) -> bool {
    peer.call(stream, INFO, &[("x-long", &"v".repeat(header))], pieces);
    peer.data(stream, &message(&[]), true);
    peer.flush().await.unwrap();
    let frames = timeout(TIMEOUT, peer.answer(stream)).await.unwrap().unwrap();
    frames.iter().any(|frame| frame.kind == DATA && !frame.payload.is_empty())
}

#[tokio::test]
async fn a_plugin_takes_long_headers_in_any_frames() {
    let plugin = launch(":", &[]).await;
    let mut peer = raw(&plugin).await;
    let mut stream = 1;
    for (header, pieces) in [
        (130_000, &[16 * KIB][..]),
        (900 * KIB, &[16 * KIB]),
        (1000 * KIB, &[100 * KIB, 3, 7 * KIB]),
        (20_000, &[1]),
        (300_000, &[0, 0, 5, 0, 100]),
        (300_000, &[200 * KIB, 0, 256 * KIB]),
    ] {
        assert!(info(&mut peer, stream, header, pieces).await, "{header} in {pieces:?}");
        stream += 2;
    }
}

#[tokio::test]
async fn longer_headers_fail_one_call_and_no_other() {
    for (limit, lengths) in
        [("1MiB", &[1100 * KIB, 2048 * KIB, 4000 * KIB][..]), ("16KiB", &[17 * KIB, 40 * KIB, 200 * KIB])]
    {
        let plugin = launch(":", &[("PLUGIN_HTTP2_MAX_HEADERS", limit)]).await;
        let mut peer = raw(&plugin).await;
        // A call that is in flight all the time.
        let mut client = KitClient::new(plugin.channel());
        let count = CountRequest { n: -1, interval_us: 1000, ..CountRequest::default() };
        let mut other = client.count(count).await.unwrap().into_inner();
        let mut stream = 1;
        for length in lengths {
            for pieces in [&[16 * KIB][..], &[1000], &[256 * KIB]] {
                assert!(!info(&mut peer, stream, *length, pieces).await, "{length} of {limit}");
                assert!(info(&mut peer, stream + 2, 5, pieces).await, "the connection still works");
                stream += 4;
            }
        }
        other.message().await.unwrap().expect("the call continues");
    }
}

#[tokio::test]
async fn a_flood_ends_its_connection_and_nothing_else() {
    let plugin = launch("ulimit -v 1500000", &[]).await;
    // Empty frames, and headers without an end.
    for filler in [&[][..], &[0; 16 << 10]] {
        let mut peer = raw(&plugin).await;
        peer.frame(HEADERS, 0, 1, &block(&[(":method", "POST")]));
        let mut cut = false;
        for _ in 0..200_000 {
            peer.frame(raw_http2::CONTINUATION, 0, 1, filler);
            if peer.flush().await.is_err() {
                cut = true;
                break;
            }
        }
        assert!(cut, "the connection was ended");
        answers(&plugin).await;
    }
}

/// Answers each call with a status whose message has this length, cut into these frames.
async fn serve(listener: UnixListener, answers: Vec<(usize, Vec<usize>)>) {
    let (io, _) = listener.accept().await.unwrap();
    let mut peer = RawPeer::server(io).await.unwrap();
    let mut answers = answers.into_iter();
    let mut first = None;
    while let Ok(Some(frame)) = peer.next().await {
        if frame.kind != DATA || !frame.ends_stream() {
            continue;
        }
        // The first call stays open until the others have ended.
        let Some(first) = first else {
            first = Some(frame.stream);
            continue;
        };
        let head = block(&[(":status", "200"), ("content-type", "application/grpc")]);
        match answers.next() {
            Some((length, pieces)) => {
                let message = "m".repeat(length);
                let trailers = block(&[("grpc-status", "9"), ("grpc-message", &message)]);
                peer.headers(frame.stream, &head, &[], false);
                peer.headers(frame.stream, &trailers, &pieces, true);
            }
            None => {
                for stream in [frame.stream, first] {
                    peer.headers(stream, &head, &[], false);
                    peer.data(stream, &message(&InfoResponse::default().encode_to_vec()), false);
                    peer.headers(stream, &block(&[("grpc-status", "0")]), &[], true);
                }
            }
        }
        peer.flush().await.unwrap();
    }
}

#[tokio::test]
async fn a_host_takes_long_trailers_in_any_frames() {
    let dir = TempDir::new_in("/tmp").unwrap();
    let listener = UnixListener::bind(dir.path().join("raw")).unwrap();
    let cases = [
        (120_000, vec![16 * KIB]),
        (900 * KIB, vec![16 * KIB]),
        (300_000, vec![10]),
        (2000 * KIB, vec![16 * KIB]),
        (3500 * KIB, vec![5000]),
    ];
    let _server = AbortOnDropHandle::new(tokio::spawn(serve(listener, cases.to_vec())));
    // Without a host, because a host makes calls too.
    let endpoint = Endpoint::parse("unix", dir.path().join("raw").to_str().unwrap()).unwrap();
    let channel = http2::connect(To(endpoint), &http2::Settings::default()).await.unwrap();
    let info = |channel| async move {
        timeout(TIMEOUT, KitClient::new(channel).info(InfoRequest {})).await.unwrap()
    };
    let first = AbortOnDropHandle::new(tokio::spawn(info(channel.clone())));
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    for (length, pieces) in cases {
        let status = info(channel.clone()).await.unwrap_err();
        if length < 1024 * KIB {
            assert_eq!(status.code(), Code::FailedPrecondition, "{length} in {pieces:?}");
            assert_eq!(status.message().len(), length);
        }
    }
    info(channel).await.expect("the connection still works");
    first.await.unwrap().expect("the first call is answered");
}

#[tokio::test]
async fn a_go_plugin_may_send_long_status_messages() {
    let Some(program) = peer("go", "kit-plugin") else { return };
    for mutual in [false, true] {
        let tls = if mutual { HostTls::AUTO } else { HostTls::Plaintext };
        let plugin = host(|config| config.tls = tls).launch(Command::new(&program)).await.unwrap();
        let mut client = KitClient::new(plugin.channel());
        for length in [100, 120_000, 500_000] {
            let request = FailRequest { code: 9, message: "m".repeat(length), ..FailRequest::default() };
            let status = client.fail(request).await.unwrap_err();
            assert_eq!((status.code(), status.message().len()), (Code::FailedPrecondition, length));
        }
        client.info(InfoRequest {}).await.unwrap();
        plugin.shut_down().await;
    }
}
