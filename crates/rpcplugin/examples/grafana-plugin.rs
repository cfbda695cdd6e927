//! A backend plugin for Grafana: its health, and resources for its frontend.
//!
//! ```text
//! cargo run --example grafana-plugin
//! ```
//!
//! Grafana launches such a program as `gpx_NAME_linux_amd64`, which `executable` in `plugin.json` names. This example launches
//! itself in place of Grafana, with the same cookie and version.
//!
//! Three parts are specific to Grafana: the cookie, version 2, and the generated services.
#![expect(clippy::disallowed_methods, clippy::print_stdout, reason = "the program prints for people")]

use std::{collections::HashMap, env, process::ExitCode};

use futures_util::stream;
use miette::{IntoDiagnostic as _, Result};
use rpcplugin::{Command, Host, MagicCookie, Serve, Services};
use tonic::{Request, Response, Status};

#[path = "grafana/proto.rs"]
mod proto;

use proto::pluginv2::{
    CallResourceRequest, CallResourceResponse, CheckHealthRequest, CheckHealthResponse, StringList,
    check_health_response::HealthStatus,
    diagnostics_client::DiagnosticsClient,
    diagnostics_server::{Diagnostics, DiagnosticsServer},
    resource_client::ResourceClient,
    resource_server::{Resource, ResourceServer},
};

/// The version of the protocol between Grafana and its plugins.
const VERSION: u32 = 2;

fn main() -> Result<ExitCode> {
    if env::var_os(MagicCookie::grafana().key()).is_some() { Ok(plugin()) } else { host() }
}

/// The plugin, with one service for each kind of call.
fn plugin() -> ExitCode {
    Serve::new(MagicCookie::grafana())
        .version_with(VERSION, |_| {
            Services::new().add(DiagnosticsServer::new(Clock)).add(ResourceServer::new(Clock))
        })
        .descriptors(proto::DESCRIPTORS)
        .main()
}

/// What the plugin offers to Grafana.
#[derive(Debug, Clone, Copy)]
struct Clock;

#[tonic::async_trait]
impl Diagnostics for Clock {
    async fn check_health(
        &self,
        _: Request<CheckHealthRequest>,
    ) -> Result<Response<CheckHealthResponse>, Status> {
        Ok(Response::new(CheckHealthResponse {
            status: HealthStatus::Ok.into(),
            message: "the clock ticks".to_owned(),
            json_details: b"{}".to_vec(),
        }))
    }
}

#[tonic::async_trait]
impl Resource for Clock {
    type CallResourceStream = stream::Iter<std::vec::IntoIter<Result<CallResourceResponse, Status>>>;

    async fn call_resource(
        &self,
        request: Request<CallResourceRequest>,
    ) -> Result<Response<Self::CallResourceStream>, Status> {
        let CallResourceRequest { method, path, .. } = request.into_inner();
        // Grafana's log shows the event with its fields, under the id of the plugin.
        tracing::info!(method, path, "a resource is called");
        let (code, body) = match path.as_str() {
            "time" => (200, r#"{"time":"noon"}"#),
            _ => (404, r#"{"error":"there is only the time"}"#),
        };
        let kind = StringList { values: vec!["application/json".to_owned()] };
        let response = CallResourceResponse {
            code,
            headers: HashMap::from([("Content-Type".to_owned(), kind)]),
            body: body.as_bytes().to_vec(),
        };
        Ok(Response::new(stream::iter(vec![Ok(response)])))
    }
}

/// The host, in place of Grafana.
#[tokio::main]
async fn host() -> Result<ExitCode> {
    let host = Host::new(MagicCookie::grafana(), VERSION);
    let plugin = host.launch(Command::new(env::current_exe().into_diagnostic()?)).await?;

    let mut diagnostics = DiagnosticsClient::new(plugin.channel());
    let health =
        diagnostics.check_health(CheckHealthRequest::default()).await.into_diagnostic()?.into_inner();
    println!("{}: {}", health.status().as_str_name(), health.message);

    let mut resources = ResourceClient::new(plugin.channel());
    for path in ["time", "place"] {
        let request = CallResourceRequest {
            method: "GET".to_owned(),
            path: path.to_owned(),
            ..CallResourceRequest::default()
        };
        let mut answer = resources.call_resource(request).await.into_diagnostic()?.into_inner();
        while let Some(part) = answer.message().await.into_diagnostic()? {
            println!("{path}: {} {}", part.code, String::from_utf8_lossy(&part.body));
        }
    }
    println!("the plugin {}", plugin.shut_down().await);
    Ok(ExitCode::SUCCESS)
}
