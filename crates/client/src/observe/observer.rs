//! Observers: callbacks for log records, output and events.

use rpcplugin_transport::Meter;

use super::{event::Event, log_record::LogRecord};
use crate::{error::LaunchError, plugin_id::PluginId};

/// Observes plugins. The default of every method does nothing.
///
/// The methods are called in order for each stream, from the task that reads it. A slow method delays that stream,
/// and in the end the plugin when it prints more. An observer that may be slow reads
/// [`Plugin::events`](crate::Plugin::events) and [`Plugin::output`](crate::Plugin::output) instead, which drop what
/// is not taken in time.
pub trait Observer: Send + Sync + 'static {
    /// The plugin wrote a log record on its real stderr.
    fn log(&self, record: &LogRecord) {
        let _ = record;
    }

    /// Whether this observer shows or stores the log. If one does, a host without a tracing subscriber does not print
    /// warnings and errors of its plugins on stderr
    /// ([`HostConfig::print_logs`](rpcplugin_config::HostConfig::print_logs)). Called once for each plugin. An
    /// observer that only counts returns false. The default is true.
    fn takes_logs(&self) -> bool {
        true
    }

    /// The plugin forwarded output of its stdout. The bytes may be cut anywhere.
    fn stdout(&self, plugin: &PluginId, bytes: &[u8]) {
        let _ = (plugin, bytes);
    }

    /// The plugin forwarded output of its stderr. The bytes may be cut anywhere.
    fn stderr(&self, plugin: &PluginId, bytes: &[u8]) {
        let _ = (plugin, bytes);
    }

    /// Bytes of the process's real stderr, before they are read as a log.
    fn raw_stderr(&self, plugin: &PluginId, bytes: &[u8]) {
        let _ = (plugin, bytes);
    }

    /// Bytes of the process's real stdout after the handshake line.
    fn raw_stdout(&self, plugin: &PluginId, bytes: &[u8]) {
        let _ = (plugin, bytes);
    }

    /// The plugin is connected. `meter` counts the bytes on all of its connections, from the first one.
    /// [`Event::Ready`] follows.
    fn connected(&self, plugin: &PluginId, meter: &Meter) {
        let _ = (plugin, meter);
    }

    /// A launch failed. Where the host [tries again](rpcplugin_config::HostConfig::retry), each failed attempt is
    /// reported.
    fn not_launched(&self, plugin: &PluginId, error: &LaunchError) {
        let _ = (plugin, error);
    }

    /// An event of the plugin, except [`Event::Log`], for which there is [`log`](Self::log).
    fn event(&self, plugin: &PluginId, event: &Event) {
        let _ = (plugin, event);
    }
}
