//! Settings of pyvider that have no equivalent.

use crate::{
    error::{FaultKind, quoted},
    value::Text,
};

/// A setting of pyvider that is none here, because it could not do what its name says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct LegacySetting {
    /// The environment variable.
    pub env: &'static str,
    /// The field of pyvider's configuration.
    pub pyvider: &'static str,
    /// Why it would have no effect.
    pub reason: &'static str,
    /// What to do instead.
    pub remedy: &'static str,
    /// What becomes of it where it is set.
    pub policy: LegacyPolicy,
}

/// What becomes of a setting that would have no effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LegacyPolicy {
    /// Any value is refused.
    Refused,
    /// The value that says what is the case anyway is accepted, every other one is refused.
    OnlyNumber(u32),
    /// `false` says what is the case anyway and is accepted, everything else is refused.
    OnlyFalse,
    /// Any value is ignored: it is meant for another program.
    Ignored,
}

/// The settings of pyvider that are none here, each with the reason.
#[must_use]
pub fn legacy_settings() -> &'static [LegacySetting] {
    LEGACY_SETTINGS
}

impl LegacySetting {
    /// Whether this is its variable, or its field in pyvider.
    pub(crate) fn is_called(&self, name: &str) -> bool {
        self.env == name || self.pyvider == name
    }

    /// The fault of setting it to this value, if it is one.
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
        reason: "there is only one version of the handshake, and every peer refuses another",
        remedy: "remove it; the versions of your own protocol are in supported_versions",
        policy: LegacyPolicy::OnlyNumber(1),
    },
    LegacySetting {
        env: "PLUGIN_PROTOCOL_VERSION",
        pyvider: "plugin_protocol_version",
        reason: "host and plugin agree on the newest version that both have",
        remedy: "remove it; set SUPPORTED_PROTOCOL_VERSIONS to restrict what a plugin serves",
        policy: LegacyPolicy::Refused,
    },
    LegacySetting {
        env: "PLUGIN_TRANSPORT_BUFFER_SIZE",
        pyvider: "plugin_transport_buffer_size",
        reason: "what a connection holds is bounded by HTTP/2 windows, not by a buffer of its own",
        remedy: "remove it, or set PLUGIN_HTTP2_STREAM_WINDOW and PLUGIN_HTTP2_CONNECTION_WINDOW",
        policy: LegacyPolicy::Refused,
    },
    LegacySetting {
        env: "PLUGIN_BUFFER_SIZE",
        pyvider: "plugin_buffer_size",
        reason: "what a connection holds is bounded by HTTP/2 windows, not by a buffer of its own",
        remedy: "remove it, or set PLUGIN_HTTP2_STREAM_WINDOW and PLUGIN_HTTP2_CONNECTION_WINDOW",
        policy: LegacyPolicy::Refused,
    },
    LegacySetting {
        env: "PLUGIN_CHUNK_SIZE",
        pyvider: "plugin_chunk_size",
        reason: "a plugin's answer is read as it comes, whatever its pieces",
        remedy: "remove it, or set PLUGIN_HANDSHAKE_LINE_LIMIT to bound the whole answer",
        policy: LegacyPolicy::Refused,
    },
    LegacySetting {
        env: "PLUGIN_MTLS_CERT_DIR",
        pyvider: "plugin_mtls_cert_dir",
        reason: "one-time identities are never written to a disk",
        remedy: "remove it, or name the files of your own identity with file://",
        policy: LegacyPolicy::Refused,
    },
    LegacySetting {
        env: "PLUGIN_INSECURE",
        pyvider: "plugin_insecure",
        reason: "it never switched anything off",
        remedy: "remove it, or set PLUGIN_AUTO_MTLS to false if plain text is really meant",
        policy: LegacyPolicy::OnlyFalse,
    },
    LegacySetting {
        env: "PLUGIN_CERT_VALIDITY_DAYS",
        pyvider: "plugin_cert_validity_days",
        reason: "a one-time identity ends with its process, and peers compare its bytes, not its dates",
        remedy: "remove it, or set a certificate of your own",
        policy: LegacyPolicy::Refused,
    },
    LegacySetting {
        env: "PLUGIN_EXIT_ON_STOP",
        pyvider: "plugin_exit_on_stop",
        reason: "serving returns when it is over, and the program decides how it ends",
        remedy: "remove it",
        policy: LegacyPolicy::Ignored,
    },
    LegacySetting {
        env: "PLUGIN_UI_ENABLED",
        pyvider: "plugin_ui_enabled",
        reason: "a library has no user interface; the `rpcplugin` program has one",
        remedy: "remove it",
        policy: LegacyPolicy::Ignored,
    },
    LegacySetting {
        env: "PLUGIN_SHOW_EMOJI_MATRIX",
        pyvider: "plugin_show_emoji_matrix",
        reason: "a library has no user interface; the `rpcplugin` program has one",
        remedy: "remove it",
        policy: LegacyPolicy::Ignored,
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_the_case_anyway_may_be_said() {
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
