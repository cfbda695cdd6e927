//! A `Sandbox` as the settings of a container.

use std::ffi::OsString;

use rpcplugin_client::{
    LaunchEnvironment,
    sandbox::{
        Confinement, Layer, LayerState, Limits, Network, Sandbox, SandboxFault, SystemCalls, UnixSockets,
    },
};

use crate::{
    engine::Engine,
    options::BindMount,
    os::ProcessLimit,
    spec::{Options, Secret},
};

/// What a container of this engine enforces of the sandbox.
///
/// # Errors
/// [`SandboxFault::Unsupported`] for what a container cannot allow, and [`SandboxFault::Unavailable`] for what it cannot enforce.
pub(crate) fn confinement(
    sandbox: &Sandbox,
    options: &Options,
    engine: &Engine,
) -> Result<Confinement, SandboxFault> {
    // By default a container may change the files that it may write, and nothing else.
    let calls = sandbox.system_calls_allowed().filter(|calls| *calls != SystemCalls::FileMetadata);
    let calls: Vec<_> = calls.map(SystemCalls::as_str).collect();
    if !calls.is_empty() {
        return Err(unsupported(format!("the system calls {}", calls.join(" and "))));
    }
    let paths = sandbox.read_paths().chain(sandbox.write_paths()).chain(sandbox.execute_paths());
    if let Some(path) = paths.into_iter().find(|path| !path.is_absolute()) {
        return Err(unsupported(format!("the relative path {}", path.display())));
    }
    let layers = Layer::ALL.iter().map(|layer| (*layer, state(*layer, sandbox, options, engine)));
    let confinement = Confinement::from_layers(layers);
    sandbox.require(&confinement)?;
    Ok(confinement)
}

/// The options of the container with those of the sandbox. `variables` are those of the host.
pub(crate) fn options(
    sandbox: &Sandbox,
    options: &Options,
    environment: &LaunchEnvironment,
    variables: impl Iterator<Item = (OsString, OsString)>,
) -> Options {
    let mut options = options.clone();
    let reads = sandbox.read_paths().chain(sandbox.execute_paths()).map(|path| (path, false));
    for (path, is_writable) in reads.chain(sandbox.write_paths().map(|path| (path, true))) {
        // A path that may be written may be read too, and two mounts at one place are an error.
        options.mounts.retain(|mount| mount.target != path);
        options.mounts.push(BindMount::new(path, path, is_writable));
    }
    for (name, value) in variables {
        let (Ok(name), Ok(value)) = (name.into_string(), value.into_string()) else { continue };
        let is_of_the_launch =
            name == "TMPDIR" || environment.handshake_env.iter().any(|(known, _)| *known == name);
        if !is_of_the_launch && sandbox.environment_names().any(|allowed| allowed == name) {
            options.env.entry(name).or_insert(Secret(value));
        }
    }
    if !sandbox.network_allowed().is_none() && options.network.is_none() {
        options.network = Some(BRIDGE.to_owned());
    }
    let Limits { memory, processes, total_memory, total_processes, .. } = *sandbox.resource_limits();
    options.memory = lower(options.memory, lower(memory, total_memory));
    // The engine counts the plugin itself too.
    let processes = lower(processes.map(|more| more.saturating_add(1)), total_processes);
    let processes = processes.map(|count| u32::try_from(count).unwrap_or(u32::MAX));
    options.pids = lower(options.pids, processes);
    options.limits = process_limits(sandbox.resource_limits());
    options
}

fn state(layer: Layer, sandbox: &Sandbox, options: &Options, engine: &Engine) -> LayerState {
    let (network, limits) = (sandbox.network_allowed(), sandbox.resource_limits());
    let given = options.network.as_deref();
    let limited = |is_asked: bool, is_possible: bool, what: &str| match (is_asked, is_possible) {
        (false, _) => LayerState::Unrestricted,
        (true, true) => LayerState::Enforced,
        (true, false) => LayerState::unavailable(format!("the container engine cannot limit the {what}")),
    };
    match layer {
        Layer::Tcp | Layer::Udp if *network == Network::all() => LayerState::Unrestricted,
        Layer::Tcp | Layer::Udp => match (network.is_none(), given) {
            (true, None | Some("none")) => LayerState::Enforced,
            (true, Some(given)) => {
                LayerState::unavailable(format!("the container joins the network {given:?}"))
            }
            (false, _) => LayerState::unavailable(
                "a container has no network, or all of one: choose `Network::none` or `Network::all`",
            ),
        },
        Layer::AbstractSockets if given.is_some_and(shares_sockets) => {
            LayerState::unavailable("the container shares the network of the host or of another container")
        }
        Layer::UnixSockets if sandbox.unix_sockets_allowed() == UnixSockets::Any => LayerState::Unrestricted,
        Layer::SystemCalls if !engine.has_seccomp => {
            LayerState::unavailable("the container engine does not filter system calls")
        }
        Layer::Memory => limited(limits.memory.is_some(), engine.limits_memory, "memory"),
        Layer::Processes => limited(limits.processes.is_some(), engine.limits_processes, "processes"),
        Layer::TotalMemory => limited(limits.total_memory.is_some(), engine.limits_memory, "memory"),
        Layer::TotalProcesses => {
            limited(limits.total_processes.is_some(), engine.limits_processes, "processes")
        }
        Layer::OpenFiles => limited(limits.open_files.is_some(), true, ""),
        Layer::CpuTime => limited(limits.cpu_time.is_some(), true, ""),
        Layer::FileSize => limited(limits.file_size.is_some(), true, ""),
        // The namespaces of the container, its own limits, and a start by another program.
        Layer::Filesystem
        | Layer::Signals
        | Layer::AbstractSockets
        | Layer::UnixSockets
        | Layer::SystemCalls
        | Layer::Descriptors
        | Layer::Environment
        | Layer::CoreSize => LayerState::Enforced,
        _ => LayerState::unavailable("a container has no counterpart"),
    }
}

/// The limits that the kernel counts for each process.
fn process_limits(limits: &Limits) -> Vec<ProcessLimit> {
    let exact = |name, value: Option<u64>| value.map(|value| ProcessLimit { name, soft: value, hard: value });
    let cpu = limits.cpu_time.map(|time| {
        let seconds = time.as_secs().saturating_add(u64::from(time.subsec_nanos() > 0)).max(1);
        // SIGXCPU at the limit, and SIGKILL a second later.
        ProcessLimit { name: "cpu", soft: seconds, hard: seconds.saturating_add(1) }
    });
    let all = [
        exact("nofile", limits.open_files),
        exact("fsize", limits.file_size),
        exact("core", Some(limits.core_size)),
        cpu,
    ];
    all.into_iter().flatten().collect()
}

/// Whether a network has the abstract sockets of other processes.
fn shares_sockets(network: &str) -> bool {
    network == "host" || network.starts_with("container:") || network.starts_with("ns:")
}

fn lower<T: Ord>(one: Option<T>, other: Option<T>) -> Option<T> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

fn unsupported(what: String) -> SandboxFault {
    SandboxFault::Unsupported { place: "a container", what }
}

/// The network that every engine has.
const BRIDGE: &str = "bridge";

#[cfg(test)]
mod tests;
