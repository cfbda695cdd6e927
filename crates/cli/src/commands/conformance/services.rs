//! The services of a plugin: health, stdio, broker, reflection.

use std::time::Duration;

use tokio::time::timeout;
use tonic::{Code, Status};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};

use super::check::{Check, Verdict, check, fail, one_line, served_plain, skip};
use crate::raw_host::{
    PluginUnderTest, RESPONSE_TIMEOUT, broker_stream, health, is_response, padded_health, stdio_stream,
    unknown_method,
};

pub(super) const CHECKS: &[Check] = &[
    check!(
        "health-serving",
        Must,
        health_serving,
        "The standard health service reports SERVING for the service `plugin`: hosts ping with it.",
        "Register grpc.health.v1.Health, and set the status of `plugin` to SERVING before printing the handshake line.",
    ),
    check!(
        "health-unknown",
        Should,
        health_unknown,
        "The health service returns NOT_FOUND for an unknown service.",
        "Use the unchanged health service of the gRPC library.",
    ),
    check!(
        "unknown-method",
        Must,
        unknown,
        "A call of an unknown service returns UNIMPLEMENTED, and the plugin keeps running: hosts call services that may be missing.",
        "Leave unknown methods to the gRPC library.",
    ),
    check!(
        "stdio",
        Should,
        stdio,
        "plugin.GRPCStdio/StreamStdio forwards the plugin's output and stays open. Other calls are not blocked, even if the host \
         does not read the stream.",
        "Implement plugin.GRPCStdio. Without it the plugin's output after the handshake is lost.",
    ),
    check!(
        "stdio-again",
        Should,
        stdio_again,
        "The output stream can be opened, dropped and opened again: hosts that attach do this.",
        "End the task of the stream when its receiver is dropped, and accept the next stream.",
    ),
    check!(
        "broker",
        Should,
        broker,
        "plugin.GRPCBroker/StartStream stays open until the host closes it: hosts open it at every launch.",
        "Implement plugin.GRPCBroker, or return UNIMPLEMENTED.",
    ),
    check!(
        "large-message",
        Must,
        large_message,
        "A message above the limit (4 MiB in most gRPC libraries) returns a status, and the connection stays usable.",
        "Keep the limit of the gRPC library, or raise it. Do not exit because of a large message.",
    ),
    check!(
        "reflection",
        Info,
        reflection,
        "A plugin made with go-plugin 1.2 or later describes its services with gRPC reflection.",
        "Register grpc.reflection.v1, so that tools can show and call the plugin's services.",
    ),
];

async fn health_serving(plugin: &PluginUnderTest) -> Verdict {
    let served = served_plain(plugin).await?;
    match health(served.channel().await?, "plugin").await? {
        1 => Ok("SERVING".to_owned()),
        other => fail(format!("the status is {}", serving_status(other))),
    }
}

async fn health_unknown(plugin: &PluginUnderTest) -> Verdict {
    let served = served_plain(plugin).await?;
    match health(served.channel().await?, "no-such-service").await {
        Err(status) if status.code() == Code::NotFound => Ok("NOT_FOUND".to_owned()),
        Err(status) => fail(format!("the call returns {:?}: {}", status.code(), status.message())),
        Ok(status) => fail(format!("the status is {}", serving_status(status))),
    }
}

async fn unknown(plugin: &PluginUnderTest) -> Verdict {
    let served = served_plain(plugin).await?;
    let result = unknown_method(served.channel().await?).await;
    served.still_serves("a call of an unknown method").await?;
    match result {
        Err(status) if status.code() == Code::Unimplemented => Ok("UNIMPLEMENTED".to_owned()),
        Err(status) => fail(format!("the call returns {:?}: {}", status.code(), status.message())),
        Ok(()) => fail("the call of an unknown method succeeds"),
    }
}

async fn stdio(plugin: &PluginUnderTest) -> Verdict {
    let served = served_plain(plugin).await?;
    let channel = served.channel().await?;
    // A Go plugin sends nothing before its first output, not even headers. A plugin without the service responds at once.
    let opening = tokio::spawn(stdio_stream(channel.clone()));
    let result = health(channel, "plugin").await;
    if let (Err(status), false) = split(result) {
        return fail(format!("while the stream is open, other calls fail: {}", one_line(&status)));
    }
    match timeout(END_TIMEOUT, opening).await {
        Err(_) => Ok("open, without output".to_owned()),
        Ok(Err(error)) => Err(error.into()),
        Ok(Ok(Err(status))) => missing_or(&status),
        Ok(Ok(Ok(mut stream))) => match timeout(END_TIMEOUT, stream.message()).await {
            Err(_) => Ok("open, without output".to_owned()),
            Ok(Ok(Some(first))) => {
                Ok(format!("open, with {} bytes on channel {}", first.data.len(), first.channel))
            }
            Ok(Ok(None)) => fail("the stream ends immediately"),
            Ok(Err(status)) => missing_or(&status),
        },
    }
}

