//! How it stands with a supervised plugin.

use std::sync::Arc;

use super::generation::Generation;
use crate::plugin_id::PluginId;

/// How it stands with a supervised plugin, for those who look.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SupervisionState {
    /// A generation takes calls.
    Ready(PluginId),
    /// No generation takes calls, and the next one is being started.
    Restarting {
        /// Why the last one is gone.
        because: Arc<str>,
    },
    /// The budget of restarts is used up.
    GaveUp {
        /// Why the last generation is gone, or could not be started.
        because: Arc<str>,
    },
    /// The host has stopped it.
    Stopped,
}

/// As [`SupervisionState`], for channels.
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

    /// The number of the generation that takes calls, or was the last to.
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
