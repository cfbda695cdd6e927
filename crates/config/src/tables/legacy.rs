//! Settings of pyvider that have no equivalent.

use crate::{
    error::{FaultKind, quoted},
    value::Text,
};

/// A setting of pyvider without an equivalent here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct LegacySetting {
    /// The environment variable.
    pub env: &'static str,
    /// The field of pyvider's configuration.
    pub pyvider: &'static str,
    /// Why the setting would have no effect.
    pub reason: &'static str,
    /// The help for users of the setting.
    pub remedy: &'static str,
    /// Which values are accepted.
    pub policy: LegacyPolicy,
}

/// The values of a legacy setting that are accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LegacyPolicy {
    /// Every value is refused.
    Refused,
    /// Only this number, which matches the actual behaviour, is accepted.
    OnlyNumber(u32),
    /// Only `false`, which matches the actual behaviour, is accepted.
    OnlyFalse,
    /// Every value is ignored: the setting is for another program.
    Ignored,
}

/// Returns the settings of pyvider without an equivalent here, each with the reason.
#[must_use]
pub fn legacy_settings() -> &'static [LegacySetting] {
    LEGACY_SETTINGS
}

impl LegacySetting {
    /// Whether this is the setting's variable or its field in pyvider.
    pub(crate) fn is_called(&self, name: &str) -> bool {
        self.env == name || self.pyvider == name
    }

    /// Returns the fault if this value is refused.
    pub(crate) fn refuse(&self, name: &str, value: &str) -> Option<FaultKind> {
        let value = value.trim();
        let harmless = match self.policy {
            LegacyPolicy::Refused => false,
            LegacyPolicy::OnlyNumber(number) => value.parse() == Ok(number),
            LegacyPolicy::OnlyFalse => bool::from_text(value) == Some(false),
            LegacyPolicy::Ignored => true,
        };
        (!harmless).then(|| FaultKind::WithoutEffect {
            name: name.to_owned(),
            given: quoted(value),
            reason: self.reason,
            remedy: self.remedy,
        })
    }
}

const LEGACY_SETTINGS: &[LegacySetting] = &[
    LegacySetting {
        env: "PLUGIN_CORE_VERSION",
        pyvider: "plugin_core_version",
        reason: "the handshake has only one version",
        remedy: "remove it; supported_versions has the versions of the application's protocol",
        policy: LegacyPolicy::OnlyNumber(1),
    },
    LegacySetting {
        env: "PLUGIN_PROTOCOL_VERSION",
        pyvider: "plugin_protocol_version",
        reason: "host and plugin negotiate the newest version that both support",
        remedy: "remove it; set SUPPORTED_PROTOCOL_VERSIONS to restrict the versions of a plugin",
        policy: LegacyPolicy::Refused,
    },
    LegacySetting {
        env: "PLUGIN_TRANSPORT_BUFFER_SIZE",
        pyvider: "plugin_transport_buffer_size",
        reason: "HTTP/2 windows bound the memory of a connection, which has no buffer of its own",
        remedy: "remove it, or set PLUGIN_HTTP2_STREAM_WINDOW and PLUGIN_HTTP2_CONNECTION_WINDOW",
        policy: LegacyPolicy::Refused,
    },
    LegacySetting {
        env: "PLUGIN_BUFFER_SIZE",
        pyvider: "plugin_buffer_size",
        reason: "HTTP/2 windows bound the memory of a connection, which has no buffer of its own",
        remedy: "remove it, or set PLUGIN_HTTP2_STREAM_WINDOW and PLUGIN_HTTP2_CONNECTION_WINDOW",
        policy: LegacyPolicy::Refused,
    },
    LegacySetting {
        env: "PLUGIN_CHUNK_SIZE",
        pyvider: "plugin_chunk_size",
        reason: "a handshake line is read in pieces of any size",
        remedy: "remove it, or set PLUGIN_HANDSHAKE_LINE_LIMIT to limit the handshake line",
        policy: LegacyPolicy::Refused,
    },
    LegacySetting {
        env: "PLUGIN_MTLS_CERT_DIR",
        pyvider: "plugin_mtls_cert_dir",
        reason: "ephemeral identities are never written to a disk",
        remedy: "remove it, or set certificate and private_key to file:// and the paths of an identity",
        policy: LegacyPolicy::Refused,
    },
    LegacySetting {
        env: "PLUGIN_INSECURE",
        pyvider: "plugin_insecure",
        reason: "the setting has no effect in pyvider either",
        remedy: "remove it, or set PLUGIN_AUTO_MTLS to false for plain text",
        policy: LegacyPolicy::OnlyFalse,
    },
    LegacySetting {
        env: "PLUGIN_CERT_VALIDITY_DAYS",
        pyvider: "plugin_cert_validity_days",
        reason: "an ephemeral identity ends with its process, and peers compare its bytes and not its dates",
        remedy: "remove it, or set certificate and private_key",
        policy: LegacyPolicy::Refused,
    },
    LegacySetting {
        env: "PLUGIN_EXIT_ON_STOP",
        pyvider: "plugin_exit_on_stop",
        reason: "serving returns after the shutdown, and the program decides how it exits",
        remedy: "remove it",
        policy: LegacyPolicy::Ignored,
    },
    LegacySetting {
        env: "PLUGIN_UI_ENABLED",
        pyvider: "plugin_ui_enabled",
        reason: "the library has no user interface",
        remedy: "remove it",
        policy: LegacyPolicy::Ignored,
    },
    LegacySetting {
        env: "PLUGIN_SHOW_EMOJI_MATRIX",
        pyvider: "plugin_show_emoji_matrix",
        reason: "the library has no user interface",
        remedy: "remove it",
        policy: LegacyPolicy::Ignored,
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_matches_the_behaviour_is_accepted() {
        let refuses = |env: &str, value| {
            let legacy = legacy_settings().iter().find(|legacy| legacy.env == env).expect(env);
            legacy.refuse(env, value).is_some()
        };
        assert!(!refuses("PLUGIN_CORE_VERSION", "1") && refuses("PLUGIN_CORE_VERSION", "2"));
        assert!(!refuses("PLUGIN_INSECURE", "false") && refuses("PLUGIN_INSECURE", "true"));
        assert!(refuses("PLUGIN_INSECURE", "maybe"));
        assert!(refuses("PLUGIN_MTLS_CERT_DIR", "/tmp") && !refuses("PLUGIN_UI_ENABLED", "true"));
    }
}
