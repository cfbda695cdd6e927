//! Streams, in each direction and in both.

use std::time::{Duration, Instant};

use tokio::{sync::mpsc, time::timeout};
use tokio_stream::{iter, wrappers::ReceiverStream};
use tonic::Streaming;

use crate::{
    kit_host::{
        check::{
            run::{Check, shared},
            subject::{NOTICED, Subject},
            verdict::{Verdict, expect, fail, same},
        },
        status::within,
    },
    pb::{ChatMessage, CountRequest, CountResponse, InfoRequest, SumRequest},
};

pub(crate) const CHECKS: &[Check] = &[
    shared!("server-stream", server_stream),
    shared!("server-stream-empty", server_stream_empty),
    shared!("server-stream-cancel", server_stream_cancel),
    shared!("server-stream-slow-reader", server_stream_slow_reader),
    shared!("server-stream-interval", server_stream_interval),
    shared!("server-streams-50", server_streams_50),
    shared!("client-stream", client_stream),
    shared!("client-stream-empty", client_stream_empty),
    shared!("client-stream-wraps", client_stream_wraps),
    shared!("bidi", bidi),
    shared!("bidi-half-close", bidi_half_close),
    shared!("bidi-many", bidi_many),
];

async fn server_stream(subject: &Subject) -> Verdict {
    let (from, n, pad_bytes) = (-3, 1000, 300);
    let request = CountRequest { from, n, pad_bytes, interval_us: 0 };
    let mut stream = subject.kit().count(request).await?.into_inner();
    for value in from..from + n {
        expect_count(&mut stream, value, pad_bytes as usize).await?;
    }
    expect_end(&mut stream).await
}

async fn server_stream_empty(subject: &Subject) -> Verdict {
    expect_end(&mut subject.kit().count(CountRequest::default()).await?.into_inner()).await
}

async fn server_stream_cancel(subject: &Subject) -> Verdict {
    let before = subject.info().await?.cancelled_calls;
    let request = CountRequest { from: 0, n: -1, pad_bytes: 100, interval_us: 200 };
    let mut stream = subject.kit().count(request).await?.into_inner();
    for value in 0..10 {
        expect_count(&mut stream, value, 100).await?;
    }
    drop(stream);
    subject.expect_cancelled(before).await
}

/// A stream that is not read delays neither the plugin nor other calls.
async fn server_stream_slow_reader(subject: &Subject) -> Verdict {
    let request = CountRequest { from: 0, n: 2000, pad_bytes: 10_000, interval_us: 0 };
    let mut slow = subject.kit().count(request).await?.into_inner();
    expect_count(&mut slow, 0, 10_000).await?;
    for _ in 0..50 {
        subject.kit().info(within(Duration::from_secs(5), InfoRequest {})).await?;
    }
    for value in 1..2000 {
        expect_count(&mut slow, value, 10_000).await?;
    }
    expect_end(&mut slow).await
}

/// The plugin pauses after each message.
async fn server_stream_interval(subject: &Subject) -> Verdict {
    let begun = Instant::now();
    let request = CountRequest { from: 0, n: 5, pad_bytes: 0, interval_us: 20_000 };
    let mut stream = subject.kit().count(request).await?.into_inner();
    for value in 0..5 {
        expect_count(&mut stream, value, 0).await?;
    }
    let took = begun.elapsed();
    expect(took >= Duration::from_millis(80), format!("5 messages took {} ms", took.as_millis()))?;
    expect_end(&mut stream).await
}

async fn server_streams_50(subject: &Subject) -> Verdict {
    let streams = (0..50_i64).map(|from| async move {
        let request = CountRequest { from, n: 100, pad_bytes: 1000, interval_us: 100 };
        let mut stream = subject.kit().count(request).await?.into_inner();
        for value in from..from + 100 {
            expect_count(&mut stream, value, 1000).await?;
        }
        expect_end(&mut stream).await
    });
    futures_util::future::try_join_all(streams).await.map(|_| ())
}

async fn client_stream(subject: &Subject) -> Verdict {
    let values: Vec<i64> = (0..1000).map(|i| i * i - 5000).collect();
    expect_sum(subject, &values, values.iter().sum()).await
}

async fn client_stream_empty(subject: &Subject) -> Verdict {
    expect_sum(subject, &[], 0).await
}

async fn client_stream_wraps(subject: &Subject) -> Verdict {
    expect_sum(subject, &[i64::MAX, 1], i64::MIN).await
}

async fn expect_sum(subject: &Subject, values: &[i64], sum: i64) -> Verdict {
    let requests: Vec<_> = values.iter().map(|&value| SumRequest { value }).collect();
    let answer = subject.kit().sum(iter(requests)).await?.into_inner();
    same("sum and count", (answer.sum, answer.count), (sum, values.len() as i64))
}

/// Each answer arrives before the next message is sent.
async fn bidi(subject: &Subject) -> Verdict {
    converse(subject, "message", 50).await
}

async fn bidi_half_close(subject: &Subject) -> Verdict {
    converse(subject, "nothing", 0).await
}

async fn bidi_many(subject: &Subject) -> Verdict {
    let names: Vec<_> = (0..20).map(|i| format!("conversation {i}")).collect();
    let conversations = names.iter().map(|name| converse(subject, name, 20));
    futures_util::future::try_join_all(conversations).await.map(|_| ())
}

async fn converse(subject: &Subject, name: &str, n: i64) -> Verdict {
    let (say, heard) = mpsc::channel(1);
    let mut kit = subject.kit();
    // Some servers send nothing before their first answer, so the first message is sent before the call is awaited.
    let mut calling = Box::pin(kit.chat(ReceiverStream::new(heard)));
    let mut answers: Option<Streaming<ChatMessage>> = None;
    for i in 0..n {
        let (seq, text) = (100 + i, format!("{name} {i}"));
        say.send(ChatMessage { seq, text: text.clone() }).await?;
        if answers.is_none() {
            answers = Some(timeout(NOTICED, &mut calling).await??.into_inner());
        }
        let Some(stream) = &mut answers else { return fail("no stream") };
        let answer = timeout(NOTICED, stream.message()).await??;
        same("answer", answer, Some(ChatMessage { seq, text: format!("re: {text}") }))?;
    }
    drop(say);
    let mut stream = match answers {
        Some(stream) => stream,
        None => timeout(NOTICED, calling).await??.into_inner(),
    };
    let last = timeout(NOTICED, stream.message()).await??;
    same("last message", last, Some(ChatMessage { seq: n, text: "bye".to_owned() }))?;
    expect_end(&mut stream).await
}

async fn expect_count(stream: &mut Streaming<CountResponse>, value: i64, pad: usize) -> Verdict {
    let Some(message) = timeout(NOTICED, stream.message()).await?? else {
        return fail(format!("the stream ended before {value}"));
    };
    same("value", message.value, value)?;
    let right = message.pad.len() == pad && message.pad.iter().all(|byte| *byte == value as u8);
    expect(right, format!("message {value} has the wrong pad ({} bytes)", message.pad.len()))
}

async fn expect_end<T: std::fmt::Debug>(stream: &mut Streaming<T>) -> Verdict {
    let message = timeout(NOTICED, stream.message()).await??;
    expect(message.is_none(), format!("the stream has one message too many: {message:?}"))
}
