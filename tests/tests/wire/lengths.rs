//! Messages whose length is announced, but which do not arrive.

use rpcplugin::{Command, Plugin, Services, config::ByteSize};
use rpcplugin_tests::{
    pb::{
        CallbackRequest, EchoRequest, GreetRequest, OpenSubRequest, TransformRequest, TransformResponse,
        host_calls_server::{HostCalls, HostCallsServer},
        kit_client::KitClient,
        sub_client::SubClient,
    },
    raw_http2::{self, HEADERS},
};
use tokio::time::timeout;
use tonic::{Code, Request, Response, Status};

use crate::support::{INFO, TIMEOUT, answers, host, launch, raw};

/// Services of the plugin, and services of the protocol.
const PATHS: [&str; 6] = [
    INFO,
    "/conformance.v1.Kit/Chat",
    "/grpc.health.v1.Health/Check",
    "/plugin.GRPCBroker/StartStream",
    "/plugin.GRPCStdio/StreamStdio",
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
];

async fn announces(plugin: &Plugin, prefix: [u8; 5], calls: u32) {
    let mut peer = raw(plugin).await;
    for nth in 0..calls {
        let stream = 2 * nth + 1;
        peer.call(stream, PATHS[nth as usize % PATHS.len()], &[], &[]);
        peer.data(stream, &[&prefix[..], &[1]].concat(), false);
        if nth % 500 == 0 {
            peer.flush().await.unwrap();
        }
    }
    // A call after all of them is answered on the same connection.
    let last = 2 * calls + 1;
    peer.call(last, INFO, &[], &[]);
    peer.data(last, &raw_http2::message(&[]), true);
    peer.flush().await.unwrap();
    let frames = timeout(TIMEOUT, peer.answer(last)).await.unwrap().unwrap();
    assert!(frames.iter().any(|frame| frame.kind == raw_http2::DATA), "{frames:?}");
    answers(plugin).await;
}

#[tokio::test]
async fn five_bytes_reserve_nothing() {
    // The stacks and arenas of threads are mostly unused.
    let plugin = launch("ulimit -v 1500000", &[("PLUGIN_REFLECTION_ENABLED", "true")]).await;
    for prefix in [
        [0, 0xff, 0xff, 0xff, 0xff],
        [1, 0xff, 0xff, 0xff, 0xff],
        [0, 0x7f, 0xff, 0xff, 0xff],
        [0, 0x20, 0, 0, 0],
        [0, 0, 0x10, 0, 0],
    ] {
        announces(&plugin, prefix, 2000).await;
    }
    announces(&plugin, [0, 0, 0xff, 0xff, 0xff], 33_000).await;
}

#[tokio::test]
async fn a_message_that_ends_early_is_said() {
    let plugin = launch("ulimit -v 1500000", &[]).await;
    let mut peer = raw(&plugin).await;
    for (stream, length) in [(1, 0x7fff_ffff_u32), (3, 0x2000_0000), (5, 100_000), (7, 100)] {
        peer.call(stream, INFO, &[], &[]);
        peer.data(stream, &[&[0][..], &length.to_be_bytes(), b"short"].concat(), true);
        peer.flush().await.unwrap();
        let frames = timeout(TIMEOUT, peer.answer(stream)).await.unwrap().unwrap();
        assert_eq!(frames.iter().map(|frame| frame.kind).next(), Some(HEADERS));
    }
    answers(&plugin).await;
}

#[tokio::test]
async fn large_messages_pass_and_are_in_memory_about_once() {
    let plugin = launch("ulimit -v 1500000", &[]).await;
    let data = vec![7; 100 << 20];
    let mut client = KitClient::new(plugin.channel());
    let answer = client.echo(EchoRequest { data: data.clone().into() }).await.unwrap().into_inner();
    assert!(answer.data == data);
}

#[tokio::test]
async fn a_limit_holds_for_what_the_plugin_brokers() {
    let plugin = launch(":", &[("PLUGIN_GRPC_MAX_RECEIVE_MESSAGE_SIZE", "1KiB")]).await;
    let opened = KitClient::new(plugin.channel()).open_sub(OpenSubRequest::default()).await.unwrap();
    let channel = plugin.broker().dial(opened.into_inner().broker_id.into()).await.unwrap();
    let mut sub = SubClient::new(channel);
    let mut greet = async |length| sub.greet(GreetRequest { name: "x".repeat(length) }).await;
    greet(500).await.unwrap();
    let refused = greet(2000).await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted);
    assert!(refused.message().starts_with("grpc: received message larger than max (20"), "{refused}");
    greet(500).await.unwrap();
}

#[derive(Debug)]
struct Calls;

#[tonic::async_trait]
impl HostCalls for Calls {
    async fn transform(
        &self,
        request: Request<TransformRequest>,
    ) -> Result<Response<TransformResponse>, Status> {
        let TransformRequest { seq, data, .. } = request.into_inner();
        Ok(Response::new(TransformResponse { seq: seq + 1, data, ..TransformResponse::default() }))
    }
}

#[tokio::test]
async fn a_limit_holds_for_what_the_host_lets_its_plugin_call() {
    let host = host(|config| config.max_receive_message_size = Some(ByteSize::kib(1)));
    let plugin = host.launch(Command::new(env!("CARGO_BIN_EXE_settings-plugin"))).await.unwrap();
    let served = plugin.broker().serve(Services::new().add(HostCallsServer::new(Calls))).await.unwrap();
    let mut client = KitClient::new(plugin.channel());
    let mut call = async |length| {
        let broker_id = served.id().into();
        let data = vec![0; length];
        client.callback(CallbackRequest { broker_id, calls: 1, data, ..CallbackRequest::default() }).await
    };
    call(500).await.unwrap();
    let refused = call(2000).await.unwrap_err();
    assert!(refused.message().contains("grpc: received message larger than max (20"), "{refused}");
    call(500).await.unwrap();
}
