//! What happens in a plugin's life, as a stream.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures_core::Stream;
use rpcplugin_core::Pid;

use super::{
    log_record::LogRecord,
    queue::{Item, Reader},
};
use crate::{exit::ExitReason, plugin_id::PluginId};

/// Something that happened in a plugin's life.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// Its process runs.
    Started {
        /// The process. `None` if the pid is not known.
        pid: Option<Pid>,
    },
    /// It has not answered yet.
    StillWaiting {
        /// How long it has run.
        elapsed: Duration,
    },
    /// It is connected, and healthy.
    Ready {
        /// How long that took from its start.
        elapsed: Duration,
    },
    /// It wrote to its log. Only [`Events`] has these; an [`Observer`](crate::Observer) has a method for them.
    Log(Arc<LogRecord>),
    /// It did not answer a health call of its supervisor in time, and is killed.
    Hung {
        /// How long it was given.
        after: Duration,
    },
    /// Its process is over, and what it printed has been read, as far as
    /// [`HostConfig::drain`](rpcplugin_config::HostConfig::drain) allows.
    Exited {
        /// How it ended.
        reason: ExitReason,
    },
    /// Its supervisor starts it again.
    Restarting {
        /// Which start this is within the window of the budget, counted from 1.
        attempt: u32,
        /// The pause before it.
        delay: Duration,
    },
    /// Its supervisor has used up its restarts, or sees that they are of no use, and leaves it down.
    GaveUp {
        /// How many restarts were made within the window.
        restarts: u32,
    },
}

/// An event, and whose.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PluginEvent {
    /// The plugin.
    pub plugin: PluginId,
    /// What happened.
    pub event: Event,
}

/// The events of one plugin, or of all plugins of a host, as a stream. It ends when there can be no more.
///
/// At most 1024 events wait to be taken, with at most 1 MiB of log. What does not fit drops the oldest records of the
/// log, and events of the plugin's life only where nothing else is left; [`missed`](Self::missed) counts. A slow
/// reader never holds up a plugin.
#[derive(Debug)]
pub struct Events {
    reader: Reader<PluginEvent>,
}

impl Events {
    pub(crate) fn new(reader: Reader<PluginEvent>) -> Self {
        Self { reader }
    }

    /// The next event, or None when there can be no more.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> Option<PluginEvent> {
        self.reader.next().await
    }

    /// How many events were dropped since they were not taken in time.
    #[must_use]
    pub fn missed(&self) -> u64 {
        self.reader.missed()
    }
}

impl Stream for Events {
    type Item = PluginEvent;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<PluginEvent>> {
        self.get_mut().reader.poll_next(cx)
    }
}

impl Item for PluginEvent {
    fn weight(&self) -> usize {
        match &self.event {
            Event::Log(record) => {
                record.message.len()
                    + record.fields.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>()
            }
            _ => 0,
        }
    }

    /// Log records go first, so that a chatty plugin does not hide that it died.
    fn is_expendable(&self) -> bool {
        matches!(self.event, Event::Log(_))
    }
}
