//! Names of settings, and the nearest name to an unknown one.

use std::collections::BTreeMap;

use super::spelling::nearest;
use crate::{catalog::settings, error::FaultKind, schema::Setting, side::Side};

/// The names of one side's settings.
pub(crate) struct Names {
    side: Side,
    by_name: BTreeMap<&'static str, &'static Setting>,
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

    /// The setting with this name, variable or pyvider field.
    pub(crate) fn setting_called(&self, name: &str) -> Option<&'static Setting> {
        self.setting(name).or_else(|| {
            self.settings().find(|setting| setting.env.contains(&name) || setting.pyvider.contains(&name))
        })
    }

    /// Whether this is the name of a group.
    #[cfg(feature = "config-file")]
    pub(crate) fn is_group(&self, name: &str) -> bool {
        self.by_name
            .keys()
            .any(|setting| setting.strip_prefix(name).is_some_and(|rest| rest.starts_with('.')))
    }

    /// The setting that switches a group on or off, if the group has one.
    #[cfg(feature = "config-file")]
    pub(crate) fn switch(&self, group: &str) -> Option<&'static Setting> {
        self.setting(&format!("{group}.{}", crate::schema::SWITCH))
    }

    /// The fault for a name that no setting has.
    pub(crate) fn unknown(&self, name: &str) -> FaultKind {
        let remedy = match self.nearest(name) {
            Some(nearest) => format!("write `{nearest}` if that setting is meant"),
            None => format!("remove it; `docs/configuration.md` lists the settings of a {}", self.side),
        };
        FaultKind::UnknownSetting { name: name.to_owned(), remedy }
    }

    /// The setting with the nearest name.
    pub(crate) fn nearest(&self, name: &str) -> Option<&'static str> {
        // A name that equals a variable or a pyvider field, whatever its case, is no typo.
        let same = |known: &&str| known.eq_ignore_ascii_case(name);
        let renamed =
            self.settings().find(|setting| setting.env.iter().any(same) || setting.pyvider.iter().any(same));
        renamed.map(|setting| &*setting.name).or_else(|| {
            // The name may be right and only its group wrong.
            let leaf = |known: &str| known.rsplit('.').next() == Some(name);
            nearest(name, self.by_name.keys().copied())
                .or_else(|| self.by_name.keys().copied().find(|known| leaf(known)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typo_is_near_a_setting_and_nonsense_is_not() {
        let names = Names::of(Side::Plugin);
        for (written, meant) in [
            ("output_bufer", Some("output_buffer")),
            ("outputbuffer", Some("output_buffer")),
            ("http2.max_frames", Some("http2.max_frame")),
            ("PLUGIN_AUTO_MTLS", Some("auto_mtls")),
            ("plugin_ignore_sigint", Some("ignore_sigint")),
            ("plugin_output_buffer", Some("output_buffer")),
            ("burst_capacity", Some("rate_limit.burst_capacity")),
            ("colour", None),
            ("", None),
        ] {
            assert_eq!(names.nearest(written), meant, "{written}");
        }
    }
}
