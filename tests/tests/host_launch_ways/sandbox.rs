//! Confined plugins: what they try and do not get, and what the host reports.

use std::{
    collections::BTreeMap,
    fs,
    net::TcpListener,
    os::{
        fd::{AsRawFd as _, OwnedFd},
        linux::net::SocketAddrExt as _,
        unix::{
            fs::PermissionsExt as _,
            net::{SocketAddr, UnixDatagram, UnixListener},
            process::CommandExt as _,
        },
    },
    path::PathBuf,
    process::Stdio,
    time::Duration,
};

use miette::Diagnostic as _;
use rpcplugin::{
    Command, Host, LaunchError, MagicCookie, Plugin,
    host::{Event, ExitCause, LaunchFault},
    sandbox::{
        Confinement, Denied, Enforce, Layer, LayerState, Limits, Network, Sandbox, SandboxFault, UnixSockets,
    },
};
use rpcplugin_tests::{
    escapes::{ESCAPES, Escape, results_of, table},
    support::{
        faulty::{faulty, host},
        programs::{peer, program},
    },
};
use rustix::io::{FdFlags, fcntl_dupfd_cloexec, fcntl_setfd};

/// What the attempts are aimed at: files, sockets and a descriptor of this process.
struct Outside {
    dir: tempfile::TempDir,
    descriptor: OwnedFd,
    port: TcpListener,
    name: String,
    _sockets: (UnixListener, UnixDatagram, UnixListener),
}

impl Outside {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        for escape in ESCAPES {
            fs::write(dir.path().join(escape.name), "secret").expect("writable");
        }
        let name = format!("rpcplugin-escapes{}", dir.path().display());
        let address = SocketAddr::from_abstract_name(&name).expect("valid");
        let sockets = (
            UnixListener::bind(dir.path().join("socket")).expect("a socket"),
            UnixDatagram::bind(dir.path().join("datagrams")).expect("a socket"),
            UnixListener::bind_addr(&address).expect("a socket"),
        );
        let file = fs::File::open(dir.path().join("inherited")).expect("it exists");
        // A number that no descriptor of the plugin itself has.
        let descriptor = fcntl_dupfd_cloexec(&file, 200).expect("it is open");
        fcntl_setfd(&descriptor, FdFlags::empty()).expect("it is open");
        let port = TcpListener::bind("127.0.0.1:0").expect("a port");
        Self { dir, descriptor, port, name, _sockets: sockets }
    }

    /// The plugin with these attempts.
    fn command<'e>(&self, program: PathBuf, escapes: impl Iterator<Item = &'e Escape>) -> Command {
        let port = self.port.local_addr().expect("bound").port();
        Command::new(program)
            .arg(self.dir.path())
            .arg(self.descriptor.as_raw_fd().to_string())
            .arg(port.to_string())
            .arg(&self.name)
            .args(escapes.map(Escape::encoded))
    }
}

/// The sandbox of the attempts: nothing is allowed, and all limits are set but that of processes, which needs a user other than root.
fn closed() -> Sandbox {
    let limits =
        Limits::new().memory(512 << 20).open_files(256).file_size(1 << 20).cpu_time(Duration::from_secs(600));
    Sandbox::new().limits(limits)
}

fn escaping_host() -> Host {
    let cookie = MagicCookie::new("ESCAPING_PLUGIN", "cookie").expect("a key and a value");
    Host::new(cookie, 1)
}

/// The error number of each attempt.
fn results(plugin: &Plugin) -> BTreeMap<String, i32> {
    let path = results_of(plugin.endpoint()).expect("a Unix socket");
    let text = fs::read_to_string(path).expect("the plugin wrote it");
    let result = |line: &str| {
        let (name, error) = line.split_once(' ').expect("name and number");
        (name.to_owned(), error.parse().expect("a number"))
    };
    text.lines().map(result).collect()
}

/// Whether this kernel enforces the sandbox. If it does not, the test is skipped by name.
#[expect(clippy::print_stdout, reason = "a test that is skipped says so")]
fn is_enforced(sandbox: &Sandbox) -> bool {
    let confinement = sandbox.check();
    if !confinement.is_full() {
        println!("skipped: {confinement}");
    }
    confinement.is_full()
}

/// The attempts that got further than a refusal.
fn escaped(results: &BTreeMap<String, i32>) -> Vec<String> {
    let got_further = ESCAPES
        .iter()
        .filter(|escape| results.get(escape.name).is_some_and(|error| !escape.refusals.contains(error)));
    got_further.map(|escape| format!("{} ({})", escape.name, results[escape.name])).collect()
}

