//! From a command to a plugin: spawn, greet, connect.
//!
//! Each step takes what the one before has made and returns the next; dropping any of them kills the process.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use rpcplugin_broker::{Broker, BrokerSettings, Place, Side};
use rpcplugin_config::HostConfig;
use rpcplugin_core::{AppVersion, Endpoint};
use rpcplugin_handshake::{Answer, AnswerFault, Multiplexing, Offer, PortRange, accept_version};
use rpcplugin_mtls::{Authorities, Identity, MutualTls, PeerCertificate, Trust};
use rpcplugin_transport::{
    SecureStream, Security, SocketDir, SocketGroup, dial,
    http2::{self, Connect, ConnectError},
    yamux,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _},
    process::ChildStdout,
    time::{Instant, interval_at, sleep, timeout, timeout_at},
};
use tokio_util::task::AbortOnDropHandle;
use tonic::{Code, transport::Channel};
use tonic_health::{
    ServingStatus,
    pb::{HealthCheckRequest, health_check_response::ServingStatus as Wire, health_client::HealthClient},
};

use crate::{
    answer_line::{NoLine, first_line},
    command::Command,
    error::{LaunchError, LaunchFacts, LaunchFault},
    events::Event,
    exit::ExitReason,
    feed::Feed,
    host::Host,
    logs,
    output::OutputSource,
    plugin::{Parts, Plugin},
    process::{Process, Started},
    stdio,
    tail::Tail,
};

/// Everything about a launch that does not change while it goes on.
struct Launch<'h> {
    host: &'h Host,
    command: Command,
    name: String,
    started: Instant,
    deadline: Instant,
    tail: Arc<Tail>,
    feed: Arc<Feed>,
    /// What the plugin printed on stdout and was no handshake line.
    stray: Mutex<Vec<String>>,
}

/// How the connection is to be secured, as far as the host can know before the plugin has answered.
struct Secret {
    /// What this side presents.
    identity: Option<Identity>,
    /// By what plugins are verified, if not by the certificate in their answer.
    authorities: Option<Authorities>,
    /// Whether the certificate is offered, so that a plugin has to answer with its own.
    offered: bool,
}

/// A process that runs and has not spoken.
struct Spawned {
    process: Process,
    stdout: ChildStdout,
    logs: AbortOnDropHandle<io::Result<()>>,
    secret: Secret,
    sockets: SocketDir,
}

/// A process that has spoken, and what it said.
struct Greeted {
    process: Process,
    answer: Answer,
    version: AppVersion,
    security: Security,
    output: Vec<AbortOnDropHandle<io::Result<()>>>,
    sockets: SocketDir,
}

pub(crate) async fn launch(host: &Host, command: Command, feed: Arc<Feed>) -> Result<Plugin, LaunchError> {
    let started = Instant::now();
    let launch = Launch {
        host,
        name: command.name(),
        command,
        started,
        deadline: started + host.config.start_deadline,
        tail: Arc::new(Tail::new(&host.config)),
        feed,
        stray: Mutex::default(),
    };
    let spawned = launch.spawn().await.map_err(|fault| LaunchError::new(fault, launch.facts()))?;
    let greeted = launch.greet(spawned).await?;
    launch.connect(greeted).await
}

