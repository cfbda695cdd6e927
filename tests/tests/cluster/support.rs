//! What the tests share: the API of the cluster, a namespace for each test, and hosts.

use std::{
    fs,
    future::Future,
    io::Write as _,
    panic::Location,
    process::{Command, Stdio},
    time::Duration,
};

use rpcplugin::{Host, PluginChannel, Versions};
use rpcplugin_kube::{
    Pod as PluginPod, Pull,
    k8s_openapi::{
        NamespaceResourceScope,
        api::core::v1::{Namespace as NamespaceObject, Pod, ServiceAccount},
    },
    kube::{
        Api, Client, Config, Resource, ResourceExt as _,
        api::{DeleteParams, ListParams, LogParams, PostParams},
        config::AuthInfo,
    },
};
use rpcplugin_tests::{
    contract::{VERSIONS, cookie},
    pb::kit_client::KitClient,
    support::process::try_send,
};
use rustix::process::Signal;
use tempfile::NamedTempFile;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines},
    process::{Child, ChildStdout},
    time::{Instant, sleep, timeout},
};

/// The conformance plugin in Rust, which listens on TCP itself.
pub(crate) const RUST: &str = "localhost/rpcplugin-tests/kit-rust:1";
/// The conformance plugin in Go, which listens on a Unix socket.
pub(crate) const GO: &str = "localhost/rpcplugin-tests/kit-go:1";
/// The program `rpcplugin`, for `rpcplugin bridge`.
pub(crate) const BRIDGE: &str = "localhost/rpcplugin-tests/rpcplugin:1";
/// The example `fleet` of rpcplugin-kube, a host.
pub(crate) const FLEET: &str = "localhost/rpcplugin-tests/fleet:1";

/// The cookie of the kit, as the example takes it.
pub(crate) const COOKIE: &str = "CONFORMANCE_KIT_COOKIE=b1d0c9a6-conformance";

const MANIFESTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../crates/kube/manifests");

/// The longest that anything may take. A pod starts within two seconds on a node that has nothing else to do.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(120);

/// A namespace of one test.
pub(crate) struct Namespace {
    pub(crate) client: Client,
    pub(crate) name: String,
}

impl Namespace {
    /// Makes a namespace with the default account.
    pub(crate) async fn create() -> Self {
        let client =
            Client::try_default().await.expect("KUBECONFIG names the cluster of `cargo xtask cluster`");
        let mut object = NamespaceObject::default();
        object.metadata.generate_name = Some("test-".to_owned());
        // The API server refuses every pod that is not restricted.
        let label = ("pod-security.kubernetes.io/enforce".to_owned(), "restricted".to_owned());
        object.metadata.labels = Some([label].into());
        let made = Api::all(client.clone()).create(&PostParams::default(), &object).await.unwrap();
        let namespace = Self { client, name: made.name_any() };
        eventually("the default account", async || {
            namespace.api::<ServiceAccount>().get_opt("default").await.unwrap().is_some()
        })
        .await;
        namespace
    }

