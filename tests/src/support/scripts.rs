//! Plugins that are shell scripts.

use rpcplugin::Command;

/// A plugin whose program is this shell script.
#[must_use]
pub fn script(text: &str) -> Command {
    Command::new("/bin/sh").arg("-c").arg(text)
}

/// A plugin that prints this line and then does nothing.
#[must_use]
pub fn prints(line: &str) -> Command {
    script(&format!("echo '{line}'; exec sleep 60"))
}
