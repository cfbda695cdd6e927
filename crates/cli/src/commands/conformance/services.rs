//! The services that every plugin has, and those that it may have.

use std::time::Duration;

use tokio::time::timeout;
use tonic::{Code, Status};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};

use super::check::{Check, Verdict, check, fail, in_one_line, served_plain, skip};
use crate::raw_host::{
    ANSWER_TIMEOUT, PluginUnderTest, answered, broker_stream, health, padded_health, stdio_stream,
    unknown_method,
};

pub(super) const CHECKS: &[Check] = &[
    check!(
        "health-serving",
        Must,
        health_serving,
        "The standard health service says SERVING of the service named plugin: hosts ping by it.",
        "Register grpc.health.v1.Health and set the status of `plugin` to SERVING before the line is printed.",
    ),
    check!(
        "health-unknown",
        Should,
        health_unknown,
        "The health service says NOT_FOUND of a service that it does not know.",
        "Use the health service of the gRPC library as it is.",
    ),
    check!(
        "unknown-method",
        Must,
        unknown,
        "A call of an unknown service is answered with UNIMPLEMENTED, and the plugin goes on: hosts try what may be missing.",
        "Leave unknown methods to the gRPC library.",
    ),
    check!(
        "stdio",
        Should,
        stdio,
        "plugin.GRPCStdio/StreamStdio hands on what the plugin prints, stays open, and blocks nothing whether it is read or \
         not.",
        "Implement plugin.GRPCStdio; without it what the plugin prints after the handshake is lost.",
    ),
    check!(
        "stdio-again",
        Should,
        stdio_again,
        "The stream of output can be opened, dropped and opened again without harm: hosts that attach do so.",
        "End the stream's task when its receiver goes, and accept the next one.",
    ),
    check!(
        "broker",
        Should,
        broker,
        "plugin.GRPCBroker/StartStream stays open for as long as the host keeps it: hosts open it at every start.",
        "Implement plugin.GRPCBroker, or leave the call to be answered with UNIMPLEMENTED.",
    ),
    check!(
        "large-message",
        Must,
        large_message,
        "A message above the limit (4 MiB in most gRPC libraries) is answered with a status, and the connection goes on.",
        "Leave the limit to the gRPC library, or raise it; never end over a large message.",
    ),
    check!(
        "reflection",
        Info,
        reflection,
        "A plugin made with go-plugin 1.2 or later describes its services by server reflection.",
        "Register grpc.reflection.v1: tools can then show and call the plugin's services.",
    ),
];

async fn health_serving(subject: &PluginUnderTest) -> Verdict {
    let served = served_plain(subject).await?;
    match health(served.channel().await?, "plugin").await? {
        1 => Ok("SERVING".to_owned()),
        other => fail(format!("it says {}", serving_status(other))),
    }
}

async fn health_unknown(subject: &PluginUnderTest) -> Verdict {
    let served = served_plain(subject).await?;
    match health(served.channel().await?, "no-such-service").await {
        Err(status) if status.code() == Code::NotFound => Ok("NOT_FOUND".to_owned()),
        Err(status) => fail(format!("it says {:?}: {}", status.code(), status.message())),
        Ok(status) => fail(format!("it says {}", serving_status(status))),
    }
}

async fn unknown(subject: &PluginUnderTest) -> Verdict {
    let served = served_plain(subject).await?;
    let result = unknown_method(served.channel().await?).await;
    served.still_serves("an unknown call").await?;
    match result {
        Err(status) if status.code() == Code::Unimplemented => Ok("UNIMPLEMENTED".to_owned()),
        Err(status) => fail(format!("it says {:?}: {}", status.code(), status.message())),
        Ok(()) => fail("it answers a call that it cannot know"),
    }
}

async fn stdio(subject: &PluginUnderTest) -> Verdict {
    let served = served_plain(subject).await?;
    let channel = served.channel().await?;
    // A Go plugin sends nothing before the first output, not even headers; one that has no such service says so at once.
    let opening = tokio::spawn(stdio_stream(channel.clone()));
    let result = health(channel, "plugin").await;
    if let (Err(status), false) = split(result) {
        return fail(format!("with the stream open no other call is answered: {}", in_one_line(&status)));
    }
    match timeout(MOMENT, opening).await {
        Err(_) => Ok("open, and nothing has been printed".to_owned()),
        Ok(Err(error)) => Err(error.into()),
        Ok(Ok(Err(status))) => missing_or(&status),
        Ok(Ok(Ok(mut stream))) => match timeout(MOMENT, stream.message()).await {
            Err(_) => Ok("open, and nothing has been printed".to_owned()),
            Ok(Ok(Some(first))) => {
                Ok(format!("open, and {} bytes came on channel {}", first.data.len(), first.channel))
            }
            Ok(Ok(None)) => fail("the stream ends at once"),
            Ok(Err(status)) => missing_or(&status),
        },
    }
}

