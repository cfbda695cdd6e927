//! What a host can observe of its plugins: events, log records and output, as streams and by observers.

pub(crate) mod event;
pub(crate) mod fan_out;
pub(crate) mod log_record;
pub(crate) mod observer;
pub(crate) mod output;
pub(crate) mod queue;
pub(crate) mod writers;

pub use self::{
    event::{Event, Events, PluginEvent},
    log_record::LogRecord,
    observer::Observer,
    output::{OutputChunk, OutputOptions, OutputSource, OutputStream},
    queue::OverflowPolicy,
    writers::Writers,
};
