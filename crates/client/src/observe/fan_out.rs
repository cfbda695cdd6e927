//! From the streams of one plugin to all observers and subscribers.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU32, Ordering},
};

use bytes::Bytes;
use rpcplugin_core::Pid;
use rpcplugin_transport::Meter;

use super::{
    event::{Event, Events, PluginEvent},
    log_record::LogRecord,
    observer::Observer,
    output::{OutputChunk, OutputOptions, OutputSource, OutputStream},
    queue::{Bounds, Item as _, OverflowPolicy, Reader, Topic},
};
use crate::{error::LaunchError, plugin_id::PluginId};

/// The topics to which the same events and output are published.
#[derive(Debug)]
pub(crate) struct Topics {
    pub(crate) events: Topic<PluginEvent>,
    pub(crate) output: Topic<OutputChunk>,
}

/// Distributes the events, logs and output of one plugin process to observers, which are called, and topics, which are
/// read.
pub(crate) struct FanOut {
    name: Arc<str>,
    /// 0 before the start of the process.
    pid: AtomicU32,
    generation: u64,
    observers: Vec<Arc<dyn Observer>>,
    host: Arc<Topics>,
    own: Arc<PluginTopics>,
}

/// The topics of one plugin, or of all generations of a supervised plugin. What is published before the first
/// subscription is kept for the first subscriber.
#[derive(Debug)]
pub(crate) struct PluginTopics {
    topics: Topics,
    early_events: Mutex<Option<Reader<PluginEvent>>>,
    early_output: Mutex<Option<Reader<OutputChunk>>>,
}

impl Topics {
    pub(crate) fn new() -> Self {
        Self { events: Topic::new(), output: Topic::new() }
    }

    pub(crate) fn events(&self) -> Events {
        Events::new(self.events.subscribe(EVENTS))
    }

    pub(crate) fn output(&self, options: OutputOptions) -> OutputStream {
        OutputStream::new(self.output.subscribe(options.bounds()))
    }
}

impl PluginTopics {
    pub(crate) fn new() -> Self {
        let topics = Topics::new();
        let early_events = Mutex::new(Some(topics.events.subscribe(EARLY_EVENTS)));
        let early_output = Mutex::new(Some(topics.output.subscribe(EARLY_OUTPUT)));
        Self { topics, early_events, early_output }
    }

    pub(crate) fn events(&self) -> Events {
        match self.early_events.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(early) => {
                early.set_bounds(EVENTS);
                Events::new(early)
            }
            None => self.topics.events(),
        }
    }

    pub(crate) fn output(&self, options: OutputOptions) -> OutputStream {
        match self.early_output.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(early) => {
                early.set_bounds(options.bounds());
                OutputStream::new(early)
            }
            None => self.topics.output(options),
        }
    }
}

impl FanOut {
    pub(crate) fn new(
        name: &str,
        generation: u64,
        observers: Vec<Arc<dyn Observer>>,
        host: Arc<Topics>,
        own: Arc<PluginTopics>,
    ) -> Self {
        Self { name: name.into(), pid: AtomicU32::new(0), generation, observers, host, own }
    }

    /// The id of the plugin, with the pid as soon as it is known.
    pub(crate) fn id(&self) -> PluginId {
        let pid = Pid::new(self.pid.load(Ordering::Relaxed));
        PluginId { name: Arc::clone(&self.name), pid, generation: self.generation }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn topics(&self) -> &PluginTopics {
        &self.own
    }

    /// Publishes an event.
    pub(crate) fn event(&self, event: Event) {
        if let Event::Started { pid } = event {
            self.pid.store(pid.map_or(0, Pid::get), Ordering::Relaxed);
        }
        let plugin = self.id();
        for observer in &self.observers {
            observer.event(&plugin, &event);
        }
        self.publish(plugin, event);
    }

    /// Gives the observers the meter of the plugin's connections.
    pub(crate) fn connected(&self, meter: &Meter) {
        let plugin = self.id();
        self.observers.iter().for_each(|observer| observer.connected(&plugin, meter));
    }

    /// Reports a failed launch to the observers.
    pub(crate) fn not_launched(&self, error: &LaunchError) {
        let plugin = self.id();
        self.observers.iter().for_each(|observer| observer.not_launched(&plugin, error));
    }

    /// Whether an observer shows or stores the plugin's log.
    pub(crate) fn logs_are_observed(&self) -> bool {
        self.observers.iter().any(|observer| observer.takes_logs())
    }

    /// Publishes a log record.
    pub(crate) fn log(&self, record: LogRecord) {
        for observer in &self.observers {
            observer.log(&record);
        }
        if self.logs_are_subscribed() {
            self.publish(record.plugin.clone(), Event::Log(Arc::new(record)));
        }
    }

    /// Publishes output. Waits for slow subscribers as long as their overflow policies allow.
    ///
    /// # Cancel safety
    /// Some subscribers may have got the output, and others not.
    pub(crate) async fn output(&self, source: OutputSource, bytes: Bytes) {
        let plugin = self.id();
        for observer in &self.observers {
            match source {
                OutputSource::Stdout => observer.stdout(&plugin, &bytes),
                OutputSource::Stderr => observer.stderr(&plugin, &bytes),
                OutputSource::RawStdout => observer.raw_stdout(&plugin, &bytes),
                OutputSource::RawStderr => observer.raw_stderr(&plugin, &bytes),
            }
        }
        let chunk = OutputChunk { plugin, source, bytes };
        self.own.topics.output.publish_and_wait(&chunk).await;
        self.host.output.publish_and_wait(&chunk).await;
    }

    fn publish(&self, plugin: PluginId, event: Event) {
        let event = PluginEvent { plugin, event };
        self.own.topics.events.publish(&event);
        self.host.events.publish(&event);
    }

    /// Whether log records are published. Before the first subscription they are not kept: there are many, and the
    /// stderr tail has the last lines.
    fn logs_are_subscribed(&self) -> bool {
        let not_subscribed = self.own.early_events.lock().unwrap_or_else(PoisonError::into_inner).is_some();
        (!not_subscribed && self.own.topics.events.has_subscribers()) || self.host.events.has_subscribers()
    }
}

/// The bounds that [`Events`] documents.
const EVENTS: Bounds<PluginEvent> =
    Bounds { items: 1024, weight: 1 << 20, when_full: OverflowPolicy::DropOldest, wanted: |_| true };

/// A process has a handful of events beside its log.
const EARLY_EVENTS: Bounds<PluginEvent> =
    Bounds { items: 64, wanted: |event| !event.is_expendable(), ..EVENTS };

/// The size of a pipe.
const EARLY_OUTPUT: Bounds<OutputChunk> = Bounds {
    items: 1024,
    weight: 64 << 10,
    when_full: OverflowPolicy::DropOldest,
    wanted: |chunk| !chunk.source.is_raw(),
};
