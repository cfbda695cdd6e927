//! The stages of a plugin's life: bound, announced, served.

use std::{
    fmt,
    io::{self, Write},
    net::IpAddr,
    sync::Arc,
    time::Duration,
};

use rpcplugin_broker::{Broker, BrokerSettings, MainStreams, Place, Side};
use rpcplugin_config::{PluginConfig, TransportKind};
use rpcplugin_core::{SocketPath, Versions};
use rpcplugin_handshake::{Answer, Multiplexing, Negotiated, PortRange, ReceivedOffer, negotiate, variable};
use rpcplugin_proto::{GrpcControllerServer, GrpcStdioServer};
use rpcplugin_transport::{Listen, Listener, Services, SocketDir, SocketGroup, Stream, http2, yamux};
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use crate::{
    context::{HostFacts, PluginContext},
    controller::Controller,
    ending::{Cause, Ending},
    error::ServeError,
    health::{Health, HealthService, ServingStatus},
    host_watch,
    logging::RealStderr,
    output::{Capture, Output},
    reflection,
    security::{self, Decision},
    serve::{Hook, Serve},
    signals,
    stdio::Stdio,
};

/// A plugin that has agreed with its host and listens. No host can know of it yet.
#[must_use = "a bound plugin has to be announced"]
pub struct Bound {
    listener: Listener,
    answer: Answer,
    serving: http2::Serving,
    multiplex: bool,
    context: PluginContext,
    output: Arc<Output>,
    hooks: Vec<Hook>,
    config: PluginConfig,
}

/// A plugin whose handshake line has been printed.
#[must_use = "an announced plugin has to serve"]
pub struct Announced(Bound);

/// A plugin that has served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Served {
    /// Why it ended.
    pub cause: Cause,
}

impl Bound {
    pub(crate) async fn new(serve: Serve, offer: &ReceivedOffer) -> Result<Self, ServeError> {
        let Serve { cookie: _, mut versions, descriptors, config, hooks, shutdown } = serve;
        for fault in &offer.faults {
            tracing::warn!(%fault, "a part of the host's offer is passed over");
        }
        let served = Versions::new(versions.keys().copied())?;
        let negotiated = negotiate(offer.versions.as_ref(), &served);
        let Decision { security, announced } = security::decide(&config, offer)?;
        let (listener, place) = listen(&config, offer).await?;

        let ending = Ending::new(shutdown);
        let mut settings = BrokerSettings::new(security.clone());
        settings.http2 = http2_settings(&config);
        settings.patience = config.broker_patience;
        settings.grace = config.grace;
        let broker = if offer.multiplex {
            Broker::multiplexed(Side::Plugin, settings)
        } else {
            Broker::direct(Side::Plugin, settings, place)
        };
        let context = PluginContext {
            version: negotiated.version,
            broker,
            health: Health::new(),
            ending: ending.clone(),
            host: HostFacts {
                offered_version: negotiated.offered,
                mutual_tls: security.is_mutual(),
                multiplexed: offer.multiplex,
            },
        };
        let make = versions.remove(&negotiated.version).expect("a version is chosen among those served");
        let output = Output::new(config.output_buffer.as_usize(), config.output_patience);
        let services = services(make(&context), &context, &config, descriptors, &output);
        log_agreement(&negotiated, &listener, offer.versions.as_ref(), &served);

        let mut serving = http2::Serving::new(services, security, ending.token());
        serving.settings = http2_settings(&config);
        serving.grace = config.grace;
        let answer = Answer {
            version: negotiated.version,
            endpoint: listener.endpoint().clone(),
            certificate: announced,
            multiplexing: if offer.multiplex { Multiplexing::Yes } else { Multiplexing::NotSaid },
        };
        Ok(Self { listener, answer, serving, multiplex: offer.multiplex, context, output, hooks, config })
    }

    /// What the host will be answered.
    #[must_use]
    pub fn answer(&self) -> &Answer {
        &self.answer
    }

    /// Prints the handshake line, and flushes it.
    ///
    /// # Errors
    /// When the line cannot be written.
    pub fn announce(self, to: &mut impl Write) -> io::Result<Announced> {
        // One write: a host that reads byte by byte must not see half a line and then the end of a dead process.
        to.write_all(format!("{}\n", self.answer).as_bytes())?;
        to.flush()?;
        Ok(Announced(self))
    }
}

