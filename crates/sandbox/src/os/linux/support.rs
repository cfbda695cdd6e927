//! What the running kernel has.

use std::{sync::OnceLock, thread};

use landlock::{AccessFs, AccessNet, CompatLevel, Compatible as _, Ruleset, RulesetAttr as _, Scope};

use super::filter;
use crate::sandbox::Sandbox;

/// What the running kernel has.
#[derive(Debug, Clone, Copy)]
pub(super) struct Support {
    /// The ABI of Landlock. 0 without Landlock. Between two that add restrictions, the lower one.
    pub(super) landlock: u32,
    /// Whether system calls can be filtered.
    pub(super) seccomp: bool,
}

impl Support {
    /// What there is for this sandbox, which may pretend that the kernel is older.
    pub(super) fn of(sandbox: &Sandbox) -> Self {
        static KERNEL: OnceLock<Support> = OnceLock::new();
        let kernel = *KERNEL.get_or_init(Self::of_kernel);
        let most = sandbox.landlock_abi.unwrap_or(u32::MAX);
        Self { landlock: kernel.landlock.min(most), ..kernel }
    }

    fn of_kernel() -> Self {
        let landlock = RESTRICTIONS.iter().rev().find(|(_, is_known)| is_known().is_some());
        // Filters cannot be taken back, so that a thread tries one and ends.
        let seccomp =
            thread::Builder::new().spawn(filter::is_possible).ok().and_then(|tried| tried.join().ok());
        Self { landlock: landlock.map_or(0, |(abi, _)| *abi), seccomp: seccomp.unwrap_or(false) }
    }
}

type IsKnown = fn() -> Option<Ruleset>;

/// The ABIs that add a restriction, each with a look for it.
const RESTRICTIONS: [(u32, IsKnown); 7] = [
    (1, || strict().handle_access(AccessFs::Execute).ok()),
    (2, || strict().handle_access(AccessFs::Refer).ok()),
    (3, || strict().handle_access(AccessFs::Truncate).ok()),
    (4, || strict().handle_access(AccessNet::ConnectTcp).ok()),
    (5, || strict().handle_access(AccessFs::IoctlDev).ok()),
    (6, || strict().scope(Scope::Signal).ok()),
    (9, || strict().handle_access(AccessFs::ResolveUnix).ok()),
];

/// A set of rules that refuses what the kernel does not know.
pub(super) fn strict() -> Ruleset {
    Ruleset::default().set_compatibility(CompatLevel::HardRequirement)
}
