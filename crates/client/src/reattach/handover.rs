//! The data of a handover, secrets included.

use std::{fmt, path::PathBuf};

use miette::Diagnostic;
use rpcplugin_handshake::{ReattachConfig, ReattachError};
use rpcplugin_mtls::{
    ExportedIdentity, Identity, IdentityError, MutualTls, PeerCertificate, PeerCertificateError, TlsError,
    Trust,
};
use rpcplugin_transport::Security;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::attachment::Attachment;

/// The data with which another host goes on with a plugin, such as the next version of this one: its endpoint, pid and
/// version, and for AutoMTLS the identity of the host that launched it.
///
/// It has a private key in it, with which a process can impersonate the host. Keep it out of logs, environments and
/// files that other users can read. `Debug` does not show the key.
#[derive(Clone)]
pub struct Handover {
    config: ReattachConfig,
    identity: Option<(ExportedIdentity, PeerCertificate)>,
    socket_dir: Option<PathBuf>,
    #[cfg(feature = "sandbox")]
    confinement: Option<rpcplugin_sandbox::Confinement>,
}

/// The text of a handover cannot be used.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[non_exhaustive]
pub enum HandoverError {
    /// The text is not that of [`Handover::to_json`].
    #[error("the handover cannot be read")]
    #[diagnostic(
        code(rpcplugin::handshake::handover_unreadable),
        help("copy the whole text that the other host wrote")
    )]
    Unreadable(#[source] serde_json::Error),
    /// The reattach configuration in the text cannot be used.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Config(#[from] ReattachError),
    /// The host's identity in the text cannot be used.
    #[error("the host's identity in the handover cannot be used")]
    #[diagnostic(code(rpcplugin::security::handover_identity))]
    Identity(
        #[from]
        #[diagnostic_source]
        IdentityError,
    ),
    /// The plugin's certificate in the text cannot be used.
    #[error("the plugin's certificate in the handover cannot be used")]
    #[diagnostic(code(rpcplugin::security::handover_certificate))]
    Certificate(
        #[from]
        #[diagnostic_source]
        PeerCertificateError,
    ),
    /// TLS cannot be set up with the identity and the certificate.
    #[error("TLS cannot be set up from the handover")]
    #[diagnostic(code(rpcplugin::security::handover_tls))]
    Tls(
        #[from]
        #[diagnostic_source]
        TlsError,
    ),
}

/// The members beside those of go-plugin.
#[derive(Serialize, Deserialize)]
struct Wire {
    #[serde(rename = "Tls", default, skip_serializing_if = "Option::is_none")]
    tls: Option<WireTls>,
    #[serde(rename = "SocketDir", default, skip_serializing_if = "Option::is_none")]
    socket_dir: Option<PathBuf>,
    #[cfg(feature = "sandbox")]
    #[serde(rename = "Confinement", default, skip_serializing_if = "Option::is_none")]
    confinement: Option<Vec<WireLayer>>,
}

/// A layer of a sandbox: its name, its state, and what is missing where it is not enforced.
#[cfg(feature = "sandbox")]
#[derive(Serialize, Deserialize)]
struct WireLayer(String, String, String);

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct WireTls {
    host_certificate: String,
    host_key: String,
    plugin_certificate: String,
}

impl Handover {
    pub(crate) fn new(config: ReattachConfig, security: &Security, socket_dir: Option<PathBuf>) -> Self {
        let identity = match security {
            Security::Mutual(tls) => match tls.trust() {
                Trust::Pinned(certificate) => Some((tls.identity().export(), certificate.clone())),
                // Roots come from the configuration of the host that attaches.
                _ => None,
            },
            _ => None,
        };
        Self {
            config,
            identity,
            socket_dir,
            #[cfg(feature = "sandbox")]
            confinement: None,
        }
    }

    /// Adds what is enforced on the plugin.
    #[cfg(feature = "sandbox")]
    pub(crate) fn confined(mut self, confinement: Option<&rpcplugin_sandbox::Confinement>) -> Self {
        self.confinement = confinement.cloned();
        self
    }

    /// The part without secrets.
    #[must_use]
    pub fn config(&self) -> &ReattachConfig {
        &self.config
    }

    /// Writes one line of JSON: go-plugin's members, and beside them the host's private key. Secret.
    #[must_use]
    pub fn to_json(&self) -> String {
        let tls = self.identity.as_ref().map(|(identity, certificate)| WireTls {
            host_certificate: identity.certificates_pem().to_owned(),
            host_key: identity.private_key_pem().to_owned(),
            plugin_certificate: certificate.pem(),
        });
        let wire = Wire {
            tls,
            socket_dir: self.socket_dir.clone(),
            #[cfg(feature = "sandbox")]
            confinement: self.confinement.as_ref().map(to_wire),
        };
        let parts = [serde_json::from_str(&self.config.to_string()), serde_json::to_value(wire)];
        let members = parts.into_iter().flatten().filter_map(|part| match part {
            Value::Object(members) => Some(members),
            _ => None,
        });
        Value::Object(members.flatten().collect()).to_string()
    }

    /// Reads the text of [`to_json`](Self::to_json).
    ///
    /// # Errors
    /// [`HandoverError`] if a part of it cannot be used.
    pub fn parse(json: &str) -> Result<Attachment, HandoverError> {
        let config = ReattachConfig::parse(json)?;
        let Wire {
            tls,
            socket_dir,
            #[cfg(feature = "sandbox")]
            confinement,
        } = serde_json::from_str(json).map_err(HandoverError::Unreadable)?;
        let mut attachment = Attachment::from(config);
        if let Some(tls) = tls {
            let identity = Identity::from_pem(&tls.host_certificate, &tls.host_key)?;
            let trust = Trust::Pinned(PeerCertificate::from_pem(&tls.plugin_certificate)?);
            attachment.security = Some(Security::Mutual(MutualTls::new(identity, trust)?));
        }
        attachment.leftover_dir = socket_dir;
        #[cfg(feature = "sandbox")]
        {
            attachment.confinement = confinement.map(from_wire);
        }
        Ok(attachment)
    }
}

#[cfg(feature = "sandbox")]
fn to_wire(confinement: &rpcplugin_sandbox::Confinement) -> Vec<WireLayer> {
    let why = |layer| confinement.missing().find(|(missing, _)| *missing == layer);
    let layer = |(layer, state): (rpcplugin_sandbox::Layer, &rpcplugin_sandbox::LayerState)| {
        let why = why(layer).map_or("", |(_, why)| why);
        WireLayer(layer.as_str().to_owned(), state.as_str().to_owned(), why.to_owned())
    };
    confinement.layers().map(layer).collect()
}

/// Layers that this version does not know are left out. A state that it does not know is not taken for enforced.
#[cfg(feature = "sandbox")]
fn from_wire(layers: Vec<WireLayer>) -> rpcplugin_sandbox::Confinement {
    use rpcplugin_sandbox::{Confinement, Layer, LayerState};
    let layer = |WireLayer(name, state, why): WireLayer| {
        let layer = Layer::ALL.iter().find(|layer| layer.as_str() == name)?;
        let state = match &*state {
            "enforced" => LayerState::Enforced,
            "unrestricted" => LayerState::Unrestricted,
            _ => LayerState::unavailable(why),
        };
        Some((*layer, state))
    };
    Confinement::from_layers(layers.into_iter().filter_map(layer))
}

impl fmt::Debug for Handover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handover")
            .field("config", &self.config)
            .field("identity", &self.identity.as_ref().map(|_| "[secret]"))
            .field("socket_dir", &self.socket_dir)
            .finish()
    }
}
