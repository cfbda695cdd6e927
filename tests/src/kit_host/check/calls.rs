//! Unary calls, and the built-in services of the library.

use std::time::Duration;

use rpcplugin::plugin::ServingStatus;
use tokio::time::timeout;
use tonic::{
    Code, Request,
    metadata::{BinaryMetadataValue, MetadataMap, MetadataValue},
};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus as Wire, health_client::HealthClient,
};
use tonic_reflection::pb::{v1, v1alpha};

use crate::{
    contract::{VERSIONS, cookie, pattern},
    kit_host::check::{
        run::{Check, EMPTY_VARIABLE, shared},
        subject::{NOTICED, Subject, unique},
        verdict::{Verdict, expect, fail, same, skip},
    },
    pb::{BigPayloadRequest, CountRequest, EchoRequest, EnvRequest, GetRequest, InfoRequest, PutRequest},
};

pub(crate) const CHECKS: &[Check] = &[
    shared!("ping", ping),
    shared!("info", info),
    shared!("put-get", put_get),
    shared!("put-replaced", put_replaced),
    shared!("missing-key", missing_key),
    shared!("echo-metadata", echo_metadata),
    shared!("big-16mib", big_16mib),
    shared!("big-odd-sizes", big_odd_sizes),
    shared!("calls-200", calls_200),
    shared!("calls-1000-in-turn", calls_1000_in_turn),
    shared!("clones-share-the-channel", clones_share_the_channel),
    shared!("env", env),
    shared!("env-offer", env_offer),
    shared!("reflection", reflection),
    shared!("health-known", health_known),
    shared!("health-unknown", health_unknown),
    shared!("health-watch", health_watch),
];

async fn ping(subject: &Subject) -> Verdict {
    for _ in 0..3 {
        same("status", subject.plugin.ping().await?, ServingStatus::Serving)?;
    }
    Ok(())
}

async fn info(subject: &Subject) -> Verdict {
    let first = subject.info().await?;
    subject.kit().echo(EchoRequest { data: "counted".into() }).await?;
    subject.kit().count(CountRequest::default()).await?.into_inner().message().await?;
    let second = subject.info().await?;
    expect(!first.implementation.is_empty(), "the plugin does not name its implementation")?;
    same("calls from one info to the other", second.calls - first.calls, 3)?;
    // The launched process may be a parent of the plugin.
    if !subject.peer.is_pyvider() {
        same("process", first.pid, i64::from(subject.pid()?.get()))?;
    }
    Ok(())
}

async fn put_get(subject: &Subject) -> Verdict {
    let long = "long".repeat(500);
    let pairs: [(&str, &[u8]); 4] = [
        ("put-get", b"value"),
        ("empty", b""),
        ("binary-ключ-鍵", &[0, 1, 0xff, 0xfe, b'\n', b'|']),
        (&long, &[7; 100_000]),
    ];
    for (key, value) in pairs {
        let key = key.to_owned();
        subject.kit().put(PutRequest { key: key.clone(), value: value.to_vec().into() }).await?;
        let answer = subject.kit().get(GetRequest { key }).await?.into_inner();
        same("value", &*answer.value, value)?;
    }
    Ok(())
}

async fn put_replaced(subject: &Subject) -> Verdict {
    let key = unique("replaced");
    for (value, replaced) in [("first", false), ("second", true), ("third", true)] {
        let request = PutRequest { key: key.clone(), value: value.into() };
        same("replaced", subject.kit().put(request).await?.into_inner().replaced, replaced)?;
        let answer = subject.kit().get(GetRequest { key: key.clone() }).await?.into_inner();
        same("value", &*answer.value, value.as_bytes())?;
    }
    Ok(())
}

async fn missing_key(subject: &Subject) -> Verdict {
    let key = "a missing key: ключ 100%".to_owned();
    match subject.kit().get(GetRequest { key: key.clone() }).await {
        Ok(_) => fail("the key is known"),
        Err(status) => {
            same("code", status.code(), Code::NotFound)?;
            same("message", status.message(), format!("no such key: {key}"))
        }
    }
}