/// The attempts that a plugin makes without a limit of processes.
fn attempts() -> impl Iterator<Item = &'static Escape> {
    ESCAPES.iter().filter(|escape| escape.layer != "processes")
}

async fn launch_confined(program: PathBuf) -> BTreeMap<String, i32> {
    let outside = Outside::new();
    let command = outside.command(program, attempts()).sandbox(closed());
    let plugin = escaping_host().launch(command).await.unwrap_or_else(|error| panic!("{error:?}"));
    assert!(plugin.confinement().is_some_and(Confinement::is_full), "{:?}", plugin.confinement());
    let results = results(&plugin);
    assert_eq!(results.len(), attempts().count());
    assert!(plugin.shut_down().await.to_string().contains("cleanly"));
    results
}

#[tokio::test]
async fn no_attempt_of_a_hostile_plugin_in_rust_gets_out() {
    if is_enforced(&closed()) {
        assert_eq!(escaped(&launch_confined(program("escaping-plugin")).await), [""; 0]);
    }
}

#[tokio::test]
async fn no_attempt_of_a_hostile_plugin_in_go_gets_out() {
    let Some(program) = peer("go", "escaping-plugin") else { return };
    if is_enforced(&closed()) {
        assert_eq!(escaped(&launch_confined(program).await), [""; 0]);
    }
}

#[tokio::test]
async fn the_same_attempts_get_further_without_a_sandbox() {
    if !rustix::process::getuid().is_root() {
        println!("skipped: other users than root are refused much without a sandbox");
        return;
    }
    let outside = Outside::new();
    let controlled = || ESCAPES.iter().filter(|escape| escape.has_control);
    let command = outside.command(program("escaping-plugin"), controlled());
    let plugin = escaping_host().launch(command).await.unwrap_or_else(|error| panic!("{error:?}"));
    assert_eq!(plugin.confinement(), None);
    let directory = std::env::temp_dir();
    let results = fs::read_to_string(directory.join("results")).expect("the plugin wrote it");
    for name in
        ["rename_in", "hard_link", "symlink", "make_device", "execute_written", "large_file", "results"]
    {
        let _ = fs::remove_file(directory.join(name));
    }
    let refused: Vec<_> = controlled()
        .filter(|escape| {
            let error = results.lines().find_map(|line| line.strip_prefix(escape.name)?.strip_prefix(' '));
            error.and_then(|error| error.parse().ok()).is_none_or(|error| escape.refusals.contains(&error))
        })
        .map(|escape| escape.name)
        .collect();
    assert_eq!(refused, [""; 0], "{results}");
}

#[test]
fn a_plugin_cannot_start_processes_without_an_end() {
    if !rustix::process::getuid().is_root() {
        println!("skipped: the test becomes another user, which needs root");
        return;
    }
    // The user of the test has no other processes, and may read the program.
    let dir = tempfile::tempdir().expect("a directory");
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).expect("ours");
    let own = dir.path().join("escaping-plugin");
    fs::copy(program("escaping-plugin"), &own).expect("writable");
    let host = std::process::Command::new(own)
        .arg("as-host")
        .uid(OTHER_USER)
        .gid(OTHER_USER)
        .current_dir("/")
        .env("HOME", "/")
        .stdin(Stdio::null())
        .output()
        .expect("it starts");
    let output = String::from_utf8_lossy(&host.stdout);
    let stderr = String::from_utf8_lossy(&host.stderr);
    assert_eq!(output.trim(), format!("fork_bomb {}", libc::EAGAIN), "{stderr}");
}

#[test]
fn the_table_of_the_guide_is_the_list_of_attempts() {
    let page =
        fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/guide/sandbox.md")).expect("a page");
    assert!(page.contains(&table()), "put this table into docs/guide/sandbox.md:\n{}", table());
}

async fn refused(command: Command) -> LaunchError {
    match host(|_| {}).launch(command).await {
        Err(error) => error,
        Ok(plugin) => panic!("the plugin started: {:?}", plugin.confinement()),
    }
}

fn code(error: &LaunchError) -> String {
    error.code().map(|code| code.to_string()).unwrap_or_default()
}

