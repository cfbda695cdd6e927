//! The conversation after the handshake line: version, security, connection, health, and shutdown.

use std::time::Duration;

use miette::Diagnostic;
use rpcplugin::{
    PluginChannel,
    handshake::{Multiplexing, accept_version},
    host::{ConnectFault, LaunchFault, Runner as _},
    tls::{MutualTls, PeerCertificate, Trust},
    transport::{ConnectError, Security, http2::ChannelError},
};
use tokio::time::timeout;
use tonic::Code;

use super::{
    record::{Fault, Record},
    start::PrintedLine,
};
use crate::{
    plugin_args::LaunchArgs,
    raw_host::{Multiplexed, Process, channel, health, multiplexed_channel, shut_down},
};

/// Connects to the plugin as a host does, makes a health call, and shuts it down.
pub(super) async fn examine(
    launch: &LaunchArgs,
    printed: PrintedLine,
    record: &mut Record<'_>,
) -> Result<(), Fault> {
    let offered = launch.offered_versions();
    let version = accept_version(printed.line.version, &offered)
        .map_err(|error| Fault::new("version", error.to_string(), launch.help_for_version(error.plugin)))?;
    record.ok("version", version.to_string());
    if launch.mux && printed.line.multiplexing != Multiplexing::Yes {
        let advice = "update the plugin's library (go-plugin 1.6 or later), or remove --mux";
        return Err(Fault::new("mux", "the plugin does not support multiplexing", advice));
    }
    let security = security(launch, &printed, record).await?;
    let address = &printed.address;
    if !launch.mux {
        // A multiplexing plugin accepts only one connection.
        if let Err(error) = address.dial().await {
            let fault = connection_fault("address", &printed.process, &error);
            return Err(fault.explained(of_the_runner(launch, error).await));
        }
    }
    record.ok("address", address.to_string());
    let secured = security.is_mutual();
    let multiplexed;
    let connected = if launch.mux {
        multiplexed = Multiplexed::open(address)
            .await
            .map_err(|error| connection_fault("address", &printed.process, &error))?;
        multiplexed_channel(&multiplexed, security).await
    } else {
        channel(address, security).await
    };
    let tested = match connected {
        Ok(channel) => healthy(&channel, secured, &printed.process, record).await.map(|()| channel),
        Err(error) => Err(connection_fault("connection", &printed.process, &error)),
    };
    let channel = match tested {
        Ok(channel) => channel,
        // Tested last, because a multiplexing plugin accepts only one connection.
        Err(_) if !secured && address.speaks_tls().await => {
            return Err(own_certificates());
        }
        Err(cause) => return Err(cause),
    };
    shut_down_and_record(channel, &printed.process, record).await;
    Ok(())
}

async fn security(
    launch: &LaunchArgs,
    printed: &PrintedLine,
    record: &mut Record<'_>,
) -> Result<Security, Fault> {
    if let Some(given) = launch.tls.security().map_err(|error| Fault::of("security", &error))? {
        record.ok("security", "mutual TLS with the given certificates");
        return Ok(given);
    }
    let security = match (&printed.host, &printed.line.certificate) {
        (None, None) => {
            record.ok("security", "plain text, because of --no-mtls");
            Security::Plain
        }
        (None, Some(_)) => {
            let seen = "the plugin sent an unrequested certificate, on which Go hosts crash";
            let advice = "remove --no-mtls, and change the plugin: it must send a certificate only if the host sends one";
            return Err(Fault::new("security", seen, advice));
        }
        (Some(_), None) if printed.address.speaks_tls().await => {
            return Err(own_certificates());
        }
        (Some(_), None) => {
            let advice = "build the plugin with a library that supports AutoMTLS, or disable AutoMTLS with --no-mtls and in the \
                          host";
            return Err(Fault::new("security", "the plugin ignores the request for mutual TLS", advice));
        }
        (Some(host), Some(der)) => {
            let plugin =
                PeerCertificate::from_der(der.clone()).map_err(|error| Fault::of("security", &error))?;
            let seen = format!("mutual TLS, with the certificate {plugin}");
            let tls = MutualTls::new(host.clone(), Trust::Pinned(plugin))
                .map_err(|error| Fault::of("security", &error))?;
            record.ok("security", seen);
            Security::Mutual(tls)
        }
    };
    Ok(security)
}

/// Returns the fault of a plugin whose socket uses TLS without AutoMTLS.
fn own_certificates() -> Fault {
    Fault::new(
        "security",
        "the plugin has its own certificates in place of AutoMTLS",
        "name the certificate files with --cert FILE, --key FILE and --ca FILE",
    )
}

async fn healthy(
    channel: &PluginChannel,
    secured: bool,
    process: &Process,
    record: &mut Record<'_>,
) -> Result<(), Fault> {
    match health(channel.clone(), "plugin").await {
        Ok(1) => {
            record.ok("connection", if secured { "TLS and HTTP/2" } else { "HTTP/2" });
            record.ok("health", "SERVING");
            Ok(())
        }
        Ok(_) => Err(Fault::new(
            "health",
            "the health status of the plugin is not SERVING",
            "read the plugin's log: the plugin sets this status itself",
        )),
        Err(status) if status.code() == Code::Unimplemented || status.code() == Code::NotFound => {
            Err(Fault::new(
                "health",
                format!("the plugin has no health status for `plugin` ({:?})", status.code()),
                "register grpc.health.v1.Health in the plugin, and set `plugin` to SERVING",
            ))
        }
        Err(status) => {
            let seen = format!("the first call fails: {:?}, {}", status.code(), status.message());
            let advice = if secured {
                "read the plugin's stderr: it may refuse the host's certificate, or have crashed"
            } else {
                "read the plugin's stderr: it may expect TLS, or have crashed"
            };
            Err(Fault::new("connection", seen, advice).with_stderr(&process.stderr()))
        }
    }
}

/// Shuts the plugin down. A plugin that does not exit has no fault in its launch.
async fn shut_down_and_record(channel: PluginChannel, process: &Process, record: &mut Record<'_>) {
    let _ = shut_down(channel).await;
    match process.exit_within(GRACE).await {
        Some(reason) if reason.is_success() => record.ok("end", reason.to_string()),
        Some(reason) => record.doubt(
            "end",
            format!("after Shutdown the plugin ended with {reason}"),
            "run `rpcplugin conformance` for details",
        ),
        None => record.doubt(
            "end",
            "the plugin was killed 2 s after Shutdown",
            "run `rpcplugin conformance` for details",
        ),
    }
}

/// Returns the fault of a failed connection, with the plugin's stderr.
fn connection_fault(step: &'static str, process: &Process, error: &(impl Diagnostic + 'static)) -> Fault {
    Fault::of(step, error).with_stderr(&process.stderr())
}

/// Returns the explanation of the runner for a connection that cannot be opened.
async fn of_the_runner(launch: &LaunchArgs, error: ConnectError) -> Option<String> {
    let fault = LaunchFault::from(ConnectFault::from(ChannelError::from(error)));
    // The runner is valid, because it has started the plugin.
    let runner = launch.runner.as_ref().and_then(|_| launch.runner().ok())?;
    timeout(EXPLANATION, runner.diagnose(&fault)).await.ok()?
}

/// The limit for the explanation of a runner.
const EXPLANATION: Duration = Duration::from_secs(5);

/// The time between Shutdown and the kill in a Go host.
const GRACE: Duration = Duration::from_secs(2);
