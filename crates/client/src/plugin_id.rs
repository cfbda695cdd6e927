//! The identity of a plugin among those of a host.

use std::{fmt, sync::Arc};

use rpcplugin_core::Pid;

/// Names a plugin and one of its processes. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct PluginId {
    /// The plugin's name in logs: the file name of its program.
    pub name: Arc<str>,
    /// The pid of the process. `None` before the start, and if the pid is not known.
    pub pid: Option<Pid>,
    /// The number of the start, counted from 1. Always 1 without supervision.
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
