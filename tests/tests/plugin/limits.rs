//! Limits of the rate of calls and of the size of messages.

use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, stream};
use prost::Message as _;
use rpcplugin_tests::pb::{GreetRequest, sub_client::SubClient};
use tonic::{Code, Status, transport::Endpoint};

use crate::subject::{greet, shut_down, subject, transform};

#[tokio::test]
async fn of_ten_thousand_calls_only_the_budget_passes() {
    let plugin = subject()
        .env("PLUGIN_RATE_LIMIT_REQUESTS_PER_SECOND", "10")
        .env("PLUGIN_RATE_LIMIT_BURST_CAPACITY", "200")
        .start();
    let channel = plugin.channel().await;
    let begin = Instant::now();
    let call = async || {
        let sent = begin.elapsed();
        let outcome = greet(channel.clone(), "x").await;
        (sent, outcome, begin.elapsed())
    };
    let calls: Vec<_> = stream::iter(0..10_000).map(|_| call()).buffer_unordered(64).collect().await;
    let (mut passed, mut answered, mut refused) = (0.0, Duration::MAX, Duration::ZERO);
    for (sent, outcome, received) in calls {
        answered = answered.min(received);
        match outcome {
            Ok(_) => passed += 1.0,
            Err(status) => {
                assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
                refused = refused.max(sent);
            }
        }
    }
    // The plugin decides about a call between its request and its answer. The bucket is full at first, and empty when the last
    // rejected call is decided. Tokens from after the last answer are not spent. These two bounds hold, with a margin of 2%, on each
    // machine that makes ten calls a second: on a slower one the bucket fills up.
    let budget = |elapsed: Duration| 200.0 + 10.0 * elapsed.as_secs_f64();
    let least = 0.98 * budget(refused.saturating_sub(answered));
    let most = 1.02 * budget(begin.elapsed());
    assert!((least..=most).contains(&passed), "{passed} of a budget of {least:.1} to {most:.1}");

    // With an empty bucket, a host can still call the health service and shut the plugin down.
    let _ = stream::iter(0..50).map(|_| greet(channel.clone(), "x")).buffer_unordered(50).count().await;
    let ping = tonic_health::pb::HealthCheckRequest { service: "plugin".to_owned() };
    let mut health = tonic_health::pb::health_client::HealthClient::new(channel.clone());
    for _ in 0..50 {
        health.check(ping.clone()).await.unwrap();
    }
    shut_down(channel).await.unwrap();
    plugin.ends_cleanly().await;
}

/// The fields of `google.rpc.Status` that the test reads.
#[derive(Clone, PartialEq, prost::Message)]
struct Details {
    #[prost(message, repeated, tag = "3")]
    details: Vec<prost_types::Any>,
}

#[tokio::test]
async fn a_rejected_call_says_when_to_retry() {
    let plugin = subject()
        .env("PLUGIN_RATE_LIMIT_REQUESTS_PER_SECOND", "0.1")
        .env("PLUGIN_RATE_LIMIT_BURST_CAPACITY", "1")
        .start();
    let channel = plugin.channel().await;
    greet(channel.clone(), "x").await.unwrap();
    let refused = greet(channel.clone(), "x").await.expect_err("the bucket is empty");
    let wait: u64 =
        refused.metadata().get("grpc-retry-pushback-ms").unwrap().to_str().unwrap().parse().unwrap();
    assert!((1..=10_001).contains(&wait), "{wait} ms");
    let details = Details::decode(refused.details()).unwrap();
    assert_eq!(details.details[0].type_url, "type.googleapis.com/google.rpc.RetryInfo");
    tokio::time::sleep(Duration::from_millis(wait)).await;
    greet(channel, "x").await.expect("the bucket has a token");
}

#[tokio::test]
async fn a_service_and_a_method_can_have_their_own_rates() {
    let plugin = subject()
        .env("PLUGIN_RATE_LIMIT_PER_SERVICE", "conformance.v1.Sub=0.001/5")
        .env("PLUGIN_RATE_LIMIT_PER_METHOD", "conformance.v1.Sub/Greet=0.001/2")
        .start();
    let channel = plugin.channel().await;
    let calls = stream::iter(0..10).map(|_| greet(channel.clone(), "x")).buffered(1);
    assert_eq!(calls.filter(|answer| std::future::ready(answer.is_ok())).count().await, 2);
    for _ in 0..10 {
        transform(channel.clone(), 1).await.expect("another service");
    }
}

#[tokio::test]
async fn messages_have_no_limit_by_default() {
    let plugin = subject().start();
    let bytes = 20 << 20;
    assert_eq!(transform(plugin.channel().await, bytes).await.unwrap(), bytes);
}

#[tokio::test]
async fn messages_above_a_limit_are_rejected_as_grpc_does() {
    #[track_caller]
    fn is_rejected(answer: Result<usize, Status>, words: &str) {
        let refused = answer.expect_err("too large");
        assert_eq!(refused.code(), Code::ResourceExhausted, "{refused}");
        assert!(refused.message().contains(words), "{refused}");
    }
    let plugin = subject().env("PLUGIN_GRPC_MAX_RECEIVE_MESSAGE_SIZE", "1MiB").start();
    let channel = plugin.channel().await;
    assert_eq!(transform(channel.clone(), 1_000_000).await.unwrap(), 1_000_000);
    is_rejected(transform(channel.clone(), 2_000_000).await, "grpc: received message larger than max (2000");
    assert_eq!(transform(channel, 1_000_000).await.unwrap(), 1_000_000, "the connection still works");

    let plugin = subject().env("PLUGIN_GRPC_MAX_SEND_MESSAGE_SIZE", "1MiB").start();
    let channel = plugin.channel().await;
    is_rejected(
        transform(channel.clone(), 2_000_000).await,
        "grpc: trying to send message larger than max (2000",
    );
    assert_eq!(transform(channel, 1_000_000).await.unwrap(), 1_000_000, "the connection still works");
}

#[tokio::test]
async fn pings_of_an_idle_host_are_tolerated() {
    let plugin = subject().start();
    let path = plugin.socket();
    // A thousand times as often as a pyvider host.
    let channel = Endpoint::from_static("http://localhost")
        .http2_keep_alive_interval(Duration::from_millis(30))
        .keep_alive_timeout(Duration::from_secs(5))
        .keep_alive_while_idle(true)
        .connect_with_connector(tower::service_fn(move |_| {
            let path = path.clone();
            async move { tokio::net::UnixStream::connect(path).await.map(hyper_util::rt::TokioIo::new) }
        }))
        .await
        .unwrap();
    let mut client = SubClient::new(channel);
    for _ in 0..10 {
        let answer = client.greet(GreetRequest { name: "sleep 100".to_owned() }).await.unwrap();
        assert_eq!(answer.get_ref().text, "slept");
    }
}