#[tokio::test]
async fn a_kernel_that_lacks_a_layer_refuses_the_launch_or_reports_the_layer() {
    // By ABI of Landlock: what it cannot enforce of a sandbox that allows a TCP port and restricts Unix sockets to a directory.
    let all = [Layer::Filesystem, Layer::Tcp, Layer::Signals, Layer::AbstractSockets, Layer::UnixSockets];
    let kernel = Sandbox::new().check();
    for (abi, missing) in
        [(0, &all[..]), (1, &all), (2, &all), (3, &all[1..]), (4, &all[2..]), (5, &all[2..]), (6, &all[4..])]
    {
        let sandbox = Sandbox::new().network(Network::none().connect([443])).landlock_abi_at_most(abi);
        let found: Vec<_> = sandbox.check().missing().map(|(layer, _)| layer).collect();
        if kernel.is_full() {
            assert_eq!(found, missing, "ABI {abi}");
        }
        let error = refused(faulty("healthy").sandbox(sandbox.clone())).await;
        let LaunchFault::Sandbox(SandboxFault::Unavailable(named)) = &error.fault else {
            panic!("{error:?}")
        };
        assert_eq!(named.iter().map(|(layer, _)| *layer).collect::<Vec<_>>(), found, "ABI {abi}");
        assert_eq!(code(&error), "rpcplugin::security::sandbox_unavailable");

        let command = faulty("healthy").sandbox(sandbox.enforce(Enforce::BestEffort));
        let plugin =
            host(|_| {}).launch(command).await.unwrap_or_else(|error| panic!("ABI {abi}: {error:?}"));
        let confinement = plugin.confinement().expect("it has a sandbox").clone();
        assert_eq!(confinement.missing().map(|(layer, _)| layer).collect::<Vec<_>>(), found, "ABI {abi}");
        let Some(Event::Confined(reported)) = plugin.events().next().await.map(|event| event.event) else {
            panic!("the first event is another one")
        };
        assert_eq!(reported, confinement);
        plugin.shut_down().await;
    }
}

#[tokio::test]
async fn limits_of_the_plugin_as_a_whole_are_refused_without_a_control_group() {
    let limits = Limits::new().total_memory(256 << 20).total_processes(64);
    let nowhere = Sandbox::new().limits(limits).control_group("/no/such/group");
    let command = || Command::new(program("escaping-plugin"));
    let error = refused(command().sandbox(nowhere.clone())).await;
    assert_eq!(code(&error), "rpcplugin::security::sandbox_unavailable");
    let text = error.fault.to_string();
    for layer in ["total_memory", "total_processes"] {
        assert!(
            text.contains(&format!("{layer} (/no/such/group/cgroup.controllers cannot be read")),
            "{text}"
        );
    }
    let best = closed().limits(nowhere.resource_limits().clone()).control_group("/no/such/group");
    let command = Outside::new().command(program("escaping-plugin"), std::iter::empty());
    let plugin = escaping_host().launch(command.sandbox(best.enforce(Enforce::BestEffort))).await;
    let plugin = plugin.unwrap_or_else(|error| panic!("{error:?}"));
    let confinement = plugin.confinement().expect("it has a sandbox");
    let missing: Vec<_> = confinement.missing().map(|(layer, _)| layer).collect();
    assert!(missing.ends_with(&[Layer::TotalMemory, Layer::TotalProcesses]), "{confinement}");
    plugin.shut_down().await;
}

#[tokio::test]
async fn a_kernel_of_each_age_enforces_what_it_reports() {
    let network = || Network::none().connect([443]);
    for abi in [0, 1, 2, 3, 4, 5, 6] {
        let sandbox = closed().network(network()).landlock_abi_at_most(abi).enforce(Enforce::BestEffort);
        let outside = Outside::new();
        let command = outside.command(program("escaping-plugin"), attempts()).sandbox(sandbox);
        let plugin =
            escaping_host().launch(command).await.unwrap_or_else(|error| panic!("ABI {abi}: {error:?}"));
        let confinement = plugin.confinement().expect("it has a sandbox");
        let results = results(&plugin);
        for escape in attempts().filter(|escape| !MAY_MAKE_SOCKETS.contains(&escape.name)) {
            let layer = Layer::ALL.iter().find(|layer| layer.as_str() == escape.layer).expect("a layer");
            if *confinement.state(*layer) == LayerState::Enforced {
                assert!(escape.refusals.contains(&results[escape.name]), "ABI {abi}: {}", escape.name);
            }
        }
        plugin.shut_down().await;
    }
}