async fn echo_metadata(subject: &Subject) -> Verdict {
    let bytes = [0, 1, 2, 0xff, 0xfe, b',', b'='];
    let mut request = Request::new(EchoRequest { data: "payload".into() });
    let metadata = request.metadata_mut();
    metadata.insert("x-kit-word", "hello there".parse()?);
    metadata.append("x-kit-many", "first".parse()?);
    metadata.append("x-kit-many", "second".parse()?);
    metadata.insert_bin("x-kit-blob-bin", MetadataValue::from_bytes(&bytes));
    metadata.insert("x-other", "not echoed".parse()?);
    // The headers and the trailers of a unary call are in one map, under different keys.
    let answer = subject.kit().echo(request).await?;
    same("data", &*answer.get_ref().data, b"payload")?;
    let metadata = answer.metadata();
    for prefix in ["x-kit-", "x-kit-trailer-"] {
        same("word", texts(metadata, &format!("{prefix}word")), ["hello there"])?;
        same("many", texts(metadata, &format!("{prefix}many")), ["first", "second"])?;
        let key = format!("{prefix}blob-bin");
        let blob = metadata.get_bin(&*key).map(BinaryMetadataValue::to_bytes);
        same(&key, blob.and_then(Result::ok).as_deref(), Some(&bytes[..]))?;
    }
    expect(metadata.get("x-other").is_none(), "x-other was returned, though it does not start with x-kit-")
}

fn texts<'a>(metadata: &'a MetadataMap, key: &str) -> Vec<&'a str> {
    metadata.get_all(key).iter().filter_map(|value| value.to_str().ok()).collect()
}

async fn big_16mib(subject: &Subject) -> Verdict {
    let (n, seed) = (16 << 20, 0x5a);
    let wanted = pattern(n as usize, seed);
    let down = subject.kit().big_payload(BigPayloadRequest { n, seed }).await?.into_inner().data;
    expect(down == wanted, format!("down: {} bytes, not the right {n}", down.len()))?;
    let up = subject.kit().echo(EchoRequest { data: wanted.clone() }).await?.into_inner().data;
    expect(up == wanted, format!("up and back: {} bytes, not the right {n}", up.len()))
}

/// Sizes around those of frames, windows and TLS records.
async fn big_odd_sizes(subject: &Subject) -> Verdict {
    for n in [0, 1, 5, 16_379, 16_384, 16_385, 65_535, 65_536, 131_071, 262_145, 1_048_577] {
        let data = pattern(n, 3);
        let answer = subject.kit().echo(EchoRequest { data: data.clone() }).await?.into_inner().data;
        expect(answer == data, format!("{n} bytes came back as {}", answer.len()))?;
    }
    Ok(())
}

async fn calls_200(subject: &Subject) -> Verdict {
    let calls = (0..200_u32).map(|i| async move {
        let data = pattern(100 * i as usize, i);
        let answer = subject.kit().echo(EchoRequest { data: data.clone() }).await?.into_inner();
        expect(answer.data == data, format!("call {i} got the wrong {} bytes", answer.data.len()))
    });
    futures_util::future::try_join_all(calls).await.map(|_| ())
}

async fn calls_1000_in_turn(subject: &Subject) -> Verdict {
    let mut kit = subject.kit();
    for _ in 0..1000 {
        kit.info(InfoRequest {}).await?;
    }
    Ok(())
}

async fn clones_share_the_channel(subject: &Subject) -> Verdict {
    let key = unique("clone");
    let mut kit = subject.kit();
    let mut clone = kit.clone();
    let putting = tokio::spawn({
        let key = key.clone();
        async move { clone.put(PutRequest { key, value: "from a task".into() }).await }
    });
    putting.await??;
    same("value", &*kit.get(GetRequest { key }).await?.into_inner().value, b"from a task")
}

async fn env(subject: &Subject) -> Verdict {
    let cookie = cookie();
    for (name, value) in
        [(cookie.key(), Some(cookie.value())), (EMPTY_VARIABLE, Some("")), ("KIT_HOST_NEVER_SETS_THIS", None)]
    {
        same(name, variable(subject, name).await?.as_deref(), value)?;
    }
    Ok(())
}

