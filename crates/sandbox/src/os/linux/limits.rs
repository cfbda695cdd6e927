//! Resource limits of a process.

use std::{io, time::Duration};

use rustix::process::{Pid, Resource, Rlimit, getrlimit, getuid, prlimit};

use crate::{confinement::Layer, error::SandboxFault, limits::Limits};

/// The limits of one process, none above those of the host.
#[derive(Debug)]
pub(super) struct ProcessLimits(Vec<(Layer, Resource, Rlimit)>);

impl ProcessLimits {
    pub(super) fn new(limits: &Limits) -> Self {
        let asked = [
            (Layer::Memory, Resource::Data, limits.memory),
            (Layer::OpenFiles, Resource::Nofile, limits.open_files),
            (
                Layer::Processes,
                Resource::Nproc,
                limits.processes.map(|more| tasks_of_user().saturating_add(more)),
            ),
            (Layer::CpuTime, Resource::Cpu, limits.cpu_time.map(whole_seconds)),
            (Layer::FileSize, Resource::Fsize, limits.file_size),
            (Layer::CoreSize, Resource::Core, Some(limits.core_size)),
        ];
        Self(
            asked
                .into_iter()
                .filter_map(|(layer, kind, value)| Some((layer, kind, rlimit(kind, value?))))
                .collect(),
        )
    }

    pub(super) fn apply(&self, pid: u32) -> Result<(), SandboxFault> {
        let failed = |layer, source| SandboxFault::Failed { layer, source };
        let raw = i32::try_from(pid).ok().and_then(Pid::from_raw);
        for (layer, kind, limit) in &self.0 {
            let pid = raw.ok_or_else(|| failed(*layer, io::ErrorKind::InvalidInput.into()))?;
            prlimit(Some(pid), *kind, *limit).map_err(|error| failed(*layer, error.into()))?;
        }
        Ok(())
    }
}

/// A limit of this value, or of the host's if that is lower.
fn rlimit(kind: Resource, value: u64) -> Rlimit {
    let most = getrlimit(kind).maximum.unwrap_or(u64::MAX);
    let maximum = match kind {
        // SIGXCPU at the limit, and SIGKILL a second later.
        Resource::Cpu => value.saturating_add(1),
        _ => value,
    };
    Rlimit { current: Some(value.min(most)), maximum: Some(maximum.min(most)) }
}

/// The processes and threads of this user, which the kernel counts together.
fn tasks_of_user() -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    let user = getuid().as_raw();
    let Ok(entries) = std::fs::read_dir("/proc") else { return 0 };
    let processes = entries.flatten().filter(|entry| {
        entry.file_name().as_encoded_bytes().iter().all(u8::is_ascii_digit)
            && entry.metadata().is_ok_and(|process| process.uid() == user)
    });
    let tasks =
        |status: &str| status.lines().find_map(|line| line.strip_prefix("Threads:")?.trim().parse().ok());
    processes
        .map(|process| {
            let status = std::fs::read_to_string(process.path().join("status")).unwrap_or_default();
            tasks(&status).unwrap_or(1)
        })
        .sum()
}
/// The time in whole seconds, rounded up, at least one.
fn whole_seconds(time: Duration) -> u64 {
    time.as_secs().saturating_add(u64::from(time.subsec_nanos() > 0)).max(1)
}
