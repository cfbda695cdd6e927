//! An observer that copies output into writers.

use std::{
    fmt, io,
    sync::{Mutex, PoisonError},
};

use super::observer::Observer;
use crate::plugin_id::PluginId;

/// An [`Observer`] that copies plugins' output into writers, byte for byte.
///
/// ```
/// # use rpcplugin_client::{Host, Writers};
/// # use rpcplugin_core::MagicCookie;
/// # let cookie = MagicCookie::new("KV_PLUGIN", "hello").unwrap();
/// let host = Host::new(cookie, 1).observe(Writers::new().with_stdout(std::io::stdout()).with_stderr(std::io::stderr()));
/// ```
///
/// A writer that blocks delays the plugins that print. A writer that fails is not used again.
///
/// # Protocol
/// go-plugin `ClientConfig`: `SyncStdout`, `SyncStderr` and `Stderr`.
#[derive(Default)]
pub struct Writers {
    stdout: WriterSlot,
    stderr: WriterSlot,
    raw_stdout: WriterSlot,
    raw_stderr: WriterSlot,
}

type WriterSlot = Option<Mutex<Option<Box<dyn io::Write + Send>>>>;

impl Writers {
    /// Makes an observer without writers.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Copies forwarded stdout into this writer.
    #[must_use]
    pub fn with_stdout(mut self, writer: impl io::Write + Send + 'static) -> Self {
        self.stdout = slot(writer);
        self
    }

    /// Copies forwarded stderr into this writer.
    #[must_use]
    pub fn with_stderr(mut self, writer: impl io::Write + Send + 'static) -> Self {
        self.stderr = slot(writer);
        self
    }

    /// Copies the process's real stdout after the handshake line into this writer.
    #[must_use]
    pub fn with_raw_stdout(mut self, writer: impl io::Write + Send + 'static) -> Self {
        self.raw_stdout = slot(writer);
        self
    }

    /// Copies the process's real stderr, which is also read as its log, into this writer.
    #[must_use]
    pub fn with_raw_stderr(mut self, writer: impl io::Write + Send + 'static) -> Self {
        self.raw_stderr = slot(writer);
        self
    }
}

impl Observer for Writers {
    /// Whether there is a writer for the real stderr.
    fn takes_logs(&self) -> bool {
        self.raw_stderr.is_some()
    }

    fn stdout(&self, plugin: &PluginId, bytes: &[u8]) {
        write(&self.stdout, plugin, bytes);
    }

    fn stderr(&self, plugin: &PluginId, bytes: &[u8]) {
        write(&self.stderr, plugin, bytes);
    }

    fn raw_stdout(&self, plugin: &PluginId, bytes: &[u8]) {
        write(&self.raw_stdout, plugin, bytes);
    }

    fn raw_stderr(&self, plugin: &PluginId, bytes: &[u8]) {
        write(&self.raw_stderr, plugin, bytes);
    }
}

impl fmt::Debug for Writers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writers")
            .field("stdout", &self.stdout.is_some())
            .field("stderr", &self.stderr.is_some())
            .field("raw_stdout", &self.raw_stdout.is_some())
            .field("raw_stderr", &self.raw_stderr.is_some())
            .finish()
    }
}

fn slot(writer: impl io::Write + Send + 'static) -> WriterSlot {
    Some(Mutex::new(Some(Box::new(writer))))
}

fn write(target: &WriterSlot, plugin: &PluginId, bytes: &[u8]) {
    let Some(target) = target else { return };
    let mut open = target.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(writer) = open.as_mut() else { return };
    if let Err(error) = writer.write_all(bytes).and_then(|()| writer.flush()) {
        tracing::warn!(%plugin, %error, "output of the plugin cannot be written; this writer is not used again");
        *open = None;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_writer_that_fails_is_not_used_again() {
        struct Full(Arc<Mutex<u32>>);
        impl io::Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                *self.0.lock().unwrap() += 1;
                Err(io::ErrorKind::StorageFull.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let tried = Arc::new(Mutex::new(0));
        let writers = Writers::new().with_stdout(Full(Arc::clone(&tried)));
        let plugin = PluginId { name: "p".into(), pid: None, generation: 1 };
        writers.stdout(&plugin, b"x");
        writers.stdout(&plugin, b"y");
        writers.stderr(&plugin, b"z");
        assert_eq!(*tried.lock().unwrap(), 1);
    }
}
