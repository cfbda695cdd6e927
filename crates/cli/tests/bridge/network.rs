//! A plugin in another network, with files of its own: behind a pair of virtual Ethernet interfaces.
//!
//! These tests need root and the program `ip` of iproute2.

use std::{
    io,
    path::{Path, PathBuf},
    process::{Command as Process, Stdio},
    sync::Arc,
    time::Duration,
};

use rpcplugin::{
    Command, Endpoint, Exit, Host, MagicCookie,
    broker::{BoxError, Translate},
    host::{ChildProcess, LaunchEnvironment, LaunchFault, Runner, StartedProcess},
    transport::{Dial, Stream, dial},
};

use crate::{
    bridged::{PROGRAM, run},
    program::peer,
    running::{kit, of_the_tests},
};

/// A network namespace, with an address for the host and one for the plugin. Dropping it removes both.
struct Network {
    namespace: String,
    /// The plugin's address.
    plugin: String,
}

impl Network {
    /// Makes the network with this number, which no other test has. Returns `None`, and says so, without root or `ip`.
    fn new(number: u8) -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            return skipped("only root can make a network namespace");
        }
        if !ip("-V").unwrap_or_default() {
            return skipped("the program `ip` of iproute2 is not there");
        }
        let pid = std::process::id();
        let (namespace, here, there) =
            (format!("rpcplugin-{pid}-{number}"), format!("rph{pid}-{number}"), format!("rpp{pid}-{number}"));
        // Of the addresses for the benchmarks of networks, which lead nowhere.
        let subnet = format!("198.18.{}", u8::try_from(pid % 50).unwrap() * 5 + number);
        let (host, plugin) = (format!("{subnet}.1"), format!("{subnet}.2"));
        if !ip(&format!("netns add {namespace}")).unwrap() {
            return skipped("this root may not make network namespaces");
        }
        let this = Self { namespace: namespace.clone(), plugin: plugin.clone() };
        for arguments in [
            format!("link add {here} type veth peer name {there} netns {namespace}"),
            format!("addr add {host}/24 dev {here}"),
            format!("link set {here} up"),
            format!("-n {namespace} addr add {plugin}/24 dev {there}"),
            format!("-n {namespace} link set {there} up"),
            format!("-n {namespace} link set lo up"),
        ] {
            assert!(ip(&arguments).unwrap(), "ip {arguments}");
        }
        Some(this)
    }

    /// A command that runs a bridge in the namespace: the arguments of the bridge follow.
    fn bridge(&self) -> Vec<String> {
        strings(&["ip", "netns", "exec", &self.namespace, PROGRAM, "bridge"])
    }

    /// The same, with a temporary directory of its own, so that neither side sees the sockets of the other.
    fn bridge_with_files(&self) -> Vec<String> {
        let script = "mount -t tmpfs tmpfs \"$TMPDIR\" && exec \"$@\"";
        let before = strings(&[
            "ip",
            "netns",
            "exec",
            &self.namespace,
            "unshare",
            "--mount",
            "/bin/sh",
            "-c",
            script,
            "sh",
        ]);
        [before, strings(&[PROGRAM, "bridge"])].concat()
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        // The interfaces go with the namespace.
        let _ = ip(&format!("netns del {}", self.namespace));
    }
}

/// Says why a test is skipped.
#[expect(clippy::print_stderr, reason = "the reason is for the reader of the test's output")]
fn skipped<T>(why: &str) -> Option<T> {
    eprintln!("skipped: {why}");
    None
}

/// Runs `ip`. Returns whether it succeeded.
fn ip(arguments: &str) -> io::Result<bool> {
    let mut command = Process::new("ip");
    let command = command.args(arguments.split(' ')).stdout(Stdio::null()).stderr(Stdio::null());
    Ok(command.status()?.success())
}

