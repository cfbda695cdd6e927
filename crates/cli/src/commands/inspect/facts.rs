//! The properties of a running plugin.

use std::{ffi::OsStr, path::Path, time::Duration};

use prost_reflect::MethodDescriptor;
use rpcplugin::{
    Endpoint, Exit, Plugin, error::with_causes, handshake::Multiplexing, host::PingError,
    plugin::ServingStatus, tls::Trust, transport::Security,
};
use serde::Serialize;

use super::unauthorized_clients::UnauthorizedClients;
use crate::{
    facts::{CertificateFacts, FileFacts, MetadataFacts, ProcessFacts},
    plugin_args::LaunchArgs,
    sandbox::SandboxFacts,
    schema::{self, LeftOut, Reflection, Schema, Undescribed},
};

/// The properties that `inspect` shows. The field names are those of the JSON.
#[derive(Debug, Serialize)]
pub(crate) struct Facts {
    pub(crate) name: String,
    /// The command of the launch. `None` for an attached plugin.
    pub(crate) command: Option<CommandFacts>,
    pub(crate) process: Option<ProcessFacts>,
    /// What the plugin reports about itself. `None` if it reports nothing.
    pub(crate) metadata: Option<MetadataFacts>,
    /// Why the metadata cannot be read.
    pub(crate) metadata_fault: Option<String>,
    pub(crate) protocol: ProtocolFacts,
    pub(crate) transport: TransportFacts,
    pub(crate) security: SecurityFacts,
    /// The sandbox, and what is enforced of it. `None` for a plugin without one.
    pub(crate) sandbox: Option<SandboxFacts>,
    pub(crate) health: HealthFacts,
    pub(crate) features: FeatureFacts,
    /// The services of the application: those that the plugin serves, and those in the given files.
    pub(crate) services: Vec<ServiceFacts>,
    /// Descriptor files that cannot be used.
    pub(crate) left_out: Vec<LeftOut>,
    /// The services of gRPC and of the plugin protocol.
    pub(crate) protocol_services: Vec<String>,
    pub(crate) timings: TimingFacts,
    /// The end of the plugin. `None` for a plugin that keeps running.
    pub(crate) end: Option<EndFacts>,
}

#[derive(Debug, Serialize)]
pub(crate) struct CommandFacts {
    pub(crate) program: String,
    pub(crate) args: Vec<String>,
    pub(crate) preset: Option<&'static str>,
    pub(crate) cookie_key: String,
    pub(crate) offered_versions: Vec<u32>,
}

#[derive(Debug, Serialize)]
pub(crate) struct ProtocolFacts {
    /// The version of the handshake line and of the protocol's own services.
    pub(crate) core: u32,
    /// The version of the application's protocol.
    pub(crate) app: u32,
}

#[derive(Debug, Serialize)]
pub(crate) struct TransportFacts {
    /// `unix` or `tcp`.
    pub(crate) network: &'static str,
    pub(crate) address: String,
    pub(crate) socket: Option<FileFacts>,
    pub(crate) directory: Option<FileFacts>,
}

#[derive(Debug, Serialize)]
pub(crate) struct SecurityFacts {
    /// `mutual` or `none`.
    pub(crate) kind: &'static str,
    /// The certificates that this side accepts: `pinned` or `authorities`.
    pub(crate) trust: Option<&'static str>,
    pub(crate) host_certificate: Option<CertificateFacts>,
    pub(crate) plugin_certificate: Option<CertificateFacts>,
    /// How the plugin treats unauthorized clients. `None` if this was not tested.
    #[serde(rename = "strangers")]
    pub(crate) unauthorized_clients: Option<UnauthorizedClients>,
}

#[derive(Debug, Serialize)]
pub(crate) struct HealthFacts {
    /// `SERVING`, `NOT_SERVING`, `UNKNOWN`, `NONE` without a health service, or `ERROR`.
    pub(crate) status: String,
    pub(crate) detail: Option<String>,
}

/// The features of the plugin's library.
#[derive(Debug, Serialize)]
pub(crate) struct FeatureFacts {
    /// The version of the reflection service.
    pub(crate) reflection: Option<&'static str>,
    /// Why reflection fails or is incomplete.
    pub(crate) reflection_fault: Option<String>,
    /// Whether given files describe the services.
    pub(crate) described_by_files: bool,
    /// The names of the given files.
    pub(crate) files: Option<String>,
    /// Whether the plugin has a broker.
    pub(crate) broker: bool,
    /// Whether the plugin forwards its output.
    pub(crate) stdio: bool,
    /// Whether the plugin implements Shutdown. `None` if unknown, because a call would end the plugin.
    pub(crate) controller: Option<bool>,
    /// Multiplexing: `yes`, `no`, `not asked` or `unreadable`.
    pub(crate) multiplexing: &'static str,
}

