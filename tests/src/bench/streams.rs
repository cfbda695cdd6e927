//! Streams of large messages.

use std::time::Instant;

use bytes::Bytes;
use tonic::{Request, codegen::http::uri::PathAndQuery};
use tonic_prost::ProstCodec;

use crate::{
    bench::{
        Measured,
        args::Options,
        connected::{Channel, Connected, Spent},
        result::Results,
    },
    contract::pattern,
    pb::{CountRequest, SumResponse},
};

/// A stream from the plugin, with `Count`.
pub(crate) async fn down(options: &Options, connected: &Connected<impl Channel>) -> Measured<Results> {
    let request = CountRequest {
        from: 0,
        n: options.exactly.map_or(Ok(-1), i64::try_from)?,
        pad_bytes: u32::try_from(options.payload)?,
        interval_us: 0,
    };
    let mut messages = connected.kit().count(request).await?.into_inner();
    if let Some(exactly) = options.exactly {
        let (before, begun, mut bytes) = (connected.spent(), Instant::now(), 0);
        for _ in 0..exactly {
            bytes += messages.message().await?.ok_or("the stream has ended")?.pad.len();
        }
        return Ok(results(bytes as f64, begun, connected.spent_since(before)));
    }
    let warm = Instant::now() + options.seconds / 8;
    while Instant::now() < warm {
        messages.message().await?.ok_or("the stream has ended")?;
    }
    let before = connected.spent();
    let begun = Instant::now();
    let end = begun + options.seconds;
    let mut bytes = 0;
    while Instant::now() < end {
        bytes += messages.message().await?.ok_or("the stream has ended")?.pad.len();
    }
    Ok(results(bytes as f64, begun, connected.spent_since(before)))
}

/// A stream to the plugin, with `Sum`.
pub(crate) async fn up(options: &Options, connected: &Connected<impl Channel>) -> Measured<Results> {
    send(options.seconds / 8, options, connected).await?;
    let before = connected.spent();
    let begun = Instant::now();
    let messages = send(options.seconds, options, connected).await?;
    Ok(results(messages * options.payload as f64, begun, connected.spent_since(before)))
}

/// Sends for this long. Returns the number of messages that arrived.
async fn send(
    time: std::time::Duration,
    options: &Options,
    connected: &Connected<impl Channel>,
) -> Measured<f64> {
    let message = PaddedSumRequest { value: 1, pad: pattern(options.payload, 0) };
    let end = Instant::now() + time;
    let messages = std::iter::from_fn(move || (Instant::now() < end).then(|| message.clone()));
    let mut grpc = tonic::client::Grpc::new(connected.channel.clone());
    grpc.ready().await.map_err(Into::into)?;
    let answer = grpc
        .client_streaming(
            Request::new(tokio_stream::iter(messages)),
            PathAndQuery::from_static("/conformance.v1.Kit/Sum"),
            ProstCodec::<PaddedSumRequest, SumResponse>::default(),
        )
        .await?;
    Ok(answer.into_inner().count as f64)
}

fn results(bytes: f64, begun: Instant, spent: Spent) -> Results {
    let elapsed = begun.elapsed();
    Results::default()
        .with("mb_per_s", bytes / 1e6 / elapsed.as_secs_f64())
        .with("cpu_ns_per_kib", spent.both * 1e3 / (bytes / 1024.0))
}

/// A `SumRequest` with an unknown field, which the reader skips. The kit has no stream to the plugin with messages of any
/// size.
#[derive(Clone, PartialEq, prost::Message)]
struct PaddedSumRequest {
    #[prost(int64, tag = "1")]
    value: i64,
    #[prost(bytes = "bytes", tag = "2")]
    pad: Bytes,
}
