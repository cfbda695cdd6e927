//! What a peer cannot do, whoever it talks to. A check that fails for one of these reasons is a gap and not a
//! failure; each is named in the report.

use super::matrix::{Cell, Language};

/// One thing that every plugin on a library lacks.
struct Limit {
    plugin: Language,
    /// The name of the check.
    check: &'static str,
    why: &'static str,
}

/// Found with pyvider-rpcplugin 0.5.5; to be looked at again with the next version in `requirements.txt`.
const LIMITS: &[Limit] = &[
    Limit {
        plugin: Language::Python,
        check: "stdio",
        why: "a pyvider-rpcplugin plugin keeps its stdio stream open and never sends on it",
    },
    Limit {
        plugin: Language::Python,
        check: "reflection",
        why: "a pyvider-rpcplugin plugin has no reflection service",
    },
];

/// Why this check cannot pass in this cell, if that is known.
pub(super) fn of(cell: &Cell, check: &str) -> Option<&'static str> {
    LIMITS.iter().find(|limit| limit.plugin == cell.plugin && limit.check == check).map(|limit| limit.why)
}
