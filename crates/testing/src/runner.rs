//! The conformance of a runner: cases that every runner has to pass.

mod behavior;
mod cases;
mod report;

use std::{collections::BTreeMap, fmt, pin::Pin, time::Duration};

use rpcplugin_client::{Host, Runner};

pub use self::{
    behavior::PluginBehavior,
    report::{CaseOutcome, RunnerCase, RunnerReport},
};

/// Puts a [`Runner`] through everything that a host does with it: launch, calls, the log, an exit, a kill, a drop, launches that are
/// given up, and plugins that do not start.
///
/// The conformance starts one program that [behaves](PluginBehavior) in several ways. Its `main` is [`PluginBehavior::main`], and its
/// first argument names the behavior. For a runner of containers the image has this program.
///
/// ```no_run
/// // The program of the plugin.
/// fn main() -> std::process::ExitCode {
///     rpcplugin_testing::PluginBehavior::main()
/// }
/// ```
///
/// ```no_run
/// use rpcplugin_client::Command;
/// use rpcplugin_testing::{PluginBehavior, RunnerConformance};
///
/// # async fn example(program: &'static str) {
/// // In a test. `Command` stands for the runner.
/// let conformance = RunnerConformance::new(move |behavior| match behavior {
///     PluginBehavior::Missing => Some(Command::new("no-such-program")),
///     _ => Some(Command::new(program).arg(behavior.as_str())),
/// });
/// let report = conformance.run().await;
/// assert!(report.passed(), "{report}");
/// # }
/// ```
///
/// A runner whose processes have no [pid](rpcplugin_client::PluginProcess::pid) gives the conformance a function that lists what is
/// [left](Self::leftovers). Without it the cases cannot see whether a kill or a drop had an effect, and are skipped with that reason.
pub struct RunnerConformance<R> {
    make: Box<dyn Fn(PluginBehavior) -> Option<R> + Send + Sync>,
    host: Box<dyn Fn(Host) -> Host + Send + Sync>,
    leftovers: Option<Leftovers>,
    timeout: Duration,
    silence: Duration,
    without: BTreeMap<RunnerCase, String>,
}

type Leftovers = Box<dyn Fn() -> Pin<Box<dyn Future<Output = Vec<String>> + Send>> + Send + Sync>;

impl<R: Runner + 'static> RunnerConformance<R> {
    /// Makes the cases for the runners that `make` returns. `make` is called for each case. It returns `None` for a behavior that the
    /// runner cannot start. The cases with this behavior are then skipped.
    pub fn new(make: impl Fn(PluginBehavior) -> Option<R> + Send + Sync + 'static) -> Self {
        Self {
            make: Box::new(make),
            host: Box::new(|host| host),
            leftovers: None,
            timeout: Duration::from_secs(60),
            silence: Duration::from_secs(5),
            without: BTreeMap::new(),
        }
    }

    /// Changes the host that launches the plugins, for runners that need a setting, such as multiplexing.
    #[must_use]
    pub fn host(self, change: impl Fn(Host) -> Host + Send + Sync + 'static) -> Self {
        Self { host: Box::new(change), ..self }
    }

    /// Lists what the runner has started and not ended, by names for people: processes, containers or pods. After each case the
    /// list has to become empty.
    #[must_use]
    pub fn leftovers<F>(self, list: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Vec<String>> + Send + 'static,
    {
        Self { leftovers: Some(Box::new(move || Box::pin(list()))), ..self }
    }

    /// Sets how long one launch may take, and how long the end of a plugin may take. Default: one minute.
    #[must_use]
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// Sets the launch timeout of a plugin that prints no handshake line. It has to be longer than a start takes. Default: 5 s.
    #[must_use]
    pub fn silence(self, silence: Duration) -> Self {
        Self { silence, ..self }
    }

    /// Leaves a case out. The report shows the reason.
    #[must_use]
    pub fn without(mut self, case: RunnerCase, reason: impl Into<String>) -> Self {
        self.without.insert(case, reason.into());
        self
    }

    /// Runs all cases, one after another. A case that does not end within ten times the [timeout](Self::timeout) has failed.
    ///
    /// # Cancel safety
    /// Dropping the future drops the plugin of the current case.
    pub async fn run(&self) -> RunnerReport {
        let mut report = RunnerReport::default();
        for case in RunnerCase::ALL {
            report.add(case, self.outcome(case).await);
        }
        report
    }
}

impl<R> fmt::Debug for RunnerConformance<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunnerConformance")
            .field("timeout", &self.timeout)
            .field("silence", &self.silence)
            .field("without", &self.without)
            .finish_non_exhaustive()
    }
}