fn strings(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// Runs the checks of a host, whose plugin is in the network.
fn check(network: &Network, host: &Path, flags: &[&str], plugin: &Path) -> crate::bridged::Ended {
    let listen = ["--listen", &network.plugin, "--", plugin.to_str().unwrap()];
    let args = [
        strings(&["check"]),
        strings(flags),
        strings(&["--"]),
        network.bridge_with_files(),
        strings(&listen),
    ]
    .concat();
    run(host, &args, |_| false)
}

#[test]
fn multiplexed_callbacks_and_brokered_services_reach_another_machine() {
    let Some(network) = Network::new(0) else { return };
    let Some(plugin) = peer("go", "kit-plugin") else { return };
    let only = "--only=put-get,bidi,callback,open-sub,stop";
    for (language, host) in [("Rust", of_the_tests("kit-host")), ("Go", peer("go", "kit-host"))] {
        let Some(host) = host else { continue };
        let ended = check(&network, &host, &["--auto-mtls", "--mux", "--broker", only], &plugin);
        assert!(ended.printed.contains("5 passed, 0 failed"), "{language}: {}", ended.printed);
    }
}

/// Without multiplexing a brokered service has a socket of its own, on the machine of the plugin or of the host.
#[test]
fn without_multiplexing_brokered_services_fail_at_once_and_everything_else_works() {
    let Some(network) = Network::new(1) else { return };
    let Some(plugin) = peer("go", "kit-plugin") else { return };
    for (language, host, verbose) in
        [("Rust", of_the_tests("kit-host"), &[][..]), ("Go", peer("go", "kit-host"), &["--verbose"])]
    {
        let Some(host) = host else { continue };
        let flags = ["--auto-mtls", "--broker", "--only=put-get,callback,open-sub,stop"];
        let ended = check(&network, &host, &[&flags, verbose].concat(), &plugin);
        let line = |start: &str| {
            ended
                .printed
                .lines()
                .find(|line| line.starts_with(start))
                .unwrap_or_else(|| panic!("{language}: {}", ended.printed))
        };
        line("PASS put-get");
        line("PASS stop");
        // The host finds the socket of the plugin's service nowhere, and its error has the remedy.
        let sub = line("FAIL open-sub");
        assert!(sub.contains("bridge-needs-multiplexing"), "{language}: {sub}");
        // The plugin does not reach the socket of the host's service. A host in Rust makes a port on its loopback interface.
        let callback = line("FAIL callback");
        let reasons = ["no such file or directory", "connection refused"];
        assert!(reasons.iter().any(|reason| callback.contains(reason)), "{language}: {callback}");
        assert!(ended.took < Duration::from_secs(15), "{language}: {:?}", ended.took);
        if language == "Go" {
            assert!(ended.printed.contains("set `multiplex`"), "the log has the remedy: {}", ended.printed);
        }
    }
}

/// A runner of plugins behind a bridge in the network. The host reaches them at another address than the announced one.
#[derive(Debug)]
struct Elsewhere {
    bridge: Vec<String>,
    plugin: PathBuf,
    address: String,
    reached: Reached,
}

/// How the host reaches a plugin.
#[derive(Debug, Clone, Copy)]
enum Reached {
    ByTranslation,
    ByDialing,
}

impl Runner for Elsewhere {
    type Process = ChildProcess;

    fn program(&self) -> PathBuf {
        self.plugin.clone()
    }

    async fn start(
        &self,
        environment: &LaunchEnvironment,
    ) -> Result<StartedProcess<ChildProcess>, LaunchFault> {
        // The bridge announces its port on the loopback interface.
        let command = Command::new(&self.bridge[0])
            .args(&self.bridge[1..])
            .args(["--listen", "0.0.0.0", "--"])
            .arg(&self.plugin);
        let started = command.start(environment).await?;
        Ok(match self.reached {
            Reached::ByTranslation => started.translate(Arc::new(Route(self.address.clone()))),
            Reached::ByDialing => started.dial(Route(self.address.clone())),
        })
    }
}

/// The way to the address of a plugin.
#[derive(Debug)]
struct Route(String);

impl Route {
    fn lead(&self, endpoint: &Endpoint) -> Endpoint {
        let Endpoint::Tcp(address) = endpoint else { panic!("{endpoint}") };
        Endpoint::parse("tcp", &format!("{}:{}", self.0, address.port())).unwrap()
    }
}

impl Translate for Route {
    fn announce_as(&self, endpoint: &Endpoint) -> Result<Endpoint, BoxError> {
        Ok(endpoint.clone())
    }

    fn dial_as(&self, endpoint: &Endpoint) -> Result<Endpoint, BoxError> {
        Ok(self.lead(endpoint))
    }
}

impl Dial for Route {
    async fn dial(&self, endpoint: &Endpoint) -> io::Result<Stream> {
        dial(&self.lead(endpoint)).await.map_err(|error| error.source)
    }
}

#[tokio::test]
async fn a_host_reaches_a_bridge_at_another_address_than_the_announced_one() {
    let Some(network) = Network::new(2) else { return };
    let plugins = [peer("go", "kit-plugin"), kit()];
    for plugin in plugins.into_iter().flatten() {
        for reached in [Reached::ByTranslation, Reached::ByDialing] {
            let cookie = MagicCookie::new("CONFORMANCE_KIT_COOKIE", "b1d0c9a6-conformance").unwrap();
            let host = Host::new(cookie, 1).configure(|config| config.multiplex = true);
            let runner = Elsewhere {
                bridge: network.bridge(),
                plugin: plugin.clone(),
                address: network.plugin.clone(),
                reached,
            };
            let plugin = host.launch_with(&runner).await.unwrap();
            plugin.ping().await.unwrap();
            assert!(plugin.security().is_mutual(), "{reached:?}");
            assert_eq!(plugin.shut_down().await, Exit::Clean, "{reached:?}");
        }
    }
}
