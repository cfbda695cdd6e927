//! The state of a supervised plugin.

use std::sync::Arc;

use super::generation::Generation;
use crate::plugin_id::PluginId;

/// The state of a supervised plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SupervisionState {
    /// A generation takes calls.
    Ready(PluginId),
    /// No generation takes calls. The next one is being launched.
    Restarting {
        /// The reason why the last generation ended.
        because: Arc<str>,
    },
    /// The plugin was given up.
    GaveUp {
        /// The reason why the last generation ended, or did not start.
        because: Arc<str>,
    },
    /// The host shut the plugin down.
    Stopped,
}

/// As [`SupervisionState`], with the generations, for channels.
#[derive(Debug, Clone)]
pub(super) enum State {
    Ready(Generation),
    Down { last: u64, because: Arc<str> },
    GaveUp { last: u64, because: Arc<str> },
    Stopped { last: u64 },
}

impl State {
    pub(super) fn ready(&self) -> Option<&Generation> {
        match self {
            Self::Ready(generation) => Some(generation),
            _ => None,
        }
    }

    pub(super) fn is_over(&self) -> bool {
        matches!(self, Self::GaveUp { .. } | Self::Stopped { .. })
    }

    /// The number of the generation that takes calls, or was the last one to.
    pub(super) fn last_generation(&self) -> u64 {
        match self {
            Self::Ready(generation) => generation.number(),
            Self::Down { last, .. } | Self::GaveUp { last, .. } | Self::Stopped { last } => *last,
        }
    }

    pub(super) fn describe(&self) -> SupervisionState {
        match self {
            Self::Ready(generation) => SupervisionState::Ready(generation.plugin().clone()),
            Self::Down { because, .. } => SupervisionState::Restarting { because: Arc::clone(because) },
            Self::GaveUp { because, .. } => SupervisionState::GaveUp { because: Arc::clone(because) },
            Self::Stopped { .. } => SupervisionState::Stopped,
        }
    }
}
