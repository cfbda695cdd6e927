//! Following a plugin by callbacks: its log, its output, its life.

use rpcplugin_transport::Meter;

use super::{event::Event, log_record::LogRecord};
use crate::{error::LaunchError, plugin_id::PluginId};

/// Follows plugins. Every method does nothing unless it is written.
///
/// The methods are called in order for each stream, from the task that reads it: one that takes long holds up that
/// stream of that plugin, and in the end the plugin itself when it prints more. Who cannot promise to be quick reads
/// [`Plugin::events`](crate::Plugin::events) and [`Plugin::output`](crate::Plugin::output), which drop what is not
/// taken in time.
pub trait Observer: Send + Sync + 'static {
    /// The plugin wrote this to its log, on its real stderr.
    fn log(&self, record: &LogRecord) {
        let _ = record;
    }

    /// Whether this observer does something with the log, so that a host without a tracing subscriber need not print warnings
    /// and errors of its plugins on stderr ([`HostConfig::print_logs`](rpcplugin_config::HostConfig::print_logs)). It is asked
    /// once for each plugin. True unless it is written: an observer that only counts, for one, returns false.
    fn takes_logs(&self) -> bool {
        true
    }

    /// The plugin printed this on its stdout. The bytes may be cut anywhere.
    fn stdout(&self, plugin: &PluginId, bytes: &[u8]) {
        let _ = (plugin, bytes);
    }

    /// The plugin printed this on its stderr, as far as it forwards that. The bytes may be cut anywhere.
    fn stderr(&self, plugin: &PluginId, bytes: &[u8]) {
        let _ = (plugin, bytes);
    }

    /// These bytes came from the plugin's real stderr: all of them, before they are read as a log.
    fn raw_stderr(&self, plugin: &PluginId, bytes: &[u8]) {
        let _ = (plugin, bytes);
    }

    /// These bytes came from the plugin's real stdout after the handshake line.
    fn raw_stdout(&self, plugin: &PluginId, bytes: &[u8]) {
        let _ = (plugin, bytes);
    }

    /// The plugin is connected; `meter` counts what goes over its connections from the first byte, the main one and those
    /// of the broker. [`Event::Ready`] follows.
    fn connected(&self, plugin: &PluginId, meter: &Meter) {
        let _ = (plugin, meter);
    }

    /// A launch failed, for this reason. Where the host [tries again](rpcplugin_config::HostConfig::retry), each try is
    /// told.
    fn not_launched(&self, plugin: &PluginId, error: &LaunchError) {
        let _ = (plugin, error);
    }

    /// Something happened in the plugin's life. [`Event::Log`] is never told here: see [`log`](Self::log).
    fn event(&self, plugin: &PluginId, event: &Event) {
        let _ = (plugin, event);
    }
}
