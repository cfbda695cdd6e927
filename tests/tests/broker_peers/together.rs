//! This host with a plugin in Rust or Go.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use rpcplugin::broker::{DialError, ServiceId};
use rpcplugin_tests::{
    pb::{CallbackRequest, ChatMessage, CloseRequest},
    support::TIMEOUT,
};
use tokio::time::{sleep, timeout};

use crate::subject::{OFFERED, Peer, Subject, in_every_mode, ticks};

/// Makes a test of each check for each language of the plugin.
macro_rules! tests {
    ($($check:ident),+ $(,)?) => {
        mod rust_plugin {
            use super::*;
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $check() {
                timeout(2 * TIMEOUT, in_every_mode(Peer::Rust, super::$check)).await.unwrap();
            })+
        }

        mod go_plugin {
            use super::*;
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $check() {
                timeout(2 * TIMEOUT, in_every_mode(Peer::Go, super::$check)).await.unwrap();
            })+
        }
    };
}

tests!(
    a_plugin_calls_a_service_of_its_host,
    a_plugin_calls_the_callbacks_of_its_host,
    a_host_dials_back_inside_a_callback,
    a_callback_may_be_large,
    a_stream_on_a_brokered_connection,
    thirty_in_turn_in_each_direction,
    many_at_once_in_each_direction,
    an_id_can_be_dialled_again,
    an_unserved_id_fails_only_its_dial,
    a_closed_service_cannot_be_called,
    calls_continue_beside_unread_streams,
    a_plugin_shuts_down_with_open_brokered_connections,
);

async fn a_plugin_calls_a_service_of_its_host(subject: &Subject) {
    let served = subject.serve_host_calls().await;
    let answer = subject.call_back(served.id(), 30).await.unwrap();
    assert_eq!(answer.greeting, "");
    served.stop().await;
}

async fn a_plugin_calls_the_callbacks_of_its_host(subject: &Subject) {
    subject.call_back(OFFERED, 3).await.unwrap();
    if subject.peer == Peer::Rust || subject.mode.multiplexed {
        // Without multiplexing, a Go plugin dials an id once.
        subject.call_back(OFFERED, 3).await.unwrap();
    }
}

async fn a_host_dials_back_inside_a_callback(subject: &Subject) {
    for _ in 0..3 {
        let served = subject.serve_host_calls().await;
        let request =
            CallbackRequest { broker_id: served.id().0, calls: 2, data: b"nested".to_vec(), nested: true };
        let answer = subject.kit().callback(request).await.unwrap().into_inner();
        assert_eq!(answer.greeting, "hello host from nested");
        served.stop().await;
    }
}

async fn a_callback_may_be_large(subject: &Subject) {
    let served = subject.serve_host_calls().await;
    let data: Vec<u8> = (0..3_u32 << 20).map(|i| (i % 251) as u8).collect();
    let wanted: Vec<u8> = data.iter().rev().copied().collect();
    let request = CallbackRequest { broker_id: served.id().0, calls: 2, data, nested: false };
    let answer = subject.kit().callback(request).await.unwrap().into_inner();
    assert!(answer.results.len() == 2 && answer.results.iter().all(|result| *result == wanted));
    served.stop().await;
}

async fn a_stream_on_a_brokered_connection(subject: &Subject) {
    let mut sub = subject.dial_sub(subject.open_sub("streaming").await, "streaming").await;
    assert!(ticks(&mut sub, 20_000).await.into_iter().eq(0..20_000));
    sub.close(CloseRequest {}).await.unwrap();
}

async fn thirty_in_turn_in_each_direction(subject: &Subject) {
    for n in 0..30 {
        subject.callback().await;
        subject.sub(&format!("in turn {n}")).await;
    }
}

async fn many_at_once_in_each_direction(subject: &Subject) {
    if subject.at_once() == 1 {
        // Connections must be made one after the other, as in the test above.
        return;
    }
    let callbacks = join_all((0..subject.at_once()).map(|_| subject.callback()));
    let subs = join_all((0..subject.at_once()).map(async |n| subject.sub(&format!("at once {n}")).await));
    tokio::join!(callbacks, subs);
}

async fn an_id_can_be_dialled_again(subject: &Subject) {
    let id = subject.open_sub("again").await;
    // While the first connection is open, and after it has been closed.
    let first = subject.dial_sub(id, "again").await;
    let second = subject.dial_sub(id, "again").await;
    drop((first, second));
    let mut third = subject.dial_sub(id, "again").await;
    third.close(CloseRequest {}).await.unwrap();

    // Without multiplexing, a Go plugin dials an id once.
    let times = if subject.peer == Peer::Go && !subject.mode.multiplexed { 1 } else { 3 };
    let served = subject.serve_host_calls().await;
    for _ in 0..times {
        subject.call_back(served.id(), 2).await.unwrap();
    }
    served.stop().await;
}

async fn an_unserved_id_fails_only_its_dial(subject: &Subject) {
    let begun = Instant::now();
    let unserved = subject.plugin.broker().next_id();
    let status = subject.call_back(unserved, 1).await.expect_err("the id is not served");
    // Five seconds in the protocol, and a margin for a busy machine.
    assert!(begun.elapsed().as_secs() < 10, "{:?}: {status}", begun.elapsed());
    subject.is_usable().await;

    let begun = Instant::now();
    let error = subject.plugin.broker().dial(ServiceId(77_777)).await.expect_err("the id is not served");
    assert!(begun.elapsed().as_secs() < 10, "{:?}: {error}", begun.elapsed());
    let reported = match error {
        DialError::NoAddress { id, .. } | DialError::Refused { id, .. } => id,
        // A Go plugin that multiplexes never answers such a knock.
        DialError::NoReply { id, .. } => id,
        other => panic!("{other:?}"),
    };
    assert_eq!(reported, ServiceId(77_777));
    subject.is_usable().await;
}

async fn a_closed_service_cannot_be_called(subject: &Subject) {
    let mut sub = subject.dial_sub(subject.open_sub("to be closed").await, "to be closed").await;
    sub.close(CloseRequest {}).await.unwrap();
    let served = subject.serve_host_calls().await;
    let id = served.id();
    subject.call_back(id, 1).await.unwrap();
    served.stop().await;
    subject.is_usable().await;
}

async fn a_plugin_shuts_down_with_open_brokered_connections(subject: &Subject) {
    let _dialled = subject.dial_sub(subject.open_sub("left open").await, "left open").await;
    subject.open_sub("never dialled").await;
    subject.serve_host_calls().await.detach();
    let called = subject.serve_host_calls().await;
    subject.call_back(called.id(), 1).await.unwrap();
    // `Subject::stop` follows.
    called.detach();
}

async fn calls_continue_beside_unread_streams(subject: &Subject) {
    // A plugin reads no more messages of a chat until its answers are read.
    let chats = join_all((0..4).map(async |_| {
        let messages = (0..20).map(|seq| ChatMessage { seq, text: "x".repeat(1 << 20) });
        subject.kit().chat(tokio_stream::iter(messages)).await.unwrap()
    }))
    .await;
    // More than the windows of two streams.
    let received = 24 << 20;
    let sent = if subject.peer == Peer::Rust { received + (24 << 20) } else { received };
    loop {
        let traffic = subject.plugin.traffic();
        if traffic.bytes_received >= received && traffic.bytes_sent >= sent {
            break;
        }
        sleep(Duration::from_millis(20)).await;
    }
    subject.is_usable().await;
    drop(chats);
}
