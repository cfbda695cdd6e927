//! `Pod`: the runner that starts a pod for each plugin.

use std::{
    fmt,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use k8s_openapi::api::core::v1;
use kube::Client;
use rpcplugin_client::{
    ConnectFault, LaunchEnvironment, LaunchFault, Requirements, Runner, StartFault, StartedProcess,
};
use tokio::sync::OnceCell;

use crate::{
    addresses::PodAddresses,
    cluster::Cluster,
    error::KubeError,
    forward::PortForward,
    host_id::HostId,
    pod_ref::Counted,
    process::PodProcess,
    settings::{Bridge, Limits, Owner, PodSettings, Pull, Reach, Value},
    text::repository,
};

mod start;

/// Starts each plugin in a pod of its own.
///
/// The pod meets the pod security standard *restricted*: it runs as an unprivileged user, on a root file system that it cannot write, without
/// capabilities and without a token of a service account. The plugin gets the variables of the handshake and none of the host's own. It
/// listens on TCP, and the handshake line comes by the pod's log. Clones share the connection to the API server.
///
/// ```no_run
/// use rpcplugin_client::Host;
/// use rpcplugin_kube::{Limits, Pod};
/// # use rpcplugin_core::MagicCookie;
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let host = Host::new(MagicCookie::new("KV_PLUGIN", "hello")?, 1);
/// let pod = Pod::new("ghcr.io/me/kv-plugin:1.2").namespace("plugins").limits(Limits::new().memory(64 << 20).cpus(0.5));
/// let plugin = host.launch_with(&pod).await?;
/// // … call it …
/// println!("the plugin {}", plugin.shut_down().await);
/// # Ok(()) }
/// ```
///
/// Callbacks and brokered services need the setting `multiplex` of the host: pods do not reach sockets of the host. Without the setting a host
/// with callbacks cannot launch, with the cause `rpcplugin::kube::not_multiplexed`, and calls to plugins work otherwise.
///
/// # Errors
/// A pod that cannot start is a [`KubeError`] at once, with the sentence of the cluster. The error is the source of
/// [`StartFault::Runner`].
///
/// # Cancel safety
/// A launch that is given up deletes its pod.
#[derive(Clone)]
pub struct Pod {
    settings: PodSettings,
    reach: Reach,
    owner: Owner,
    schedule_timeout: Duration,
    reap: bool,
    context: Option<String>,
    given: Option<Client>,
    shared: Arc<Shared>,
}

/// What the clones of a runner share.
#[derive(Default)]
struct Shared {
    connected: OnceCell<Connected>,
    /// Whether the reaper has been started.
    reaped: AtomicBool,
    /// The state of the pod that starts, or of the last one that did not.
    note: Mutex<Option<String>>,
}

/// The cluster, and this host in it.
#[derive(Debug, Clone)]
struct Connected {
    cluster: Cluster,
    host: HostId,
}

impl Pod {
    /// A pod of this image.
    #[must_use]
    pub fn new(image: impl Into<String>) -> Self {
        Self {
            settings: PodSettings::new(image.into()),
            reach: Reach::default(),
            owner: Owner::default(),
            schedule_timeout: SCHEDULE,
            reap: true,
            context: None,
            given: None,
            shared: Arc::default(),
        }
    }

    fn set(mut self, change: impl FnOnce(&mut PodSettings)) -> Self {
        change(&mut self.settings);
        self
    }

    /// Pins the image by its digest: `sha256:` and 64 hexadecimal digits. The node runs this image or none. By default the tag decides.
    #[must_use]
    pub fn digest(self, digest: impl Into<String>) -> Self {
        self.set(|settings| settings.digest = Some(digest.into()))
    }

    /// Sets the beginning of the pod's name. By default it is the last part of the image's name. Ten random characters follow.
    #[must_use]
    pub fn name(self, name: impl Into<String>) -> Self {
        self.set(|settings| settings.name = Some(name.into()))
    }

    /// Sets the namespace. By default it is that of the kubeconfig's context, or of the host's own pod.
    #[must_use]
    pub fn namespace(self, namespace: impl Into<String>) -> Self {
        self.set(|settings| settings.namespace = Some(namespace.into()))
    }

    /// Uses this client. By default one is made of the kubeconfig, or else of the service account of the host's own pod.
    ///
    /// The plugin is then reached through the API server, unless [`reach`](Self::reach) says otherwise.
    #[must_use]
    pub fn client(mut self, client: Client) -> Self {
        self.given = Some(client);
        self.shared = Arc::default();
        self
    }

    /// Uses this context of the kubeconfig. By default it is the current one.
    #[must_use]
    pub fn context(mut self, context: impl Into<String>) -> Self {
        self.context = Some(context.into());
        self.shared = Arc::default();
        self
    }

    /// Sets the program with its arguments, in place of the image's entry point.
    #[must_use]
    pub fn command<S: Into<String>>(self, command: impl IntoIterator<Item = S>) -> Self {
        self.set(|settings| settings.command = command.into_iter().map(Into::into).collect())
    }

    /// Sets the arguments of the program, in place of the image's own.
    #[must_use]
    pub fn args<S: Into<String>>(self, args: impl IntoIterator<Item = S>) -> Self {
        self.set(|settings| settings.args = args.into_iter().map(Into::into).collect())
    }

    /// Sets a variable of the plugin, also in place of one that this runner sets. All users who may read pods of the namespace see the value: for
    /// secrets there is [`env_from_secret`](Self::env_from_secret).
    #[must_use]
    pub fn env(self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.set(|settings| settings.env.push((name.into(), Value::Text(value.into()))))
    }

    /// Sets a variable of the plugin to the value of a key of a secret in the namespace.
    #[must_use]
    pub fn env_from_secret(
        self,
        name: impl Into<String>,
        secret: impl Into<String>,
        key: impl Into<String>,
    ) -> Self {
        let value = Value::Secret { name: secret.into(), key: key.into() };
        self.set(|settings| settings.env.push((name.into(), value)))
    }

    /// Sets when the node pulls the image. Default: [`Pull::IfMissing`].
    #[must_use]
    pub fn pull(self, pull: Pull) -> Self {
        self.set(|settings| settings.pull = pull)
    }

    /// Names a secret of the namespace with the credentials of a registry. May be called several times.
    #[must_use]
    pub fn pull_secret(self, secret: impl Into<String>) -> Self {
        self.set(|settings| settings.pull_secrets.push(secret.into()))
    }

    /// Limits what the plugin may use. The plugin also asks for as much, if [`requests`](Self::requests) does not say otherwise.
    #[must_use]
    pub fn limits(self, limits: Limits) -> Self {
        self.set(|settings| settings.limits = limits)
    }

    /// Sets what the node must have free for the plugin. By default this is the limit.
    #[must_use]
    pub fn requests(self, requests: Limits) -> Self {
        self.set(|settings| settings.requests = requests)
    }

    /// Sets the runtime class, such as one of gVisor or Kata.
    #[must_use]
    pub fn runtime_class(self, name: impl Into<String>) -> Self {
        self.set(|settings| settings.runtime_class = Some(name.into()))
    }

    /// Takes only nodes with this label. May be called several times.
    #[must_use]
    pub fn node_selector(self, label: impl Into<String>, value: impl Into<String>) -> Self {
        self.set(|settings| _ = settings.node_selector.insert(label.into(), value.into()))
    }

    /// Takes nodes with this taint too. `None` tolerates any value. The effect is `NoSchedule`, `PreferNoSchedule` or `NoExecute`. May be
    /// called several times.
    #[must_use]
    pub fn toleration(self, key: impl Into<String>, value: Option<&str>, effect: impl Into<String>) -> Self {
        let toleration = v1::Toleration {
            key: Some(key.into()),
            operator: Some(if value.is_some() { "Equal" } else { "Exists" }.to_owned()),
            value: value.map(str::to_owned),
            effect: Some(effect.into()),
            toleration_seconds: None,
        };
        self.set(|settings| settings.tolerations.push(toleration))
    }

    /// Sets the service account of the pod. Its token is not mounted. By default it is the namespace's default account.
    #[must_use]
    pub fn service_account(self, name: impl Into<String>) -> Self {
        self.set(|settings| settings.service_account = Some(name.into()))
    }

    /// Adds a label, for example one that a network policy selects. May be called several times.
    #[must_use]
    pub fn label(self, label: impl Into<String>, value: impl Into<String>) -> Self {
        self.set(|settings| _ = settings.labels.insert(label.into(), value.into()))
    }

    /// Adds an annotation. May be called several times.
    #[must_use]
    pub fn annotation(self, annotation: impl Into<String>, value: impl Into<String>) -> Self {
        self.set(|settings| _ = settings.annotations.insert(annotation.into(), value.into()))
    }

    /// Sets the user and the group of the plugin. Default: 65532.
    #[must_use]
    pub fn user(self, id: u32) -> Self {
        self.set(|settings| settings.user = Some(id.into()))
    }

    /// Leaves the user to the image, or to a cluster that gives each namespace its own users. The user must not be root.
    #[must_use]
    pub fn user_of_image(self) -> Self {
        self.set(|settings| settings.user = None)
    }

    /// Sets the size of the directory `/tmp`, the only one that the plugin can write to, in bytes. Default: 64 MiB. 0 leaves it out.
    #[must_use]
    pub fn tmp(self, bytes: u64) -> Self {
        self.set(|settings| settings.tmp = bytes)
    }

    /// Sets the TCP port on which the plugin listens. Default: 7400.
    #[must_use]
    pub fn port(self, port: u16) -> Self {
        self.set(|settings| settings.port = port)
    }

    /// Sets how the host connects to the plugin. Default: [`Reach::Auto`].
    #[must_use]
    pub fn reach(mut self, reach: Reach) -> Self {
        self.reach = reach;
        self
    }

    /// Sets how long the scheduler may find no node for the pod, before the launch fails with [`KubeError::Unschedulable`]. Default: 30 s.
    /// The launch timeout covers the whole start: a cluster that adds nodes needs both raised.
    #[must_use]
    pub fn schedule_timeout(mut self, timeout: Duration) -> Self {
        self.schedule_timeout = timeout;
        self
    }

    /// Sets the time between the SIGTERM and the SIGKILL of a deleted pod, in whole seconds. Default: 10 s. A plugin that the host shuts down
    /// ends before by the call of the protocol.
    #[must_use]
    pub fn grace(self, grace: Duration) -> Self {
        self.set(|settings| settings.grace = grace)
    }

    /// Sets the time after which the cluster ends the pod, in whole seconds. By default it does not.
    #[must_use]
    pub fn max_lifetime(self, lifetime: Duration) -> Self {
        self.set(|settings| settings.max_lifetime = Some(lifetime))
    }

    /// Sets what removes the pod of a host that was killed. Default: [`Owner::Auto`].
    #[must_use]
    pub fn owner(mut self, owner: Owner) -> Self {
        self.owner = owner;
        self
    }

    /// Whether the first start deletes pods in the namespace whose host is known to be gone. Default: true. The host then needs the permission
    /// to list pods. Without it, nothing is deleted.
    #[must_use]
    pub fn reap_orphans(mut self, reap: bool) -> Self {
        self.reap = reap;
        self
    }

    /// Runs the plugin behind `rpcplugin bridge`, for a plugin that listens on Unix sockets only, as those in Go do. Needs
    /// [`command`](Self::command).
    #[must_use]
    pub fn bridge(self, bridge: Bridge) -> Self {
        self.set(|settings| settings.bridge = Some(bridge))
    }

    /// Changes the pod object before it is created, for all that this builder has no method for: volumes, affinity, priority. The container of
    /// the plugin has the name `plugin`.
    #[must_use]
    pub fn adjust(self, change: impl Fn(&mut v1::Pod) + Send + Sync + 'static) -> Self {
        self.set(|settings| settings.adjust = Some(Arc::new(change)))
    }

    /// Sets what the host requires of the plugin. Nothing by default.
    #[must_use]
    pub fn requirements(self, requirements: Requirements) -> Self {
        self.set(|settings| settings.requirements = requirements)
    }

    /// Waits until this process has no pod any more: until all plugins in pods have been dropped, and their pods deleted. For the end of a
    /// program, with a timeout: a runtime that shuts down deletes nothing.
    ///
    /// # Cancel safety
    /// May be dropped.
    pub async fn all_deleted() {
        Counted::none().await;
    }

    /// The connection to the API server, and the identity of this host. Made once; a failure is not kept.
    async fn connected(&self) -> Result<Connected, KubeError> {
        let connect = || async {
            let cluster = match &self.given {
                Some(client) => Cluster::given(client.clone()),
                None => Cluster::find(self.context.as_deref()).await?,
            };
            let host = HostId::find(&cluster, variable).await;
            Ok(Connected { cluster, host })
        };
        self.shared.connected.get_or_try_init(connect).await.cloned()
    }

    /// Whether the host connects to the address of the pod.
    fn is_direct(&self, cluster: &Cluster) -> bool {
        match self.reach {
            Reach::Auto => cluster.inside,
            Reach::PodAddress => true,
            Reach::PortForward => false,
        }
    }

    fn note(&self, note: Option<String>) {
        *self.shared.note.lock().unwrap_or_else(PoisonError::into_inner) = note;
    }
}

impl Runner for Pod {
    type Process = PodProcess;

    /// The image without its tag.
    fn program(&self) -> PathBuf {
        repository(&self.settings.image).into()
    }

    async fn start(
        &self,
        environment: &LaunchEnvironment,
    ) -> Result<StartedProcess<PodProcess>, LaunchFault> {
        let connected = self.connected().await.map_err(LaunchFault::runner)?;
        if self.reap && !self.shared.reaped.swap(true, Ordering::Relaxed) {
            self.start_reaper(&connected);
        }
        let started =
            self.start_in(&connected, environment.remote_env()).await.map_err(LaunchFault::runner)?;
        let addresses = PodAddresses { pod: started.address };
        let forward = PortForward { pod: started.pod.clone() };
        let process = PodProcess::new(started.pod, started.follower, started.output.done());
        let process = StartedProcess::merged(process, started.output).translate(Arc::new(addresses));
        Ok(if started.address.is_some() { process } else { process.dial(forward) })
    }

    fn requirements(&self) -> Option<&Requirements> {
        Some(&self.settings.requirements)
    }

    async fn diagnose(&self, fault: &LaunchFault) -> Option<String> {
        match fault {
            LaunchFault::Start(StartFault::Timeout(_)) => {
                self.shared.note.lock().unwrap_or_else(PoisonError::into_inner).clone()
            }
            LaunchFault::Connect(ConnectFault::Unreachable(_) | ConnectFault::Timeout { .. }) => {
                let connected = self.shared.connected.get()?;
                Some(if self.is_direct(&connected.cluster) {
                    "the host connects to the address of the pod: check that a NetworkPolicy lets it, or use `Reach::PortForward`"
                        .to_owned()
                } else {
                    "the host connects through the API server: check that its Role allows pods/portforward"
                        .to_owned()
                })
            }
            _ => None,
        }
    }
}

/// `Debug` shows no values of variables.
impl fmt::Debug for Pod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pod")
            .field("settings", &self.settings)
            .field("reach", &self.reach)
            .field("owner", &self.owner)
            .field("schedule_timeout", &self.schedule_timeout)
            .finish_non_exhaustive()
    }
}

/// The downward API and the kubelet set variables of the host's own pod.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads them; tests give HostId::find a lookup of their own"
)]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

const SCHEDULE: Duration = Duration::from_secs(30);
