//! The cases.

use std::time::Duration;

use rpcplugin_client::{
    Event, Exit, ExitReason, HandshakeFault, Host, LaunchError, LaunchFault, Plugin, Runner, StartFault,
};
use rpcplugin_core::{InstanceConfiguration, PlainReport};
use rpcplugin_transport::start_time;
use tokio::time::{Instant, sleep, timeout};

use super::{
    RunnerConformance,
    behavior::{EARLY_STATUS, EXIT, EXIT_STATUS, LINE, LINES, MADE, PluginBehavior, REASON, cookie},
    report::{CaseOutcome, RunnerCase},
};

/// What keeps a case from passing.
pub(super) enum Flaw {
    Failed(String),
    Skipped(String),
}

type Verdict<T = ()> = Result<T, Flaw>;

/// A process of this machine.
struct Process {
    pid: u32,
    /// When it started. Another process with the same pid has started at another time.
    started: String,
}

impl<R: Runner + 'static> RunnerConformance<R> {
    pub(super) async fn outcome(&self, case: RunnerCase) -> CaseOutcome {
        if let Some(reason) = self.without.get(&case) {
            return CaseOutcome::Skipped(reason.clone());
        }
        let limit = self.timeout.saturating_mul(10);
        // Boxed, because the futures of launches are large.
        match timeout(limit, Box::pin(self.case(case))).await {
            Ok(Ok(())) => CaseOutcome::Passed,
            Ok(Err(Flaw::Failed(seen))) => CaseOutcome::Failed(seen),
            Ok(Err(Flaw::Skipped(reason))) => CaseOutcome::Skipped(reason),
            Err(_) => CaseOutcome::Failed(format!("the case did not end within {limit:?}")),
        }
    }

    async fn case(&self, case: RunnerCase) -> Verdict {
        match case {
            RunnerCase::Launch => self.launch().await,
            RunnerCase::Log => self.log().await,
            RunnerCase::Exit => self.exit().await,
            RunnerCase::Kill => self.kill().await,
            RunnerCase::Drop => self.dropped().await,
            RunnerCase::Cancel => self.cancel().await,
            RunnerCase::Several => self.several().await,
            RunnerCase::Restart => self.restart().await,
            RunnerCase::ExitEarly => self.exit_early().await,
            RunnerCase::Silent => self.silent().await,
            RunnerCase::Missing => self.missing().await,
        }
    }

    async fn launch(&self) -> Verdict {
        let runner = self.runner(PluginBehavior::Serves)?;
        expect(
            runner.program().file_name().is_some(),
            "`program` has no last part, which is the plugin's name",
        )?;
        let plugin = self.launched(&self.new_host(), &runner).await?;
        let process = process(&plugin);
        plugin.ping().await.map_err(|error| failed("the health call", &error))?;
        make(&plugin, "large", 100 << 10).await?;
        let instances = plugin.instances().await.map_err(|error| failed("a call", &error))?;
        expect(
            instances.iter().any(|id| id.as_ref() == "large"),
            format!("the plugin has the instances {instances:?}"),
        )?;
        expect(plugin.ended().is_none(), "the runner reports an exit of a plugin that answers")?;
        shut_down(plugin).await?;
        self.nothing_left_or_unseen(process.as_ref()).await
    }

    async fn log(&self) -> Verdict {
        let runner = self.runner(PluginBehavior::Serves)?;
        let host = self.new_host();
        let mut events = host.events();
        let plugin = self.launched(&host, &runner).await?;
        make(&plugin, "logged", 0).await?;
        let mut lines = Vec::new();
        let last = async {
            while let Some(event) = events.next().await {
                let Event::Log(record) = event.event else { continue };
                if record.message == MADE {
                    return true;
                }
                lines.extend(record.message.strip_prefix(LINE).map(str::to_owned));
            }
            false
        };
        let is_complete = timeout(self.timeout, last).await.unwrap_or(false);
        let expected: Vec<_> = (0..LINES).map(|number| number.to_string()).collect();
        expect(
            lines == expected,
            format!(
                "{} of {LINES} lines before the handshake line arrived: {}",
                lines.len(),
                lines.join(" ")
            ),
        )?;
        expect(is_complete, "no record from after the handshake line arrived")?;
        let process = process(&plugin);
        shut_down(plugin).await?;
        self.nothing_left_or_unseen(process.as_ref()).await
    }

    async fn exit(&self) -> Verdict {
        let runner = self.runner(PluginBehavior::Exits)?;
        let plugin = self.launched(&self.new_host(), &runner).await?;
        let process = process(&plugin);
        expect(make(&plugin, EXIT, 0).await.is_err(), "a call succeeded in which the plugin exited")?;
        let reason = timeout(self.timeout, plugin.wait()).await;
        let reason = reason.map_err(|_| Flaw::Failed("the exit was not noticed".to_owned()))?;
        expect(
            reason == ExitReason::Status(EXIT_STATUS),
            format!("the runner reports another end than exit status {EXIT_STATUS}: {reason}"),
        )?;
        let exit = plugin.shut_down().await;
        expect(exit == Exit::Failed(reason), format!("after its exit the plugin {exit}"))?;
        self.nothing_left_or_unseen(process.as_ref()).await
    }

    async fn kill(&self) -> Verdict {
        let runner = self.runner(PluginBehavior::Stays)?;
        for asked_before in [true, false] {
            let plugin = self.launched(&self.new_host(), &runner).await?;
            let process = process(&plugin);
            let exit = match asked_before {
                true => plugin.shut_down_within(SHORT_GRACE).await,
                false => plugin.kill().await,
            };
            let is_killed = matches!(exit, Exit::Killed { .. } | Exit::Failed(_));
            expect(is_killed, format!("the plugin that does not end by itself {exit}"))?;
            self.nothing_left(process.as_ref()).await?;
        }
        Ok(())
    }

    async fn dropped(&self) -> Verdict {
        let runner = self.runner(PluginBehavior::Stays)?;
        let plugin = self.launched(&self.new_host(), &runner).await?;
        let process = process(&plugin);
        drop(plugin);
        self.nothing_left(process.as_ref()).await
    }

    async fn cancel(&self) -> Verdict {
        let runner = self.runner(PluginBehavior::Serves)?;
        for after in GIVEN_UP {
            let host = self.new_host();
            let launched = timeout(after, Box::pin(host.launch_with(&runner))).await;
            let process = launched.iter().flatten().find_map(process);
            drop(launched);
            if self.leftovers.is_some() {
                self.nothing_left(process.as_ref()).await?;
            }
        }
        let plugin = self.launched(&self.new_host(), &runner).await?;
        shut_down(plugin).await?;
        self.nothing_left(None).await
    }

    async fn several(&self) -> Verdict {
        let runner = self.runner(PluginBehavior::Serves)?;
        let one = |name| Box::pin(self.one_of_several(&runner, name));
        let (a, b, c) = tokio::join!(one("a"), one("b"), one("c"));
        for process in [a?, b?, c?] {
            self.nothing_left_or_unseen(process.as_ref()).await?;
        }
        Ok(())
    }

    async fn one_of_several(&self, runner: &R, name: &str) -> Verdict<Option<Process>> {
        let plugin = self.launched(&self.new_host(), runner).await?;
        make(&plugin, name, 0).await?;
        let instances = plugin.instances().await.map_err(|error| failed("a call", &error))?;
        expect(instances.len() == 1, format!("the plugin `{name}` has the instances {instances:?}"))?;
        let process = process(&plugin);
        shut_down(plugin).await?;
        Ok(process)
    }

    async fn restart(&self) -> Verdict {
        let runner = self.runner(PluginBehavior::Serves)?;
        let supervised =
            self.new_host().supervise_with(runner).await.map_err(|error| failed("the launch", &error))?;
        for generation in 1..=2 {
            let name = format!("generation-{generation}");
            let made = supervised.create_instance(&name, configuration(0)).await;
            made.map_err(|error| failed(&name, &error))?;
            let number = supervised.generation().map(|generation| generation.number());
            expect(number == Some(generation), format!("generation {number:?} runs and not {generation}"))?;
            if generation == 1 {
                expect(supervised.restart().await, "the plugin was not restarted")?;
            }
        }
        let exit = supervised.shut_down().await;
        expect(exit == Some(Exit::Clean), format!("the end of the second generation: {exit:?}"))?;
        self.nothing_left_or_unseen(None).await
    }

    async fn exit_early(&self) -> Verdict {
        let error = self.refused(&self.new_host(), PluginBehavior::ExitsEarly).await?;
        let LaunchFault::Handshake(HandshakeFault::ExitedEarly(exit)) = &error.fault else {
            return Err(failed("the fault is not that of an early exit", &error));
        };
        expect(
            *exit == ExitReason::Status(EARLY_STATUS.into()),
            format!("the runner reports another end than exit status {EARLY_STATUS}: {exit}"),
        )?;
        let stderr = &error.facts().stderr;
        expect(stderr.iter().any(|line| line == REASON), format!("the last lines on stderr are {stderr:?}"))?;
        self.nothing_left_or_unseen(None).await
    }

    async fn silent(&self) -> Verdict {
        let host = self.new_host().configure(|config| config.launch_timeout = self.silence);
        let error = self.refused(&host, PluginBehavior::Silent).await?;
        let is_late = matches!(error.fault, LaunchFault::Handshake(HandshakeFault::Timeout(_)));
        expect(is_late, failure("the fault is not that of a missing handshake line", &error))?;
        self.nothing_left_or_unseen(None).await
    }

    async fn missing(&self) -> Verdict {
        let error = self.refused(&self.new_host(), PluginBehavior::Missing).await?;
        let is_late = matches!(
            error.fault,
            LaunchFault::Handshake(HandshakeFault::Timeout(_)) | LaunchFault::Start(StartFault::Timeout(_))
        );
        expect(!is_late, failure("the missing program was noticed by a timeout only", &error))?;
        self.nothing_left_or_unseen(None).await
    }

    /// The runner of a plugin that behaves so.
    fn runner(&self, behavior: PluginBehavior) -> Verdict<R> {
        (self.make)(behavior).ok_or_else(|| {
            Flaw::Skipped(format!(
                "the runner cannot start a plugin with the behavior `{}`",
                behavior.as_str()
            ))
        })
    }

    fn new_host(&self) -> Host {
        let host = Host::new(cookie(), 1).configure(|config| config.launch_timeout = self.timeout);
        (self.host)(host)
    }

    async fn launched(&self, host: &Host, runner: &R) -> Verdict<Plugin> {
        Box::pin(host.launch_with(runner)).await.map_err(|error| failed("the launch", &error))
    }

    /// The error of a launch that has to fail.
    async fn refused(&self, host: &Host, behavior: PluginBehavior) -> Verdict<LaunchError> {
        let runner = self.runner(behavior)?;
        match Box::pin(host.launch_with(&runner)).await {
            Ok(_) => {
                Err(Flaw::Failed(format!("a plugin with the behavior `{}` was launched", behavior.as_str())))
            }
            Err(error) => Ok(error),
        }
    }

    /// Waits until the process is gone and nothing is left.
    async fn nothing_left(&self, process: Option<&Process>) -> Verdict {
        if process.is_none() && self.leftovers.is_none() {
            return Err(Flaw::Skipped(UNSEEN.to_owned()));
        }
        let deadline = Instant::now() + self.timeout;
        loop {
            let mut left = match &self.leftovers {
                Some(list) => list().await,
                None => Vec::new(),
            };
            if let Some(Process { pid, started }) = process
                && start_time(*pid).as_ref() == Some(started)
            {
                left.push(format!("process {pid}"));
            }
            if left.is_empty() {
                return Ok(());
            }
            if Instant::now() >= deadline {
                return Err(Flaw::Failed(format!("left after {:?}: {}", self.timeout, left.join(", "))));
            }
            sleep(POLL_INTERVAL).await;
        }
    }

    /// As [`nothing_left`](Self::nothing_left), for a case that also passes if it cannot see what is left.
    async fn nothing_left_or_unseen(&self, process: Option<&Process>) -> Verdict {
        let is_seen = process.is_some() || self.leftovers.is_some();
        if is_seen { self.nothing_left(process).await } else { Ok(()) }
    }
}

