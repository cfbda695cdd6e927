//! The ownership of a plugin.

/// The party that ends a plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ownership {
    /// This host does.
    Owned,
    /// The plugin runs in test mode. The person who started it ends it.
    TestMode,
    /// The host to which the plugin was handed over.
    HandedOver,
}
