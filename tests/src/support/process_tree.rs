//! Every process that one test starts.

use std::time::Duration;

use rpcplugin::Command;
use rustix::process::Signal;

use super::{process::try_send, wait::eventually_within};
use crate::os::table;

/// The variable that marks every process of a test.
pub const MARK: &str = "RPCPLUGIN_TEST_MARK";

/// Every process that one test starts, recognised by a variable in its environment.
///
/// Dropping it kills them, so that a failed test leaves none behind.
#[derive(Debug)]
pub struct ProcessTree(String);

impl ProcessTree {
    /// A tree without processes.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "each is different")]
    pub fn new() -> Self {
        use std::hash::{BuildHasher as _, RandomState};
        Self(format!("{:x}-{:x}", std::process::id(), RandomState::new().hash_one(0)))
    }

    /// Puts the plugin, and every process that it starts, into the tree.
    #[must_use]
    pub fn mark(&self, command: Command) -> Command {
        command.env(MARK, &self.0)
    }

    /// The value of [`MARK`].
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0
    }

    /// Kills every process of the tree.
    pub fn kill(&self) {
        for pid in self.alive() {
            let _ = try_send(pid, Signal::KILL);
        }
    }

    /// The processes of the tree, zombies included.
    #[must_use]
    pub fn alive(&self) -> Vec<u32> {
        table::with_variable(&format!("{MARK}={}", self.0))
    }

    /// Waits until every process of the tree has ended.
    pub async fn dies_out(&self) {
        eventually_within(Duration::from_secs(5), "every process of the test has ended", || {
            self.alive().is_empty()
        })
        .await;
    }
}

impl Drop for ProcessTree {
    fn drop(&mut self) {
        self.kill();
    }
}
