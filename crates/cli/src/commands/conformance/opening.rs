//! The launch before the checks: whether the plugin prints a handshake line, its protocol, and its TLS.

use rpcplugin::handshake::{HandshakeLine, HandshakeLineError, HandshakeLineFault};

use crate::{
    plugin_args::{refuses_a_version, without_zero},
    raw_host::{OwnTls, PluginUnderTest, SpawnError},
};

/// What the first launch of a plugin shows.
pub(super) enum FirstLaunch {
    /// The plugin prints a handshake line for gRPC.
    GrpcLine,
    /// The plugin prints no handshake line. The check `line-form` shows details.
    NoLine,
    /// The plugin speaks another protocol, which has no checks. The text is its line.
    OtherProtocol(HandshakeLineError, String),
}

/// Launches the plugin once. Updates `plugin.tls`, and `plugin.versions` if these are the default of this program.
pub(super) async fn open(
    plugin: &mut PluginUnderTest,
    guesses_versions: bool,
) -> Result<FirstLaunch, SpawnError> {
    let mut process = plugin.start().spawn().await?;
    let mut line = process.first_line(plugin.start_timeout).await;
    if line.is_err() && guesses_versions {
        process.all_printed().await;
        if refuses_a_version(&process.stderr()) {
            plugin.versions = without_zero();
            process = plugin.start().spawn().await?;
            line = process.first_line(plugin.start_timeout).await;
        }
    }
    let Ok(line) = line else { return Ok(FirstLaunch::NoLine) };
    let text = String::from_utf8_lossy(&line).into_owned();
    let line = match HandshakeLine::parse(&text) {
        Ok(line) => line,
        Err(error) if matches!(error.fault, HandshakeLineFault::NetRpc | HandshakeLineFault::Packer) => {
            return Ok(FirstLaunch::OtherProtocol(error, text));
        }
        Err(_) => return Ok(FirstLaunch::NoLine),
    };
    // This launch had no PLUGIN_CLIENT_CERT, so TLS means that the plugin has its own certificates.
    if matches!(plugin.tls, OwnTls::None) && process.address(&line)?.speaks_tls().await {
        plugin.tls = OwnTls::Missing;
    }
    Ok(FirstLaunch::GrpcLine)
}
