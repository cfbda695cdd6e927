//! The plugins of one drive, by their handles.

use std::collections::BTreeMap;

use rpcplugin::host::ExitReason;

use crate::kit_host::{
    drive::{answer::Failure, running::Running},
    recorder::Recorder,
    subs::OpenSub,
};

/// All plugins that have been launched.
#[derive(Debug, Default)]
pub(crate) struct Slots(BTreeMap<String, Slot>);

/// One plugin that runs or ran, and all that is kept of it.
#[derive(Debug, Default)]
pub(crate) struct Slot {
    /// Nothing when it did not start, or has been stopped.
    pub(crate) running: Option<Running>,
    /// How the process ended, once the plugin has been stopped.
    pub(crate) ended: Option<ExitReason>,
    pub(crate) recorder: Recorder,
    pub(crate) subs: Vec<OpenSub>,
}

impl Slots {
    /// The slot of this handle.
    pub(crate) fn get(&mut self, handle: &str) -> Result<&mut Slot, Failure> {
        self.0.get_mut(handle).ok_or_else(|| Failure::state(format!("there is no plugin {handle:?}")))
    }

    /// A fresh slot for this handle, unless a plugin runs under it.
    pub(crate) fn fresh(&mut self, handle: &str) -> Result<&mut Slot, Failure> {
        let alive = |slot: &Slot| slot.running.as_ref().is_some_and(Running::is_alive);
        if self.0.get(handle).is_some_and(alive) {
            return Err(Failure::state(format!("the plugin {handle:?} is running")));
        }
        self.0.insert(handle.to_owned(), Slot::default());
        self.get(handle)
    }

    /// Stops every plugin, all at once.
    pub(crate) async fn stop_all(&mut self) {
        let running = self.0.values_mut().filter_map(|slot| slot.running.take());
        futures_util::future::join_all(running.map(Running::stop)).await;
    }
}

impl Slot {
    /// The plugin, which is there though its process may have ended.
    pub(crate) fn running(&self) -> Result<&Running, Failure> {
        self.running.as_ref().ok_or_else(|| Failure::state("the plugin did not start, or has been stopped"))
    }
}
