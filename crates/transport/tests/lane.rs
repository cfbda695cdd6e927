//! Calls on the lane have the same outcomes as calls over HTTP/2.
#![cfg(unix)]

#[path = "lane/scripted.rs"]
mod scripted;

use std::{
    sync::atomic::Ordering::Relaxed,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use proptest::prelude::*;
use rpcplugin_transport::http2::Settings;
use scripted::{Answer, Ending, Pair, Plan, Received};
use tokio::{task::yield_now, time::timeout};
use tonic::Code;

fn ending() -> impl Strategy<Value = Ending> {
    let text = "[ -~é%]{0,30}";
    prop_oneof![
        4 => Just(Ending::Ok),
        2 => (1_i32..17, text, prop::collection::vec(any::<u8>(), 0..40))
            .prop_map(|(code, text, details)| Ending::Status(code, text, details)),
        1 => (1_i32..17, text).prop_map(|(code, text)| Ending::Refuses(code, text)),
        1 => Just(Ending::Panics),
        1 => Just(Ending::Fails),
    ]
}

fn length() -> impl Strategy<Value = usize> {
    prop_oneof![4 => 0_usize..200, 2 => 200_usize..70_000, 1 => 70_000_usize..400_000]
}

fn plan() -> impl Strategy<Value = Plan> {
    let metadata = ("[a-z]{1,8}(-bin)?", prop::collection::vec(32_u8..127, 0..20));
    let answer =
        (prop::option::weighted(0.2, 0_usize..3), 0_u8..3, prop::collection::vec(length(), 0..6), ending())
            .prop_map(|(reads, yields, messages, end)| Answer { reads, yields, messages, end });
    (
        prop::collection::vec(length(), 0..6),
        prop::collection::vec(metadata, 0..4),
        prop::option::weighted(0.1, 0_usize..3),
        answer,
    )
        .prop_map(|(requests, metadata, dropped_after, mut answer)| {
            // A caller goes on with sending when it reads no more. It has no end if the handler does not read either.
            if dropped_after.is_some() || requests.iter().sum::<usize>() > 60_000 {
                answer.reads = None;
            }
            Plan { requests, metadata, timeout: None, dropped_after, answer }
        })
}

fn settings() -> impl Strategy<Value = Settings> {
    (
        prop_oneof![Just(64 << 10), Just(1_u32 << 20), Just(8 << 20)],
        prop_oneof![Just(16_u32 << 10), Just(256 << 10)],
        prop::option::weighted(0.3, 100_u64..100_000),
        prop_oneof![4 => Just(1_u32 << 20), 1 => 200_u32..400],
    )
        .prop_map(|(window, max_frame, max_message, max_headers)| {
            let mut settings = Settings::default();
            settings.stream_window = window;
            // Calls that are not read use it up.
            settings.connection_window = 64 << 20;
            settings.max_frame = max_frame;
            settings.max_receive_message_size = max_message;
            settings.max_headers = max_headers;
            settings
        })
}

/// Makes all calls at once on one channel.
async fn outcomes(lane: bool, settings: &Settings, plans: &[Plan]) -> Vec<Received> {
    let pair = Pair::new(lane, settings);
    let received = join_all(plans.iter().map(|plan| pair.call(plan.clone()))).await;
    assert_eq!(pair.opened.load(Relaxed), usize::from(!plans.is_empty()), "one connection serves all");
    let running = async {
        while pair.script.running.load(Relaxed) > 0 {
            yield_now().await;
        }
    };
    timeout(Duration::from_secs(20), running).await.expect("no handler is left");
    received
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn calls_have_the_same_outcomes_as_over_http2(
        settings in settings(), plans in prop::collection::vec(plan(), 0..12), threads in any::<bool>()
    ) {
        let mut runtime = match threads {
            true => tokio::runtime::Builder::new_multi_thread(),
            false => tokio::runtime::Builder::new_current_thread(),
        };
        let runtime = runtime.enable_all().build().expect("a runtime");
        let over_http2 = runtime.block_on(outcomes(false, &settings, &plans));
        let on_the_lane = runtime.block_on(outcomes(true, &settings, &plans));
        prop_assert_eq!(on_the_lane, over_http2);
    }
}

fn unary(messages: &[usize]) -> Plan {
    let answer = Answer { messages: messages.to_vec(), ..Answer::default() };
    Plan { requests: messages.to_vec(), answer, ..Plan::default() }
}

#[tokio::test]
async fn a_deadline_ends_a_call() {
    for lane in [false, true] {
        let pair = Pair::new(lane, &Settings::default());
        for messages in [vec![], vec![3]] {
            let answer = Answer { end: Ending::Hangs, messages: messages.clone(), ..Answer::default() };
            let plan = Plan { timeout: Some(Duration::from_millis(50)), answer, ..unary(&[1]) };
            assert_eq!(pair.call(plan).await.failed, Some(Code::DeadlineExceeded), "{lane} {messages:?}");
        }
        while pair.script.running.load(Relaxed) > 0 {
            yield_now().await;
        }
    }
}

#[tokio::test]
async fn a_dropped_call_ends_its_handler() {
    for lane in [false, true] {
        let pair = Pair::new(lane, &Settings::default());
        let answer = Answer { end: Ending::Hangs, ..Answer::default() };
        let call = pair.call(Plan { answer, ..unary(&[1]) });
        let begun = async {
            while pair.script.running.load(Relaxed) == 0 {
                yield_now().await;
            }
        };
        tokio::select! {
            _ = call => panic!("it hangs"),
            () = begun => {}
        }
        let ended = async {
            while pair.script.running.load(Relaxed) > 0 {
                yield_now().await;
            }
        };
        timeout(Duration::from_secs(60), ended).await.expect("the handler is dropped");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn both_sides_count_the_same_traffic() {
    let pair = Pair::new(true, &Settings::default());
    for length in [0, 64, 100_000] {
        let received = pair.call(unary(&[length, length])).await;
        assert_eq!(received.body.len(), 2 * (length + 5));
        assert_eq!(received.read.expect("all of it").len(), 2 * (length + 5));
    }
    let [client, server] = pair.meters.each_ref().map(rpcplugin_transport::Meter::traffic);
    assert_eq!((client.messages_sent, client.messages_received), (6, 6));
    assert_eq!((server.messages_sent, server.messages_received), (6, 6));
    assert_eq!((client.bytes_sent, client.bytes_received), (server.bytes_received, server.bytes_sent));
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_in_flight_go_on_when_the_server_drains_and_later_calls_do_not() {
    for lane in [false, true] {
        let pair = Pair::new(lane, &Settings::default());
        assert_eq!(pair.call(unary(&[1])).await.failed, None);
        let slow = Answer { yields: 200, messages: vec![7; 100], ..Answer::default() };
        let slow = Plan { answer: slow, ..unary(&[1]) };
        let begun = async {
            while pair.script.running.load(Relaxed) == 0 {
                yield_now().await;
            }
            pair.shutdown.cancel();
        };
        let (received, ()) = tokio::join!(pair.call(slow), begun);
        assert_eq!((received.failed, received.body.len()), (None, 1200), "{lane}");
        let later = pair.call(unary(&[1])).await;
        assert_eq!(later.failed, Some(Code::Unavailable), "{lane}");
        timeout(Duration::from_secs(60), pair.server).await.expect("it is drained").expect("no panic");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_breaks_fails_its_calls_and_later_ones() {
    for lane in [false, true] {
        let pair = Pair::new(lane, &Settings::default());
        let answer = Answer { end: Ending::Hangs, messages: vec![5], ..Answer::default() };
        let (script, server) = (pair.script.clone(), pair.server.abort_handle());
        let breaks = async move {
            while script.running.load(Relaxed) == 0 {
                yield_now().await;
            }
            server.abort();
        };
        let calls = async {
            let (received, ()) = tokio::join!(pair.call(Plan { answer, ..unary(&[1]) }), breaks);
            assert_eq!(received.failed, Some(Code::Unavailable), "{lane}");
            pair.call(unary(&[1])).await.failed
        };
        let later = timeout(Duration::from_secs(60), calls).await.expect("the calls end");
        assert_eq!(later, Some(Code::Unavailable), "the server has ended");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_calls_at_once_are_all_served() {
    let pair = Pair::new(true, &Settings::default());
    for _ in 0..20 {
        let received = join_all((0..200).map(|length| pair.call(unary(&[length])))).await;
        assert!(received.iter().all(|received| received.failed.is_none()));
        let lengths: Vec<_> = received.iter().map(|received| received.body.len() - 5).collect();
        assert_eq!(lengths, (0..200).collect::<Vec<_>>());
    }
    assert_eq!(pair.opened.load(Relaxed), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_that_is_slow_does_not_delay_others() {
    let pair = Pair::new(true, &Settings::default());
    let hangs = Answer { end: Ending::Hangs, ..Answer::default() };
    let hanging = Plan { answer: hangs, timeout: Some(Duration::from_secs(20)), ..unary(&[1]) };
    let begun = Instant::now();
    tokio::select! {
        _ = pair.call(hanging) => panic!("it hangs"),
        received = pair.call(unary(&[1])) => assert_eq!(received.failed, None),
    }
    assert!(begun.elapsed() < Duration::from_secs(20));
}
