//! What a host offers its plugins.

use std::{fmt, sync::Arc};

use rpcplugin_config::HostConfig;
use rpcplugin_core::{MagicCookie, Versions};
use rpcplugin_transport::{ServiceLayer, ServiceLayers, Services};

use crate::{
    attach::{self, AttachError, Attachment},
    callbacks::{Callbacks, Caller},
    command::{Command, name},
    error::LaunchError,
    events::Events,
    feed::{Feed, OwnTopics, Topics},
    observer::Observer,
    output::{Output, OutputOptions},
    plugin::Plugin,
    retry,
    runner::Runner,
    supervise::Supervise,
};

/// A host: what it offers to every plugin that it starts.
///
/// Cheap to clone. One host can launch any number of plugins, one after another or at once.
///
/// ```no_run
/// # use rpcplugin_client::{Command, Host};
/// # use rpcplugin_core::{MagicCookie, Versions};
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let host = Host::new(MagicCookie::new("KV_PLUGIN", "hello")?, Versions::new([1, 2])?);
/// let plugin = host.launch(Command::new("./kv-plugin")).await?;
/// println!("speaking version {}", plugin.version());
/// plugin.shut_down().await;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Host {
    pub(crate) cookie: MagicCookie,
    pub(crate) versions: Versions,
    pub(crate) config: HostConfig,
    pub(crate) callbacks: Option<Callbacks>,
    pub(crate) layers: ServiceLayers,
    pub(crate) observers: Vec<Arc<dyn Observer>>,
    pub(crate) topics: Arc<Topics>,
}

impl Host {
    /// A host that speaks these versions of its protocol, with the defaults: AutoMTLS, a Unix socket in a private
    /// directory, and a plugin that ends with the host.
    pub fn new(cookie: MagicCookie, versions: impl Into<Versions>) -> Self {
        Self {
            cookie,
            versions: versions.into(),
            config: HostConfig::default(),
            callbacks: None,
            layers: ServiceLayers::new(),
            observers: Vec::new(),
            topics: Arc::new(Topics::new()),
        }
    }

    /// Uses this configuration instead of the defaults.
    #[must_use]
    pub fn config(mut self, config: HostConfig) -> Self {
        self.config = config;
        self
    }

    /// Changes the configuration in place.
    #[must_use]
    pub fn configure(mut self, change: impl FnOnce(&mut HostConfig)) -> Self {
        change(&mut self.config);
        self
    }

    /// Lets every plugin that is launched from now on call these services: a plugin built with this library on
    /// `PluginContext::host_channel`, any other by dialling [`HOST_SERVICES`](rpcplugin_broker::HOST_SERVICES).
    ///
    /// They cost a plugin that never calls them a listening socket, or nothing when multiplexed. Each plugin has a
    /// connection of its own, secured as its main one is. Given twice, the later services replace the earlier.
    ///
    /// ```no_run
    /// # use rpcplugin_client::{Command, Host};
    /// # use rpcplugin_transport::Services;
    /// # async fn example(host: Host) -> Result<(), Box<dyn std::error::Error>> {
    /// # let (_, ask_the_user) = tonic_health::server::health_reporter();
    /// let host = host.callbacks(Services::new().add(ask_the_user));
    /// let plugin = host.launch(Command::new("./kv-plugin")).await?;
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn callbacks(self, services: Services) -> Self {
        self.callbacks_with(move |_| services.clone())
    }

    /// As [`callbacks`](Self::callbacks), with services that know who calls: `make` is called for each plugin that is
    /// launched, before the plugin can call.
    #[must_use]
    pub fn callbacks_with(mut self, make: impl Fn(&Caller) -> Services + Send + Sync + 'static) -> Self {
        self.callbacks = Some(Callbacks::new(make));
        self
    }

    /// Puts a tower layer around every service that plugins can call: the [callbacks](Self::callbacks), and what is served
    /// through [`Plugin::broker`]. For plugins that are launched from now on; further layers go around the earlier ones.
    #[must_use]
    pub fn layer(mut self, layer: impl ServiceLayer) -> Self {
        self.layers = self.layers.layer(layer);
        self
    }