impl Launch<'_> {
    /// Starts the process with the offer in its environment, and reads its stderr from now on.
    async fn spawn(&self) -> Result<Spawned, LaunchFault> {
        let config = &self.host.config;
        let group = config.unix_socket_group.as_deref().map(SocketGroup::find).transpose()?;
        // A directory of the host's own: whatever becomes of the plugin, its sockets are removed with it.
        let sockets = match &config.unix_socket_dir {
            Some(parent) => SocketDir::private_in(parent, group)?,
            None => SocketDir::private(group)?,
        };
        let secret = Secret::prepare(config)?;
        let ports = PortRange::new(config.min_port, config.max_port).map_err(|_| LaunchFault::Config {
            what: "the range of ports is reversed",
            help: "set PLUGIN_MIN_PORT no higher than PLUGIN_MAX_PORT",
        })?;
        let offer = Offer {
            versions: self.host.versions.clone(),
            ports,
            client_certificate: secret.to_offer(),
            multiplex: config.multiplex,
            socket_dir: Some(sockets.path().to_owned()),
            socket_group: config.unix_socket_group.clone(),
        };
        let Started { process, stdout, stderr } =
            Process::start(&self.command, &offer, &self.host.cookie, config, &self.feed)
                .await
                .map_err(|error| LaunchFault::spawn(self.command.program.clone(), error))?;
        tracing::debug!(plugin.path = %self.command.program.display(), plugin.pid = process.pid(), "plugin started");
        let max_line = config.log_line_limit.as_usize();
        let logs = spawn(logs::pump(stderr, max_line, Arc::clone(&self.tail), Arc::clone(&self.feed)));
        Ok(Spawned { process, stdout, logs, secret, sockets })
    }

    /// Waits for the handshake line and decides what it means.
    async fn greet(&self, spawned: Spawned) -> Result<Greeted, LaunchError> {
        let Spawned { process, mut stdout, logs, secret, sockets } = spawned;
        let answered = tokio::select! {
            answered = timeout_at(self.deadline, self.answer(&mut stdout, &process)) => {
                answered.unwrap_or(Err(LaunchFault::Silent(self.host.config.start_deadline)))
            }
            reason = self.ended_for_good(&process) => Err(LaunchFault::ExitedEarly(reason)),
            never = self.tell_still_waiting() => match never {},
        };
        let decided = answered.and_then(|(answer, rest)| {
            let version = accept_version(answer.version, &self.host.versions)?;
            if self.host.config.multiplex && answer.multiplexing != Multiplexing::Yes {
                return Err(LaunchFault::NoMultiplexing);
            }
            let security = secret.decide(answer.certificate.as_deref())?;
            Ok((answer, rest, version, security))
        });
        let (answer, rest, version, security) = match decided {
            Ok(decided) => decided,
            Err(fault) => return Err(self.fail(fault, process, vec![logs]).await),
        };
        tracing::debug!(endpoint = %answer.endpoint, %version, mutual = security.is_mutual(), "plugin answered");
        let drain = spawn(drain(stdout, rest, Arc::clone(&self.feed)));
        Ok(Greeted { process, answer, version, security, output: vec![logs, drain], sockets })
    }

    /// Resolves when the process has ended and what it may have said has had the time to be read. A process that it
    /// left behind may hold its stdout open for ever.
    async fn ended_for_good(&self, process: &Process) -> ExitReason {
        let reason = process.end().await;
        sleep(self.host.config.drain).await;
        reason
    }

    /// The handshake line, and what had been read beyond it.
    async fn answer(
        &self,
        stdout: &mut ChildStdout,
        process: &Process,
    ) -> Result<(Answer, Vec<u8>), LaunchFault> {
        let mut read = Vec::new();
        loop {
            let first = match first_line(stdout, read).await {
                Ok(first) => first,
                Err(NoLine::Ended(rest)) => {
                    if !rest.is_empty() {
                        self.stray(&rest);
                    }
                    let end = timeout(self.host.config.drain, process.end()).await;
                    return Err(end.map_or(LaunchFault::StdoutClosed, LaunchFault::ExitedEarly));
                }
                Err(NoLine::TooLong(start)) => {
                    let start = String::from_utf8_lossy(&start[..start.len().min(80)]).into_owned();
                    return Err(LaunchFault::EndlessLine { start });
                }
                Err(NoLine::Failed(error)) => return Err(LaunchFault::Stdout(error)),
            };
            match Answer::parse(&String::from_utf8_lossy(&first.line)) {
                Ok(answer) => return Ok((answer, first.rest)),
                // Only what is no answer at all can be somebody's banner; a bad answer is the plugin's last word.
                Err(error) if error.fault == AnswerFault::NotAnAnswer && self.may_pass_over() => {
                    self.stray(&first.line);
                    read = first.rest;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Opens the channel and makes sure that somebody answers.
    async fn connect(&self, greeted: Greeted) -> Result<Plugin, LaunchError> {
        let Greeted { process, answer, version, security, output, sockets } = greeted;
        let config = &self.host.config;
        let opened = tokio::select! {
            opened = timeout_at(self.deadline, self.open(&answer.endpoint, &security, &sockets)) => {
                opened.unwrap_or(Err(LaunchFault::NotReady(config.start_deadline)))
            }
            reason = process.end() => Err(LaunchFault::ExitedConnecting(reason)),
        };
        let (channel, broker) = match opened {
            Ok(opened) => opened,
            Err(fault) => {
                // A plugin that is dying cuts its connections first; how it died says more.
                let fault = match timeout(LAST_WORDS, process.end()).await {
                    Ok(reason) if matches!(fault, LaunchFault::Connect(_) | LaunchFault::FirstCall(_)) => {
                        LaunchFault::ExitedConnecting(reason)
                    }
                    _ => fault,
                };
                let error = self.fail(fault, process, output).await;
                if let Endpoint::Unix(path) = &answer.endpoint {
                    rpcplugin_transport::remove_stale_socket(path);
                }
                return Err(error);
            }
        };
        let services = vec![
            spawn(stdio::pump(channel.clone(), Arc::clone(&self.feed))),
            spawn({
                let (broker, channel) = (broker.clone(), channel.clone());
                async move { broker.attach(channel).await }
            }),
        ];
        let elapsed = self.started.elapsed();
        self.feed.event(Event::Ready { elapsed });
        tracing::info!(
            plugin = self.name,
            plugin.pid = process.pid(),
            plugin.version = %version,
            endpoint = %answer.endpoint,
            mutual = security.is_mutual(),
            ?elapsed,
            "plugin ready"
        );
        Ok(Plugin::new(Parts {
            process,
            channel,
            broker,
            feed: Arc::clone(&self.feed),
            tail: Arc::clone(&self.tail),
            version,
            endpoint: answer.endpoint,
            security,
            launch_time: elapsed,
            config: config.clone(),
            output,
            services,
            sockets,
        }))
    }

    async fn open(
        &self,
        endpoint: &Endpoint,
        security: &Security,
        sockets: &SocketDir,
    ) -> Result<(Channel, Broker), LaunchFault> {
        let config = &self.host.config;
        let settings = http2_settings(config);
        let mut brokered = BrokerSettings::new(security.clone());
        brokered.http2 = settings.clone();
        brokered.patience = config.broker_patience;
        let security = security.clone();
        let (channel, broker) = if config.multiplex {
            let broker = Broker::multiplexed(Side::Host, brokered);
            let connection = dial(endpoint).await.map_err(ConnectError::from)?;
            let session = yamux::Session::client(connection, yamux::Config::default());
            // The host has no main listener: what nobody knocked for is reset by the broker.
            drop(broker.session(session));
            let connector = Multiplexed { broker: broker.clone(), security };
            (http2::connect(connector, &settings).await?, broker)
        } else {
            let place = match endpoint {
                Endpoint::Tcp(_) => Place::Tcp { host: [127, 0, 0, 1].into(), ports: 0..=0 },
                _ => Place::Unix(sockets.clone()),
            };
            let broker = Broker::direct(Side::Host, brokered, place);
            (http2::connect(Direct { endpoint: endpoint.clone(), security }, &settings).await?, broker)
        };
        if config.health_check {
            check_health(&channel).await?;
        }
        Ok((channel, broker))
    }

    /// Ends what is left of a plugin that did not start, and says why it did not.
    async fn fail(
        &self,
        fault: LaunchFault,
        process: Process,
        output: Vec<AbortOnDropHandle<io::Result<()>>>,
    ) -> LaunchError {
        let ended = process.ended();
        process.kill();
        let patience = self.host.config.drain;
        let _ = timeout(patience, process.end()).await;
        // Its last words may still be in the pipe; a process that it left behind may hold the pipe open for ever.
        let _ = timeout(patience, async {
            for task in output {
                let _ = task.await;
            }
        })
        .await;
        LaunchError::new(fault, LaunchFacts { ended, ..self.facts() })
    }

    fn facts(&self) -> LaunchFacts {
        LaunchFacts {
            program: self.command.program.clone(),
            ended: None,
            stderr: self.tail.lines(),
            stdout: self.stray.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            elapsed: self.started.elapsed(),
        }
    }

    fn may_pass_over(&self) -> bool {
        self.stray.lock().unwrap_or_else(PoisonError::into_inner).len() < self.host.config.stray_lines
    }

    fn stray(&self, line: &[u8]) {
        let line = String::from_utf8_lossy(&line[..line.len().min(200)]).escape_debug().to_string();
        tracing::warn!(plugin = self.name, line, "the plugin printed something before its handshake line");
        self.stray.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }

    /// Tells whoever follows the plugin that nothing has come yet, every so often.
    async fn tell_still_waiting(&self) -> std::convert::Infallible {
        let every = self.host.config.still_waiting_every.max(Duration::from_millis(1));
        let mut ticks = interval_at(self.started + every, every);
        loop {
            ticks.tick().await;
            let elapsed = self.started.elapsed();
            tracing::info!(plugin = self.name, ?elapsed, "still waiting for the plugin to start");
            self.feed.event(Event::StillWaiting { elapsed });
        }
    }
}

impl Secret {
    fn prepare(config: &HostConfig) -> Result<Self, LaunchFault> {
        let authorities = config
            .server_authorities
            .as_ref()
            .map(|bundle| Authorities::from_pem(bundle.as_str()))
            .transpose()?;
        match (&config.certificate, &config.private_key) {
            (Some(certificate), Some(key)) => {
                let identity = Identity::from_pem(certificate.as_str(), key.as_str())?;
                // With authorities both sides have what they need. Without, the plugin's certificate has to come in
                // its answer, and plugins send it only to hosts that offer theirs.
                let offered = authorities.is_none();
                Ok(Self { identity: Some(identity), authorities, offered })
            }
            (None, None) if authorities.is_some() => Err(LaunchFault::Config {
                what: "authorities are given to verify plugins by, but no certificate for the host itself",
                help: "give the host a certificate and its key too: both sides are authenticated, or none",
            }),
            (None, None) if config.auto_mtls => {
                Ok(Self { identity: Some(Identity::generate()?), authorities: None, offered: true })
            }
            (None, None) => Ok(Self { identity: None, authorities: None, offered: false }),
            _ => Err(LaunchFault::Config {
                what: "the host has a certificate without its key, or a key without its certificate",
                help: "give both, or none",
            }),
        }
    }

    /// The certificate for the plugin's environment.
    fn to_offer(&self) -> Option<String> {
        self.identity.as_ref().filter(|_| self.offered).map(Identity::certificate_pem)
    }

    /// The security of every connection with this plugin: the one place where that is decided.
    ///
    /// | offered | certificate in the answer | result |
    /// |---|---|---|
    /// | no | no | plain |
    /// | yes | yes | mutual, that certificate and no other |
    /// | yes | no | refused: the plugin ignored the offer |
    /// | no | yes | refused: nobody asked |
    ///
    /// Given authorities take the place of the certificate in the answer.
    fn decide(self, certificate: Option<&[u8]>) -> Result<Security, LaunchFault> {
        let mutual = |identity, trust| Ok(Security::Mutual(MutualTls::new(identity, trust)?));
        match (self.identity, self.authorities, certificate) {
            (Some(identity), Some(authorities), _) => mutual(identity, Trust::Authorities(authorities)),
            (Some(identity), None, Some(certificate)) => {
                mutual(identity, Trust::Pinned(PeerCertificate::from_der(certificate)?))
            }
            (Some(_), None, None) => Err(LaunchFault::IgnoredMtls),
            (None, _, Some(_)) => Err(LaunchFault::UnaskedCertificate),
            (None, _, None) => Ok(Security::Plain),
        }
    }
}

/// Opens connections to the plugin's own endpoint.
struct Direct {
    endpoint: Endpoint,
    security: Security,
}

impl Connect for Direct {
    async fn connect(&self) -> Result<SecureStream, ConnectError> {
        Ok(self.security.client(dial(&self.endpoint).await?).await?)
    }
}

/// Opens streams on the one connection to the plugin.
struct Multiplexed {
    broker: Broker,
    security: Security,
}

impl Connect for Multiplexed {
    async fn connect(&self) -> Result<SecureStream, ConnectError> {
        let stream = self.broker.open_main_stream().await.map_err(|source| ConnectError::Other {
            what: "the multiplexed connection is closed",
            source: source.into(),
        })?;
        Ok(self.security.client(stream).await?)
    }
}

/// Makes sure that the plugin answers, and says that it is well.
///
/// # Protocol
/// go-plugin's `Ping` asks for the service `plugin`. Differs: it looks at the answer. A plugin that does not serve
/// health, or not under that name, has answered all the same.
async fn check_health(channel: &Channel) -> Result<(), LaunchFault> {
    let request = HealthCheckRequest { service: "plugin".to_owned() };
    match HealthClient::new(channel.clone()).check(request).await {
        Ok(answer) => match answer.get_ref().status() {
            Wire::Serving => Ok(()),
            Wire::NotServing => Err(LaunchFault::NotHealthy(ServingStatus::NotServing)),
            _ => Err(LaunchFault::NotHealthy(ServingStatus::Unknown)),
        },
        Err(status) if matches!(status.code(), Code::Unimplemented | Code::NotFound) => Ok(()),
        Err(status) => Err(LaunchFault::FirstCall(status)),
    }
}

/// Reads what a plugin prints on its real stdout after the handshake line, so that it never blocks there.
async fn drain(mut stdout: impl AsyncRead + Unpin, rest: Vec<u8>, feed: Arc<Feed>) -> io::Result<()> {
    let mut buffer = rest;
    loop {
        if !buffer.is_empty() {
            let shown = String::from_utf8_lossy(&buffer[..buffer.len().min(SHOWN)]);
            tracing::debug!(target: "plugin::stdout", plugin = %feed.id(), real = true, "{}", shown.trim_end());
            feed.output(OutputSource::RawStdout, Bytes::copy_from_slice(&buffer)).await;
        }
        buffer.clear();
        if stdout.read_buf(&mut buffer).await? == 0 {
            return Ok(());
        }
        tokio::task::yield_now().await;
    }
}

pub(crate) fn http2_settings(config: &HostConfig) -> http2::Settings {
    let mut settings = http2::Settings::default();
    settings.stream_window = config.http2.stream_window.as_u32();
    settings.connection_window = config.http2.connection_window.as_u32();
    settings.max_frame = config.http2.max_frame.as_u32();
    settings.max_headers = config.http2.max_headers.as_u32();
    settings.handshake_deadline = config.http2.handshake_deadline;
    settings
}

fn spawn<T: Send + 'static>(task: impl Future<Output = T> + Send + 'static) -> AbortOnDropHandle<T> {
    AbortOnDropHandle::new(tokio::spawn(task))
}

/// How long a plugin whose connection broke is given to be seen dead.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// As much of the real stdout as an event shows at once.
const SHOWN: usize = 1024;
