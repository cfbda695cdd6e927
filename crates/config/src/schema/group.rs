//! Groups of settings: the traits by which they are read and rendered.

use crate::{
    error::FaultKind,
    schema::{checks::Contradiction, setting::Table},
    value::{FILE_SCHEME, NONE, Text},
};

/// Parses a default of a table.
pub(crate) fn default_value<T: Text>(text: &str) -> T {
    T::from_text(text).expect("a test reads every default of the tables")
}

/// A struct of settings.
pub(crate) trait Group: Sized {
    const TABLE: &'static Table;

    /// Reads the settings whose names begin with the prefix. The reader collects the faults.
    fn read<R: ReadSettings>(reader: &mut R, prefix: &str) -> Self;

    /// Renders each setting as text, secrets included.
    fn write(&self, prefix: &str, written: &mut Vec<RenderedSetting>);
}

/// A group of settings that is present or absent depending on its settings.
pub(crate) trait OptionalGroup: Sized {
    const TABLE: &'static Table;

    /// Reads the settings whose names begin with the prefix. Returns `None` if they are not set.
    fn read<R: ReadSettings>(reader: &mut R, prefix: &str) -> Option<Self>;

    /// Renders each setting as text, secrets included.
    fn write(&self, prefix: &str, written: &mut Vec<RenderedSetting>);
}

/// A value that several settings define together. Settings that contradict each other define no value.
pub(crate) trait Joint: Sized {
    /// The settings.
    type Settings: Group + Default;

    /// Returns the value that the settings define.
    fn join(settings: Self::Settings) -> Result<Self, Contradiction>;

    /// Returns settings that define the value.
    fn split(&self) -> Self::Settings;

    /// Returns the value that the defaults of the settings define.
    fn default_value() -> Self {
        Self::join(Self::Settings::default()).ok().expect("a test reads every default of the tables")
    }
}

/// Reads the values of settings, and collects the faults in them.
pub(crate) trait ReadSettings: Sized {
    /// Returns the value of a setting, or its default if the value is faulty.
    fn value<T: Text>(&mut self, setting: &str, default: &str) -> T;

    /// Returns the unparsed text of a setting, if the setting is set.
    fn text(&mut self, setting: &str) -> Option<String>;

    /// Returns a value that several settings define together.
    fn joint<J: Joint>(&mut self, prefix: &str) -> J;

    /// Returns a group if it is switched on. A group whose switch is not set is on if any of its settings is set.
    fn switchable<G: Group>(&mut self, prefix: &str) -> Option<G>;

    /// Adds a fault and points it at the place where the setting was set.
    fn fault(&mut self, setting: &str, kind: FaultKind);
}

/// The name of a setting, and its value as text.
pub(crate) struct RenderedSetting {
    pub(crate) name: String,
    pub(crate) text: String,
    /// Whether the text is a secret.
    pub(crate) secret: bool,
}

impl RenderedSetting {
    pub(crate) fn new<T: Text>(prefix: &str, name: &str, value: &T) -> Self {
        let text = value.to_text();
        // A `file://` reference and `none` are not secret. Every other value of a secret setting is.
        let secret = T::SECRET && text != NONE && !text.starts_with(FILE_SCHEME);
        Self { name: format!("{prefix}{name}"), text, secret }
    }
}

/// The setting that switches its group on or off.
pub(crate) const SWITCH: &str = "enabled";