    /// The objects of one kind in this namespace.
    pub(crate) fn api<K>(&self) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        Api::namespaced(self.client.clone(), &self.name)
    }

    /// All pods.
    pub(crate) async fn pods(&self) -> Vec<Pod> {
        self.api::<Pod>().list(&ListParams::default()).await.unwrap().items
    }

    /// The only pod.
    pub(crate) async fn pod(&self) -> Pod {
        let mut pods = self.pods().await;
        assert_eq!(pods.len(), 1, "{:?}", pods.iter().map(|pod| pod.name_any()).collect::<Vec<_>>());
        pods.remove(0)
    }

    /// A plugin of the kit in a pod of this namespace. The image is on the node: there is no registry.
    pub(crate) fn plugin(&self, image: &str) -> PluginPod {
        PluginPod::new(image).client(self.client.clone()).namespace(&self.name).pull(Pull::Never)
    }

    /// Waits until no pod is left, and deletes the namespace.
    pub(crate) async fn emptied(self) {
        eventually("no pod is left", async || self.pods().await.is_empty()).await;
        self.delete().await;
    }

    /// Deletes the namespace with all that is in it.
    pub(crate) async fn delete(self) {
        Api::<NamespaceObject>::all(self.client).delete(&self.name, &DeleteParams::default()).await.unwrap();
    }

    /// The pods with these labels.
    pub(crate) async fn select(&self, labels: &str) -> Vec<Pod> {
        self.api::<Pod>().list(&ListParams::default().labels(labels)).await.unwrap().items
    }

    /// Waits for a pod with these labels.
    pub(crate) async fn only(&self, labels: &str) -> Pod {
        eventually(labels, async || self.select(labels).await.len() == 1).await;
        self.select(labels).await.remove(0)
    }

    /// Applies a file of `crates/kube/manifests`.
    pub(crate) fn apply(&self, manifest: &str) {
        self.apply_text(&fs::read_to_string(format!("{MANIFESTS}/{manifest}")).unwrap());
    }

    /// Applies the role of the manifest without one verb for one resource.
    pub(crate) fn apply_role_without(&self, resource: &str, verb: &str) {
        let manifest = fs::read_to_string(format!("{MANIFESTS}/host-role.yaml")).unwrap();
        let mut changed = false;
        let mut lines: Vec<String> = manifest.lines().map(ToOwned::to_owned).collect();
        for at in 1..lines.len() {
            if lines[at - 1].trim() == format!("resources: [{resource}]") {
                let verbs: Vec<&str> = lines[at]
                    .trim()
                    .trim_start_matches("verbs: [")
                    .trim_end_matches(']')
                    .split(", ")
                    .collect();
                changed = verbs.contains(&verb);
                let mut left: Vec<&str> = verbs.into_iter().filter(|one| *one != verb).collect();
                if left.is_empty() {
                    // A rule needs a verb. The host does not use this one.
                    left.push("deletecollection");
                }
                lines[at] = format!("    verbs: [{}]", left.join(", "));
            }
        }
        assert!(changed, "the role has no {verb} of {resource}");
        self.apply_text(&lines.join("\n"));
    }

    /// Deploys `host.yaml` with so many plugins of the kit, and with these variables.
    pub(crate) fn deploy_fleet(&self, plugins: usize, variables: &[(&str, &str)]) {
        let variables: String = variables
            .iter()
            .map(|(name, value)| format!("            - {{name: {name}, value: \"{value}\"}}\n"))
            .collect();
        let manifest = fs::read_to_string(format!("{MANIFESTS}/host.yaml")).unwrap();
        let changed = manifest
            .replace("image: fleet:1", &format!("image: {FLEET}"))
            .replace(
                "[kv-plugin:1, \"20\", KV_PLUGIN=hello]",
                &format!("[\"{RUST}\", \"{plugins}\", {COOKIE}]"),
            )
            .replace("          env:\n", &format!("          env:\n{variables}"));
        assert!(changed.contains(FLEET) && changed.contains(RUST), "{changed}");
        self.apply_text(&changed);
    }

    /// Asks the deployed host to end.
    pub(crate) fn scale_fleet_down(&self) {
        self.kubectl(&["scale", "deployment/plugin-host", "--replicas=0"], "");
    }

    fn apply_text(&self, manifest: &str) {
        self.kubectl(&["apply", "-f", "-"], manifest);
    }

    /// Runs kubectl in this namespace with this standard input, and returns its output.
    fn kubectl(&self, arguments: &[&str], input: &str) -> String {
        let mut kubectl = Command::new("kubectl");
        kubectl.args(["--namespace", &self.name]).args(arguments);
        kubectl.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut running = kubectl.spawn().expect("kubectl is in PATH");
        running.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = running.wait_with_output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// A client with the rights of an account of this namespace.
    pub(crate) async fn client_of(&self, account: &str) -> Client {
        let token = self.kubectl(&["create", "token", account], "");
        let mut config = Config::infer().await.unwrap();
        config.auth_info = AuthInfo { token: Some(token.trim().into()), ..AuthInfo::default() };
        Client::try_from(config).unwrap()
    }

    /// A kubeconfig whose namespace is this one.
    pub(crate) fn kubeconfig(&self) -> NamedTempFile {
        let config = self.kubectl(&["config", "view", "--raw", "--flatten"], "");
        let file = NamedTempFile::new().unwrap();
        fs::write(&file, config).unwrap();
        let path = file.path().to_str().unwrap();
        let namespace = format!("--namespace={}", self.name);
        self.kubectl(&["--kubeconfig", path, "config", "set-context", "--current", &namespace], "");
        file
    }

    /// Waits until the log of a pod has a line that contains this text, and returns the log.
    pub(crate) async fn log_with(&self, pod: &str, text: &str) -> String {
        let mut log = String::new();
        let deadline = Instant::now() + TIMEOUT;
        while !log.contains(text) {
            assert!(Instant::now() < deadline, "the log of {pod} has no {text:?}: {log}");
            sleep(Duration::from_millis(100)).await;
            // A pod without a container has no log yet.
            log = self.api::<Pod>().logs(pod, &LogParams::default()).await.unwrap_or_default();
        }
        log
    }
}

