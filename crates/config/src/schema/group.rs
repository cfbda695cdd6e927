//! Groups of settings: how they are read and written down.

use crate::{
    error::FaultKind,
    schema::{checks::Contradiction, setting::Table},
    value::{FILE_SCHEME, NONE, Text},
};

/// The value that a default in a table stands for.
pub(crate) fn default_value<T: Text>(text: &str) -> T {
    T::from_text(text).expect("a test reads every default of the tables")
}

/// A struct of settings.
pub(crate) trait Group: Sized {
    const TABLE: &'static Table;

    /// Takes the settings under the prefix from what was loaded. Faults gather in the reader.
    fn read<R: ReadSettings>(reader: &mut R, prefix: &str) -> Self;

    /// Writes down each setting as text, secrets included.
    fn write(&self, prefix: &str, written: &mut Vec<RenderedSetting>);
}

/// A group of settings that says itself whether it is there.
pub(crate) trait OptionalGroup: Sized {
    const TABLE: &'static Table;

    /// Takes the settings under the prefix from what was loaded, if they are there.
    fn read<R: ReadSettings>(reader: &mut R, prefix: &str) -> Option<Self>;

    /// Writes down each setting as text, secrets included.
    fn write(&self, prefix: &str, written: &mut Vec<RenderedSetting>);
}

/// A value that several settings make together. Combinations of settings that contradict each other have no such value.
pub(crate) trait Joint: Sized {
    /// The settings.
    type Settings: Group + Default;

    /// The value that the settings stand for.
    fn join(settings: Self::Settings) -> Result<Self, Contradiction>;

    /// Settings that stand for the value.
    fn split(&self) -> Self::Settings;

    /// The value that the defaults of the settings stand for.
    fn default_value() -> Self {
        Self::join(Self::Settings::default()).ok().expect("a test reads every default of the tables")
    }
}

/// Reads the values of settings, and collects the faults in them.
pub(crate) trait ReadSettings: Sized {
    /// The value of a setting, or its default if there is a fault in it.
    fn value<T: Text>(&mut self, setting: &str, default: &str) -> T;

    /// The text of a setting, unread, if the setting is set.
    fn text(&mut self, setting: &str) -> Option<String>;

    /// A value that several settings make together.
    fn joint<J: Joint>(&mut self, prefix: &str) -> J;

    /// A group, if it is switched on. A group without a word about its switch is on if anything in it is set.
    fn switchable<G: Group>(&mut self, prefix: &str) -> Option<G>;

    /// Adds a fault at the place where the setting was set.
    fn fault(&mut self, setting: &str, kind: FaultKind);
}

/// A setting and its value as text.
pub(crate) struct RenderedSetting {
    pub(crate) name: String,
    pub(crate) text: String,
    /// Whether the text is a secret.
    pub(crate) secret: bool,
}

impl RenderedSetting {
    pub(crate) fn new<T: Text>(prefix: &str, name: &str, value: &T) -> Self {
        let text = value.to_text();
        // What holds a secret may also name the file that holds it, which is none; neither is the absence of one.
        let secret = T::SECRET && text != NONE && !text.starts_with(FILE_SCHEME);
        Self { name: format!("{prefix}{name}"), text, secret }
    }
}

/// The name, within its group, of the setting that switches the group on or off.
pub(crate) const SWITCH: &str = "enabled";
