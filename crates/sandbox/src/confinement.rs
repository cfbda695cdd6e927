//! The report of what is enforced on a plugin.

use std::{fmt, sync::Arc};

/// The layers of a sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Layer {
    /// Files and directories.
    Filesystem,
    /// TCP ports.
    Tcp,
    /// UDP.
    Udp,
    /// Signals to processes outside of the sandbox.
    Signals,
    /// Connections to abstract Unix sockets outside of the sandbox.
    AbstractSockets,
    /// Connections to Unix sockets with a path.
    UnixSockets,
    /// System calls that plugins do not need.
    SystemCalls,
    /// Open descriptors of the host.
    Descriptors,
    /// Variables of the host's environment.
    Environment,
    /// The limit of memory.
    Memory,
    /// The limit of open files.
    OpenFiles,
    /// The limit of processes.
    Processes,
    /// The limit of processor time.
    CpuTime,
    /// The limit of the size of files.
    FileSize,
    /// The limit of the size of core files.
    CoreSize,
    /// The limit of memory of the plugin as a whole.
    TotalMemory,
    /// The limit of processes of the plugin as a whole.
    TotalProcesses,
}

/// What holds of a layer.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum LayerState {
    /// The kernel enforces what the sandbox asks for.
    Enforced,
    /// The sandbox asks for no restriction.
    Unrestricted,
    /// The sandbox asks for a restriction that this system cannot enforce. The text names what is missing.
    Unavailable(Arc<str>),
}

/// What is enforced on a plugin, layer by layer.
///
/// [`Display`](fmt::Display) writes one line: `filesystem, udp, signals enforced; tcp unrestricted; processes unavailable (…)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confinement {
    layers: Vec<(Layer, LayerState)>,
}

impl Layer {
    /// All layers, in the order of reports.
    pub const ALL: &'static [Self] = &[
        Self::Filesystem,
        Self::Tcp,
        Self::Udp,
        Self::Signals,
        Self::AbstractSockets,
        Self::UnixSockets,
        Self::SystemCalls,
        Self::Descriptors,
        Self::Environment,
        Self::Memory,
        Self::OpenFiles,
        Self::Processes,
        Self::CpuTime,
        Self::FileSize,
        Self::CoreSize,
        Self::TotalMemory,
        Self::TotalProcesses,
    ];

    /// The name of the layer in reports, such as `filesystem` or `abstract_sockets`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Filesystem => "filesystem",
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Signals => "signals",
            Self::AbstractSockets => "abstract_sockets",
            Self::UnixSockets => "unix_sockets",
            Self::SystemCalls => "system_calls",
            Self::Descriptors => "descriptors",
            Self::Environment => "environment",
            Self::Memory => "memory",
            Self::OpenFiles => "open_files",
            Self::Processes => "processes",
            Self::CpuTime => "cpu_time",
            Self::FileSize => "file_size",
            Self::CoreSize => "core_size",
            Self::TotalMemory => "total_memory",
            Self::TotalProcesses => "total_processes",
        }
    }
}

impl LayerState {
    /// A layer that a system cannot enforce.
    pub fn unavailable(why: impl Into<Arc<str>>) -> Self {
        Self::Unavailable(why.into())
    }

    /// The name of the state in reports: `enforced`, `unrestricted` or `unavailable`.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Enforced => "enforced",
            Self::Unrestricted => "unrestricted",
            Self::Unavailable(_) => "unavailable",
        }
    }
}

impl Confinement {
    pub(crate) fn new(state: impl Fn(Layer) -> LayerState) -> Self {
        Self { layers: Layer::ALL.iter().map(|layer| (*layer, state(*layer))).collect() }
    }

    /// The confinement with these states, as another host has reported them. Layers that are left out are unrestricted.
    #[must_use]
    pub fn from_layers(layers: impl IntoIterator<Item = (Layer, LayerState)>) -> Self {
        let given: Vec<_> = layers.into_iter().collect();
        Self::new(|layer| {
            let found = given.iter().find(|(known, _)| *known == layer);
            found.map_or(LayerState::Unrestricted, |(_, state)| state.clone())
        })
    }

    /// The layers with their states, in the order of [`Layer::ALL`].
    pub fn layers(&self) -> impl Iterator<Item = (Layer, &LayerState)> {
        self.layers.iter().map(|(layer, state)| (*layer, state))
    }

    /// What holds of a layer.
    #[must_use]
    pub fn state(&self, layer: Layer) -> &LayerState {
        let found = self.layers.iter().find(|(known, _)| *known == layer);
        found.map_or(&LayerState::Unrestricted, |(_, state)| state)
    }

    /// Whether the kernel enforces everything that the sandbox asks for.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.missing().next().is_none()
    }

    /// The layers that this system cannot enforce, with what is missing.
    pub fn missing(&self) -> impl Iterator<Item = (Layer, &str)> {
        self.layers().filter_map(|(layer, state)| match state {
            LayerState::Unavailable(why) => Some((layer, &**why)),
            _ => None,
        })
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Confinement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = |state: &str| {
            let of_state = self.layers().filter(|(_, found)| found.as_str() == state);
            of_state.map(|(layer, _)| layer.as_str()).collect::<Vec<_>>().join(", ")
        };
        let mut parts = Vec::new();
        for state in ["enforced", "unrestricted"] {
            let layers = named(state);
            if !layers.is_empty() {
                parts.push(format!("{layers} {state}"));
            }
        }
        parts.extend(self.missing().map(|(layer, why)| format!("{layer} unavailable ({why})")));
        f.write_str(&parts.join("; "))
    }
}
