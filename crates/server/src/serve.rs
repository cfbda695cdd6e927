//! `Serve`: what a plugin serves, and how.

use std::{collections::BTreeMap, fmt, pin::Pin, sync::Arc};

use bytes::Bytes;
use http::{Request, Response};
use rpcplugin_config::{ConfigError, IgnoredVariable, Loaded, Loader, PluginConfig};
use rpcplugin_core::{AppVersion, MagicCookie, PluginMetadata};
use rpcplugin_transport::{InheritedConnection, ServiceLayer, ServiceLayers, Services};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tonic::{body::Body, server::NamedService};
use tower_service::Service;
use tracing_subscriber::Registry;

use crate::{
    context::PluginContext,
    instances::{Instances, ServeInstances},
    listen::{self, AnyTransport, CustomTransport},
    logging::{PanicOutput, SubscriberLayer},
    protocol::Protocol,
    readiness::{Progress, Readiness},
};

/// A plugin: its services, its configuration, and what to do when it starts and shuts down.
///
/// ```no_run
/// # use rpcplugin_server::Serve;
/// # use rpcplugin_core::MagicCookie;
/// # async fn main_() -> Result<(), Box<dyn std::error::Error>> {
/// # let (health, kv_v1) = tonic_health::server::health_reporter();
/// Serve::new(MagicCookie::new("KV_PLUGIN", "hello")?).version(1, kv_v1).run().await?;
/// # Ok(()) }
/// ```
#[must_use = "a plugin serves when it is run"]
pub struct Serve {
    pub(crate) cookie: MagicCookie,
    pub(crate) versions: BTreeMap<AppVersion, MakeServices>,
    pub(crate) descriptors: Vec<&'static [u8]>,
    pub(crate) metadata: Option<PluginMetadata>,
    pub(crate) config: PluginConfig,
    /// Why the configuration could not be loaded.
    pub(crate) config_error: Option<ConfigError>,
    /// Variables that are most likely misspelt settings. Logged once there is a log.
    pub(crate) typos: Vec<IgnoredVariable>,
    pub(crate) hooks: Vec<ShutdownHook>,
    pub(crate) shutdown: CancellationToken,
    pub(crate) transport: Option<AnyTransport>,
    /// The connection that this process has inherited from its host.
    pub(crate) inherited: Option<InheritedConnection>,
    /// The version of the lane that the host has offered to this process, if it is a version that this library has.
    pub(crate) lane: Option<u32>,
    pub(crate) progress: Progress,
    pub(crate) layers: ServiceLayers,
    pub(crate) on_start: Vec<StartHook>,
    pub(crate) instances: Option<Arc<dyn ServeInstances>>,
    /// Further layers of the tracing subscriber.
    pub(crate) subscribers: Vec<SubscriberLayer>,
    pub(crate) panic_output: PanicOutput,
    /// The runtime on which signals, the host and the shutdown file are watched. Default: the current one.
    pub(crate) watch: Option<Handle>,
}

/// Makes the services of one version, once the plugin has agreed with its host on this version.
pub(crate) type MakeServices = Box<dyn FnOnce(&PluginContext) -> Services + Send>;

/// A function to call once the plugin has agreed with its host.
pub(crate) type StartHook = Box<dyn FnOnce(&PluginContext) + Send>;

