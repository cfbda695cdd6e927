//! Multiplexing: all connections over one socket.

use std::time::Duration;

use rpcplugin::{handshake::Multiplexing, tls::Identity};

use super::check::{
    Check, Mutual, PrintedLine, Served, Verdict, check, fail, mutual, one_line, printed_line,
    security_without_auto_mtls, skip, supports_auto_mtls,
};
use crate::raw_host::{Multiplexed, PluginUnderTest, health, is_response, multiplexed_channel, shut_down};

pub(super) const CHECKS: &[Check] = &[
    check!(
        "mux",
        Must,
        plain,
        "With PLUGIN_MULTIPLEX_GRPC=true the plugin prints `true` in the seventh field and speaks yamux on its connection, with gRPC \
         on the streams. A plugin that does not multiplex prints no seventh field.",
        "Print `true` only if the plugin multiplexes (go-plugin 1.6), and print no seventh field otherwise.",
    ),
    check!(
        "mux-mtls",
        Must,
        secured,
        "Under AutoMTLS, TLS is inside each stream of the multiplexed connection.",
        "Wrap each stream in TLS, not the connection.",
    ),
    check!(
        "mux-shutdown",
        Must,
        shutdown,
        "A multiplexing plugin exits with status 0 within two seconds of Shutdown.",
        "As for shutdown, and close the session when the server has stopped.",
    ),
    check!(
        "mux-host-gone",
        Info,
        host_gone,
        "A multiplexing plugin made with go-plugin serves one host, and exits when the host closes the connection.",
        "No action is needed.",
    ),
];

async fn plain(plugin: &PluginUnderTest) -> Verdict {
    let served = multiplexing(plugin).await?;
    let connection = Multiplexed::open(&served.address).await?;
    calls(&connection, &served).await?;
    Ok("`true`, and calls succeed".to_owned())
}

async fn secured(plugin: &PluginUnderTest) -> Verdict {
    supports_auto_mtls(plugin)?;
    let host = Identity::generate()?;
    let start = plugin.start().multiplexed().certificate(host.certificate_pem());
    let printed = printed_line(start).await?;
    let mux = printed.line.multiplexing;
    let Mutual { served, .. } = mutual(printed, host)?;
    supports_multiplexing(mux)?;
    let connection = Multiplexed::open(&served.address).await?;
    calls(&connection, &served).await?;
    Ok("TLS on a stream".to_owned())
}

async fn shutdown(plugin: &PluginUnderTest) -> Verdict {
    let served = multiplexing(plugin).await?;
    let connection = Multiplexed::open(&served.address).await?;
    let channel = multiplexed_channel(&connection, served.security.clone()).await?;
    let _ = health(channel.clone(), "plugin").await;
    let _ = shut_down(channel).await;
    match served.process.exit_within(super::check::GRACE).await {
        Some(reason) if reason.is_success() => Ok(reason.to_string()),
        Some(reason) => fail(format!("the plugin ended with {reason}")),
        None => fail("the plugin was still running after 2 s"),
    }
}

async fn host_gone(plugin: &PluginUnderTest) -> Verdict {
    let served = multiplexing(plugin).await?;
    let connection = Multiplexed::open(&served.address).await?;
    calls(&connection, &served).await?;
    drop(connection);
    Ok(match served.process.exit_within(Duration::from_secs(3)).await {
        Some(reason) => format!("the plugin ends with {reason}"),
        None => "the plugin keeps running".to_owned(),
    })
}

/// Makes two calls over a multiplexed connection.
async fn calls(connection: &Multiplexed, served: &Served) -> Verdict<()> {
    let channel = multiplexed_channel(connection, served.security.clone()).await;
    let channel = match channel {
        Ok(channel) => channel,
        Err(error) => {
            let error = one_line(&error);
            return fail(format!("the plugin reports multiplexing, but yamux streams fail: {error}"));
        }
    };
    for _ in 0..2 {
        let result = health(channel.clone(), "plugin").await;
        let arrived = is_response(&result);
        if let (Err(status), false) = (result, arrived) {
            return fail(format!("the plugin reports multiplexing, but a call fails: {}", one_line(&status)));
        }
    }
    Ok(())
}

/// Starts a plugin with multiplexing and without AutoMTLS. Skips the check if the plugin does not multiplex.
async fn multiplexing(plugin: &PluginUnderTest) -> Verdict<Served> {
    let PrintedLine { process, line, address, .. } = printed_line(plugin.start().multiplexed()).await?;
    supports_multiplexing(line.multiplexing)?;
    Ok(Served { process, address, security: security_without_auto_mtls(plugin)? })
}

fn supports_multiplexing(multiplexing: Multiplexing) -> Verdict<()> {
    match multiplexing {
        Multiplexing::Yes => Ok(()),
        Multiplexing::Unspecified => {
            skip("the handshake line has no seventh field: the plugin does not multiplex")
        }
        Multiplexing::No => skip("the plugin reports that it does not multiplex"),
        _ => fail("the seventh field is neither true nor false"),
    }
}
