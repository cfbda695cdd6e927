//! Version 0, which some plugins refuse.

use rpcplugin::Versions;

/// Whether a plugin that ended says of a version that it may not be offered, as those made with pyvider do of 0.
pub(crate) fn refuses_a_version(stderr: &str) -> bool {
    stderr.to_lowercase().contains("protocol version must be")
}

/// What is offered to such a plugin instead.
pub(crate) fn without_zero() -> Versions {
    Versions::new(1_u32..=7).expect("there are some")
}