/// The variables that the host sets.
async fn env_offer(subject: &Subject) -> Verdict {
    for (name, value) in [("PLUGIN_MIN_PORT", "10000"), ("PLUGIN_MAX_PORT", "25000")] {
        same(name, variable(subject, name).await?.as_deref(), Some(value))?;
    }
    let versions = variable(subject, "PLUGIN_PROTOCOL_VERSIONS").await?.unwrap_or_default();
    let mut numbers: Vec<u32> = versions.split(',').filter_map(|number| number.parse().ok()).collect();
    numbers.sort_unstable();
    same("PLUGIN_PROTOCOL_VERSIONS", numbers, VERSIONS)?;
    let certificate = variable(subject, "PLUGIN_CLIENT_CERT").await?;
    let offered = subject.launching.auto_mtls && subject.launching.tls_dir.is_none();
    same("a certificate is offered", certificate.is_some(), offered)?;
    let mux = variable(subject, "PLUGIN_MULTIPLEX_GRPC").await?;
    same("PLUGIN_MULTIPLEX_GRPC", mux.as_deref() == Some("true"), subject.launching.mux)
}

async fn variable(subject: &Subject, name: &str) -> Verdict<Option<String>> {
    let answer = subject.kit().env(EnvRequest { name: name.to_owned() }).await?.into_inner();
    Ok(answer.present.then_some(answer.value))
}

async fn reflection(subject: &Subject) -> Verdict {
    subject.peer.beyond_pyvider("no reflection")?;
    {
        use v1::{
            ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
            server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
        };
        let list = MessageRequest::ListServices(String::new());
        let request = ServerReflectionRequest { host: String::new(), message_request: Some(list) };
        let mut client = ServerReflectionClient::new(subject.plugin.channel());
        let mut answers = client.server_reflection_info(tokio_stream::once(request)).await?.into_inner();
        let Some(MessageResponse::ListServicesResponse(list)) =
            answers.message().await?.and_then(|answer| answer.message_response)
        else {
            return fail("v1: no list of services");
        };
        let names: Vec<_> = list.service.into_iter().map(|service| service.name).collect();
        expect_services("v1", &names)?;
    }
    use v1alpha::{
        ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
        server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
    };
    let list = MessageRequest::ListServices(String::new());
    let request = ServerReflectionRequest { host: String::new(), message_request: Some(list) };
    let mut client = ServerReflectionClient::new(subject.plugin.channel());
    let mut answers = client.server_reflection_info(tokio_stream::once(request)).await?.into_inner();
    let Some(MessageResponse::ListServicesResponse(list)) =
        answers.message().await?.and_then(|answer| answer.message_response)
    else {
        return fail("v1alpha: no list of services");
    };
    let names: Vec<_> = list.service.into_iter().map(|service| service.name).collect();
    expect_services("v1alpha", &names)
}

fn expect_services(api: &str, names: &[String]) -> Verdict {
    for wanted in [
        "conformance.v1.Kit",
        "plugin.GRPCBroker",
        "plugin.GRPCController",
        "plugin.GRPCStdio",
        "grpc.health.v1.Health",
    ] {
        expect(
            names.iter().any(|name| name == wanted),
            format!("{api}: {wanted} is missing from {names:?}"),
        )?;
    }
    Ok(())
}

async fn health_known(subject: &Subject) -> Verdict {
    let mut health = HealthClient::new(subject.plugin.channel());
    for service in ["plugin", ""] {
        let request = HealthCheckRequest { service: service.to_owned() };
        same(service, health.check(request).await?.get_ref().status(), Wire::Serving)?;
    }
    Ok(())
}

async fn health_unknown(subject: &Subject) -> Verdict {
    let mut health = HealthClient::new(subject.plugin.channel());
    let request = HealthCheckRequest { service: "missing.Service".to_owned() };
    match health.check(request).await {
        Ok(answer) => fail(format!("an unknown service is {:?}", answer.get_ref().status())),
        Err(status) => same("code", status.code(), Code::NotFound),
    }
}

async fn health_watch(subject: &Subject) -> Verdict {
    let mut health = HealthClient::new(subject.plugin.channel());
    let request = HealthCheckRequest { service: "plugin".to_owned() };
    let mut watch = match health.watch(request).await {
        Ok(watch) => watch.into_inner(),
        Err(status) if status.code() == Code::Unimplemented => return skip("the plugin has no Watch"),
        Err(status) => return Err(status.into()),
    };
    let first = timeout(NOTICED, watch.message()).await??;
    same("first status", first.map(|answer| answer.status()), Some(Wire::Serving))?;
    // Without a change, there is no second status.
    let second = timeout(Duration::from_millis(50), watch.message()).await;
    expect(second.is_err(), "a second status without a change")
}
