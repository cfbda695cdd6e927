//! The faulty plugin, scripts that fail, and executable files.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use rpcplugin::{
    Command,
    config::{ByteSize, HostConfig},
};
use rpcplugin_tests::support::faulty::host;

pub(crate) const TIMEOUT: Duration = Duration::from_secs(10);
pub(crate) const PLUGIN: &str = env!("CARGO_BIN_EXE_faulty-plugin");

/// What a script that fails writes to its stderr.
pub(crate) async fn stderr_of(change: impl FnOnce(&mut HostConfig), command: Command) -> Vec<String> {
    let long = |config: &mut HostConfig| {
        (config.stderr_tail_lines, config.stderr_tail_bytes) = (1000, ByteSize::mib(1))
    };
    let error = host(long).configure(change).launch(command).await.expect_err("the script only prints");
    error.facts().stderr.clone()
}

pub(crate) fn executable(dir: &Path, contents: &[u8]) -> PathBuf {
    let path = dir.join("a-plugin");
    fs::write(&path, contents).expect("writable");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("ours");
    path
}
