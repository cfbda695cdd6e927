//! The names that settings have, and the nearest one to a name that none has.

use std::collections::BTreeMap;

use crate::{
    error::{FaultKind, quoted},
    setting::{SWITCH, Setting, Side, settings},
    value::Text,
};

/// The names of one side's settings.
pub(crate) struct Names {
    side: Side,
    by_name: BTreeMap<&'static str, &'static Setting>,
}

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
    pub treatment: LegacyPolicy,
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
pub fn retired() -> &'static [LegacySetting] {
    RETIRED
}

impl Names {
    pub(crate) fn of(side: Side) -> Self {
        let own = settings().iter().filter(|setting| setting.side == side);
        Self { side, by_name: own.map(|setting| (&*setting.name, setting)).collect() }
    }

    pub(crate) fn side(&self) -> Side {
        self.side
    }

    /// The settings in the order of their struct.
    pub(crate) fn settings(&self) -> impl Iterator<Item = &'static Setting> {
        settings().iter().filter(move |setting| setting.side == self.side)
    }

    /// The setting of this name.
    pub(crate) fn setting(&self, name: &str) -> Option<&'static Setting> {
        self.by_name.get(name).copied()
    }

    /// The setting of this name, or of this variable, or of this field of pyvider.
    pub(crate) fn setting_called(&self, name: &str) -> Option<&'static Setting> {
        self.setting(name).or_else(|| {
            self.settings().find(|setting| setting.env.contains(&name) || setting.pyvider.contains(&name))
        })
    }

    /// Whether settings have names that begin with this one and a dot.
    pub(crate) fn is_group(&self, name: &str) -> bool {
        self.by_name
            .keys()
            .any(|setting| setting.strip_prefix(name).is_some_and(|rest| rest.starts_with('.')))
    }

    /// The switch of a group that can be switched on and off.
    pub(crate) fn switch(&self, group: &str) -> Option<&'static Setting> {
        self.setting(&format!("{group}.{SWITCH}"))
    }

    /// The fault that there is no setting of this name.
    pub(crate) fn unknown(&self, name: &str) -> FaultKind {
        let remedy = match self.nearest(name) {
            Some(nearest) => format!("write `{nearest}`, if that is what is meant"),
            None => format!("remove it; `docs/configuration.md` lists the settings of a {}", self.side),
        };
        FaultKind::UnknownSetting { name: name.to_owned(), remedy }
    }

    /// The setting whose name a person may have meant.
    pub(crate) fn nearest(&self, name: &str) -> Option<&'static str> {
        // Who writes a variable's or pyvider's name, in any case, knows exactly what is meant.
        let same = |known: &&str| known.eq_ignore_ascii_case(name);
        let renamed =
            self.settings().find(|setting| setting.env.iter().any(same) || setting.pyvider.iter().any(same));
        renamed.map(|setting| &*setting.name).or_else(|| {
            // The last part alone may be right, in the wrong group.
            let leaf = |known: &str| known.rsplit('.').next() == Some(name);
            nearest(name, self.by_name.keys().copied())
                .or_else(|| self.by_name.keys().copied().find(|known| leaf(known)))
        })
    }
}

impl LegacySetting {
    /// Whether this is its variable, or its field in pyvider.
    pub(crate) fn is_called(&self, name: &str) -> bool {
        self.env == name || self.pyvider == name
    }

