//! What a plugin serves, and the whole way from its start to its end.

use std::{
    collections::BTreeMap, ffi::OsString, fmt, io::Write as _, pin::Pin, process::ExitCode, sync::Arc,
};

use bytes::Bytes;
use http::{Request, Response};
use rpcplugin_config::{ConfigError, IgnoredVariable, Loaded, Loader, PluginConfig};
use rpcplugin_core::{AppVersion, MagicCookie, PlainReport};
use rpcplugin_handshake::{ReceivedEnv, check_cookie};
use rpcplugin_hclog::MaxLevel;
use rpcplugin_transport::{ServiceLayer, ServiceLayers, Services};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tonic::{body::Body, server::NamedService};
use tower_service::Service;
use tracing_subscriber::Registry;

use crate::{
    context::PluginContext,
    error::ServeError,
    logging::{self, SubscriberLayer},
    output::HeldStdout,
    own_runtime,
    own_transport::{self, AnyTransport, Transport},
    protocol::Protocol,
    readiness::{Progress, Readiness},
    stages::{Bound, Served, Starter},
};

/// What a plugin serves.
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
    pub(crate) versions: BTreeMap<AppVersion, ServedSet>,
    pub(crate) descriptors: Vec<&'static [u8]>,
    pub(crate) config: PluginConfig,
    /// Why the configuration could not be loaded.
    pub(crate) config_error: Option<ConfigError>,
    /// Variables that are most likely meant for a setting, to be warned of when there is a log.
    slips: Vec<IgnoredVariable>,
    pub(crate) hooks: Vec<Hook>,
    pub(crate) shutdown: CancellationToken,
    pub(crate) transport: Option<AnyTransport>,
    pub(crate) progress: Progress,
    pub(crate) layers: ServiceLayers,
    pub(crate) on_start: Vec<Start>,
    /// What follows the spans and events of the process beside its log.
    pub(crate) subscribers: Vec<SubscriberLayer>,
    /// Where signals and the host are watched, if not where the plugin is served.
    pub(crate) watch: Option<Handle>,
}

/// Makes the services of one version, once it is known that this version is served.
pub(crate) type ServedSet = Box<dyn FnOnce(&PluginContext) -> Services + Send>;

/// Something to do once the plugin has agreed with its host.
pub(crate) type Start = Box<dyn FnOnce(&PluginContext) + Send>;

