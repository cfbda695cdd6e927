//! Plugins that refuse version 0.

use rpcplugin::Versions;

/// Whether a line on stderr refuses an offered version, as pyvider's plugins refuse version 0.
pub(crate) fn refuses_a_version(stderr: &str) -> bool {
    stderr.to_lowercase().contains("protocol version must be")
}

/// Returns the versions to offer to such a plugin.
pub(crate) fn without_zero() -> Versions {
    Versions::new(1_u32..=7).expect("there are some")
}