/// The example `fleet` as a host outside the cluster. Dropping it kills the program.
pub(crate) struct Fleet {
    program: Child,
    output: Lines<BufReader<ChildStdout>>,
    _kubeconfig: NamedTempFile,
}

impl Fleet {
    /// Starts so many plugins of the kit in the namespace, by a host with these variables.
    pub(crate) fn start(namespace: &Namespace, plugins: usize, variables: &[(&str, &str)]) -> Self {
        let kubeconfig = namespace.kubeconfig();
        let program = std::env::var_os("RPCPLUGIN_FLEET").expect("the path of the example `fleet`");
        let mut fleet = tokio::process::Command::new(program);
        fleet.args([RUST, &plugins.to_string(), COOKIE]).env("KUBECONFIG", kubeconfig.path());
        // All pods of the tests share two processors.
        fleet.env("PLUGIN_LAUNCH_TIMEOUT", "120s").env("PLUGIN_STOP_GRACE_PERIOD", "60s");
        fleet.envs(variables.iter().copied()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut program = fleet.spawn().unwrap();
        let output = BufReader::new(program.stdout.take().unwrap()).lines();
        Self { program, output, _kubeconfig: kubeconfig }
    }

    /// Waits for a line that contains this text, and returns the line.
    pub(crate) async fn prints(&mut self, text: &str) -> String {
        let mut others = Vec::new();
        let found = async {
            loop {
                let line = self.output.next_line().await.unwrap().expect("the fleet runs");
                if line.contains(text) {
                    return line;
                }
                others.push(line);
            }
        };
        let found = timeout(TIMEOUT, found).await;
        found.unwrap_or_else(|_| panic!("the fleet does not print {text:?}: {others:#?}"))
    }

    pub(crate) fn send(&self, signal: Signal) {
        try_send(self.program.id().expect("the fleet runs"), signal).unwrap();
    }

    pub(crate) async fn ended(&mut self) {
        timeout(TIMEOUT, self.program.wait()).await.expect("the fleet ends").unwrap();
    }
}

/// A host of the kit, which waits long enough for a busy node.
pub(crate) fn host() -> Host {
    Host::new(cookie(), Versions::new(VERSIONS).unwrap()).configure(|config| {
        config.launch_timeout = TIMEOUT;
        // The kubelet takes a second or two to report an exit.
        config.grace = Duration::from_secs(20);
    })
}

/// A client of the kit.
pub(crate) fn kit(channel: PluginChannel) -> KitClient<PluginChannel> {
    KitClient::new(channel).max_decoding_message_size(usize::MAX)
}

/// The process of a program in a pod, as this machine sees it: the cgroup of a container has the uid of its pod in its path.
pub(crate) fn process_of(pod: &Pod, program: &str) -> Option<u32> {
    let uid = pod.metadata.uid.as_ref()?;
    let processes =
        fs::read_dir("/proc").ok()?.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    processes.into_iter().find(|pid: &u32| {
        let read = |name: &str| fs::read_to_string(format!("/proc/{pid}/{name}")).unwrap_or_default();
        read("comm").trim() == program && read("cgroup").contains(uid)
    })
}

/// Waits until the condition holds.
#[track_caller]
pub(crate) fn eventually(what: &str, condition: impl AsyncFn() -> bool) -> impl Future<Output = ()> {
    let caller = Location::caller();
    async move {
        let holds = async {
            while !condition().await {
                sleep(Duration::from_millis(50)).await;
            }
        };
        assert!(timeout(TIMEOUT, holds).await.is_ok(), "{caller}: not within {TIMEOUT:?}: {what}");
    }
}
