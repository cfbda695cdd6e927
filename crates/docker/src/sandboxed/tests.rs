use std::{path::Path, time::Duration};

use miette::Diagnostic as _;
use rpcplugin_client::sandbox::Enforce;

use super::*;

fn engine() -> Engine {
    Engine {
        address: "unix:///engine".to_owned(),
        name: "Fake Engine".to_owned(),
        version: "1".to_owned(),
        is_rootless: false,
        has_selinux: false,
        has_seccomp: true,
        limits_memory: true,
        limits_processes: true,
        runtimes: Vec::new(),
        default_runtime: String::new(),
    }
}

fn missing(sandbox: &Sandbox, given: &Options, engine: &Engine) -> Vec<Layer> {
    match confinement(sandbox, given, engine) {
        Ok(confinement) => {
            assert!(confinement.is_full());
            Vec::new()
        }
        Err(SandboxFault::Unavailable(missing)) => missing.into_iter().map(|(layer, _)| layer).collect(),
        Err(other) => panic!("{other}"),
    }
}

fn with_network(network: &str) -> Options {
    Options { network: Some(network.to_owned()), ..Options::default() }
}

#[test]
fn a_sandbox_becomes_the_options_of_the_container() {
    let limits = Limits::new()
        .memory(64 << 20)
        .processes(16)
        .total_processes(20)
        .total_memory(48 << 20)
        .open_files(128)
        .file_size(1 << 20)
        .cpu_time(Duration::from_millis(1500));
    let sandbox = Sandbox::new()
        .read("/srv/text")
        .execute("/opt/tool")
        .write("/var/cache/kv")
        .network(Network::all())
        .environment(["LANG", "TMPDIR", "PLUGIN_PROTOCOL_VERSIONS"])
        .limits(limits);
    let given = Options { memory: Some(32 << 20), ..Options::default() };
    let variables = ["LANG", "HOME", "TMPDIR", "PLUGIN_PROTOCOL_VERSIONS"];
    let variables = variables.map(|name| (name.into(), "of the host".into()));
    let found = options(&sandbox, &given, &LaunchEnvironment::new("/run/kv"), variables.into_iter());
    assert_eq!((found.memory, found.pids), (Some(32 << 20), Some(17)), "the lower limit of both");
    assert_eq!(found.network.as_deref(), Some("bridge"));
    assert_eq!(found.env.keys().collect::<Vec<_>>(), ["LANG"], "no others of the host");
    let same = |path: &str, is_writable| BindMount::new(Path::new(path), Path::new(path), is_writable);
    let mounts = [same("/srv/text", false), same("/opt/tool", false), same("/var/cache/kv", true)];
    assert_eq!(found.mounts, mounts);
    let limit = |name, soft, hard| ProcessLimit { name, soft, hard };
    let limits = [
        limit("nofile", 128, 128),
        limit("fsize", 1 << 20, 1 << 20),
        limit("core", 0, 0),
        limit("cpu", 2, 3),
    ];
    assert_eq!(found.limits, limits);
}

#[test]
fn a_container_enforces_what_its_engine_can() {
    let all = Sandbox::new().limits(Limits::new().memory(1 << 20).processes(4).open_files(9));
    let found = confinement(&all, &Options::default(), &engine()).expect("enforced");
    assert!(found.is_full());
    for layer in [Layer::Filesystem, Layer::Tcp, Layer::Memory, Layer::Processes, Layer::OpenFiles] {
        assert_eq!(*found.state(layer), LayerState::Enforced, "{layer}");
    }
    assert_eq!(*found.state(Layer::CpuTime), LayerState::Unrestricted);
    let poor = Engine { has_seccomp: false, limits_memory: false, limits_processes: false, ..engine() };
    let expected = [Layer::SystemCalls, Layer::Memory, Layer::Processes];
    assert_eq!(missing(&all, &Options::default(), &poor), expected);
    let best = all.enforce(Enforce::BestEffort);
    let found = confinement(&best, &Options::default(), &poor).expect("started");
    assert_eq!(found.missing().map(|(layer, _)| layer).collect::<Vec<_>>(), expected);
}

#[test]
fn a_network_by_port_and_a_network_of_the_container_are_refused() {
    let none = Sandbox::new();
    assert_eq!(missing(&none, &with_network("none"), &engine()), []);
    assert_eq!(missing(&none, &with_network("plugins"), &engine()), [Layer::Tcp, Layer::Udp]);
    let all = Sandbox::new().network(Network::all());
    assert_eq!(missing(&all, &with_network("plugins"), &engine()), []);
    for shared in ["host", "container:other"] {
        assert_eq!(missing(&all, &with_network(shared), &engine()), [Layer::AbstractSockets], "{shared}");
    }
    let port = Sandbox::new().network(Network::none().connect([443]).udp());
    assert_eq!(missing(&port, &Options::default(), &engine()), [Layer::Tcp, Layer::Udp]);
}

#[test]
fn what_a_container_cannot_allow_is_refused_by_name() {
    for (sandbox, name) in [
        (Sandbox::new().allow(SystemCalls::IoUring), "the system calls io_uring"),
        (Sandbox::new().allow(SystemCalls::Debugging), "the system calls debugging"),
        (Sandbox::new().read("data"), "the relative path data"),
    ] {
        let fault = confinement(&sandbox.enforce(Enforce::BestEffort), &Options::default(), &engine())
            .expect_err(name);
        assert_eq!(
            fault.code().map(|code| code.to_string()).as_deref(),
            Some("rpcplugin::security::sandbox_unsupported")
        );
        assert!(fault.to_string().contains(name), "{fault}");
    }
    let metadata = Sandbox::new().allow(SystemCalls::FileMetadata);
    assert_eq!(missing(&metadata, &Options::default(), &engine()), []);
}
