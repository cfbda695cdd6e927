//! From the handshake line to the first answer, and to the end.

use std::time::Duration;

use miette::Diagnostic;
use rpcplugin::{
    PluginChannel,
    handshake::{Multiplexing, accept_version},
    mtls::{MutualTls, PeerCertificate, Trust},
    transport::{Security, dial, speaks_tls},
};
use tonic::Code;

use super::{
    record::{Cause, Record},
    start::Announced,
};
use crate::{
    plugin_args::LaunchArgs,
    raw_host::{Multiplexed, Process, channel, health, multiplexed_channel, shut_down},
};

/// Speaks to the plugin as a host does.
pub(super) async fn examine(
    launch: &LaunchArgs,
    announced: Announced,
    record: &mut Record<'_>,
) -> Result<(), Cause> {
    let offered = launch.offered_versions();
    let version = accept_version(announced.answer.version, &offered)
        .map_err(|error| Cause::new("version", error.to_string(), launch.help_for_version(error.plugin)))?;
    record.ok("version", version.to_string());
    if launch.mux && announced.answer.multiplexing != Multiplexing::Yes {
        let advice = "update the plugin's library (go-plugin 1.6 or later), or do without --mux";
        return Err(Cause::new("mux", "it cannot carry all connections over one socket", advice));
    }
    let security = security(launch, &announced, record).await?;
    let endpoint = &announced.answer.endpoint;
    if !launch.mux {
        // A multiplexing plugin takes one connection only.
        dial(endpoint).await.map_err(|error| explained("address", &announced.process, &error))?;
    }
    record.ok("address", endpoint.to_string());
    let secured = security.is_mutual();
    let multiplexed;
    let connected = if launch.mux {
        multiplexed = Multiplexed::open(endpoint)
            .await
            .map_err(|error| explained("address", &announced.process, &error))?;
        multiplexed_channel(&multiplexed, security).await
    } else {
        channel(endpoint, security).await
    };
    let talked = match connected {
        Ok(channel) => healthy(&channel, secured, &announced.process, record).await.map(|()| channel),
        Err(error) => Err(explained("connection", &announced.process, &error)),
    };
    let channel = match talked {
        Ok(channel) => channel,
        // Asked last: a plugin that multiplexes takes one connection only.
        Err(_) if !secured && speaks_tls(endpoint).await => return Err(own_certificates()),
        Err(cause) => return Err(cause),
    };
    ends(channel, &announced.process, record).await;
    Ok(())
}

async fn security(
    launch: &LaunchArgs,
    announced: &Announced,
    record: &mut Record<'_>,
) -> Result<Security, Cause> {
    if let Some(given) = launch.tls.security().map_err(|error| Cause::of("security", &error))? {
        record.ok("security", "mutual TLS with the certificates that were given");
        return Ok(given);
    }
    let security = match (&announced.host, &announced.answer.certificate) {
        (None, None) => {
            record.ok("security", "plain text, as asked for with --no-mtls");
            Security::Plain
        }
        (None, Some(_)) => {
            let seen = "it sent a certificate that nobody asked for, at which Go hosts crash";
            let advice = "leave out --no-mtls; the plugin's author has to send a certificate only when the host sends one";
            return Err(Cause::new("security", seen, advice));
        }
        (Some(_), None) if speaks_tls(&announced.answer.endpoint).await => return Err(own_certificates()),
        (Some(_), None) => {
            let advice = "build the plugin with a library that knows AutoMTLS; or go on without, knowingly: --no-mtls here, and the \
                          same in the host";
            return Err(Cause::new("security", "it was asked for mutual TLS and does without", advice));
        }
        (Some(host), Some(der)) => {
            let plugin =
                PeerCertificate::from_der(der.clone()).map_err(|error| Cause::of("security", &error))?;
            let seen = format!("mutual TLS, its certificate is {plugin}");
            let tls = MutualTls::new(host.clone(), Trust::Pinned(plugin))
                .map_err(|error| Cause::of("security", &error))?;
            record.ok("security", seen);
            Security::Mutual(tls)
        }
    };
    Ok(security)
}

/// Its socket speaks TLS, and not because of the handshake.
fn own_certificates() -> Cause {
    Cause::new(
        "security",
        "it secures its socket with certificates of its own, and not by AutoMTLS",
        "give what goes with them: --cert FILE, --key FILE and --ca FILE",
    )
}

async fn healthy(
    channel: &PluginChannel,
    secured: bool,
    process: &Process,
    record: &mut Record<'_>,
) -> Result<(), Cause> {
    match health(channel.clone(), "plugin").await {
        Ok(1) => {
            record.ok("connection", if secured { "TLS and HTTP/2" } else { "HTTP/2" });
            record.ok("health", "SERVING");
            Ok(())
        }
        Ok(_) => Err(Cause::new(
            "health",
            "it says of itself that it is not serving",
            "the plugin sets its health so itself: its log should say why",
        )),
        Err(status) if status.code() == Code::Unimplemented || status.code() == Code::NotFound => {
            Err(Cause::new(
                "health",
                format!("it has no health service for `plugin` ({:?})", status.code()),
                "register grpc.health.v1.Health in the plugin, and set `plugin` to SERVING",
            ))
        }
        Err(status) => {
            let seen = format!("its first call fails: {:?}, {}", status.code(), status.message());
            let advice = if secured {
                "it cut the connection: it may not accept the host's certificate, or have crashed; see its stderr"
            } else {
                "it cut the connection: it may expect TLS, or have crashed; see its stderr"
            };
            Err(Cause::new("connection", seen, advice).said(&process.stderr()))
        }
    }
}

/// A plugin that does not end is no fault of its start.
async fn ends(channel: PluginChannel, process: &Process, record: &mut Record<'_>) {
    let _ = shut_down(channel).await;
    match process.ended(GRACE).await {
        Some(reason) if reason.is_success() => record.ok("end", reason.to_string()),
        Some(reason) => record.doubt(
            "end",
            format!("asked to end, it ended with {reason}"),
            "`rpcplugin conformance` says more",
        ),
        None => record.doubt(
            "end",
            "asked to end, it went on for 2 s and was killed",
            "`rpcplugin conformance` says more",
        ),
    }
}

/// With the plugin's own words, which often say more than the broken connection.
fn explained(step: &'static str, process: &Process, error: &(impl Diagnostic + 'static)) -> Cause {
    Cause::of(step, error).said(&process.stderr())
}

/// As long as Go hosts wait.
const GRACE: Duration = Duration::from_secs(2);
