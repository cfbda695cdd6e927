//! A host outside the cluster: launch, calls, callbacks and logs through port-forwards.

use bytes::Bytes;
use rpcplugin::{
    Exit, Plugin,
    hclog::Level,
    host::{Event, Events},
    transport::Security,
};
use rpcplugin_kube::Bridge;
use rpcplugin_tests::{
    kit_host::host_calls,
    pb::{
        CallbackRequest, ChatMessage, CountRequest, EchoRequest, EnvRequest, GreetRequest, LogField,
        LogLineRequest, OpenSubRequest, log_field, sub_client::SubClient,
    },
};
use tokio::time::{Instant, timeout};
use tokio_stream::StreamExt as _;

use super::support::{BRIDGE, GO, Namespace, RUST, TIMEOUT, host, kit};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: cargo xtask cluster"]
async fn a_pod_answers_a_first_call_through_a_port_forward_with_auto_mtls() {
    let namespace = Namespace::create().await;
    let begin = Instant::now();
    let plugin = host().launch_with(&namespace.plugin(RUST)).await.unwrap();
    assert_eq!(echo(&plugin, "hello").await, "hello");
    println!("from the launch to the first answer: {:?}, {:?}", begin.elapsed(), plugin.launch_timings());
    assert!(matches!(plugin.security(), Security::Mutual(_)), "{:?}", plugin.security());

    // The environment of the host stays on the host.
    let name = "KUBECONFIG".to_owned();
    let variable = kit(plugin.channel()).env(EnvRequest { name }).await.unwrap().into_inner();
    assert!(!variable.present, "{variable:?}");

    assert_eq!(plugin.shut_down().await, Exit::Clean);
    namespace.emptied().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: cargo xtask cluster"]
async fn a_go_plugin_answers_through_the_bridge() {
    let namespace = Namespace::create().await;
    let bridge = Bridge::from_image(BRIDGE, "/rpcplugin");
    let pod = namespace.plugin(GO).command(["/kit-plugin"]).bridge(bridge);
    let plugin = host().configure(|config| config.multiplex = true).launch_with(&pod).await.unwrap();
    assert_eq!(echo(&plugin, "hello").await, "hello");
    assert!(matches!(plugin.security(), Security::Mutual(_)), "{:?}", plugin.security());
    call_back(&plugin).await;
    assert_eq!(plugin.shut_down().await, Exit::Clean);
    namespace.emptied().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: cargo xtask cluster"]
async fn brokered_calls_in_both_directions_share_the_port_forward() {
    let namespace = Namespace::create().await;
    let host = host().configure(|config| config.multiplex = true);
    let plugin = host.launch_with(&namespace.plugin(RUST)).await.unwrap();
    call_back(&plugin).await;

    let label = "a pod".to_owned();
    let id = kit(plugin.channel()).open_sub(OpenSubRequest { label }).await.unwrap().into_inner().broker_id;
    let mut sub = SubClient::new(plugin.broker().dial(id.into()).await.unwrap());
    let greeting = sub.greet(GreetRequest { name: "host".to_owned() }).await.unwrap().into_inner().text;
    assert_eq!(greeting, "hello host from a pod");

    assert_eq!(plugin.shut_down().await, Exit::Clean);
    namespace.emptied().await;
}

/// Streams of this many messages of this many bytes.
const MESSAGES: usize = 1024;
const MESSAGE: usize = 64 << 10;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: cargo xtask cluster"]
async fn heavy_streams_in_both_directions_share_a_port_forward() {
    let namespace = Namespace::create().await;
    for multiplex in [false, true] {
        let host = host().configure(|config| config.multiplex = multiplex);
        let plugin = host.launch_with(&namespace.plugin(RUST)).await.unwrap();
        // A stream that is not read fills its window, and delays no other one.
        let n = i64::try_from(MESSAGES).unwrap();
        let count = CountRequest { from: 0, n, pad_bytes: MESSAGE as u32, interval_us: 0 };
        let mut unread = kit(plugin.channel()).count(count).await.unwrap().into_inner();

        let before = memory();
        // The plugin answers each message, so that both directions are full at the same time.
        let text = "x".repeat(MESSAGE);
        let sent = tokio_stream::iter((0..n).map({
            let text = text.clone();
            move |seq| ChatMessage { seq, text: text.clone() }
        }));
        let mut most = before;
        let chat = async {
            let mut answers = kit(plugin.channel()).chat(sent).await.unwrap().into_inner();
            for seq in 0..n {
                let answer = answers.message().await.unwrap().expect("an answer to each message");
                assert!(answer.seq == seq && answer.text.len() == "re: ".len() + MESSAGE, "{seq}");
                most = most.max(memory());
            }
        };
        let calls = async {
            for number in 0..20 {
                assert_eq!(echo(&plugin, &number.to_string()).await, number.to_string());
            }
        };
        timeout(TIMEOUT, async { tokio::join!(chat, calls) })
            .await
            .expect("no direction waits for the other one");
        assert!(most - before < 48 << 20, "{before} bytes became {most}");

        let mut left = 0;
        while let Some(message) = timeout(TIMEOUT, unread.next()).await.expect("the stream goes on") {
            assert_eq!(message.unwrap().pad.len(), MESSAGE);
            left += 1;
        }
        assert_eq!(left, MESSAGES);
        assert_eq!(plugin.shut_down().await, Exit::Clean);
    }
    namespace.emptied().await;
}

/// The resident memory of this process, in bytes.
fn memory() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    resident.trim().trim_end_matches(" kB").parse::<usize>().unwrap() << 10
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: cargo xtask cluster"]
async fn log_records_arrive_in_order_and_whole() {
    let namespace = Namespace::create().await;
    let plugin = host().launch_with(&namespace.plugin(RUST)).await.unwrap();
    let events = plugin.events();
    let mut kit = kit(plugin.channel());
    // The runtime of containers cuts a line after 16 KiB, and the kubelet joins the pieces.
    for number in 0..500 {
        let length = if number % 100 == 99 { 60_000 } else { 20 };
        kit.log_line(record(number, length)).await.unwrap();
    }
    let seen = timeout(TIMEOUT, records(events, 500)).await.expect("500 records");
    for (number, (seen, length)) in seen.iter().enumerate() {
        assert_eq!(*seen, number.to_string());
        assert_eq!(*length, if number % 100 == 99 { 60_000 } else { 20 }, "record {number}");
    }
    assert_eq!(plugin.shut_down().await, Exit::Clean);
    namespace.emptied().await;
}

fn record(number: i64, length: usize) -> LogLineRequest {
    let field = |name: &str, value| LogField { key: name.to_owned(), value: Some(value) };
    LogLineRequest {
        level: "info".to_owned(),
        message: "counted".to_owned(),
        fields: vec![
            field("number", log_field::Value::Number(number)),
            field("text", log_field::Value::Text("x".repeat(length))),
        ],
        module: String::new(),
    }
}

/// The number and the length of the text of these records.
async fn records(mut events: Events, wanted: usize) -> Vec<(String, usize)> {
    let mut seen = Vec::new();
    while seen.len() < wanted {
        let event = events.next().await.expect("the plugin runs");
        let Event::Log(record) = event.event else { continue };
        if record.message != "counted" {
            continue;
        }
        assert_eq!(record.level, Level::Info);
        let field = |name: &str| &record.fields.iter().find(|(field, _)| field == name).expect("a field").1;
        // Values are JSON: a text has quotes.
        seen.push((field("number").clone(), field("text").len() - 2));
    }
    seen
}

async fn echo(plugin: &Plugin, text: &str) -> String {
    let data = Bytes::copy_from_slice(text.as_bytes());
    let answer = kit(plugin.channel()).echo(EchoRequest { data }).await.unwrap().into_inner();
    String::from_utf8(answer.data.to_vec()).unwrap()
}

/// The plugin calls the host, which calls the plugin back meanwhile.
async fn call_back(plugin: &Plugin) {
    let served = host_calls::serve(plugin.broker()).await.unwrap();
    let request = CallbackRequest { broker_id: served.id().0, calls: 3, data: b"abc".to_vec(), nested: true };
    let answer = kit(plugin.channel()).callback(request).await.unwrap().into_inner();
    assert_eq!(answer.results, [b"cba", b"cba", b"cba"]);
    assert_eq!(answer.greeting, "hello host from nested");
}
