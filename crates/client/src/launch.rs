//! From a command to a plugin: spawn, greet, connect.
//!
//! Each step takes what the one before has made and returns the next; dropping any of them kills the process.

use std::{
    io,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use rpcplugin_broker::{PeerOrigin, Translate};
use rpcplugin_config::TransportKind;
use rpcplugin_core::{AppVersion, Endpoint};
use rpcplugin_handshake::{
    HandshakeLine, HandshakeLineFault, HostEnv, Multiplexing, PortRange, accept_version,
};
use rpcplugin_transport::{Meter, Security, SocketDir, SocketDirError, speaks_tls};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite},
    time::{Instant, interval_at, sleep, timeout, timeout_at},
};
use tokio_util::task::AbortOnDropHandle;
use tracing::{Instrument as _, Span, field::Empty};

use crate::{
    answer_line::{NoLine, first_line},
    callbacks::Caller,
    child,
    command::name,
    connection::{self, Opened, Target},
    diagnosis,
    error::{LaunchError, LaunchFacts, LaunchFault},
    events::Event,
    exit::ExitReason,
    feed::Feed,
    host::Host,
    life, logs,
    output::OutputSource,
    plugin::{Parts, Plugin},
    process::{Process, WhenDropped},
    reason::PluginReason,
    remains::{Moment, NamedSocket},
    runner::{LaunchEnvironment, Runner, Running as _, Started},
    secret::Secret,
    services::Services,
    sockets,
    steps::LaunchTimings,
    tail::Tail,
};

/// Everything about a launch that does not change while it goes on.
struct Launch<'h, R> {
    host: &'h Host,
    runner: &'h R,
    program: PathBuf,
    name: String,
    started: Instant,
    /// How long the whole launch may take, and when that is over.
    launch_timeout: Duration,
    deadline: Instant,
    tail: Arc<Tail>,
    feed: Arc<Feed>,
    /// The span of the plugin's life.
    life: Span,
    /// What the plugin printed on stdout and was no handshake line.
    stray: Mutex<Vec<String>>,
}

/// A plugin that runs and has not spoken.
struct Spawned {
    process: Process,
    stdout: Output,
    stdin: Option<Input>,
    secret: Secret,
    sockets: SocketDir,
    translate: Option<Arc<dyn Translate>>,
    /// When it was not there yet.
    since: Moment,
    /// How long it took to start.
    took: Duration,
}

/// A plugin that has spoken, and what it said.
struct Greeted {
    process: Process,
    stdin: Option<Input>,
    answer: HandshakeLine,
    /// Where this host dials.
    endpoint: Endpoint,
    steps: LaunchTimings,
    security: Security,
    sockets: SocketDir,
    translate: Option<Arc<dyn Translate>>,
}

type Output = Box<dyn AsyncRead + Send + Unpin>;

type Input = Box<dyn AsyncWrite + Send + Sync + Unpin>;

/// Goes the whole way once.
pub(crate) async fn launch(
    host: &Host,
    runner: &impl Runner,
    feed: Arc<Feed>,
    launch_timeout: Duration,
) -> Result<Plugin, LaunchError> {
    let started = Instant::now();
    let program = runner.program();
    let life = life::span(&program);
    let launch = Launch {
        host,
        runner,
        name: name(&program),
        life: life.clone(),
        program,
        started,
        launch_timeout,
        // One that no clock reaches is none that anybody waits for: the settings say so first.
        deadline: started.checked_add(launch_timeout).unwrap_or(started),
        tail: Arc::new(Tail::new(&host.config)),
        feed,
        stray: Mutex::default(),
    };
    let span = tracing::debug_span!(parent: &life, "launch", elapsed = Empty, error = Empty);
    // Boxed, because hosts launch from within large futures of their own.
    let launched = Box::pin(launch.go()).instrument(span.clone()).instrument(life).await;
    span.record("elapsed", tracing::field::debug(started.elapsed()));
    if let Err(error) = &launched {
        launch.feed.not_launched(error);
        span.record("error", tracing::field::display(&error.fault));
    }
    launched
}

