//! Running a plugin, from the environment to the exit status.

use std::{
    io::{self, Write as _},
    process::{ExitCode, Termination},
};

use rpcplugin_core::PlainReport;
use rpcplugin_handshake::{LaneOffer, ReceivedEnv, check_cookie, variable};
use rpcplugin_hclog::MaxLevel;
use rpcplugin_transport::{InheritedConnection, LANE_VERSION};
use tokio::runtime::Handle;

use crate::{
    environment,
    error::ServeError,
    lifecycle::Served,
    logging, os,
    serve::Serve,
    stdio::RedirectedStdout,
    watchdog::{self, Limits},
};

impl Serve {
    /// Runs the plugin: performs the handshake with the host that launched this process, serves, and drains.
    ///
    /// Sets a tracing subscriber that logs to the host, unless the program has set a subscriber, and a panic hook that logs
    /// panics. Until the handshake line is printed, what other code prints on stdout goes to stderr. What the program prints
    /// on stdout before this call comes before the handshake line.
    ///
    /// The magic cookie of the [configuration](rpcplugin_config::PluginConfig::magic_cookie), if set, replaces the plugin's.
    ///
    /// The result may be returned from `main`: the exit status is 0 after an orderly end and 1 after an error. The end is
    /// orderly also if calls were cut, or if a handler or hook panicked. With `panic = "abort"` a handler that panics ends
    /// the whole plugin. Handlers that block every thread of the runtime keep the plugin from ending: [`main`](Self::main)
    /// has a watchdog for this case.
    ///
    /// # Errors
    /// [`ServeError`] when the plugin cannot serve. Nothing has been printed on stdout then.
    ///
    /// # Cancel safety
    /// Dropping the future ends the plugin abruptly: calls are cut, and the socket is removed.
    pub async fn run(mut self) -> Result<Served, ServeError> {
        let cookie = self.config.magic_cookie.as_ref().unwrap_or(&self.cookie);
        check_cookie(cookie, environment::variable)?;
        let cookie_key = cookie.key().to_owned();
        let level = MaxLevel::new(logging::filter(self.config.log_level));
        logging::init(level, std::mem::take(&mut self.subscribers), self.panic_output)
            .map_err(ServeError::Process)?;
        for typo in self.typos.drain(..).filter(|typo| typo.name != cookie_key) {
            tracing::warn!(variable = typo.name, "{typo}");
        }
        // Before stdout is redirected, and also if it is not used: no process that this one starts may find it there.
        self.inherited = inherited_connection();
        self.lane = offered_lane();
        let stdout = RedirectedStdout::begin().map_err(ServeError::Process)?;
        let bound = self.bind(&ReceivedEnv::from_env(environment::variable)).await?;
        let announced = bound.announce(&mut stdout.original())?;
        drop(stdout);
        announced.serve().await
    }

    /// [Runs](Self::run) the plugin on its own runtime with
    /// [`PluginConfig::workers`](rpcplugin_config::PluginConfig::workers) threads, prints an error on stderr, and returns the
    /// exit status: the whole `main` of an ordinary plugin.
    ///
    /// One thread starts fastest, and suffices as long as no handler blocks it. Handlers that block all threads delay other
    /// calls but not the shutdown: signals, the shutdown file and the exit of the host are watched on the calling thread. If
    /// the runtime is blocked after the longer of [`PluginConfig::grace`](rpcplugin_config::PluginConfig::grace) and one
    /// second, or if the shutdown takes longer than twice the grace and three seconds, the plugin ends with status 1. Its
    /// sockets are removed. Its shutdown hooks may not have run.
    ///
    /// Within a tokio runtime, this prints an error and returns status 1. Await [`run`](Self::run) there.
    pub fn main(self) -> ExitCode {
        match Handle::try_current() {
            Ok(_) => exit_code(Err(ServeError::NestedRuntime)),
            Err(_) => self.run_watched().unwrap_or_else(|error| exit_code(Err(ServeError::Process(error)))),
        }
    }

    /// Runs on a runtime of its own, under the watchdog.
    fn run_watched(self) -> io::Result<ExitCode> {
        let limits = Limits { workers: self.config.workers, grace: self.config.grace };
        let shutdown = self.shutdown.clone();
        watchdog::run(limits, shutdown, |watch| async move {
            exit_code(Self { watch: Some(watch), ..self }.run().await)
        })
    }
}

/// Takes the connection that the host offers. The variable alone means nothing: this process may have inherited it from a plugin
/// that has started it.
fn inherited_connection() -> Option<InheritedConnection> {
    let token = environment::variable(variable::STDOUT_CONNECTION)?.into_string().ok()?;
    let taken = InheritedConnection::take(&token);
    if taken.is_none() {
        tracing::debug!(
            "no inherited connection waits in stdout; {} is ignored",
            variable::STDOUT_CONNECTION
        );
    }
    taken
}

/// The version of the lane that the host offers. The variable alone means nothing: this process may have inherited it from a plugin
/// that has started it, and that is not of this library.
fn offered_lane() -> Option<u32> {
    let value = environment::variable(variable::HOST_LANE)?.into_string().ok()?;
    LaneOffer::parse(&value)?
        .version_for_child_of(os::parent_pid())
        .filter(|version| *version == LANE_VERSION)
}

/// The exit status of a plugin that has served is 0.
impl Termination for Served {
    fn report(self) -> ExitCode {
        ExitCode::SUCCESS
    }
}

/// Prints an error on stderr, and returns the exit status.
fn exit_code(served: Result<Served, ServeError>) -> ExitCode {
    match served {
        Ok(served) => served.report(),
        Err(error) => {
            // Not `eprintln`, which panics when the host has exited.
            let _ = writeln!(io::stderr(), "{}", PlainReport(&error));
            ExitCode::FAILURE
        }
    }
}
