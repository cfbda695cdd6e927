//! Which plugin, among those of a host.

use std::{fmt, sync::Arc};

use rpcplugin_core::Pid;

/// Which plugin, and which of its processes, something is about. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct PluginId {
    /// The name by which logs call the plugin: the file name of its program.
    pub name: Arc<str>,
    /// Its process. None before there is one, and for a plugin whose process is not known.
    pub pid: Option<Pid>,
    /// Which start of a supervised plugin this is, counted from 1. Always 1 without supervision.
    pub generation: u64,
}

/// `kv-plugin (process 4711)`, and from the second generation on `kv-plugin (process 4712, generation 2)`.
impl fmt::Display for PluginId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        match (self.pid, self.generation) {
            (None, _) => Ok(()),
            (Some(pid), ..=1) => write!(f, " (process {pid})"),
            (Some(pid), generation) => write!(f, " (process {pid}, generation {generation})"),
        }
    }
}
