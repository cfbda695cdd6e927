//! The result of a loader.

use super::{ignored::IgnoredVariable, names::Names, sources::Sources};
use crate::{
    catalog::Configuration,
    error::Origin,
    schema::{RenderedSetting, Setting},
};

/// A configuration, with the origin of each value.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Loaded<C> {
    /// The configuration.
    pub config: C,
    /// Each setting with its value and origin, in the order of [`settings`](crate::settings).
    pub effective: Vec<EffectiveSetting>,
    /// Variables that look like settings and are ignored. They may be the application's own. A program should log them once.
    pub ignored: Vec<IgnoredVariable>,
}

/// A setting with its effective value.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct EffectiveSetting {
    /// The setting.
    pub setting: &'static Setting,
    /// The value as text, or `…` if it is secret. In a group that is off, the default.
    pub value: String,
    /// The origin of the value.
    pub origin: Origin,
}

/// Lists each setting with its value. `written` has the values of joined settings, including those without effect.
pub(super) fn effective<C: Configuration>(
    config: &C,
    mut written: Vec<RenderedSetting>,
    names: &Names,
    sources: &Sources,
) -> Vec<EffectiveSetting> {
    config.write("", &mut written);
    let value = |setting: &Setting| match written.iter().find(|written| written.name == setting.name) {
        Some(RenderedSetting { secret: true, .. }) if setting.secret => REDACTED.to_owned(),
        Some(written) => written.text.clone(),
        // Groups that are off are not in `written`.
        None => setting.default.to_owned(),
    };
    names
        .settings()
        .map(|setting| EffectiveSetting {
            setting,
            value: value(setting),
            origin: sources.origin(&setting.name),
        })
        .collect()
}

/// The text in place of a secret.
const REDACTED: &str = "…";