/// A future to run during the shutdown.
pub(crate) type ShutdownHook = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Serve {
    /// Makes a plugin that serves nothing yet, for hosts with this magic cookie.
    pub fn new(cookie: MagicCookie) -> Self {
        Self {
            cookie,
            versions: BTreeMap::new(),
            descriptors: Vec::new(),
            metadata: None,
            config: PluginConfig::default(),
            config_error: None,
            typos: Vec::new(),
            hooks: Vec::new(),
            shutdown: CancellationToken::new(),
            transport: None,
            inherited: None,
            lane: None,
            progress: Progress::new(),
            layers: ServiceLayers::new(),
            on_start: Vec::new(),
            instances: None,
            subscribers: Vec::new(),
            panic_output: PanicOutput::default(),
            watch: None,
        }
    }

    /// Adds a version of the application's protocol with one generated tonic service, such as `KvServer::new(my_kv)`. If
    /// there are several versions, the plugin serves the newest that the host supports.
    pub fn version<S, B>(self, version: impl Into<AppVersion>, service: S) -> Self
    where
        S: Service<Request<Body>, Response = Response<B>, Error = std::convert::Infallible> + NamedService,
        S: Clone + Send + Sync + 'static,
        S::Future: Send,
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        self.version_with(version, |_| Services::new().add(service))
    }

    /// Adds a version of the application's protocol with the services that `make` returns. `make` is called only if the
    /// plugin serves this version, and before the host can call.
    pub fn version_with(
        mut self,
        version: impl Into<AppVersion>,
        make: impl FnOnce(&PluginContext) -> Services + Send + 'static,
    ) -> Self {
        self.versions.insert(version.into(), Box::new(make));
        self
    }

    /// Adds all versions of a protocol that was written once for many plugins.
    pub fn protocol(mut self, protocol: impl Protocol) -> Self {
        let protocol = Arc::new(protocol);
        self.descriptors.extend(protocol.descriptors());
        for version in protocol.versions().iter() {
            let protocol = Arc::clone(&protocol);
            self.versions.insert(version, Box::new(move |context| protocol.services(context)));
        }
        self
    }

    /// Adds an encoded `FileDescriptorSet` with which reflection describes the plugin's services. Without descriptors
    /// reflection only lists the names of the services.
    pub fn descriptors(mut self, encoded: &'static [u8]) -> Self {
        self.descriptors.push(encoded);
        self
    }

    /// Reports this metadata to hosts that ask for it. Without this call hosts get no metadata.
    ///
    /// ```no_run
    /// # use rpcplugin_core as rpcplugin;
    /// # fn example(serve: rpcplugin_server::Serve) -> std::process::ExitCode {
    /// serve.metadata(rpcplugin::plugin_metadata!(capabilities = ["alerts"])).main()
    /// # }
    /// ```
    ///
    /// # Protocol
    /// Served as `rpcplugin.v1.PluginMetadata`. Differs: go-plugin has no such service, and its hosts do not call it.
    pub fn metadata(mut self, metadata: PluginMetadata) -> Self {
        self.metadata = Some(metadata);
        self
    }

    /// Uses this configuration instead of the defaults.
    pub fn config(mut self, config: PluginConfig) -> Self {
        self.config = config;
        self
    }

    /// Uses the configuration that this loader finds. Faults of the configuration are reported, all at once, when the plugin
    /// is run. The plugin's log warns of variables that are most likely [misspelt settings](IgnoredVariable::is_typo).
    ///
    /// ```no_run
    /// # use rpcplugin_config::Loader;
    /// # fn example(serve: rpcplugin_server::Serve) -> std::process::ExitCode {
    /// // Environment variables, and the file that PLUGIN_CONFIG_FILE names.
    /// serve.load_config(&Loader::new().process_env()).main()
    /// # }
    /// ```
    pub fn load_config(mut self, loader: &Loader) -> Self {
        match loader.load() {
            Ok(Loaded { config, ignored, .. }) => {
                self.config = config;
                self.typos = ignored.into_iter().filter(IgnoredVariable::is_typo).collect();
            }
            Err(error) => self.config_error = Some(error),
        }
        self
    }

    /// Changes the configuration in place.
    pub fn configure(mut self, change: impl FnOnce(&mut PluginConfig)) -> Self {
        change(&mut self.config);
        self
    }

    /// Puts a tower layer around the plugin's own services of all versions, and around its brokered services. Later layers
    /// go around earlier ones. All of them go around the configured limits, so that they see refused calls too. The built-in
    /// services, such as health, get no layers.
    pub fn layer(mut self, layer: impl ServiceLayer) -> Self {
        self.layers = self.layers.layer(layer);
        self
    }

    /// Serves the service by which hosts make and remove these instances, with all versions. Calls that name an instance are
    /// served within a span with the field `instance`, inside of other [layers](Self::layer). A later call of this method
    /// replaces an earlier one.
    pub fn instances<T: Send + Sync + 'static>(mut self, instances: &Instances<T>) -> Self {
        self.instances = Some(Arc::new(instances.clone()));
        self
    }

    /// Calls this function once the plugin has agreed with its host and listens, before its services are made.
    pub fn on_start(mut self, start: impl FnOnce(&PluginContext) + Send + 'static) -> Self {
        self.on_start.push(Box::new(start));
        self
    }

    /// Adds a layer to the tracing subscriber that [`run`](Self::run) sets, beside the log to the host. Has no effect if the
    /// program sets its own subscriber.
    pub fn subscriber_layer(
        mut self,
        layer: impl tracing_subscriber::Layer<Registry> + Send + Sync + 'static,
    ) -> Self {
        self.subscribers.push(Box::new(layer));
        self
    }

    /// Sets the form in which [`run`](Self::run) writes panics to the host. The first plugin that runs sets the form for the whole
    /// process. Default: [`PanicOutput::Record`].
    pub fn panic_output(mut self, output: PanicOutput) -> Self {
        self.panic_output = output;
        self
    }

    /// Runs this future when the shutdown begins, beside the calls that are in flight. All hooks and calls together have
    /// [`PluginConfig::grace`]. A hook that panics is logged. The shutdown goes on.
    pub fn on_shutdown(mut self, hook: impl Future<Output = ()> + Send + 'static) -> Self {
        self.hooks.push(Box::pin(hook));
        self
    }

    /// Shuts down when this token is cancelled. The plugin cancels the token when it shuts down for another reason.
    pub fn shutdown_token(mut self, token: CancellationToken) -> Self {
        self.shutdown = token;
        self
    }

    /// Listens on this transport instead of the configured ones. Brokered services listen on the first of
    /// [`PluginConfig::transports`].
    pub fn transport(mut self, transport: impl CustomTransport) -> Self {
        self.transport = Some(listen::any(transport));
        self
    }

    /// Returns a value that reports, in any task of this process, when the plugin serves. Set the configuration first.
    #[must_use]
    pub fn readiness(&self) -> Readiness {
        self.progress.readiness(self.config.ready_timeout)
    }
}

impl fmt::Debug for Serve {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Serve")
            .field("cookie", &self.cookie)
            .field("versions", &self.versions.keys())
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}
