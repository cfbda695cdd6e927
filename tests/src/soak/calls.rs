//! Unary calls and streams, each of which checks its answer.

use bytes::Bytes;
use fastrand::Rng;
use futures_util::{StreamExt as _, stream};
use tokio::time::sleep;
use tonic::{Code, Status};

use std::time::Duration;

use crate::{
    pb::{
        ChatMessage, CountRequest, EchoRequest, FailRequest, GetRequest, PutRequest, SleepRequest,
        SumRequest, WriteStdioRequest,
    },
    soak::{
        caller::{Caller, key, message, value_of, within},
        world::DEADLINE,
    },
};

/// Makes this many unary calls, so many at once.
pub(crate) async fn unary(caller: &Caller, seed: u64, count: usize, at_once: usize) {
    let mut rng = Rng::with_seed(seed);
    let seeds: Vec<u64> = (0..count).map(|_| rng.u64(..)).collect();
    stream::iter(seeds).for_each_concurrent(at_once, |seed| one(caller, seed)).await;
}

async fn one(caller: &Caller, seed: u64) {
    let rng = &mut Rng::with_seed(seed);
    match rng.u8(..10) {
        0..5 => echo(caller, rng).await,
        5..7 if !caller.has_stored_enough() => put(caller).await,
        5..8 => match caller.any_stored(rng) {
            Some(number) => caller.get(number).await,
            None => put(caller).await,
        },
        8 => fail(caller, rng.i32(1..17)).await,
        _ => unknown_key(caller).await,
    }
}

/// An echo of a number that no other call has, and of some data.
pub(crate) async fn echo(caller: &Caller, rng: &mut Rng) {
    let size = if rng.u8(..50) == 0 { rng.usize(..300_000) } else { rng.usize(..2000) };
    let mut data = caller.number().to_be_bytes().to_vec();
    data.resize(8 + size, rng.u8(..));
    let data = Bytes::from(data);
    let mut kit = caller.kit.clone();
    let call = message(kit.echo(within(DEADLINE, EchoRequest { data: data.clone() })));
    let called = caller.ask("Echo", DEADLINE, call).await;
    if let Some(answer) = caller.answer("Echo", called)
        && answer.data != data
    {
        caller.broken(format_args!("Echo of {} bytes has the answer of another call", data.len()));
    }
}

/// Stores a value under a new key. If the key is there before, the call was made twice.
async fn put(caller: &Caller) {
    let number = caller.number();
    let mut kit = caller.kit.clone();
    let request = PutRequest { key: key(number), value: value_of(number).into() };
    let called = caller.ask("Put", DEADLINE, message(kit.put(within(DEADLINE, request)))).await;
    let Some(answer) = caller.answer("Put", called) else { return };
    if answer.replaced {
        caller.broken(format_args!("the call that stores value {number} was made twice"));
    }
    caller.stored(number);
}

async fn fail(caller: &Caller, code: i32) {
    let text = format!("asked for: {}", caller.number());
    let mut kit = caller.kit.clone();
    let request = FailRequest { code, message: text.clone(), note: String::new() };
    let called = caller.ask("Fail", DEADLINE, message(kit.fail(within(DEADLINE, request)))).await;
    if let Some(Err(failed)) = &called
        && failed.status.code() == Code::from_i32(code)
        && failed.status.message() != text
        && failed.status.code() != Code::Unavailable
    {
        caller.broken(format_args!("Fail has the status of another call: {:?}", failed.status));
    }
    caller.expect_code("Fail", called, Code::from_i32(code));
}

async fn unknown_key(caller: &Caller) {
    let mut kit = caller.kit.clone();
    let request = GetRequest { key: format!("no {}", caller.number()) };
    let called = caller.ask("Get", DEADLINE, message(kit.get(within(DEADLINE, request)))).await;
    caller.expect_code("Get of an unknown key", called, Code::NotFound);
}

