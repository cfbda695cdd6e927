//! A host: cookie, versions, configuration, services and observers.

use std::{fmt, sync::Arc};

use rpcplugin_config::HostConfig;
use rpcplugin_core::{MagicCookie, Versions, semver::Version};
use rpcplugin_transport::{ServiceLayer, ServiceLayers, Services};

use crate::{
    connection::host_services::{CallingPlugin, HostServices},
    observe::{
        event::Events,
        fan_out::{FanOut, PluginTopics, Topics},
        observer::Observer,
        output::{OutputOptions, OutputStream},
    },
};

/// A host, with everything that its plugins have in common.
///
/// Cheap to clone. One host can launch any number of plugins, also at the same time.
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
    pub(crate) program_version: Option<Version>,
    pub(crate) services: Option<HostServices>,
    pub(crate) layers: ServiceLayers,
    pub(crate) observers: Vec<Arc<dyn Observer>>,
    pub(crate) topics: Arc<Topics>,
}

impl Host {
    /// Makes a host that speaks these versions of its protocol. The defaults are AutoMTLS, a Unix socket in a private
    /// directory, and a plugin that ends with the host.
    pub fn new(cookie: MagicCookie, versions: impl Into<Versions>) -> Self {
        Self {
            cookie,
            versions: versions.into(),
            config: HostConfig::default(),
            program_version: None,
            services: None,
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

    /// Sets the version of the host's own program, such as `env!("CARGO_PKG_VERSION").parse()?`. It is not a version of the protocol.
    ///
    /// A launch then asks each plugin for its [metadata](rpcplugin_core::PluginMetadata). It fails with
    /// [`RequirementFault::HostVersion`](crate::RequirementFault::HostVersion) if the plugin requires a later host. A plugin without
    /// metadata is launched. A pre-release is older than its release.
    #[must_use]
    pub fn program_version(mut self, version: Version) -> Self {
        self.program_version = Some(version);
        self
    }

    /// Serves these services to every plugin that is launched from now on. A plugin built with this library calls them on
    /// `PluginContext::host_channel`, any other by dialling [`HOST_SERVICES`](rpcplugin_broker::HOST_SERVICES).
    ///
    /// Each plugin has a connection of its own, secured as its main one is. A plugin that never calls the services
    /// costs a listening socket, or nothing when multiplexed. A second call replaces the services of the first.
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

    /// As [`callbacks`](Self::callbacks), with services made for each plugin. `make` is called once for each plugin
    /// that is launched, before the plugin can call.
    #[must_use]
    pub fn callbacks_with(
        mut self,
        make: impl Fn(&CallingPlugin) -> Services + Send + Sync + 'static,
    ) -> Self {
        self.services = Some(HostServices::new(make));
        self
    }

    /// Puts a tower layer around every service that plugins can call: the [callbacks](Self::callbacks), and what is
    /// served through [`Plugin::broker`](crate::Plugin::broker). It applies to plugins that are launched from now on.
    /// A later layer goes around an earlier one.
    #[must_use]
    pub fn layer(mut self, layer: impl ServiceLayer) -> Self {
        self.layers = self.layers.layer(layer);
        self
    }

    /// Adds an observer of every plugin that is launched from now on.
    #[must_use]
    pub fn observe(mut self, observer: impl Observer) -> Self {
        self.observers.push(Arc::new(observer));
        self
    }

    /// The events from now on of all plugins of this host and its clones. The stream ends with the last of them and
    /// their last plugin.
    #[must_use]
    pub fn events(&self) -> Events {
        self.topics.events()
    }

    /// The output from now on of all plugins of this host and its clones. The stream ends with the last of them and
    /// their last plugin.
    #[must_use]
    pub fn output(&self, options: OutputOptions) -> OutputStream {
        self.topics.output(options)
    }

    /// Distributes the events of a plugin that is about to be launched.
    pub(crate) fn fan_out(&self, name: &str, generation: u64, own: Arc<PluginTopics>) -> Arc<FanOut> {
        Arc::new(FanOut::new(name, generation, self.observers.clone(), Arc::clone(&self.topics), own))
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