    /// The fault of setting it to this value, if it is one.
    pub(crate) fn refuse(&self, name: &str, value: &str) -> Option<FaultKind> {
        let value = value.trim();
        let harmless = match self.treatment {
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

/// The name that differs least from the given one, if it does not differ too much to be a slip.
pub(crate) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    // A name longer than any known one can be no slip, and need not be compared letter by letter.
    const LONGEST: usize = 64;
    if name.len() > LONGEST {
        return None;
    }
    let tolerance = (name.chars().count() / 3).max(1);
    let near = known.map(|known| (distance(name, known), known));
    near.filter(|(distance, _)| *distance <= tolerance).min().map(|(_, known)| known)
}

/// How many letters have to be added, left out or exchanged to make one word of the other.
pub(crate) fn distance(from: &str, to: &str) -> usize {
    // The row of the usual table for the letters of `from` seen so far.
    let mut row: Vec<usize> = (0..=to.chars().count()).collect();
    for (seen, letter) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = seen + 1;
        for (column, other) in to.chars().enumerate() {
            let exchanged = diagonal + usize::from(letter != other);
            diagonal = row[column + 1];
            row[column + 1] = exchanged.min(row[column] + 1).min(diagonal + 1);
        }
    }
    row[row.len() - 1]
}

const RETIRED: &[LegacySetting] = &[
    LegacySetting {
        env: "PLUGIN_CORE_VERSION",
        pyvider: "plugin_core_version",
        reason: "there is only one version of the handshake, and every peer refuses another",
        remedy: "remove it; the versions of your own protocol are in supported_versions",
        treatment: LegacyPolicy::OnlyNumber(1),
    },
    LegacySetting {
        env: "PLUGIN_PROTOCOL_VERSION",
        pyvider: "plugin_protocol_version",
        reason: "host and plugin agree on the newest version that both have",
        remedy: "remove it; set SUPPORTED_PROTOCOL_VERSIONS to restrict what a plugin serves",
        treatment: LegacyPolicy::Refused,
    },
    LegacySetting {
        env: "PLUGIN_TRANSPORT_BUFFER_SIZE",
        pyvider: "plugin_transport_buffer_size",
        reason: "what a connection holds is bounded by HTTP/2 windows, not by a buffer of its own",
        remedy: "remove it, or set PLUGIN_HTTP2_STREAM_WINDOW and PLUGIN_HTTP2_CONNECTION_WINDOW",
        treatment: LegacyPolicy::Refused,
    },
    LegacySetting {
        env: "PLUGIN_BUFFER_SIZE",
        pyvider: "plugin_buffer_size",
        reason: "what a connection holds is bounded by HTTP/2 windows, not by a buffer of its own",
        remedy: "remove it, or set PLUGIN_HTTP2_STREAM_WINDOW and PLUGIN_HTTP2_CONNECTION_WINDOW",
        treatment: LegacyPolicy::Refused,
    },
    LegacySetting {
        env: "PLUGIN_CHUNK_SIZE",
        pyvider: "plugin_chunk_size",
        reason: "a plugin's answer is read as it comes, whatever its pieces",
        remedy: "remove it, or set PLUGIN_HANDSHAKE_LINE_LIMIT to bound the whole answer",
        treatment: LegacyPolicy::Refused,
    },
    LegacySetting {
        env: "PLUGIN_MTLS_CERT_DIR",
        pyvider: "plugin_mtls_cert_dir",
        reason: "one-time identities are never written to a disk",
        remedy: "remove it, or name the files of your own identity with file://",
        treatment: LegacyPolicy::Refused,
    },
    LegacySetting {
        env: "PLUGIN_INSECURE",
        pyvider: "plugin_insecure",
        reason: "it never switched anything off",
        remedy: "remove it, or set PLUGIN_AUTO_MTLS to false if plain text is really meant",
        treatment: LegacyPolicy::OnlyFalse,
    },
    LegacySetting {
        env: "PLUGIN_CERT_VALIDITY_DAYS",
        pyvider: "plugin_cert_validity_days",
        reason: "a one-time identity ends with its process, and peers compare its bytes, not its dates",
        remedy: "remove it, or set a certificate of your own",
        treatment: LegacyPolicy::Refused,
    },
    LegacySetting {
        env: "PLUGIN_EXIT_ON_STOP",
        pyvider: "plugin_exit_on_stop",
        reason: "serving returns when it is over, and the program decides how it ends",
        remedy: "remove it",
        treatment: LegacyPolicy::Ignored,
    },
    LegacySetting {
        env: "PLUGIN_UI_ENABLED",
        pyvider: "plugin_ui_enabled",
        reason: "a library has no user interface; the `rpcplugin` program has one",
        remedy: "remove it",
        treatment: LegacyPolicy::Ignored,
    },
    LegacySetting {
        env: "PLUGIN_SHOW_EMOJI_MATRIX",
        pyvider: "plugin_show_emoji_matrix",
        reason: "a library has no user interface; the `rpcplugin` program has one",
        remedy: "remove it",
        treatment: LegacyPolicy::Ignored,
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_near_and_nonsense_is_not() {
        let names = Names::of(Side::Plugin);
        for (written, meant) in [
            ("output_bufer", Some("output_buffer")),
            ("outputbuffer", Some("output_buffer")),
            ("http2.max_frames", Some("http2.max_frame")),
            ("PLUGIN_AUTO_MTLS", Some("auto_mtls")),
            ("plugin_ignore_sigint", Some("ignore_sigint")),
            ("burst_capacity", Some("rate_limit.burst_capacity")),
            ("colour", None),
            ("", None),
        ] {
            assert_eq!(names.nearest(written), meant, "{written}");
        }
    }

    #[test]
    fn what_is_the_case_anyway_may_be_said() {
        let refuses = |env: &str, value| {
            let retired = retired().iter().find(|retired| retired.env == env).expect(env);
            retired.refuse(env, value).is_some()
        };
        assert!(!refuses("PLUGIN_CORE_VERSION", "1") && refuses("PLUGIN_CORE_VERSION", "2"));
        assert!(!refuses("PLUGIN_INSECURE", "false") && refuses("PLUGIN_INSECURE", "true"));
        assert!(refuses("PLUGIN_INSECURE", "maybe"));
        assert!(refuses("PLUGIN_MTLS_CERT_DIR", "/tmp") && !refuses("PLUGIN_UI_ENABLED", "true"));
    }
}