/// One stream of each kind. Each message must come once, and in order.
pub(crate) async fn streams(caller: &Caller, seed: u64) {
    let rng = &mut Rng::with_seed(seed);
    count(caller, rng.i64(..1000), rng.i64(1..200), rng.u32(..500)).await;
    sum(caller, rng.i64(1..200)).await;
    chat(caller, rng.i64(1..50)).await;
}

async fn count(caller: &Caller, from: i64, n: i64, pad_bytes: u32) {
    let mut kit = caller.kit.clone();
    let call = async {
        let request = CountRequest { from, n, pad_bytes, interval_us: 0 };
        let mut answers = kit.count(within(DEADLINE, request)).await?.into_inner();
        let mut values = Vec::new();
        while let Some(answer) = answers.message().await? {
            values.push(answer.value);
        }
        Ok(values)
    };
    let called = caller.ask("Count", DEADLINE, call).await;
    if let Some(values) = caller.answer("Count", called)
        && !values.iter().copied().eq(from..from + n)
    {
        caller.broken(format_args!("Count of {n} from {from} has other messages: {values:?}"));
    }
}

async fn sum(caller: &Caller, n: i64) {
    let mut kit = caller.kit.clone();
    let values = stream::iter((1..=n).map(|value| SumRequest { value }));
    let called = caller.ask("Sum", DEADLINE, message(kit.sum(within(DEADLINE, values)))).await;
    if let Some(answer) = caller.answer("Sum", called)
        && (answer.count, answer.sum) != (n, n * (n + 1) / 2)
    {
        caller.broken(format_args!("Sum of 1 to {n} is another: {answer:?}"));
    }
}

async fn chat(caller: &Caller, n: i64) {
    let mut kit = caller.kit.clone();
    let call = async {
        let messages = (0..n).map(|seq| ChatMessage { seq, text: seq.to_string() });
        let mut answers = kit.chat(within(DEADLINE, stream::iter(messages))).await?.into_inner();
        let mut received = Vec::new();
        while let Some(answer) = answers.message().await? {
            received.push((answer.seq, answer.text));
        }
        Ok(received)
    };
    let called = caller.ask("Chat", DEADLINE, call).await;
    let Some(received) = caller.answer("Chat", called) else { return };
    let expected = (0..n).map(|seq| (seq, format!("re: {seq}"))).chain([(n, "bye".to_owned())]);
    if !received.iter().cloned().eq(expected) {
        caller.broken(format_args!("Chat of {n} has other messages: {received:?}"));
    }
}

/// Output on all three streams of the plugin.
pub(crate) async fn flood(caller: &Caller, kib: usize) {
    let line = [b"x".repeat(99), b"\n".to_vec()].concat();
    let bytes = line.repeat(kib * 1024 / line.len() + 1);
    let mut kit = caller.kit.clone();
    let request = WriteStdioRequest { stdout: bytes.clone(), stderr: bytes.clone(), raw_stderr: bytes };
    let called =
        caller.ask("WriteStdio", DEADLINE, message(kit.write_stdio(within(DEADLINE, request)))).await;
    caller.answer("WriteStdio", called);
}

/// A call that the host gives up.
pub(crate) async fn cancel(caller: &Caller, after: Duration) {
    let mut kit = caller.kit.clone();
    let call = async {
        tokio::select! {
            answer = kit.sleep(within(DEADLINE, SleepRequest { ms: 60_000 })) => answer.map(|_| ()),
            () = sleep(after) => Err(Status::cancelled("the host gives the call up")),
        }
    };
    let called = caller.ask("Sleep", DEADLINE, call).await;
    caller.expect_code("a call that is given up", called, Code::Cancelled);
}

/// A call whose deadline passes.
pub(crate) async fn late(caller: &Caller, after: Duration) {
    let mut kit = caller.kit.clone();
    let call = message(kit.sleep(within(after, SleepRequest { ms: 60_000 })));
    let called = caller.ask("Sleep", after, call).await;
    caller.expect_code("a call whose deadline passes", called, Code::DeadlineExceeded);
}
