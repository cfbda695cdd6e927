//! What a loader returns.

use super::{ignored::IgnoredVariable, names::Names, sources::Sources};
use crate::{
    catalog::Configuration,
    error::Origin,
    schema::{RenderedSetting, Setting},
};

/// A configuration, and where each part of it comes from.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Loaded<C> {
    /// The configuration.
    pub config: C,
    /// Each setting with its value and where that comes from, in the order of [`settings`](crate::settings).
    pub effective: Vec<EffectiveSetting>,
    /// Variables that look as if they were meant for this configuration, but have no part in it. They may be the
    /// application's own; a program does well to mention them once.
    pub ignored: Vec<IgnoredVariable>,
}

/// A setting as it is in force.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct EffectiveSetting {
    /// The setting.
    pub setting: &'static Setting,
    /// Its value, as one would write it, or `…` where it is a secret. In a group that is off, its default.
    pub value: String,
    /// Where the value comes from.
    pub origin: Origin,
}

/// Each setting with its value. `written` has the values of settings that were joined, some of which may be without effect.
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
        // Only groups that are off are not written.
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

/// What stands for a secret.
const REDACTED: &str = "…";
