//! The built-in services of a plugin.

use rpcplugin::PluginChannel;
use tokio::time::timeout;
use tonic::Code;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};

use crate::subject::{TIMEOUT, greet, shut_down, subject};

async fn health(channel: PluginChannel, service: &str) -> Result<ServingStatus, Code> {
    let request = HealthCheckRequest { service: service.to_owned() };
    let answer = HealthClient::new(channel).check(request).await.map_err(|status| status.code())?;
    Ok(answer.into_inner().status())
}

#[tokio::test]
async fn health_knows_the_plugin_its_services_and_what_it_sets() {
    let plugin = subject().start();
    let channel = plugin.channel().await;
    for service in ["", "plugin", "conformance.v1.Sub", "conformance.v1.HostCalls"] {
        assert_eq!(health(channel.clone(), service).await, Ok(ServingStatus::Serving), "{service}");
    }
    assert_eq!(health(channel.clone(), "unknown").await, Err(Code::NotFound));
    let request = HealthCheckRequest { service: "conformance.v1.Sub".to_owned() };
    let mut watch = HealthClient::new(channel.clone()).watch(request).await.unwrap().into_inner();
    assert_eq!(watch.message().await.unwrap().unwrap().status(), ServingStatus::Serving);
    greet(channel.clone(), "unwell conformance.v1.Sub").await.unwrap();
    assert_eq!(watch.message().await.unwrap().unwrap().status(), ServingStatus::NotServing);
    assert_eq!(health(channel, "conformance.v1.Sub").await, Ok(ServingStatus::NotServing));
}

#[tokio::test]
async fn health_is_not_serving_when_the_shutdown_begins() {
    let plugin = subject().start();
    let channel = plugin.channel().await;
    let request = HealthCheckRequest { service: "plugin".to_owned() };
    let mut watch = HealthClient::new(channel.clone()).watch(request).await.unwrap().into_inner();
    assert_eq!(watch.message().await.unwrap().unwrap().status(), ServingStatus::Serving);
    shut_down(channel).await.unwrap();
    let last = timeout(TIMEOUT, watch.message()).await.unwrap().unwrap().unwrap();
    assert_eq!(last.status(), ServingStatus::NotServing);
    assert!(
        timeout(TIMEOUT, watch.message()).await.unwrap().unwrap().is_none(),
        "the stream ends in good order"
    );
    plugin.ends_cleanly().await;
}

async fn reflected(channel: PluginChannel) -> Result<Vec<String>, Code> {
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut answers = ServerReflectionClient::new(channel)
        .server_reflection_info(tokio_stream::once(request))
        .await
        .map_err(|status| status.code())?
        .into_inner();
    match answers.message().await.unwrap().unwrap().message_response {
        Some(MessageResponse::ListServicesResponse(list)) => {
            Ok(list.service.into_iter().map(|service| service.name).collect())
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn reflection_lists_what_a_go_plugin_lists() {
    let plugin = subject().start();
    assert_eq!(
        reflected(plugin.channel().await).await.unwrap(),
        [
            "conformance.v1.HostCalls",
            "conformance.v1.Sub",
            "grpc.health.v1.Health",
            "grpc.reflection.v1.ServerReflection",
            "grpc.reflection.v1alpha.ServerReflection",
            "plugin.GRPCBroker",
            "plugin.GRPCController",
            "plugin.GRPCStdio",
        ]
    );
}

#[tokio::test]
async fn health_and_reflection_can_be_switched_off() {
    let plugin = subject()
        .env("PLUGIN_HEALTH_SERVICE_ENABLED", "false")
        .env("PLUGIN_REFLECTION_ENABLED", "false")
        .start();
    let channel = plugin.channel().await;
    assert_eq!(health(channel.clone(), "plugin").await, Err(Code::Unimplemented));
    assert_eq!(reflected(channel.clone()).await, Err(Code::Unimplemented));
    assert_eq!(greet(channel, "x").await.unwrap(), "hello x");
}

#[tokio::test]
async fn the_newest_common_version_is_served() {
    let versions = |has: &str, offered: &str| {
        subject().arg("--versions").arg(has).env("PLUGIN_PROTOCOL_VERSIONS", offered)
    };
    for (has, offered, spoken) in
        [("1,2,3", "2,1", "2"), ("2,3", "9,3", "3"), ("4,5", "1", "4"), ("4,5", "", "4")]
    {
        let plugin = versions(has, offered).start();
        assert_eq!(plugin.answer.version.to_string(), spoken);
        assert_eq!(plugin.run("version").await, spoken, "the services see the version");
    }
    let plugin = versions("1,2,3", "1,2,3").env("SUPPORTED_PROTOCOL_VERSIONS", "1,2,7").start();
    assert_eq!(plugin.run("version").await, "2", "the settings may allow fewer versions");
}

#[tokio::test]
async fn a_protocol_may_have_no_services() {
    let plugin = subject().arg("--basic").start();
    let channel = plugin.channel().await;
    assert_eq!(health(channel.clone(), "plugin").await, Ok(ServingStatus::Serving));
    assert_eq!(greet(channel.clone(), "x").await.expect_err("no such service").code(), Code::Unimplemented);
    shut_down(channel).await.unwrap();
    plugin.ends_cleanly().await;
}

#[tokio::test]
async fn readiness_is_visible_inside_the_plugin() {
    let plugin = subject().start();
    assert_eq!(plugin.run("ready").await, "Ok(())");
}