async fn stdio_again(subject: &PluginUnderTest) -> Verdict {
    let served = served_plain(subject).await?;
    for _ in 0..3 {
        // Each on a connection of its own, cut in the middle.
        let opening = tokio::spawn(stdio_stream(served.channel().await?));
        if let Ok(Ok(Err(status))) = timeout(MOMENT, opening).await {
            return absent_or(&status, "the plugin has no such service: see stdio");
        }
    }
    served.still_serves("three streams of output that were cut").await?;
    Ok("three streams cut, and it goes on".to_owned())
}

async fn broker(subject: &PluginUnderTest) -> Verdict {
    let served = served_plain(subject).await?;
    let channel = served.channel().await?;
    let opening = tokio::spawn(broker_stream(channel.clone()));
    let result = health(channel, "plugin").await;
    if let (Err(status), false) = split(result) {
        return fail(format!("with the stream open no other call is answered: {}", in_one_line(&status)));
    }
    match timeout(MOMENT, opening).await {
        Err(_) => Ok("open".to_owned()),
        Ok(Err(error)) => Err(error.into()),
        Ok(Ok(Err(status))) => absent_or(&status, NO_BROKER),
        Ok(Ok(Ok(mut stream))) => match timeout(MOMENT, stream.message()).await {
            Err(_) | Ok(Ok(Some(_))) => Ok("open".to_owned()),
            Ok(Ok(None)) => fail("the stream ends at once"),
            Ok(Err(status)) => absent_or(&status, NO_BROKER),
        },
    }
}

fn missing_or(status: &Status) -> Verdict {
    match status.code() {
        Code::Unimplemented => fail("the plugin has no such service (UNIMPLEMENTED); hosts go on without it"),
        _ => fail(format!("it says {:?}: {}", status.code(), status.message())),
    }
}

/// The rule is one for plugins that have the service.
fn absent_or(status: &Status, why: &str) -> Verdict {
    if status.code() == Code::Unimplemented { skip(why) } else { missing_or(status) }
}

async fn large_message(subject: &PluginUnderTest) -> Verdict {
    let served = served_plain(subject).await?;
    let channel = served.channel().await?;
    let result = padded_health(channel.clone(), LARGE).await;
    served.still_serves("a message of 5 MiB").await?;
    if let (Err(status), false) = (&result, answered(&result)) {
        return fail(format!("the connection breaks: {}", in_one_line(status)));
    }
    if let (Err(status), false) = split(health(channel, "plugin").await) {
        return fail(format!("the connection is of no use afterwards: {}", in_one_line(&status)));
    }
    match result {
        Err(status) => Ok(format!(
            "5 MiB are refused by {:?}, as they may be, and the connection goes on",
            status.code()
        )),
        Ok(()) => Ok("5 MiB are accepted, and the connection goes on".to_owned()),
    }
}

async fn reflection(subject: &PluginUnderTest) -> Verdict {
    let served = served_plain(subject).await?;
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut client = ServerReflectionClient::new(served.channel().await?);
    let asking = async {
        let requests = futures_util::stream::iter([request]);
        client.server_reflection_info(requests).await?.into_inner().message().await
    };
    let answer = match timeout(ANSWER_TIMEOUT, asking).await? {
        Ok(answer) => answer,
        Err(status) if status.code() == Code::Unimplemented => return skip("the plugin has no reflection"),
        Err(status) => return Err(status.into()),
    };
    match answer.and_then(|answer| answer.message_response) {
        Some(MessageResponse::ListServicesResponse(list)) => {
            Ok(list.service.into_iter().map(|service| service.name).collect::<Vec<_>>().join(", "))
        }
        other => fail(format!("asked for the list of services it says {other:?}")),
    }
}

/// A result, and whether a server gave it.
fn split<T>(result: Result<T, Status>) -> (Result<T, Status>, bool) {
    let answered = answered(&result);
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

/// How long it is watched whether a stream ends at once.
const MOMENT: Duration = Duration::from_millis(300);

const LARGE: usize = 5 << 20;

const NO_BROKER: &str = "the plugin has no broker, and says so (UNIMPLEMENTED): hosts go on without it";
