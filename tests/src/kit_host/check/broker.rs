//! Brokered connections, in both directions.

use std::time::{Duration, Instant};

use bytes::Bytes;
use rpcplugin::broker::ServiceId;
use tonic::Code;

use crate::{
    contract::{pattern, reversed},
    kit_host::{
        check::{
            run::{Check, Run, own, shared},
            subject::{NOTICED, Subject},
            verdict::{Miss, Verdict, expect, fail, same, skip},
        },
        host_calls::{self, Call, Calls},
        subs::OpenSub,
    },
    pb::{CallbackRequest, CallbackResponse, InfoRequest, OpenSubRequest},
    support::wait::POLL_INTERVAL,
};

pub(crate) const CHECKS: &[Check] = &[
    shared!("callback", one_callback),
    shared!("callback-30-calls", callback_30_calls),
    shared!("callback-nested", callback_nested),
    shared!("callback-3mib", callback_3mib),
    shared!("callbacks-30-in-turn", callbacks_30_in_turn),
    shared!("callbacks-16-at-once", callbacks_16_at_once),
    shared!("open-sub", one_sub),
    shared!("subs-30-in-turn", subs_30_in_turn),
    shared!("subs-16-at-once", subs_16_at_once),
    shared!("sub-ids-are-fresh", sub_ids_are_fresh),
    shared!("sub-long-stream", sub_long_stream),
    shared!("sub-closed", sub_closed),
    shared!("both-ways-at-once", both_ways_at_once),
    shared!("dial-unserved-id", dial_unserved_id),
    shared!("host-dials-unserved-id", host_dials_unserved_id),
    own!("stop-with-brokered-open", stop_with_brokered_open),
];

async fn one_callback(subject: &Subject) -> Verdict {
    expect_callback(subject, 1, Bytes::from_static(b"forwards"), false).await.map(|_| ())
}

async fn callback_30_calls(subject: &Subject) -> Verdict {
    expect_callback(subject, 30, Bytes::from_static(b"forwards"), false).await.map(|_| ())
}

async fn callback_nested(subject: &Subject) -> Verdict {
    for _ in 0..3 {
        let answer = expect_callback(subject, 2, Bytes::from_static(b"nested"), true).await?;
        same("greeting", &*answer.greeting, "hello host from nested")?;
    }
    Ok(())
}

async fn callback_3mib(subject: &Subject) -> Verdict {
    expect_callback(subject, 2, pattern(3 << 20, 9), false).await.map(|_| ())
}

async fn callbacks_30_in_turn(subject: &Subject) -> Verdict {
    for i in 0..30 {
        expect_callback(subject, 1, format!("in turn {i}").into(), false).await?;
    }
    Ok(())
}

async fn callbacks_16_at_once(subject: &Subject) -> Verdict {
    one_at_a_time(subject)?;
    let callbacks = (0..16).map(|i| expect_callback(subject, 5, format!("callback {i}").into(), false));
    futures_util::future::try_join_all(callbacks).await.map(|_| ())
}

async fn one_sub(subject: &Subject) -> Verdict {
    expect_sub(subject, "open-sub").await?.close().await?;
    Ok(())
}

async fn subs_30_in_turn(subject: &Subject) -> Verdict {
    for i in 0..30 {
        expect_sub(subject, &format!("in turn {i}")).await?.close().await?;
    }
    Ok(())
}

async fn subs_16_at_once(subject: &Subject) -> Verdict {
    one_at_a_time(subject)?;
    let subs = (0..16).map(|i| async move {
        expect_sub(subject, &format!("at once {i}")).await?.close().await?;
        Verdict::Ok(())
    });
    futures_util::future::try_join_all(subs).await.map(|_| ())
}

async fn sub_ids_are_fresh(subject: &Subject) -> Verdict {
    let (first, second) = (open_sub(subject, "first").await?, open_sub(subject, "second").await?);
    expect(first != second, format!("both subs have id {first}"))?;
    // In the reverse order.
    for (id, label) in [(second, "second"), (first, "first")] {
        let mut sub = OpenSub::dial(subject.plugin.broker(), id).await?;
        same("greeting", sub.greet("you").await?, format!("hello you from {label}"))?;
        sub.close().await?;
    }
    Ok(())
}

async fn sub_long_stream(subject: &Subject) -> Verdict {
    let mut sub = expect_sub(subject, "long").await?;
    let ticks = sub.ticks(20_000).await?;
    expect(ticks.into_iter().eq(0..20_000), "the ticks are wrong")?;
    sub.close().await?;
    Ok(())
}

/// After `Close`, a sub is not served any more, and the plugin still runs.
async fn sub_closed(subject: &Subject) -> Verdict {
    let id = open_sub(subject, "to be closed").await?;
    let mut sub = OpenSub::dial(subject.plugin.broker(), id).await?;
    sub.greet("you").await?;
    sub.close().await?;
    subject.kit().info(InfoRequest {}).await?;
    let begun = Instant::now();
    // The plugin answers before it stops serving.
    while let Ok(mut again) = OpenSub::dial(subject.plugin.broker(), id).await
        && again.greet("you").await.is_ok()
    {
        expect(begun.elapsed() < NOTICED, "the sub is still served")?;
        tokio::time::sleep(POLL_INTERVAL).await;
    }
    one_callback(subject).await
}