impl Announced {
    /// Serves as the child of a host: until the host asks for the end or dies, a signal comes, or the plugin's own
    /// token fires; then drains. Output is captured meanwhile, and SIGINT swallowed.
    ///
    /// # Errors
    /// [`ServeError::Process`] when signals or output cannot be caught.
    ///
    /// # Cancel safety
    /// Dropping the future ends the plugin rudely: calls are cut, and the socket is removed.
    pub async fn serve(self) -> Result<Served, ServeError> {
        let Self(bound) = self;
        let ending = bound.context.ending.clone();
        let mut watchers =
            vec![spawn(signals::watch(&ending, bound.config.ignore_interrupt).map_err(ServeError::Process)?)];
        if bound.config.follow_host {
            let (stdout, stderr) = real_output().map_err(ServeError::Process)?;
            watchers.push(spawn(host_watch::watch(&ending, stdout, stderr)));
        }
        if let Some(file) = bound.config.shutdown_file.clone() {
            watchers.push(spawn(shutdown_file(file, ending.clone())));
        }
        let capture = if bound.config.capture_output {
            Some(Capture::start(Arc::clone(&bound.output)).map_err(ServeError::Process)?)
        } else {
            None
        };
        let served = bound.serve(capture).await;
        drop(watchers);
        Ok(served)
    }
}

impl Bound {
    /// Serves and drains.
    async fn serve(self, capture: Option<Capture>) -> Served {
        let Self { listener, serving, multiplex, context, output, hooks, config, answer: _ } = self;
        let ending = context.ending.clone();
        let serving = async {
            if multiplex {
                let broker = context.broker.clone();
                http2::serve(MuxListener { listener: Some(listener), main: None, broker }, serving).await;
            } else {
                http2::serve(listener, serving).await;
            }
            // Ends of itself only when the one connection of a multiplexing host is over.
            ending.begin(Cause::Disconnected);
        };
        let winding_down = async {
            ending.begun().await;
            context.health.end();
            let hooks = futures_util::future::join_all(hooks);
            if timeout(config.grace, hooks).await.is_err() {
                tracing::warn!("a shutdown hook was still running after the grace period");
            }
            // Reading what is left of the output takes a moment, but never waits for anybody.
            if let Some(mut capture) = capture {
                capture.finish();
            }
            output.close();
            context.broker.close();
        };
        tokio::join!(serving, winding_down);
        Served { cause: ending.cause() }
    }
}

/// Everything that a host can call.
fn services(
    own: Services,
    context: &PluginContext,
    config: &PluginConfig,
    descriptors: Vec<&'static [u8]>,
    output: &Arc<Output>,
) -> Services {
    let mut services = Services::new();
    if config.health {
        for name in own.names() {
            context.health.set(name, ServingStatus::Serving);
        }
        services = services.add(HealthService::new(context.health.clone()));
    }
    services = services
        .merge(&context.broker.services())
        .add(GrpcControllerServer::new(Controller(context.ending.clone())))
        .add(GrpcStdioServer::new(Stdio(Arc::clone(output))))
        .merge(&own);
    if config.reflection {
        let mut names: Vec<_> = services.names().collect();
        names.extend(["grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"]);
        // In the order in which Go's plugins list them.
        names.sort_unstable();
        services = services.merge(&reflection::services(descriptors, names));
    }
    services
}

/// Listens where the configuration and the host say, and tells where brokered services shall listen.
async fn listen(config: &PluginConfig, offer: &ReceivedOffer) -> Result<(Listener, Place), ServeError> {
    let group = offer.socket_group.as_deref().map(SocketGroup::find).transpose()?;
    match config.transports.first() {
        Some(TransportKind::Unix) => {
            let dir = match &offer.socket_dir {
                Some(dir) => SocketDir::given(dir, group)?,
                None => SocketDir::private(group)?,
            };
            let listener = match &config.unix_socket_path {
                Some(path) => {
                    let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
                    let path = SocketPath::new(&path).map_err(|source| {
                        rpcplugin_transport::SocketDirError::Unfit { dir: path.clone(), source }
                    })?;
                    Listener::unix_at(&path, group)?
                }
                None => Listener::unix_in(&dir)?,
            };
            Ok((listener, Place::Unix(dir)))
        }
        Some(TransportKind::Tcp) => {
            let ports = ports(config, offer)?;
            let host: IpAddr = config.tcp_host;
            let listener = Listener::tcp(host, ports.ports()).await?;
            Ok((listener, Place::Tcp { host, ports: 0..=0 }))
        }
        _ => Err(ServeError::NoTransport),
    }
}