impl<R: Runner> Launch<'_, R> {
    /// From nothing to a plugin.
    async fn go(&self) -> Result<Plugin, LaunchError> {
        let spawned = match self.spawn().await {
            Ok(spawned) => spawned,
            Err(fault) => return Err(self.explain(fault, None).await),
        };
        let greeted = self.greet(spawned).instrument(tracing::debug_span!("greet")).await?;
        let endpoint = &greeted.endpoint.clone();
        self.connect(greeted).instrument(tracing::debug_span!("connect", %endpoint)).await
    }

    /// Starts the process with the offer in its environment, and reads its stderr from now on.
    async fn spawn(&self) -> Result<Spawned, LaunchFault> {
        let config = &self.host.config;
        config.check()?;
        let secret = Secret::prepare(config)?;
        let ports = PortRange::new(config.min_port, config.max_port)?;
        // Late, since until there is a process beside it a host that is killed leaves it for the next to remove.
        let sockets = sockets::private(config)?;
        let since = Moment::of(sockets.path())
            .map_err(|source| SocketDirError::Create { parent: sockets.path().to_owned(), source })?;
        let offer = HostEnv {
            versions: self.host.versions.clone(),
            ports,
            client_certificate: secret.to_offer(),
            multiplex: config.multiplex,
            socket_dir: Some(sockets.path().to_owned()),
            socket_group: config.unix_socket_group.clone(),
        };
        let mut variables = offer.to_env(&self.host.cookie);
        if !config.die_with_host {
            // Plugins made with this library watch their host by themselves.
            variables.insert(0, (EXIT_WITH_HOST.to_owned(), Some("false".into())));
        }
        let surroundings = LaunchEnvironment {
            offer: variables,
            inherit: config.inherit_env.clone(),
            socket_dir: sockets.path().to_owned(),
            die_with_host: config.die_with_host,
            orphan_grace: config.orphan_grace,
            busy_timeout: config.busy_timeout,
        };
        let starting = timeout_at(self.deadline, self.runner.start(&surroundings));
        let Started { running, stdout, stderr, stdin, translate } =
            starting.await.unwrap_or(Err(LaunchFault::NotStarted(self.launch_timeout)))?;
        if let Some(pid) = running.pid() {
            sockets.belongs_to(pid);
        }
        self.feed.event(Event::Started { pid: running.pid().unwrap_or_default() });
        let process =
            Process::watch(running, WhenDropped::Kill, config.drain_timeout, &self.feed, &self.life);
        process.uses(&sockets);
        self.life.record("plugin.pid", process.pid());
        tracing::debug!(plugin.id = process.id(), "plugin started");
        let max_line = config.log_line_limit.as_usize();
        let (tail, feed) = (Arc::clone(&self.tail), Arc::clone(&self.feed));
        process.read(self.task(logs::pump(stderr, max_line, config.print_logs, tail, feed)));
        let took = self.started.elapsed();
        Ok(Spawned { process, stdout, stdin, secret, sockets, translate, since, took })
    }

    /// Waits for the handshake line and decides what it means.
    async fn greet(&self, spawned: Spawned) -> Result<Greeted, LaunchError> {
        let Spawned { process, mut stdout, stdin, secret, sockets, translate, since, took } = spawned;
        let waiting = Instant::now();
        let mut read = Vec::new();
        let answered = tokio::select! {
            answered = timeout_at(self.deadline, self.answer(&mut stdout, &mut read, &process)) => {
                answered.unwrap_or_else(|_| {
                    Err(LaunchFault::stopped(&process).unwrap_or(LaunchFault::Silent(self.launch_timeout)))
                })
            }
            reason = self.ended_for_good(&process) => Err(LaunchFault::ExitedEarly(reason)),
            never = self.tell_still_waiting(&process) => match never {},
        };
        let dialled = |announced: &Endpoint| -> Result<_, LaunchFault> {
            let endpoint = match &translate {
                None => announced.clone(),
                Some(translate) => translate
                    .dial_as(announced)
                    .map_err(|source| LaunchFault::Translate { endpoint: announced.clone(), source })?,
            };
            if let Endpoint::Unix(path) = &endpoint {
                process.may_leave(NamedSocket::new(path.clone(), since));
            }
            Ok(endpoint)
        };
        if let Err(LaunchFault::HandshakeLine(error)) = &answered {
            let _ = error.endpoint().map(dialled);
        }
        let mut reached = None;
        let decided = answered.and_then(|answer| {
            let endpoint = dialled(&answer.endpoint);
            reached = endpoint.as_ref().ok().cloned();
            accept_version(answer.version, &self.host.versions)?;
            if !allows(&self.host.config.transports, &answer.endpoint) {
                return Err(LaunchFault::Transport { endpoint: answer.endpoint });
            }
            if self.host.config.multiplex && answer.multiplexing != Multiplexing::Yes {
                return Err(LaunchFault::NoMultiplexing);
            }
            let security = secret.decide(answer.certificate.as_deref())?;
            Ok((answer, endpoint?, security))
        });
        let (answer, endpoint, security) = match decided {
            Ok(decided) => decided,
            Err(fault) => {
                let lines = read.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
                lines.take(MOST_STRAY).for_each(|line| self.stray(line));
                let fault = match (fault, &reached) {
                    // It sends no certificate, and would not do without either.
                    (LaunchFault::IgnoredMtls, Some(endpoint)) if speaks_tls(endpoint).await => {
                        LaunchFault::OwnCertificates
                    }
                    (fault, _) => fault,
                };
                return Err(self.fail(fault, process).await);
            }
        };
        let steps = LaunchTimings {
            process: Some(took),
            answer: Some(waiting.elapsed()),
            ..LaunchTimings::default()
        };
        let version = answer.version;
        self.life.record("plugin.version", version.0).record("endpoint", tracing::field::display(&endpoint));
        tracing::debug!(mutual = security.is_mutual(), "plugin answered");
        process.read(self.task(drain(stdout, read, Arc::clone(&self.feed))));
        Ok(Greeted { process, stdin, answer, endpoint, steps, security, sockets, translate })
    }

    /// Resolves when the process has ended and what it may have said has had the time to be read. A process that it
    /// left behind may hold its stdout open for ever.
    async fn ended_for_good(&self, process: &Process) -> ExitReason {
        let reason = process.end().await;
        sleep(self.host.config.drain_timeout).await;
        reason
    }

    /// The handshake line. What comes after it stays in `read`, and so does what came in its place.
    async fn answer(
        &self,
        stdout: &mut Output,
        read: &mut Vec<u8>,
        process: &Process,
    ) -> Result<HandshakeLine, LaunchFault> {
        let limit = self.host.config.handshake_line_limit.as_usize();
        loop {
            let (line, is_last) = match first_line(stdout, read, limit).await {
                Ok(line) => (line, false),
                // Not every plugin ends its last line.
                Err(NoLine::Ended) if !read.is_empty() => (std::mem::take(read), true),
                Err(NoLine::Ended) => return Err(self.said_nothing(process).await),
                Err(NoLine::TooLong) => {
                    let start = String::from_utf8_lossy(&read[..read.len().min(80)]).into_owned();
                    read.clear();
                    return Err(LaunchFault::EndlessLine { start });
                }
                Err(NoLine::Failed(error)) => return Err(LaunchFault::Stdout(error)),
            };
            match HandshakeLine::parse(&String::from_utf8_lossy(&line)) {
                Ok(answer) => return Ok(answer),
                // Only what is no answer at all can be somebody's banner; a bad answer is the plugin's last word.
                Err(error)
                    if error.fault == HandshakeLineFault::NotAnAnswer
                        && (is_last || self.may_pass_over()) =>
                {
                    self.stray(&line);
                    if is_last && !self.may_pass_over() {
                        return Err(error.into());
                    }
                }
                // A plugin that was cut off in the middle of its line is one that has ended.
                Err(_) if is_last => {
                    self.stray(&line);
                    return Err(self.said_nothing(process).await);
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The fault of a plugin whose stdout has ended: most often it has ended too.
    async fn said_nothing(&self, process: &Process) -> LaunchFault {
        let end = timeout(self.host.config.drain_timeout, process.end()).await;
        end.map_or(LaunchFault::StdoutClosed, LaunchFault::ExitedEarly)
    }

    /// Opens the channel and makes sure that somebody answers.
    async fn connect(&self, greeted: Greeted) -> Result<Plugin, LaunchError> {
        let Greeted { process, stdin, answer, endpoint, steps, security, sockets, translate } = greeted;
        let version = answer.version;
        let config = &self.host.config;
        let ready = config.ready_timeout.map(|deadline| (Instant::now() + deadline, deadline));
        let (deadline, allowed) = match ready {
            Some((ready, allowed)) if ready < self.deadline => (ready, allowed),
            _ => (self.deadline, self.launch_timeout),
        };
        let meter = Meter::new();
        let target = Target {
            endpoint: &endpoint,
            security: &security,
            multiplex: config.multiplex,
            sockets: &sockets,
            translate,
            meter: &meter,
            layers: &self.host.layers,
            life: &self.life,
            arrival: PeerOrigin::Launched,
        };
        let opened = tokio::select! {
            opened = timeout_at(deadline, self.open(target, version)) => {
                opened.unwrap_or_else(|_| {
                    Err(LaunchFault::stopped(&process).unwrap_or(LaunchFault::NotReady(allowed)))
                })
            }
            reason = process.end() => Err(LaunchFault::ExitedConnecting(reason)),
            never = self.tell_still_waiting(&process) => match never {},
        };
        let Opened { channel, broker, certificate, connection, health } = match opened {
            Ok(opened) => opened,
            Err(fault) => {
                let fault = match fault {
                    LaunchFault::Connect(_) | LaunchFault::FirstCall(_)
                        if !security.is_mutual() && speaks_tls(&endpoint).await =>
                    {
                        LaunchFault::OwnCertificates
                    }
                    fault => fault,
                };
                return Err(self.fail(fault, process).await);
            }
        };
        if timeout_at(deadline, process.ready()).await.is_err() {
            return Err(self.fail(LaunchFault::NotReady(allowed), process).await);
        }
        let services = Services::open(&channel, broker.get(), &self.feed, &process, &self.life);
        self.feed.connected(&meter);
        let elapsed = self.started.elapsed();
        self.feed.event(Event::Ready { elapsed });
        // Outside of the span of its life, whose fields are these.
        tracing::info!(
            parent: None,
            plugin = self.name,
            plugin.path = %self.program.display(),
            plugin.pid = process.pid(),
            plugin.version = %version,
            %endpoint,
            mutual = security.is_mutual(),
            ?elapsed,
            "plugin ready"
        );
        Ok(Plugin::new(Parts {
            process,
            stdin,
            channel,
            broker: broker.keep(),
            feed: Arc::clone(&self.feed),
            tail: Arc::clone(&self.tail),
            version,
            endpoint,
            security,
            launch_time: elapsed,
            steps: LaunchTimings { connection, health, ..steps },
            answer: Some(answer),
            certificate,
            config: config.clone(),
            services,
            sockets,
            meter,
            life: self.life.clone(),
            test: false,
        }))
    }

    async fn open(&self, target: Target<'_>, version: AppVersion) -> Result<Opened, LaunchFault> {
        let opened = connection::open(target, &self.host.config).await?;
        // Last, when nothing else can fail: what is offered lasts until the broker is closed.
        if let Some(callbacks) = &self.host.callbacks {
            let caller = Caller { plugin: self.feed.id(), version, broker: opened.broker.get().clone() };
            callbacks.offer(&caller).await?;
        } else {
            opened.broker.get().refuse_host_services();
        }
        Ok(opened)
    }

    /// Ends what is left of a plugin that did not start, and says why it did not.
    async fn fail(&self, fault: LaunchFault, process: Process) -> LaunchError {
        // A plugin that prints rubbish or cuts its connections is often about to end; how it does says more.
        let fault = match fault {
            fault if fault.may_be_told_by_the_end() => {
                match (timeout(LAST_WORDS, process.end()).await, fault) {
                    (
                        Ok(reason),
                        LaunchFault::Connect(_) | LaunchFault::HostRefused(_) | LaunchFault::FirstCall(_),
                    ) => LaunchFault::ExitedConnecting(reason),
                    (_, fault) => fault,
                }
            }
            fault => fault,
        };
        let ended = process.ended();
        process.no_more_readers();
        process.kill();
        // Its last words may still be in the pipe. The system may keep a killed process that waits for a device.
        let _ = timeout(2 * self.host.config.drain_timeout, process.finished()).await;
        self.explain(fault, ended).await
    }

    /// The error, with all that is known.
    async fn explain(&self, fault: LaunchFault, ended: Option<ExitReason>) -> LaunchError {
        let stderr = self.tail.lines();
        let reason = PluginReason::find(&stderr);
        let fault = fault.in_the_light_of(&stderr, reason.as_ref());
        let notes = timeout(DIAGNOSIS, self.runner.diagnose(&fault)).await.ok().flatten().or_else(|| {
            // What printed a line and ended without a complaint is an ordinary program: most likely the wrong file.
            let no_answer =
                matches!(&fault, LaunchFault::HandshakeLine(error) if error.fault == HandshakeLineFault::NotAnAnswer);
            let is_wrong_file = no_answer && ended.is_some() && stderr.is_empty();
            is_wrong_file.then(|| diagnosis::notes(&child::find(&self.program))).flatten()
        });
        let facts = LaunchFacts {
            program: self.program.clone(),
            ended,
            stderr,
            stdout: self.stray.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            reason,
            notes,
            elapsed: self.started.elapsed(),
        };
        LaunchError::new(fault, facts)
    }

    /// A task for as long as the plugin lives.
    fn task<T: Send + 'static>(
        &self,
        task: impl Future<Output = T> + Send + 'static,
    ) -> AbortOnDropHandle<T> {
        AbortOnDropHandle::new(tokio::spawn(task.instrument(self.life.clone())))
    }

    fn may_pass_over(&self) -> bool {
        self.stray.lock().unwrap_or_else(PoisonError::into_inner).len() < self.host.config.stray_lines
    }

    fn stray(&self, line: &[u8]) {
        let line = String::from_utf8_lossy(&line[..line.len().min(200)]).escape_debug().to_string();
        tracing::warn!(parent: None, plugin = self.name, line, "the plugin printed something before its handshake line");
        self.stray.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }

    /// Tells whoever follows the plugin that nothing has come yet, every so often.
    async fn tell_still_waiting(&self, process: &Process) -> std::convert::Infallible {
        let every = self.host.config.still_waiting_interval;
        if every.is_zero() {
            return std::future::pending().await;
        }
        let mut ticks = interval_at(self.started + every, every);
        loop {
            ticks.tick().await;
            let elapsed = self.started.elapsed();
            match LaunchFault::stopped(process) {
                Some(fault) => {
                    tracing::warn!(parent: None, plugin = self.name, ?elapsed, "the plugin does not start: {fault}");
                }
                None => {
                    tracing::info!(parent: None, plugin = self.name, ?elapsed, "still waiting for the plugin to start");
                }
            }
            self.feed.event(Event::StillWaiting { elapsed });
        }
    }
}

/// Whether plugins may listen on an endpoint of this kind.
fn allows(transports: &[TransportKind], endpoint: &Endpoint) -> bool {
    let kind = match endpoint {
        Endpoint::Unix(_) => TransportKind::Unix,
        _ => TransportKind::Tcp,
    };
    transports.contains(&kind)
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

/// How long a plugin that seems to be ending is given to do so.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// How long a runner is given to say what it knows. It may have to ask somebody.
const DIAGNOSIS: Duration = Duration::from_secs(1);

/// The plugin's setting `exit_with_host`.
const EXIT_WITH_HOST: &str = "PLUGIN_EXIT_WITH_HOST";

/// As many lines of what stands in place of a handshake line are kept.
const MOST_STRAY: usize = 10;

/// As much of the real stdout as an event shows at once.
const SHOWN: usize = 1024;
