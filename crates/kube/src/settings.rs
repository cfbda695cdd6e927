//! The settings of a pod.

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use k8s_openapi::api::core::v1;
use rpcplugin_client::Requirements;

/// All settings of a pod.
///
/// `Debug` shows only the names of the variables. A value may be a secret.
#[derive(Clone)]
pub(crate) struct PodSettings {
    pub(crate) image: String,
    pub(crate) digest: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) namespace: Option<String>,
    pub(crate) command: Vec<String>,
    pub(crate) args: Vec<String>,
    pub(crate) env: Vec<(String, Value)>,
    pub(crate) pull: Pull,
    pub(crate) pull_secrets: Vec<String>,
    pub(crate) limits: Limits,
    pub(crate) requests: Limits,
    pub(crate) runtime_class: Option<String>,
    pub(crate) node_selector: BTreeMap<String, String>,
    pub(crate) tolerations: Vec<v1::Toleration>,
    pub(crate) service_account: Option<String>,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) annotations: BTreeMap<String, String>,
    pub(crate) user: Option<i64>,
    pub(crate) tmp: u64,
    pub(crate) port: u16,
    pub(crate) grace: Duration,
    pub(crate) max_lifetime: Option<Duration>,
    pub(crate) bridge: Option<Bridge>,
    pub(crate) adjust: Option<Adjust>,
    pub(crate) requirements: Requirements,
}

/// A last change to the pod before it is created.
pub(crate) type Adjust = Arc<dyn Fn(&mut v1::Pod) + Send + Sync>;

/// The value of a variable.
#[derive(Clone)]
pub(crate) enum Value {
    Text(String),
    Secret { name: String, key: String },
}

impl PodSettings {
    /// The settings of this image, with the defaults.
    pub(crate) fn new(image: String) -> Self {
        Self {
            image,
            digest: None,
            name: None,
            namespace: None,
            command: Vec::new(),
            args: Vec::new(),
            env: Vec::new(),
            pull: Pull::default(),
            pull_secrets: Vec::new(),
            limits: Limits::new(),
            requests: Limits::new(),
            runtime_class: None,
            node_selector: BTreeMap::new(),
            tolerations: Vec::new(),
            service_account: None,
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
            user: Some(UNPRIVILEGED),
            tmp: TMP,
            port: PORT,
            grace: GRACE,
            max_lifetime: None,
            bridge: None,
            adjust: None,
            requirements: Requirements::default(),
        }
    }
}

impl fmt::Debug for PodSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let env: Vec<_> = self.env.iter().map(|(name, _)| name).collect();
        f.debug_struct("PodSettings")
            .field("image", &self.image)
            .field("digest", &self.digest)
            .field("namespace", &self.namespace)
            .field("command", &self.command)
            .field("env", &env)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// A user without rights, whom images for Kubernetes often name too.
const UNPRIVILEGED: i64 = 65532;
const TMP: u64 = 64 << 20;
const PORT: u16 = 7400;
const GRACE: Duration = Duration::from_secs(10);

/// When the node pulls the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Pull {
    /// Always, so that a tag names the newest image.
    Always,
    /// If the node does not have the image. This is the default.
    #[default]
    IfMissing,
    /// Never: the image is on the node already.
    Never,
}

impl Pull {
    /// The name that Kubernetes has for the policy.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Always => "Always",
            Self::IfMissing => "IfNotPresent",
            Self::Never => "Never",
        }
    }
}

/// Amounts of memory, processor time and disk. No amount is set by default.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Limits {
    pub(crate) memory: Option<u64>,
    pub(crate) cpus: Option<f64>,
    pub(crate) storage: Option<u64>,
}

impl Limits {
    /// No amount.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the memory, in bytes. A plugin that needs more is killed, and its exit has the cause
    /// [`OutOfMemory`](rpcplugin_client::ExitCause::OutOfMemory).
    #[must_use]
    pub fn memory(mut self, bytes: u64) -> Self {
        self.memory = Some(bytes);
        self
    }

    /// Sets the processor time, in processors: `0.5` is half of one. Kubernetes counts thousandths.
    #[must_use]
    pub fn cpus(mut self, processors: f64) -> Self {
        self.cpus = Some(processors);
        self
    }

    /// Sets the disk that the plugin's log and files may take, in bytes. A plugin that takes more is evicted.
    #[must_use]
    pub fn storage(mut self, bytes: u64) -> Self {
        self.storage = Some(bytes);
        self
    }
}

/// How the host connects to the plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Reach {
    /// By [`PodAddress`](Self::PodAddress) if this host uses the service account of its own pod, which is then in the
    /// same cluster. Otherwise by [`PortForward`](Self::PortForward). This is the default.
    #[default]
    Auto,
    /// By a TCP connection to the address of the pod. The host is in the cluster, and no network policy is in the way.
    PodAddress,
    /// Through the API server, which works from everywhere. Each connection is a WebSocket of its own. The bytes pass
    /// the API server and the node, so that calls take longer.
    PortForward,
}

/// What removes a pod whose host has ended without removing it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Owner {
    /// The cluster, when the host's own pod is gone: if the host runs in a pod of the same namespace, the plugin's pod
    /// gets an owner reference to it. This is the default.
    #[default]
    Auto,
    /// The cluster does not: for a plugin that [`Plugin::hand_over`](rpcplugin_client::Plugin::hand_over) leaves to
    /// another host. The reaper of other hosts leaves the pod alone while it runs.
    None,
}

/// The program `rpcplugin bridge`, which serves a plugin over TCP that listens on Unix sockets only, such as a plugin in
/// Go.
///
/// The program is a static one, so that it runs in any image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bridge {
    /// The image that has the program, if that is not the plugin's own.
    pub(crate) image: Option<String>,
    /// The path of the program in its image.
    pub(crate) program: String,
}

impl Bridge {
    /// The program is in the plugin's image, at this path.
    #[must_use]
    pub fn in_image(program: impl Into<String>) -> Self {
        Self { image: None, program: program.into() }
    }

    /// The program is in another image, at this path. An init container copies the program from there.
    #[must_use]
    pub fn from_image(image: impl Into<String>, program: impl Into<String>) -> Self {
        Self { image: Some(image.into()), program: program.into() }
    }
}
