//! Tower layers, interceptors, limits and pings on the channels to a plugin.
#![cfg(unix)]

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use rpcplugin::{
    Exit, Host,
    broker::ServiceId,
    config::{ByteSize, HostConfig, KeepaliveConfig},
};
use rpcplugin_tests::{
    pb::{EchoRequest, GreetRequest, OpenSubRequest, kit_client::KitClient, sub_client::SubClient},
    support::{
        conformance::{self, kit},
        process::suspend,
    },
};
use tonic::{Request, body::Body};
use tower::util::MapRequestLayer;

fn host(change: impl FnOnce(&mut HostConfig)) -> Host {
    conformance::host().configure(change)
}

#[tokio::test]
async fn layers_see_calls_on_main_and_brokered_channels() {
    let plugin = host(|_| {}).launch(kit()).await.expect("the plugin starts");
    let calls = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&calls);
    let counting = MapRequestLayer::new(move |request: http::Request<Body>| {
        count.fetch_add(1, Ordering::Relaxed);
        request
    });
    let mut kit = KitClient::new(plugin.channel_with(&counting));
    kit.echo(EchoRequest::default()).await.expect("an answer");
    let sub = kit.open_sub(OpenSubRequest { label: "a".to_owned() }).await.expect("an answer").into_inner();
    assert_eq!(calls.load(Ordering::Relaxed), 2);

    let brokered = plugin.broker().dial(ServiceId(sub.broker_id)).await.expect("the id is served");
    let mut sub = SubClient::new(tower::Layer::layer(&counting, brokered));
    let greeting = sub.greet(GreetRequest { name: "host".to_owned() }).await.expect("an answer").into_inner();
    assert_eq!(calls.load(Ordering::Relaxed), 3, "{greeting:?}");
    assert_eq!(plugin.shut_down().await, Exit::Clean);
}

#[tokio::test]
async fn interceptors_add_metadata() {
    let plugin = host(|_| {}).launch(kit()).await.expect("the plugin starts");
    let mut kit = KitClient::with_interceptor(plugin.channel(), |mut request: Request<()>| {
        request.metadata_mut().insert("x-kit-token", "secret".parse().expect("ASCII"));
        Ok(request)
    });
    let answer = kit.echo(EchoRequest::default()).await.expect("an answer");
    assert_eq!(answer.metadata().get("x-kit-token").expect("the metadata is returned"), "secret");
}

#[tokio::test]
async fn a_limit_on_messages_holds_on_every_channel() {
    let limited = host(|config| config.max_receive_message_size = Some(ByteSize::kib(64)));
    let plugin = limited.launch(kit()).await.expect("the plugin starts");
    let limits = plugin.message_limits();
    assert_eq!((limits.receive, limits.send), (64 << 10, usize::MAX));
    // The limit holds whatever limit the client has.
    let mut kit = KitClient::new(plugin.channel()).max_decoding_message_size(usize::MAX);
    let big = EchoRequest { data: vec![0; 65 << 10].into() };
    let status = kit.echo(big.clone()).await.expect_err("the message is too large");
    assert_eq!(status.code(), tonic::Code::ResourceExhausted, "{status:?}");
    assert!(kit.echo(EchoRequest { data: vec![0; 60 << 10].into() }).await.is_ok());

    let plugin = host(|_| {}).launch(conformance::kit()).await.expect("the plugin starts");
    let mut kit = KitClient::new(plugin.channel()).max_decoding_message_size(usize::MAX);
    assert_eq!(kit.echo(big).await.expect("no limit").get_ref().data.len(), 65 << 10);
}

#[tokio::test]
async fn pings_notice_a_plugin_that_hangs() {
    let pinging = host(|config| {
        let mut keepalive = KeepaliveConfig::default();
        keepalive.permitted = true;
        (keepalive.interval, keepalive.timeout) = (Duration::from_secs(1), Duration::from_secs(1));
        config.keepalive = Some(keepalive);
    });
    let plugin = pinging.launch(kit()).await.expect("the plugin starts");
    suspend(plugin.pid().expect("the plugin was launched")).expect("the plugin runs");
    let mut kit = KitClient::new(plugin.channel());
    let call = tokio::time::timeout(Duration::from_secs(20), kit.echo(EchoRequest::default()));
    call.await.expect("without pings the call would hang").expect_err("the plugin does not answer");
}