/// The plugin's own port if it has one, else the host's, else any.
fn ports(config: &PluginConfig, offer: &ReceivedOffer) -> Result<PortRange, ServeError> {
    if let Some(port) = config.tcp_port {
        return Ok(PortRange::new(port, port).expect("a port is not above itself"));
    }
    let fault =
        offer.faults.iter().find(|fault| matches!(fault.variable, variable::MIN_PORT | variable::MAX_PORT));
    match fault {
        Some(fault) => Err(ServeError::Ports(fault.clone())),
        None => Ok(offer.ports.unwrap_or(PortRange::ANY)),
    }
}

fn http2_settings(config: &PluginConfig) -> http2::Settings {
    let mut settings = http2::Settings::default();
    settings.stream_window = config.http2.stream_window.as_u32();
    settings.connection_window = config.http2.connection_window.as_u32();
    settings.max_frame = config.http2.max_frame.as_u32();
    settings.max_headers = config.http2.max_headers.as_u32();
    settings.handshake_deadline = config.http2.handshake_deadline;
    settings
}

fn log_agreement(
    negotiated: &Negotiated,
    listener: &Listener,
    offered: Option<&Versions>,
    served: &Versions,
) {
    let endpoint = listener.endpoint();
    // The words and fields are those of Go's plugins, for hosts whose tests look for them.
    tracing::debug!(network = endpoint.network(), address = endpoint.address(), "plugin address");
    if let Some(offered) = offered.filter(|_| !negotiated.offered) {
        tracing::warn!(%offered, %served, "no version in common; answering with the oldest, which the host will refuse");
    }
}

/// The streams of the one connection that a multiplexing host makes.
///
/// # Protocol
/// go-plugin `internal/grpcmux/grpc_server_muxer.go`. Differs: a connection that is closed without a byte, as probes
/// are, does not count; there is no deadline of five seconds, since the death of the host is noticed otherwise.
struct MuxListener {
    /// Gone once a host is connected, and its file with it: no other will be let in.
    listener: Option<Listener>,
    main: Option<MainStreams>,
    broker: Broker,
}

impl Listen for MuxListener {
    async fn accept(&mut self) -> Option<Stream> {
        loop {
            if let Some(main) = &mut self.main {
                if let Some(stream) = main.accept().await {
                    self.listener = None;
                    return Some(stream);
                }
                self.main = None;
            }
            let stream = self.listener.as_mut()?.accept().await?;
            self.main = Some(self.broker.session(yamux::Session::server(stream, yamux::Config::default())));
        }
    }
}

/// Ends the plugin when the file appears, and removes it.
async fn shutdown_file(file: std::path::PathBuf, ending: Ending) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(SHUTDOWN_FILE_POLL) => {}
            () = ending.begun() => return,
        }
        if file.exists() {
            if let Err(error) = std::fs::remove_file(&file) {
                tracing::warn!(file = %file.display(), %error, "the shutdown file cannot be removed");
            }
            return ending.begin(Cause::ShutdownFile);
        }
    }
}

/// Duplicates of the real descriptors 1 and 2, to see whether anybody holds their other ends.
fn real_output() -> io::Result<(std::os::fd::OwnedFd, std::os::fd::OwnedFd)> {
    use std::os::fd::AsFd as _;
    Ok((io::stdout().as_fd().try_clone_to_owned()?, RealStderr::get()?.try_clone_fd()?))
}

fn spawn(task: impl Future<Output = ()> + Send + 'static) -> AbortOnDropHandle<()> {
    AbortOnDropHandle::new(tokio::spawn(task))
}

impl fmt::Debug for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bound").field("answer", &self.answer).finish_non_exhaustive()
    }
}

impl fmt::Debug for Announced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Served {
    /// Whether the plugin ended because it should, rather than because its host was gone.
    #[must_use]
    pub fn is_asked_for(self) -> bool {
        !matches!(self.cause, Cause::HostGone)
    }
}

/// How often the shutdown file is looked for.
const SHUTDOWN_FILE_POLL: Duration = Duration::from_millis(250);
