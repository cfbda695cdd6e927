//! The plugins of one drive, by handle.

use std::collections::BTreeMap;

use rpcplugin::host::ExitReason;

use crate::kit_host::{
    drive::{answer::Failure, running::Running},
    recorder::Recorder,
    subs::OpenSub,
};

/// All launched plugins.
#[derive(Debug, Default)]
pub(crate) struct Slots(BTreeMap<String, Slot>);

/// One plugin, running or not, and its records.
#[derive(Debug, Default)]
pub(crate) struct Slot {
    /// `None` when the plugin did not start, or has been shut down.
    pub(crate) running: Option<Running>,
    /// The exit of the process, once the plugin has been shut down.
    pub(crate) ended: Option<ExitReason>,
    pub(crate) recorder: Recorder,
    pub(crate) subs: Vec<OpenSub>,
}

impl Slots {
    /// The slot of this handle.
    pub(crate) fn get(&mut self, handle: &str) -> Result<&mut Slot, Failure> {
        self.0.get_mut(handle).ok_or_else(|| Failure::state(format!("no plugin has the handle {handle:?}")))
    }

    /// A new slot for this handle, unless its plugin runs.
    pub(crate) fn fresh(&mut self, handle: &str) -> Result<&mut Slot, Failure> {
        let alive = |slot: &Slot| slot.running.as_ref().is_some_and(Running::is_alive);
        if self.0.get(handle).is_some_and(alive) {
            return Err(Failure::state(format!("the plugin {handle:?} is running")));
        }
        self.0.insert(handle.to_owned(), Slot::default());
        self.get(handle)
    }

    /// Shuts down every plugin at the same time.
    pub(crate) async fn stop_all(&mut self) {
        let running = self.0.values_mut().filter_map(|slot| slot.running.take());
        futures_util::future::join_all(running.map(Running::stop)).await;
    }
}

impl Slot {
    /// The plugin. Its process may have exited.
    pub(crate) fn running(&self) -> Result<&Running, Failure> {
        self.running.as_ref().ok_or_else(|| Failure::state("the plugin did not start, or has been shut down"))
    }
}