#[derive(Debug, Serialize)]
pub(crate) struct ServiceFacts {
    pub(crate) name: String,
    /// Whether the plugin serves it. `None` if reflection does not report it.
    pub(crate) served: Option<bool>,
    /// Why the service has no description.
    pub(crate) not_described: Option<String>,
    /// `None` for a service without a description.
    pub(crate) methods: Option<Vec<MethodFacts>>,
    /// The methods of the plugin that are not in the given files.
    pub(crate) not_in_files: Vec<String>,
}

#[derive(Debug, Serialize)]
pub(crate) struct MethodFacts {
    pub(crate) name: String,
    pub(crate) input: String,
    pub(crate) output: String,
    pub(crate) client_streaming: bool,
    pub(crate) server_streaming: bool,
    /// Why the method cannot be called.
    pub(crate) not_described: Option<String>,
    /// The plugin's description, if it differs from the file.
    pub(crate) difference: Option<String>,
}

/// The duration of each step of the launch, in milliseconds.
#[derive(Debug, Serialize)]
pub(crate) struct TimingFacts {
    pub(crate) process_ms: Option<f64>,
    pub(crate) handshake_line_ms: Option<f64>,
    pub(crate) connection_ms: f64,
    pub(crate) health_ms: Option<f64>,
    pub(crate) total_ms: f64,
}

#[derive(Debug, Serialize)]
pub(crate) struct EndFacts {
    /// A description of the end.
    pub(crate) how: String,
    pub(crate) clean: bool,
    pub(crate) took_ms: f64,
}

impl Facts {
    /// Inspects a plugin.
    pub(crate) async fn gather(plugin: &Plugin, schema: &Schema) -> Self {
        let (own, of_the_protocol): (Vec<_>, Vec<_>) =
            schema.services.iter().cloned().partition(|name| !schema::is_of_the_protocol(name));
        let steps = plugin.launch_timings();
        let (metadata, metadata_fault) = match plugin.metadata().await {
            Ok(metadata) => (metadata.map(MetadataFacts::of), None),
            Err(error) => (None, Some(with_causes(error.to_string(), &error))),
        };
        Self {
            name: plugin.name().to_owned(),
            command: None,
            process: plugin.pid().map(|pid| ProcessFacts::of(pid, None)),
            metadata,
            metadata_fault,
            protocol: ProtocolFacts { core: CORE, app: plugin.version().0 },
            transport: TransportFacts::of(plugin.endpoint()),
            security: SecurityFacts::of(plugin),
            sandbox: None,
            health: HealthFacts::ask(plugin).await,
            features: FeatureFacts::of(plugin, schema),
            services: own.into_iter().map(|name| ServiceFacts::of(name, schema)).collect(),
            left_out: schema.left_out.clone(),
            protocol_services: of_the_protocol,
            timings: TimingFacts {
                process_ms: steps.process.map(ms),
                handshake_line_ms: steps.handshake.map(ms),
                connection_ms: ms(steps.connection),
                health_ms: steps.health.map(ms),
                total_ms: ms(plugin.launch_time()),
            },
            end: None,
        }
    }

    /// Adds the command of the launch.
    pub(crate) fn launched(&mut self, args: &LaunchArgs) {
        let text = |text: &OsStr| text.to_string_lossy().into_owned();
        self.name = args.name();
        self.command = Some(CommandFacts {
            program: args
                .runner
                .as_ref()
                .map_or_else(|| text(args.program().as_os_str()), ToString::to_string),
            args: args.args.iter().map(|arg| text(arg)).collect(),
            preset: args.preset().map(|preset| preset.name),
            cookie_key: args.magic_cookie().key().to_owned(),
            offered_versions: args.offered_versions().iter().map(|version| version.0).collect(),
        });
    }

    /// Adds the end of the plugin, and the duration of the shutdown.
    pub(crate) fn ended(&mut self, exit: &Exit, after: Duration) {
        self.end =
            Some(EndFacts { how: format!("{exit:#}"), clean: *exit == Exit::Clean, took_ms: ms(after) });
    }
}

impl TransportFacts {
    fn of(endpoint: &Endpoint) -> Self {
        let path = match endpoint {
            Endpoint::Unix(path) if path.abstract_name().is_none() => Some(path.as_path()),
            _ => None,
        };
        Self {
            network: endpoint.network(),
            address: endpoint.address(),
            socket: path.and_then(FileFacts::of),
            directory: path.and_then(Path::parent).and_then(FileFacts::of),
        }
    }
}

