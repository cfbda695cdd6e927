//! Limits of a confined plugin as people write them: `memory=512M`.

use std::{fmt, str::FromStr, time::Duration};

use rpcplugin::sandbox::{Limits, Sandbox};

use crate::ui::{duration, size};

/// One limit, such as `memory=512M` or `cpu=30s`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limit {
    pub(super) kind: LimitKind,
    /// Bytes, a count, or seconds.
    pub(super) value: u64,
}

/// What a limit restricts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LimitKind {
    Memory,
    Files,
    Processes,
    Cpu,
    FileSize,
    Core,
    TotalMemory,
    TotalProcesses,
}

impl LimitKind {
    pub(super) const ALL: [Self; 8] = [
        Self::Memory,
        Self::Files,
        Self::Processes,
        Self::Cpu,
        Self::FileSize,
        Self::Core,
        Self::TotalMemory,
        Self::TotalProcesses,
    ];

    fn key(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Files => "files",
            Self::Processes => "processes",
            Self::Cpu => "cpu",
            Self::FileSize => "file-size",
            Self::Core => "core",
            Self::TotalMemory => "total-memory",
            Self::TotalProcesses => "total-processes",
        }
    }

    /// The limit of this kind, if the sandbox has one. No core files are the default.
    pub(super) fn of(self, limits: &Limits) -> Option<Limit> {
        let value = match self {
            Self::Memory => limits.memory,
            Self::Files => limits.open_files,
            Self::Processes => limits.processes,
            Self::Cpu => limits.cpu_time.map(|time| time.as_secs().max(1)),
            Self::FileSize => limits.file_size,
            Self::Core => Some(limits.core_size).filter(|bytes| *bytes > 0),
            Self::TotalMemory => limits.total_memory,
            Self::TotalProcesses => limits.total_processes,
        };
        value.map(|value| Limit { kind: self, value })
    }
}

impl Limit {
    /// Adds the limit to others.
    pub(super) fn add_to(self, limits: Limits) -> Limits {
        match self.kind {
            LimitKind::Memory => limits.memory(self.value),
            LimitKind::Files => limits.open_files(self.value),
            LimitKind::Processes => limits.processes(self.value),
            LimitKind::Cpu => limits.cpu_time(Duration::from_secs(self.value)),
            LimitKind::FileSize => limits.file_size(self.value),
            LimitKind::Core => limits.core_size(self.value),
            LimitKind::TotalMemory => limits.total_memory(self.value),
            LimitKind::TotalProcesses => limits.total_processes(self.value),
        }
    }

    /// The limits of a sandbox.
    pub(super) fn all_of(sandbox: &Sandbox) -> Vec<Self> {
        LimitKind::ALL.into_iter().filter_map(|kind| kind.of(sandbox.resource_limits())).collect()
    }
}

impl FromStr for Limit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (key, value) = text.split_once('=').ok_or("expected KEY=VALUE, such as memory=512M")?;
        let Some(kind) = LimitKind::ALL.into_iter().find(|kind| kind.key() == key) else {
            return Err(format!(
                "there is no limit `{key}`: use {}",
                LimitKind::ALL.map(LimitKind::key).join(", ")
            ));
        };
        let value = match kind {
            LimitKind::Memory | LimitKind::FileSize | LimitKind::Core | LimitKind::TotalMemory => {
                size::parse(value).ok_or_else(|| {
                    format!("`{value}` is not a size: write a number of bytes, such as 512M")
                })?
            }
            LimitKind::Files | LimitKind::Processes | LimitKind::TotalProcesses => {
                value.parse().map_err(|_| format!("`{value}` is not a number"))?
            }
            LimitKind::Cpu => {
                let time = duration::limit(value)?;
                time.as_secs() + u64::from(time.subsec_nanos() > 0)
            }
        };
        Ok(Self { kind, value })
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = self.kind.key();
        match self.kind {
            LimitKind::Memory | LimitKind::FileSize | LimitKind::Core | LimitKind::TotalMemory => {
                write!(f, "{key}={}", size::show(self.value))
            }
            LimitKind::Files | LimitKind::Processes | LimitKind::TotalProcesses => {
                write!(f, "{key}={}", self.value)
            }
            LimitKind::Cpu => write!(f, "{key}={}s", self.value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read_and_shown() {
        for text in [
            "memory=512M",
            "files=64",
            "processes=8",
            "cpu=30s",
            "file-size=1K",
            "core=4096",
            "total-memory=1G",
            "total-processes=9",
        ] {
            let limit: Limit = text.parse().unwrap();
            let sandbox = Sandbox::new().limits(limit.add_to(Limits::new()));
            let shown: Vec<_> = Limit::all_of(&sandbox).iter().map(ToString::to_string).collect();
            assert_eq!(shown, [text.replace("4096", "4K")]);
        }
        for wrong in ["memory", "memory=", "memory=x", "files=1.5", "cpu=0", "disk=1"] {
            assert!(wrong.parse::<Limit>().is_err(), "{wrong}");
        }
        assert!(Limit::all_of(&Sandbox::new()).is_empty());
    }
}