async fn both_ways_at_once(subject: &Subject) -> Verdict {
    one_at_a_time(subject)?;
    let (callback, sub) = tokio::join!(callback_30_calls(subject), subs_30_in_turn(subject));
    callback.and(sub)
}

/// The plugin dials an id that is not served.
async fn dial_unserved_id(subject: &Subject) -> Verdict {
    expect_broker(subject)?;
    let begun = Instant::now();
    let broker_id = subject.plugin.broker().next_id().0;
    let request = CallbackRequest { broker_id, calls: 1, data: b"x".to_vec(), nested: false };
    let Err(status) = subject.kit().callback(request).await else { return fail("the call was answered") };
    let took = begun.elapsed();
    expect(took < DIAL_TIMEOUT, format!("the call failed after {} ms: {status}", took.as_millis()))?;
    subject.kit().info(InfoRequest {}).await?;
    one_callback(subject).await?;
    one_sub(subject).await
}

/// The host dials an id that is not served.
async fn host_dials_unserved_id(subject: &Subject) -> Verdict {
    expect_broker(subject)?;
    let begun = Instant::now();
    let dialled = subject.plugin.broker().dial(ServiceId(77_777)).await;
    expect(dialled.is_err(), "the id was dialled")?;
    let took = begun.elapsed();
    expect(took < DIAL_TIMEOUT, format!("the dial failed after {} ms", took.as_millis()))?;
    one_sub(subject).await
}

async fn stop_with_brokered_open(run: &Run) -> Verdict {
    let subject = run.launch().await?;
    let _dialled = expect_sub(&subject, "left open").await?;
    open_sub(&subject, "never dialled").await?;
    let _served = host_calls::serve(subject.plugin.broker()).await?;
    subject.stop_cleanly().await
}

/// Serves `HostCalls`, makes the plugin call it, and checks the results.
async fn expect_callback(
    subject: &Subject,
    calls: u32,
    data: Bytes,
    nested: bool,
) -> Verdict<CallbackResponse> {
    expect_broker(subject)?;
    let came = Calls::default();
    let served = host_calls::serve_and_note(subject.plugin.broker(), came.clone()).await?;
    let request = CallbackRequest { broker_id: served.id().0, calls, data: data.to_vec(), nested };
    let answer = subject.kit().callback(request).await.map_err(unless_missing)?.into_inner();
    served.stop().await;
    same("results", answer.results.len(), calls as usize)?;
    let wanted = (0..calls).map(|seq| Call { seq, asks_to_dial_back: nested && seq == 0 });
    same("calls", came.so_far(), wanted.collect::<Vec<_>>())?;
    expect(answer.first_answer_us > 0, "the plugin measured no time for the first answer")?;
    let wanted = reversed(&data);
    expect(answer.results.iter().all(|result| *result == wanted), "a result is not the reversed data")?;
    expect(nested || answer.greeting.is_empty(), "an unexpected greeting")?;
    Ok(answer)
}

/// Makes the plugin serve a `Sub`, dials it, and checks its answers.
async fn expect_sub(subject: &Subject, label: &str) -> Verdict<OpenSub> {
    let id = open_sub(subject, label).await?;
    let mut sub = OpenSub::dial(subject.plugin.broker(), id).await?;
    same("greeting", sub.greet("you").await?, format!("hello you from {label}"))?;
    let ticks = sub.ticks(100).await?;
    expect(ticks.into_iter().eq(0..100), "the ticks are wrong")?;
    Ok(sub)
}

async fn open_sub(subject: &Subject, label: &str) -> Verdict<u32> {
    expect_broker(subject)?;
    let request = OpenSubRequest { label: label.to_owned() };
    let opened = subject.kit().open_sub(request).await.map_err(unless_missing)?;
    Ok(opened.into_inner().broker_id)
}

fn expect_broker(subject: &Subject) -> Verdict {
    subject.peer.beyond_pyvider("no working broker")
}

/// An unimplemented method is not a failure of the broker.
fn unless_missing(status: tonic::Status) -> Miss {
    match status.code() {
        Code::Unimplemented => Miss::Skipped("the plugin does not implement this".to_owned()),
        _ => status.into(),
    }
}

/// go-plugin assigns the streams of a multiplexed connection in the order of their arrival.
fn one_at_a_time(subject: &Subject) -> Verdict {
    if subject.launching.mux && subject.peer.is_go() {
        return skip("go-plugin requires multiplexed connections to be made one after the other");
    }
    Ok(())
}

/// The five seconds that each side waits for the other, and a margin.
const DIAL_TIMEOUT: Duration = Duration::from_secs(7);