    /// Follows every plugin that is launched from now on, beside those who do already.
    #[must_use]
    pub fn observe(mut self, observer: impl Observer) -> Self {
        self.observers.push(Arc::new(observer));
        self
    }

    /// What happens from now on in the lives of all plugins of this host and its clones. It ends with the last of them
    /// and their last plugin.
    #[must_use]
    pub fn events(&self) -> Events {
        self.topics.events()
    }

    /// What all plugins of this host and its clones print from now on. It ends with the last of them and their last
    /// plugin.
    #[must_use]
    pub fn output(&self, options: OutputOptions) -> Output {
        self.topics.output(options)
    }

    /// Starts a plugin, and returns when it is connected and has said that it is healthy.
    ///
    /// A start that failed and may succeed the next time is tried again as [the configuration](HostConfig::retry) says.
    ///
    /// # Errors
    /// [`LaunchError`]. Nothing is left of the plugin then, and the launch can be tried again.
    ///
    /// # Cancel safety
    /// Dropping the future kills the plugin.
    pub async fn launch(&self, command: Command) -> Result<Plugin, LaunchError> {
        self.launch_with(&command).await
    }

    /// Starts a plugin in another way than as a process of this host.
    ///
    /// # Errors
    /// As [`launch`](Self::launch).
    ///
    /// # Cancel safety
    /// As [`launch`](Self::launch).
    pub async fn launch_with(&self, runner: &impl Runner) -> Result<Plugin, LaunchError> {
        let feed = self.feed(&name(&runner.program()), 1, Arc::new(OwnTopics::new()));
        retry::launch(self, runner, &feed).await
    }

    /// Attaches to a plugin that runs already: that of an earlier host, one in test mode, or one that somebody else runs.
    ///
    /// Dropping the [`Plugin`] then leaves it running; [`Plugin::shut_down`] ends it, unless it is in test mode. There is
    /// no log of it and none of its real output, because those go to whoever started it.
    ///
    /// ```no_run
    /// # use rpcplugin_client::Host;
    /// # use rpcplugin_handshake::ReattachConfigs;
    /// # async fn example(host: Host) -> Result<(), Box<dyn std::error::Error>> {
    /// let printed = std::env::args().nth(1).unwrap_or_default(); // what TF_REATTACH_PROVIDERS would hold
    /// for (name, config) in ReattachConfigs::parse(&printed)?.0 {
    ///     let plugin = host.attach(config).await?;
    ///     println!("{name} is process {}", plugin.pid());
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`AttachError`]. The plugin is left as it is.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the plugin as it is.
    pub async fn attach(&self, attachment: impl Into<Attachment>) -> Result<Plugin, AttachError> {
        attach::attach(self, attachment.into()).await
    }

    /// Starts a plugin, and starts it again whenever it dies, as
    /// [`HostConfig::supervision`](HostConfig::supervision) says. Awaiting what is returned launches it.
    ///
    /// ```no_run
    /// # use rpcplugin_client::{Command, Generation, Host};
    /// # async fn example(host: Host) -> Result<(), Box<dyn std::error::Error>> {
    /// let supervised = host
    ///     .supervise(Command::new("./kv-plugin"))
    ///     .on_start(|generation: Generation| async move {
    ///         // A fresh process has to be told its settings anew: call it over `generation.channel()`.
    ///         Ok::<_, tonic::Status>(())
    ///     })
    ///     .await?;
    /// let channel = supervised.channel(); // kept by clients, and good for every process
    /// supervised.stop().await;
    /// # Ok(()) }
    /// ```
    pub fn supervise(&self, command: Command) -> Supervise {
        self.supervise_with(command)
    }

    /// As [`supervise`](Self::supervise), for a plugin that is started in another way than as a process of this host.
    pub fn supervise_with<R: Runner + 'static>(&self, runner: R) -> Supervise<R> {
        Supervise::new(self.clone(), runner)
    }

    /// The followers of a plugin that is about to be launched.
    pub(crate) fn feed(&self, name: &str, generation: u64, own: Arc<OwnTopics>) -> Arc<Feed> {
        Arc::new(Feed::new(name, generation, self.observers.clone(), Arc::clone(&self.topics), own))
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host")
            .field("cookie", &self.cookie)
            .field("versions", &self.versions)
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}
