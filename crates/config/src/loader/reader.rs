//! Reads typed values from the merged layers.

use std::{collections::BTreeSet, path::Path};

use super::{names::Names, small_file::read_file, sources::Sources};
use crate::{
    error::{Fault, FaultKind, quoted},
    os,
    schema::{
        Check, Checks, Contradiction, Group, Joint, ReadSettings, RenderedSetting, SWITCH, default_value,
    },
    value::{FILE_SCHEME, Text},
};

/// Reads settings and collects their faults.
pub(crate) struct Reader<'a> {
    sources: &'a Sources,
    names: &'a Names,
    faults: Vec<Fault>,
    /// The settings that have a fault.
    faulty: BTreeSet<String>,
    /// Settings that contradict each other.
    contradictions: Vec<Contradiction>,
    /// The joined settings, each with the value that was read.
    joined: Vec<RenderedSetting>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(sources: &'a Sources, names: &'a Names, faults: Vec<Fault>) -> Self {
        Self {
            sources,
            names,
            faults,
            faulty: BTreeSet::new(),
            contradictions: Vec::new(),
            joined: Vec::new(),
        }
    }

    /// Checks the configuration. Returns all faults, and the values of the joined settings. A contradiction between settings is not
    /// reported if one of them has a fault already.
    pub(super) fn finish(mut self, config: &impl Check) -> (Vec<Fault>, Vec<RenderedSetting>) {
        let mut checks = Checks::default();
        config.check(&mut checks);
        for Contradiction { settings, kind } in self.contradictions.into_iter().chain(checks.found) {
            if !settings.iter().any(|setting| self.faulty.contains(setting)) {
                self.faults.push(self.sources.fault(&settings[0], kind));
            }
        }
        (self.faults, self.joined)
    }

    fn read<T: Text>(&mut self, setting: &str) -> Option<T> {
        let text = self.sources.text(setting)?.trim();
        let contents;
        let text = match text.strip_prefix(FILE_SCHEME).map(os::path_of_file_url) {
            Some(path) if T::NAMES_FILE => {
                // The value keeps the name. Reading the file now reports a missing file early.
                self.file(setting, path)?;
                text
            }
            Some(path) => {
                contents = self.file(setting, path)?;
                &contents
            }
            None => text,
        };
        let value = T::from_text(text);
        if value.is_none() {
            let given = if T::SECRET { "this value".to_owned() } else { quoted(text) };
            let kind =
                FaultKind::NotAllowed { setting: setting.to_owned(), given, allowed: T::ALLOWED.to_owned() };
            self.fault(setting, kind);
        }
        value
    }

    /// The content of the file with a setting's value, without blanks around it.
    fn file(&mut self, setting: &str, path: &Path) -> Option<String> {
        let (setting_name, path_name) = (setting.to_owned(), path.to_owned());
        match read_file(path) {
            Ok(text) if text.trim().is_empty() => {
                self.fault(setting, FaultKind::ValueFileEmpty { setting: setting_name, path: path_name });
                None
            }
            Ok(text) => Some(text.trim().to_owned()),
            Err(source) => {
                let kind = FaultKind::ValueFile { setting: setting_name, path: path_name, source };
                self.fault(setting, kind);
                None
            }
        }
    }
}

impl ReadSettings for Reader<'_> {
    fn value<T: Text>(&mut self, setting: &str, default: &str) -> T {
        self.read(setting).unwrap_or_else(|| default_value(default))
    }

    fn text(&mut self, setting: &str) -> Option<String> {
        let text = self.sources.text(setting)?;
        match text.strip_prefix(FILE_SCHEME) {
            Some(path) => self.file(setting, os::path_of_file_url(path.trim())),
            None => Some(text.to_owned()),
        }
    }

    fn joint<J: Joint>(&mut self, prefix: &str) -> J {
        let settings = J::Settings::read(self, prefix);
        settings.write(prefix, &mut self.joined);
        J::join(settings).unwrap_or_else(|contradiction| {
            self.contradictions.push(contradiction);
            J::default_value()
        })
    }

    fn switchable<G: Group>(&mut self, prefix: &str) -> Option<G> {
        // The settings of a group that is off are read too: a fault in them is reported.
        let group = G::read(self, prefix);
        let switch = format!("{prefix}{SWITCH}");
        let on = if self.sources.is_set(&switch) {
            self.value(&switch, "false")
        } else {
            let mut settings = self.names.settings().filter(|setting| setting.name.starts_with(prefix));
            settings.any(|setting| self.sources.is_set(&setting.name))
        };
        on.then_some(group)
    }

    fn fault(&mut self, setting: &str, kind: FaultKind) {
        self.faults.push(self.sources.fault(setting, kind));
        self.faulty.insert(setting.to_owned());
    }
}