impl SecurityFacts {
    fn of(plugin: &Plugin) -> Self {
        let Security::Mutual(tls) = plugin.security() else {
            return Self {
                kind: "none",
                trust: None,
                host_certificate: None,
                plugin_certificate: None,
                unauthorized_clients: None,
            };
        };
        let trust = match tls.trust() {
            Trust::Pinned(_) => "pinned",
            _ => "authorities",
        };
        Self {
            kind: "mutual",
            trust: Some(trust),
            host_certificate: Some(CertificateFacts::of(&tls.identity().peer_certificate())),
            plugin_certificate: plugin.certificate().map(CertificateFacts::of),
            unauthorized_clients: None,
        }
    }
}

impl HealthFacts {
    async fn ask(plugin: &Plugin) -> Self {
        match plugin.ping().await {
            Ok(ServingStatus::Serving) => Self { status: "SERVING".to_owned(), detail: None },
            Ok(ServingStatus::NotServing) => Self { status: "NOT_SERVING".to_owned(), detail: None },
            Ok(ServingStatus::Unknown) => Self { status: "UNKNOWN".to_owned(), detail: None },
            Err(PingError::Failed(status)) if status.code() == tonic::Code::Unimplemented => {
                Self { status: "NONE".to_owned(), detail: None }
            }
            Err(error) => Self { status: "ERROR".to_owned(), detail: Some(error.to_string()) },
        }
    }
}

impl FeatureFacts {
    fn of(plugin: &Plugin, schema: &Schema) -> Self {
        Self {
            reflection: match schema.reflection {
                Some(Reflection::Served { version, .. }) => Some(version),
                _ => None,
            },
            reflection_fault: match &schema.reflection {
                Some(Reflection::Served { bound, .. }) => bound.clone(),
                Some(Reflection::Failed(why)) => Some(why.clone()),
                _ => None,
            },
            described_by_files: schema.files.is_some(),
            files: schema.files.clone(),
            broker: schema.serves("plugin.GRPCBroker").unwrap_or_else(|| plugin.serves_broker()),
            stdio: schema.serves("plugin.GRPCStdio").unwrap_or_else(|| plugin.forwards_output()),
            controller: schema.serves("plugin.GRPCController"),
            multiplexing: match plugin.handshake_line().map(|line| line.multiplexing) {
                Some(Multiplexing::Yes) => "yes",
                Some(Multiplexing::No) => "no",
                Some(Multiplexing::Unreadable) => "unreadable",
                _ => "not asked",
            },
        }
    }
}

impl ServiceFacts {
    fn of(name: String, schema: &Schema) -> Self {
        let described = schema.service(&name).map(|service| service.methods().collect::<Vec<_>>());
        let undescribed = schema.undescribed(&name);
        let methods = (described.is_some() || !undescribed.is_empty()).then(|| {
            let known = described.into_iter().flatten().map(MethodFacts::of);
            let known = known.map(|method| method.compared(&name, schema));
            known.chain(undescribed.iter().map(MethodFacts::of_undescribed)).collect()
        });
        Self {
            served: schema.serves(&name),
            not_described: schema.fault(&name),
            methods,
            not_in_files: schema.beyond_files(&name),
            name,
        }
    }
}

impl MethodFacts {
    #[expect(clippy::needless_pass_by_value, reason = "it is what an iterator yields")]
    fn of(method: MethodDescriptor) -> Self {
        Self {
            name: method.name().to_owned(),
            input: method.input().full_name().to_owned(),
            output: method.output().full_name().to_owned(),
            client_streaming: method.is_client_streaming(),
            server_streaming: method.is_server_streaming(),
            not_described: None,
            difference: None,
        }
    }

    fn of_undescribed(method: &Undescribed) -> Self {
        Self {
            name: method.name.clone(),
            input: method.input.clone(),
            output: method.output.clone(),
            client_streaming: method.client_streaming,
            server_streaming: method.server_streaming,
            not_described: Some(method.why.clone()),
            difference: None,
        }
    }

    fn compared(self, service: &str, schema: &Schema) -> Self {
        // If the plugin does not serve the service, this is shown for the service, not for each method.
        let served = schema.serves(service) != Some(false);
        Self { difference: served.then(|| schema.difference(service, &self.name)).flatten(), ..self }
    }
}

/// Returns milliseconds with three decimal digits.
fn ms(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

/// The core protocol version. The host refuses plugins with another version.
const CORE: u32 = 1;
