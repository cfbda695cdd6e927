//! Events of plugins, as a stream.

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

/// An event of a plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The process was started.
    Started {
        /// The process. `None` if the pid is not known.
        pid: Option<Pid>,
    },
    /// The process is about to be [started](Self::Started) in a [sandbox](crate::Command::sandbox): what is enforced on it.
    #[cfg(feature = "sandbox")]
    Confined(rpcplugin_sandbox::Confinement),
    /// The plugin has not printed its handshake line, or is not ready, yet.
    StillWaiting {
        /// The time since the start of the launch.
        elapsed: Duration,
    },
    /// The plugin is connected and healthy.
    Ready {
        /// The time that the launch took.
        elapsed: Duration,
    },
    /// The plugin wrote a log record. Only [`Events`] has these. An [`Observer`](crate::Observer) has a method for them.
    Log(Arc<LogRecord>),
    /// The plugin did not answer a health call of its supervisor in time, and is killed.
    Hung {
        /// The timeout of the health call.
        after: Duration,
    },
    /// The process has exited, and its output has been read as far as
    /// [`HostConfig::drain_timeout`](rpcplugin_config::HostConfig::drain_timeout) allows.
    Exited {
        /// The exit.
        reason: ExitReason,
    },
    /// The supervisor restarts the plugin.
    Restarting {
        /// The number of the restart within the window of the budget, counted from 1.
        attempt: u32,
        /// The pause before the restart.
        delay: Duration,
    },
    /// The supervisor gave the plugin up: the budget of restarts is used up, or the fault will not pass.
    GaveUp {
        /// The number of restarts within the window.
        restarts: u32,
    },
}

/// An event with the plugin that it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PluginEvent {
    /// The plugin.
    pub plugin: PluginId,
    /// The event.
    pub event: Event,
}

/// The events of one plugin, or of all plugins of a host, as a stream. The stream ends when no further event can come.
///
/// The stream holds up to 1024 events with up to 1 MiB of log. When it is full, the oldest log records are dropped
/// first, and other events only if no log record is left. [`missed`](Self::missed) counts the dropped events. A slow
/// reader never delays a plugin.
#[derive(Debug)]
pub struct Events {
    reader: Reader<PluginEvent>,
}

impl Events {
    pub(crate) fn new(reader: Reader<PluginEvent>) -> Self {
        Self { reader }
    }

    /// The next event, or `None` when no further event can come.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> Option<PluginEvent> {
        self.reader.next().await
    }

    /// The number of events that were dropped because the stream was full.
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

    /// Log records are dropped first, so that a plugin with a long log does not hide its exit.
    fn is_expendable(&self) -> bool {
        matches!(self.event, Event::Log(_))
    }
}