/// The process of a plugin, if this machine shows it.
fn process(plugin: &Plugin) -> Option<Process> {
    let pid = plugin.pid()?.get();
    start_time(pid).map(|started| Process { pid, started })
}

/// Makes an instance, with so many bytes of configuration.
async fn make(plugin: &Plugin, name: &str, bytes: usize) -> Verdict {
    let made = plugin.create_instance(name, configuration(bytes)).await;
    made.map(drop).map_err(|error| failed("a call", &error))
}

fn configuration(bytes: usize) -> InstanceConfiguration {
    InstanceConfiguration::new("application/octet-stream", vec![7; bytes])
}

async fn shut_down(plugin: Plugin) -> Verdict {
    let exit = plugin.shut_down().await;
    expect(exit == Exit::Clean, format!("after a request to shut down the plugin {exit}"))
}

fn expect(holds: bool, otherwise: impl Into<String>) -> Verdict {
    if holds { Ok(()) } else { Err(Flaw::Failed(otherwise.into())) }
}

fn failed(what: &str, error: &impl miette::Diagnostic) -> Flaw {
    Flaw::Failed(failure(what, error))
}

fn failure(what: &str, error: &impl miette::Diagnostic) -> String {
    format!("{what}: {}", PlainReport(error))
}

/// The moments at which a launch is given up.
const GIVEN_UP: [Duration; 6] = [
    Duration::ZERO,
    Duration::from_millis(1),
    Duration::from_millis(10),
    Duration::from_millis(100),
    Duration::from_millis(500),
    Duration::from_secs(2),
];

/// The grace of a plugin that does not end by itself.
const SHORT_GRACE: Duration = Duration::from_millis(500);

const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Why a case is skipped that cannot see its result.
const UNSEEN: &str =
    "nothing shows whether the plugin is gone: its process has no pid here, and `leftovers` is not given";