#[tokio::test]
async fn a_confined_plugin_gets_what_its_sandbox_allows() {
    let outside = Outside::new();
    let port = outside.port.local_addr().expect("bound").port();
    let sandbox = Sandbox::new()
        .read(outside.dir.path().join("read_outside"))
        .write(outside.dir.path().join("append_outside"))
        .execute("/bin/sh")
        .read("/lib")
        .network(Network::none().connect([port]))
        .unix_sockets(UnixSockets::Any)
        .environment(["PATH"]);
    if !is_enforced(&sandbox) {
        return;
    }
    let allowed = [
        "read_outside",
        "append_outside",
        "execute_shell",
        "tcp_loopback",
        "other_socket",
        "secret_variable",
    ];
    let refused = ["truncate_outside", "read_shadow", "udp"];
    let asked =
        ESCAPES.iter().filter(|escape| allowed.contains(&escape.name) || refused.contains(&escape.name));
    let command = outside.command(program("escaping-plugin"), asked).sandbox(sandbox.clone());
    let plugin = escaping_host().launch(command).await.unwrap_or_else(|error| panic!("{error:?}"));
    let results = results(&plugin);
    for name in allowed {
        assert_eq!(results[name], 0, "{name}");
    }
    for name in refused {
        assert_ne!(results[name], 0, "{name}");
    }
    plugin.shut_down().await;
    // Another port than the one that is allowed.
    let closed_port = sandbox.network(Network::none().connect([port ^ 1]));
    let asked = ESCAPES.iter().filter(|escape| escape.name == "tcp_loopback");
    let command = outside.command(program("escaping-plugin"), asked).sandbox(closed_port);
    let plugin = escaping_host().launch(command).await.unwrap_or_else(|error| panic!("{error:?}"));
    assert_eq!(self::results(&plugin)["tcp_loopback"], libc::EACCES);
    plugin.shut_down().await;
}

#[tokio::test]
async fn faults_of_the_sandbox_have_names() {
    let sandbox = || Sandbox::new().enforce(Enforce::BestEffort);
    let script = |text: &str| Command::new("/bin/sh").args(["-c", text]).sandbox(sandbox());

    let error = refused(script("x").sandbox(sandbox().read("/no/such/directory"))).await;
    assert_eq!(code(&error), "rpcplugin::security::sandbox_path");
    assert!(error.to_string().contains("/no/such/directory"), "{error}");

    let error = refused(script("echo 'open /etc/shadow: permission denied' >&2; exit 1")).await;
    let LaunchFault::Sandbox(SandboxFault::Denied { denied, .. }) = &error.fault else { panic!("{error:?}") };
    assert_eq!(*denied, Denied::Path("/etc/shadow".into()));
    assert_eq!(code(&error), "rpcplugin::security::sandbox_denied");

    // The words alone are no denial, if the plugin may read the path or has no sandbox.
    let words = "echo 'open /tmp: permission denied' >&2; exit 1";
    let error = refused(script(words).sandbox(sandbox().read("/tmp"))).await;
    assert!(matches!(error.fault, LaunchFault::Handshake(_)), "{error:?}");

    let limits = Limits::new().cpu_time(Duration::from_secs(1));
    let error = refused(script("while :; do :; done").sandbox(sandbox().limits(limits))).await;
    let ended = error.facts().ended.clone().and_then(|exit| exit.report().cloned());
    let cause = ended.map(|report| report.cause);
    assert_eq!(cause, Some(ExitCause::CpuTime), "{error:?}");
}

#[tokio::test]
async fn a_supervised_plugin_is_confined_at_every_start() {
    let sandbox = Sandbox::new();
    if !is_enforced(&sandbox) {
        return;
    }
    let supervised = host(|_| {}).supervise(faulty("healthy").sandbox(sandbox)).await.expect("it starts");
    assert!(supervised.restart().await);
    let second = supervised.generation().expect("it runs");
    assert_eq!(second.number(), 2);
    assert!(second.confinement().is_some_and(Confinement::is_full), "{:?}", second.confinement());
    supervised.shut_down().await;
}

#[tokio::test]
async fn a_handover_reports_the_confinement() {
    let sandbox = Sandbox::new();
    if !is_enforced(&sandbox) {
        return;
    }
    let own = |change: &mut rpcplugin::config::HostConfig| change.die_with_host = false;
    let command = faulty("healthy").env("PLUGIN_EXIT_WITH_HOST", "false").sandbox(sandbox);
    let plugin = host(own).launch(command).await.unwrap_or_else(|error| panic!("{error:?}"));
    let confinement = plugin.confinement().cloned();
    let handover = plugin.hand_over().await.expect("it may outlive this host").to_json();
    let attachment = rpcplugin::host::Handover::parse(&handover).expect("valid");
    let plugin = host(own).attach(attachment).await.unwrap_or_else(|error| panic!("{error:?}"));
    assert_eq!(plugin.confinement(), confinement.as_ref());
    plugin.shut_down().await;
}

/// Attempts that a plugin with a TCP port succeeds in, as the sandbox says.
const MAY_MAKE_SOCKETS: [&str; 2] = ["tcp", "tcp6"];

/// A user that owns nothing.
const OTHER_USER: u32 = 65534;
