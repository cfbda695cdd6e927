//! What a plugin is before it is checked: whether it speaks at all, by which protocol, and how its socket is secured.

use std::io;

use rpcplugin::{
    handshake::{HandshakeLine, HandshakeLineError, HandshakeLineFault},
    transport::speaks_tls,
};

use crate::{
    plugin_args::{refuses_a_version, without_zero},
    raw_host::{OwnTls, PluginUnderTest},
};

/// What the first start of a plugin shows.
pub(super) enum Opening {
    /// It prints a handshake line of gRPC.
    Speaks,
    /// It does not. The checks of the line say more.
    Silent,
    /// It speaks another protocol, which none of the checks is about, as its line says.
    Foreign(HandshakeLineError, String),
}

/// Starts the plugin once, and notes in `subject` what the checks have to know of it. Versions that are a guess of this
/// program are corrected.
pub(super) async fn open(subject: &mut PluginUnderTest, guesses_versions: bool) -> io::Result<Opening> {
    let mut process = subject.start().spawn()?;
    let mut line = process.first_line(subject.start_timeout).await;
    if line.is_err() && guesses_versions {
        process.all_printed().await;
        if refuses_a_version(&process.stderr()) {
            subject.versions = without_zero();
            process = subject.start().spawn()?;
            line = process.first_line(subject.start_timeout).await;
        }
    }
    let Ok(line) = line else { return Ok(Opening::Silent) };
    let line = String::from_utf8_lossy(&line).into_owned();
    let answer = match HandshakeLine::parse(&line) {
        Ok(answer) => answer,
        Err(error) if matches!(error.fault, HandshakeLineFault::NetRpc | HandshakeLineFault::Packer) => {
            return Ok(Opening::Foreign(error, line));
        }
        Err(_) => return Ok(Opening::Silent),
    };
    // It was offered no certificate, so whatever TLS there is has nothing to do with the handshake.
    if matches!(subject.tls, OwnTls::None) && speaks_tls(&answer.endpoint).await {
        subject.tls = OwnTls::Missing;
    }
    Ok(Opening::Speaks)
}
