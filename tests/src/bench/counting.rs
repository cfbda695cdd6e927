//! An observer that counts.

use std::sync::Arc;

use rpcplugin::host::{LogRecord, Observer, PluginId};
use tokio::sync::watch;

/// An observer that counts. Clones share the counters.
#[derive(Debug, Clone)]
pub(crate) struct Counting {
    stdout: Arc<watch::Sender<usize>>,
    records: Arc<watch::Sender<usize>>,
}

impl Counting {
    pub(crate) fn new() -> Self {
        Self { stdout: Arc::new(watch::Sender::new(0)), records: Arc::new(watch::Sender::new(0)) }
    }

    /// Waits until this many bytes of stdout have arrived.
    pub(crate) async fn bytes(&self, wanted: usize) {
        // This value owns the sender.
        let _ = self.stdout.subscribe().wait_for(|count| *count >= wanted).await;
    }

    /// Waits until this many records have arrived.
    pub(crate) async fn records(&self, wanted: usize) {
        let _ = self.records.subscribe().wait_for(|count| *count >= wanted).await;
    }

    /// The number of records that have arrived.
    pub(crate) fn records_so_far(&self) -> usize {
        *self.records.borrow()
    }
}

impl Observer for Counting {
    fn log(&self, _: &LogRecord) {
        self.records.send_modify(|count| *count += 1);
    }

    fn stdout(&self, _: &PluginId, bytes: &[u8]) {
        self.stdout.send_modify(|count| *count += bytes.len());
    }
}