/// Something to do before the plugin ends.
pub(crate) type Hook = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Serve {
    /// A plugin that serves nothing yet, for hosts that know this magic cookie.
    pub fn new(cookie: MagicCookie) -> Self {
        Self {
            cookie,
            versions: BTreeMap::new(),
            descriptors: Vec::new(),
            config: PluginConfig::default(),
            config_error: None,
            slips: Vec::new(),
            hooks: Vec::new(),
            shutdown: CancellationToken::new(),
            transport: None,
            progress: Progress::new(),
            layers: ServiceLayers::new(),
            on_start: Vec::new(),
            subscribers: Vec::new(),
            watch: None,
        }
    }

    /// Serves this generated tonic service, such as `KvServer::new(my_kv)`, as `version` of the application's
    /// protocol. Of several versions the newest that the host speaks is served.
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

    /// Serves, as `version` of the application's protocol, the services that `make` returns. It is called only if this
    /// version is the one agreed upon, before the host can call.
    pub fn version_with(
        mut self,
        version: impl Into<AppVersion>,
        make: impl FnOnce(&PluginContext) -> Services + Send + 'static,
    ) -> Self {
        self.versions.insert(version.into(), Box::new(make));
        self
    }

    /// Serves a protocol that was written once for many plugins, in all its versions.
    pub fn protocol(mut self, protocol: impl Protocol) -> Self {
        let protocol = Arc::new(protocol);
        self.descriptors.extend(protocol.descriptors());
        for version in protocol.versions().iter() {
            let protocol = Arc::clone(&protocol);
            self.versions.insert(version, Box::new(move |context| protocol.services(context)));
        }
        self
    }

    /// Adds an encoded `FileDescriptorSet`, so that reflection can describe the plugin's services and not only name
    /// them.
    pub fn descriptors(mut self, encoded: &'static [u8]) -> Self {
        self.descriptors.push(encoded);
        self
    }

    /// Uses this configuration instead of the defaults.
    pub fn config(mut self, config: PluginConfig) -> Self {
        self.config = config;
        self
    }

    /// Uses the configuration that this loader finds. One with faults is reported, all faults at once, when the plugin
    /// is to serve. A variable whose name is most likely [a slip](IgnoredVariable::is_typo) is warned of in the plugin's log.
    ///
    /// ```no_run
    /// # use rpcplugin_config::Loader;
    /// # fn example(serve: rpcplugin_server::Serve) -> std::process::ExitCode {
    /// // What the operator of the plugin set by environment variables, and the file that PLUGIN_CONFIG_FILE names.
    /// serve.load_config(&Loader::new().process_env()).main()
    /// # }
    /// ```
    pub fn load_config(mut self, loader: &Loader) -> Self {
        match loader.load() {
            Ok(Loaded { config, ignored, .. }) => {
                self.config = config;
                self.slips = ignored.into_iter().filter(IgnoredVariable::is_typo).collect();
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

    /// Puts a tower layer around every service of the plugin's own, in whatever version, and around what it serves through
    /// the broker. Further layers go around the earlier ones, and all of them around the configured limits: they see the
    /// calls that are refused too. The services of the protocol, such as health and shutdown, stay bare.
    pub fn layer(mut self, layer: impl ServiceLayer) -> Self {
        self.layers = self.layers.layer(layer);
        self
    }

    /// Does this once the plugin has agreed with its host and listens, before its services are made.
    pub fn on_start(mut self, start: impl FnOnce(&PluginContext) + Send + 'static) -> Self {
        self.on_start.push(Box::new(start));
        self
    }

    /// Adds a layer to the tracing subscriber that [`run`](Self::run) sets, beside the log to the host. Without effect in
    /// a program that has set a subscriber of its own.
    pub fn subscriber_layer(
        mut self,
        layer: impl tracing_subscriber::Layer<Registry> + Send + Sync + 'static,
    ) -> Self {
        self.subscribers.push(Box::new(layer));
        self
    }

    /// Does this when the plugin begins to end, beside the calls that are still under way. All of it together has as
    /// long as they have: [`PluginConfig::grace`]. A hook that panics is logged; the end goes on, and stays an orderly one.
    pub fn on_shutdown(mut self, hook: impl Future<Output = ()> + Send + 'static) -> Self {
        self.hooks.push(Box::pin(hook));
        self
    }

    /// Ends when this token is cancelled. The token is cancelled when the plugin ends for another reason.
    pub fn shutdown_token(mut self, token: CancellationToken) -> Self {
        self.shutdown = token;
        self
    }

    /// Listens on a transport that the plugin brings along, whatever the configuration says. Brokered services listen on
    /// the first of [`PluginConfig::transports`].
    pub fn transport(mut self, transport: impl Transport) -> Self {
        self.transport = Some(own_transport::any(transport));
        self
    }

    /// Tells, elsewhere in this process, when the plugin serves. To be asked for after the configuration is set.
    #[must_use]
    pub fn readiness(&self) -> Readiness {
        self.progress.readiness(self.config.ready_timeout)
    }

    /// Goes the whole way: answers the host that started this process, serves it, and ends with it.
    ///
    /// Sets a tracing subscriber that logs to the host, unless the program has set one, and a panic hook that does the
    /// same. Until the handshake line is printed, what others print on stdout goes to stderr: only what the program
    /// printed before it called this can be in the way of the line.
    ///
    /// The magic cookie of the [configuration](PluginConfig::magic_cookie), if it has one, replaces the plugin's own.
    ///
    /// # Errors
    /// [`ServeError`] when the plugin cannot serve; nothing has been printed on stdout then.
    ///
    /// # Cancel safety
    /// Dropping the future ends the plugin rudely: calls are cut, and the socket is removed.
    pub async fn run(mut self) -> Result<Served, ServeError> {
        let cookie = self.config.magic_cookie.as_ref().unwrap_or(&self.cookie);
        check_cookie(cookie, process_environment)?;
        let cookie_key = cookie.key().to_owned();
        let level = MaxLevel::new(logging::filter(self.config.log_level));
        logging::init(level, std::mem::take(&mut self.subscribers)).map_err(ServeError::Process)?;
        for slip in self.slips.drain(..).filter(|slip| slip.name != cookie_key) {
            tracing::warn!(variable = slip.name, "{slip}");
        }
        let stdout = HeldStdout::hold().map_err(ServeError::Process)?;
        let bound = self.bind(&ReceivedEnv::from_env(process_environment)).await?;
        let announced = bound.announce(&mut stdout.real().map_err(ServeError::Process)?)?;
        drop(stdout);
        announced.serve().await
    }

    /// As [`run`](Self::run), and says on stderr why, if the plugin could not serve: what a plugin's `main` returns.
    ///
    /// The status is 0 after an orderly end, also one in which calls were cut, or a handler or hook panicked, and 1
    /// otherwise. In a program that is built with `panic = "abort"` a handler that panics ends the plugin instead of its call.
    /// Handlers that block every thread of the runtime keep the plugin from ending; [`main`](Self::main) has a
    /// thread for that.
    pub async fn run_to_exit(self) -> ExitCode {
        match self.run().await {
            Ok(_) => ExitCode::SUCCESS,
            Err(error) => {
                // Not `eprintln`, which panics when the host is gone.
                let _ = writeln!(std::io::stderr(), "{}", PlainReport(&error));
                ExitCode::FAILURE
            }
        }
    }

    /// As [`run_to_exit`](Self::run_to_exit), on a runtime of the plugin's own with
    /// [`PluginConfig::workers`] threads: the whole `main` of an ordinary plugin.
    ///
    /// One thread starts fastest and serves well as long as no handler blocks it. Handlers that do, on all threads, delay
    /// other calls but not the end: SIGTERM, the shutdown file and the host's death are noticed on the calling thread, and a
    /// plugin that cannot end in order within [`PluginConfig::grace`], or a second if that is less, ends all the same, with
    /// status 1 and without its sockets. Its shutdown hooks may not have run then.
    ///
    /// Within a runtime, its blocking threads included, it says so on stderr and returns status 1: [`run`](Self::run) is what
    /// to await there.
    pub fn main(self) -> ExitCode {
        let served = match Handle::try_current() {
            Ok(_) => Err(ServeError::RuntimeWithin),
            Err(_) => own_runtime::run(self).map_err(ServeError::Process),
        };
        served.unwrap_or_else(|error| {
            let _ = writeln!(std::io::stderr(), "{}", PlainReport(&error));
            ExitCode::FAILURE
        })
    }

    /// Has what ends the plugin from outside noticed on another runtime than the one on which it serves.
    pub(crate) fn watched_by(mut self, watch: Handle) -> Self {
        self.watch = Some(watch);
        self
    }

    /// The first step: begins to catch signals, agrees with the offer, and listens. No host can know of it yet. The parent
    /// of this process is from now on the host whose death ends the plugin.
    ///
    /// A signal that asks for the end is heeded once the plugin serves: it leaves nothing behind then.
    ///
    /// # Errors
    /// [`ServeError`].
    ///
    /// # Cancel safety
    /// Dropping the future leaves nothing behind.
    pub async fn bind(self, offer: &ReceivedEnv) -> Result<Bound, ServeError> {
        Bound::new(self, offer, Starter::Host).await
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

/// The one place where this crate reads the environment.
#[expect(
    clippy::disallowed_methods,
    reason = "a plugin is told through its environment what its host offers"
)]
pub(crate) fn process_environment(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}
