//! From the merged layers to values.

use std::{
    collections::BTreeSet,
    fs::File,
    io::{self, Read},
    path::Path,
};

use super::{DEFAULTS, Sources};
use crate::{
    checks::{Check, Checks, Contradiction},
    error::{Fault, FaultKind, quoted},
    names::Names,
    setting::{Group, Joint, OptionalGroup, SWITCH, Written, default_value},
    value::{FILE_SCHEME, Text},
};

/// Reads one setting after the other, and gathers the faults.
pub(crate) struct Reader<'a> {
    sources: &'a Sources,
    names: &'a Names,
    faults: Vec<Fault>,
    /// The settings that have a fault.
    faulty: BTreeSet<String>,
    /// Settings that contradict each other.
    contradictions: Vec<Contradiction>,
    /// The settings that were joined, each with its value as it was read.
    joined: Vec<Written>,
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

    /// The value of a setting; its default if there is a fault in it.
    pub(crate) fn value<T: Text>(&mut self, setting: &str, default: &str) -> T {
        self.read(setting).unwrap_or_else(|| default_value(default))
    }

    /// The text of a setting, as it is, if it is set.
    pub(crate) fn text(&mut self, setting: &str) -> Option<String> {
        let (text, layer) = self.sources.find(setting)?;
        if layer == DEFAULTS {
            return None;
        }
        match text.strip_prefix(FILE_SCHEME) {
            Some(path) => self.file(setting, Path::new(path.trim())),
            None => Some(text.to_owned()),
        }
    }

    /// A value that several settings make together.
    pub(crate) fn joint<J: Joint>(&mut self, prefix: &str) -> J {
        let settings = J::Settings::read(self, prefix);
        settings.write(prefix, &mut self.joined);
        J::join(settings).unwrap_or_else(|contradiction| {
            self.contradictions.push(contradiction);
            J::default_value()
        })
    }

    /// A group that is always there.
    pub(crate) fn group<G: Group>(&mut self, prefix: &str) -> G {
        G::read(self, prefix)
    }

    /// A group that says itself whether it is there.
    pub(crate) fn optional<G: OptionalGroup>(&mut self, prefix: &str) -> Option<G> {
        G::read(self, prefix)
    }

    /// A group, if its switch is on; without a word about the switch, if anything in it is set.
    pub(crate) fn switched<G: Group>(&mut self, prefix: &str) -> Option<G> {
        // What is in it is read in any case: a fault in it is one even while it is off.
        let group = G::read(self, prefix);
        let switch = format!("{prefix}{SWITCH}");
        let is_set = |setting: &str| self.sources.find(setting).is_some_and(|(_, layer)| layer != DEFAULTS);
        let on = if is_set(&switch) {
            self.value(&switch, "false")
        } else {
            self.names.settings().any(|setting| setting.name.starts_with(prefix) && is_set(&setting.name))
        };
        on.then_some(group)
    }

    /// Adds a fault at the place where the setting was set.
    pub(crate) fn fault(&mut self, setting: &str, kind: FaultKind) {
        self.faults.push(self.sources.fault(setting, kind));
        self.faulty.insert(setting.to_owned());
    }

    /// All faults, and the values of the settings that were joined. Whether values go together is not asked of one that could
    /// not be read.
    pub(super) fn finish(mut self, config: &impl Check) -> (Vec<Fault>, Vec<Written>) {
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
        let (text, _) = self.sources.find(setting)?;
        let text = text.trim();
        let contents;
        let text = match text.strip_prefix(FILE_SCHEME).map(Path::new) {
            Some(path) if T::NAMES_FILE => {
                // The name is kept, but a file that is not there is better known now than later.
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
            let given = if T::SECRET { "what was given".to_owned() } else { quoted(text) };
            let kind =
                FaultKind::NotAllowed { setting: setting.to_owned(), given, allowed: T::ALLOWED.to_owned() };
            self.fault(setting, kind);
        }
        value
    }

    /// What is in the file that holds a setting's value, without blanks around it.
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

/// The text of a file that is small enough to be a configuration.
pub(super) fn read_file(path: &Path) -> io::Result<String> {
    // Opening a pipe would wait for somebody to write to it.
    if !path.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
    }
    let mut text = String::new();
    File::open(path)?.take(LARGEST_FILE + 1).read_to_string(&mut text)?;
    if text.len() as u64 > LARGEST_FILE {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is larger than 4 MiB"));
    }
    Ok(text)
}

/// More than any bundle of certificates.
const LARGEST_FILE: u64 = 4 << 20;