async fn stdio_again(plugin: &PluginUnderTest) -> Verdict {
    let served = served_plain(plugin).await?;
    for _ in 0..3 {
        // A separate connection for each stream, dropped while the call is open.
        let opening = tokio::spawn(stdio_stream(served.channel().await?));
        if let Ok(Ok(Err(status))) = timeout(END_TIMEOUT, opening).await {
            return absent_or(&status, "the plugin does not implement the service: see stdio");
        }
    }
    served.still_serves("three dropped output streams").await?;
    Ok("three streams dropped, and the plugin keeps serving".to_owned())
}

async fn broker(plugin: &PluginUnderTest) -> Verdict {
    let served = served_plain(plugin).await?;
    let channel = served.channel().await?;
    let opening = tokio::spawn(broker_stream(channel.clone()));
    let result = health(channel, "plugin").await;
    if let (Err(status), false) = split(result) {
        return fail(format!("while the stream is open, other calls fail: {}", one_line(&status)));
    }
    match timeout(END_TIMEOUT, opening).await {
        Err(_) => Ok("open".to_owned()),
        Ok(Err(error)) => Err(error.into()),
        Ok(Ok(Err(status))) => absent_or(&status, NO_BROKER),
        Ok(Ok(Ok(mut stream))) => match timeout(END_TIMEOUT, stream.message()).await {
            Err(_) | Ok(Ok(Some(_))) => Ok("open".to_owned()),
            Ok(Ok(None)) => fail("the stream ends immediately"),
            Ok(Err(status)) => absent_or(&status, NO_BROKER),
        },
    }
}

fn missing_or(status: &Status) -> Verdict {
    match status.code() {
        Code::Unimplemented => {
            fail("the plugin does not implement the service (UNIMPLEMENTED); hosts continue without it")
        }
        _ => fail(format!("the call returns {:?}: {}", status.code(), status.message())),
    }
}

/// Skips the check if the plugin does not implement the service.
fn absent_or(status: &Status, why: &str) -> Verdict {
    if status.code() == Code::Unimplemented { skip(why) } else { missing_or(status) }
}

async fn large_message(plugin: &PluginUnderTest) -> Verdict {
    let served = served_plain(plugin).await?;
    let channel = served.channel().await?;
    let result = padded_health(channel.clone(), LARGE).await;
    served.still_serves("a message of 5 MiB").await?;
    if let (Err(status), false) = (&result, is_response(&result)) {
        return fail(format!("the connection breaks: {}", one_line(status)));
    }
    if let (Err(status), false) = split(health(channel, "plugin").await) {
        return fail(format!("later calls on the connection fail: {}", one_line(&status)));
    }
    match result {
        Err(status) => Ok(format!(
            "5 MiB are rejected with {:?}, which is allowed, and the connection stays usable",
            status.code()
        )),
        Ok(()) => Ok("5 MiB are accepted, and the connection stays usable".to_owned()),
    }
}

async fn reflection(plugin: &PluginUnderTest) -> Verdict {
    let served = served_plain(plugin).await?;
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut client = ServerReflectionClient::new(served.channel().await?);
    let asking = async {
        let requests = futures_util::stream::iter([request]);
        client.server_reflection_info(requests).await?.into_inner().message().await
    };
    let answer = match timeout(RESPONSE_TIMEOUT, asking).await? {
        Ok(answer) => answer,
        Err(status) if status.code() == Code::Unimplemented => return skip("the plugin has no reflection"),
        Err(status) => return Err(status.into()),
    };
    match answer.and_then(|answer| answer.message_response) {
        Some(MessageResponse::ListServicesResponse(list)) => {
            Ok(list.service.into_iter().map(|service| service.name).collect::<Vec<_>>().join(", "))
        }
        other => fail(format!("the response to the list of services is {other:?}")),
    }
}

/// Returns a result, and whether it is the response of a server.
fn split<T>(result: Result<T, Status>) -> (Result<T, Status>, bool) {
    let answered = is_response(&result);
    (result, answered)
}

fn serving_status(number: i32) -> String {
    match number {
        0 => "UNKNOWN".to_owned(),
        1 => "SERVING".to_owned(),
        2 => "NOT_SERVING".to_owned(),
        3 => "SERVICE_UNKNOWN".to_owned(),
        other => format!("status {other}"),
    }
}

/// The time to wait for the immediate end of a stream.
const END_TIMEOUT: Duration = Duration::from_millis(300);

const LARGE: usize = 5 << 20;

const NO_BROKER: &str = "the plugin does not implement the broker (UNIMPLEMENTED): hosts continue without it";
