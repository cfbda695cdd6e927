//! The status of a call that failed because the process exited.

use std::{
    collections::HashMap,
    fmt,
    pin::Pin,
    sync::{Arc, OnceLock},
    time::Duration,
};

use miette::Diagnostic;
use rpcplugin_transport::http2::Explain;
use tokio::time::timeout;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::{
    error::{Evidence, PingError, PluginReason, ReasonKind},
    exit::ExitReason,
    os::Signal,
    plugin_id::PluginId,
    process::owner::ProcessExit,
    streams::stderr_tail::StderrTail,
};

/// The process of a plugin has exited: the source of the status of a call that failed for that reason.
///
/// [`Display`](fmt::Display) reports the exit status, and quotes the plugin's own reason from its stderr. The last
/// lines on stderr are a [related](Diagnostic::related) diagnostic of the severity
/// [`Advice`](miette::Severity::Advice). The code is `rpcplugin::transport::plugin_ended`, as that of
/// [`PingError::Ended`].
///
/// ```
/// use std::error::Error as _;
/// use rpcplugin_client::PluginExited;
///
/// fn ended(status: &tonic::Status) -> Option<&PluginExited> {
///     status.source()?.downcast_ref()
/// }
/// ```
#[derive(Debug, Clone, thiserror::Error)]
#[error("the plugin {plugin} has ended: {reason}{}", quoted(said.as_ref()))]
#[non_exhaustive]
pub struct PluginExited {
    /// The plugin, and the process.
    pub plugin: PluginId,
    /// The exit of the process.
    pub reason: ExitReason,
    /// The last lines on its stderr, as [`Plugin::stderr_tail`](crate::Plugin::stderr_tail) returns them. Empty for a
    /// plugin that the host attached to.
    pub stderr: Arc<[String]>,
    /// The plugin's own reason, found on its stderr: its error, or its panic.
    pub said: Option<PluginReason>,
    /// The original status of the call. Most often it reports a broken connection.
    #[source]
    pub status: Arc<Status>,
    evidence: Option<Arc<Evidence>>,
}

impl Diagnostic for PluginExited {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        PingError::Ended(self.reason.clone()).code().map(|code| Box::new(code.to_string()) as _)
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        let own = self.said.as_ref().and_then(|said| said.help.as_deref());
        let own = own.or_else(|| self.reason.advice());
        Some(Box::new(own.unwrap_or(if self.stderr.is_empty() { EMPTY_STDERR } else { SEE_LAST_LINES })))
    }

    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        Some(Box::new(self.evidence.iter().map(|evidence| &**evidence as &dyn Diagnostic)))
    }
}

/// Explains failed calls of one process by its exit.
#[derive(Debug)]
pub(crate) struct ExitExplainer {
    plugin: PluginId,
    /// Resolves when the process has been reaped.
    end: ProcessExit,
    /// Resolves when its output has been read too.
    finished: ProcessExit,
    tail: Arc<StderrTail>,
    /// The last lines, once all output has been read. Many calls can fail at once.
    last: OnceLock<LastLines>,
}

/// The last lines of a plugin on its stderr.
#[derive(Debug, Clone)]
struct LastLines {
    stderr: Arc<[String]>,
    said: Option<PluginReason>,
    evidence: Option<Arc<Evidence>>,
}

impl ExitExplainer {
    pub(crate) fn new(
        plugin: PluginId,
        end: ProcessExit,
        finished: ProcessExit,
        tail: Arc<StderrTail>,
    ) -> Self {
        Self { plugin, end, finished, tail, last: OnceLock::new() }
    }

    /// Returns the status with the exit of the process, if the process has exited or exits soon.
    pub(crate) async fn explained(&self, status: Status) -> Status {
        match timeout(EXIT_WAIT, self.end.clone().wait()).await {
            Ok(reason) => self.status(status, reason, self.last_lines().await),
            Err(_) => status,
        }
    }

    /// The last lines. A process that the plugin left behind may hold stderr open, so that the wait is limited.
    async fn last_lines(&self) -> LastLines {
        if let Some(last) = self.last.get() {
            return last.clone();
        }
        let is_all_read = timeout(EXIT_WAIT, self.finished.clone().wait()).await.is_ok();
        let stderr = self.tail.lines();
        let last = LastLines {
            said: PluginReason::find(&stderr),
            evidence: Evidence::lines("stderr", &stderr).map(Arc::new),
            stderr: stderr.into(),
        };
        if is_all_read { self.last.get_or_init(|| last).clone() } else { last }
    }

    fn status(&self, status: Status, reason: ExitReason, last: LastLines) -> Status {
        let LastLines { stderr, said, evidence } = last;
        let said = said.filter(|said| explains(said, &reason));
        let plugin = self.plugin.clone();
        let ended = PluginExited { plugin, reason, stderr, said, status: Arc::new(status), evidence };
        let message = ended.to_string();
        let mut status = Status::with_error_details(CODE, message, details(&ended));
        status.set_source(Arc::new(ended));
        status
    }
}

impl Explain for ExitExplainer {
    fn explain(self: Arc<Self>, status: Status) -> Pin<Box<dyn Future<Output = Status> + Send>> {
        Box::pin(async move { self.explained(status).await })
    }
}

/// Whether the plugin's own reason explains this exit. A plugin that continued after a panic may be killed later, and
/// a plugin that exits with status 0 has recovered from its errors.
fn explains(said: &PluginReason, reason: &ExitReason) -> bool {
    match reason {
        ExitReason::Status(status) => *status != 0 && said.is_certain(),
        ExitReason::Signal(signal) => *signal == Signal::ABORT && said.kind == ReasonKind::Panic,
        // A cause that the runner reports is the better explanation.
        ExitReason::Unknown | ExitReason::Reported(_) => false,
    }
}

fn quoted(said: Option<&PluginReason>) -> String {
    said.map_or_else(String::new, |said| format!("; {said}"))
}

/// The facts as gRPC libraries send them: a `google.rpc.ErrorInfo`.
fn details(ended: &PluginExited) -> ErrorDetails {
    let plugin = &ended.plugin;
    let mut facts = HashMap::from([
        ("plugin".to_owned(), plugin.name.to_string()),
        ("generation".to_owned(), plugin.generation.to_string()),
    ]);
    facts.extend(plugin.pid.map(|pid| ("pid".to_owned(), pid.to_string())));
    let reason = &ended.reason;
    facts.extend(reason.status().map(|status| ("exit_status".to_owned(), status.to_string())));
    facts.extend(reason.signal().map(|signal| ("signal".to_owned(), signal.number().to_string())));
    facts.extend(reason.report().map(|report| ("exit_cause".to_owned(), report.cause.as_str().to_owned())));
    let stderr = last_that_fit(&ended.stderr);
    if !stderr.is_empty() {
        facts.insert("stderr".to_owned(), stderr.join("\n"));
    }
    ErrorDetails::with_error_info("PLUGIN_ENDED", "rpcplugin", facts)
}

/// The last lines that fit into the details.
fn last_that_fit(lines: &[String]) -> &[String] {
    let mut room = DETAILS;
    let fits = |line: &&String| match room.checked_sub(line.len() + 1) {
        Some(left) => {
            room = left;
            true
        }
        None => false,
    };
    let count = lines.iter().rev().take_while(fits).count();
    &lines[lines.len() - count..]
}

/// Another process may answer the next call.
const CODE: Code = Code::Unavailable;

/// The longest wait for the exit of a process whose connection broke, and then for its last lines. The connection of
/// a process breaks before its exit is noticed, and a busy machine needs time for the rest.
pub(crate) const EXIT_WAIT: Duration = Duration::from_secs(1);

/// The number of bytes of stderr in the details. A host may pass a status on to its own callers: details are a header
/// there, and some peers accept only 8 KiB of headers.
const DETAILS: usize = 1024;

const SEE_LAST_LINES: &str = "correct what its last lines on stderr report, and launch the plugin again";

const EMPTY_STDERR: &str = "launch the plugin again; its stderr is empty";

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use rpcplugin_config::HostConfig;
    use rpcplugin_core::Pid;
    use tokio::sync::watch;

    use super::*;
    use crate::exit::{ExitCause, ExitReport};

    type End = watch::Sender<Option<ExitReason>>;

    /// An explainer for a process that wrote these lines, the sender of its exit, and the sender of the end of its
    /// output.
    fn ending(lines: &[&str]) -> (ExitExplainer, End, End) {
        let plugin = PluginId { name: "kv".into(), pid: Pid::new(7), generation: 1 };
        let (ended, end) = ProcessExit::channel();
        let (read, finished) = ProcessExit::channel();
        let tail = StderrTail::new(&HostConfig::default());
        lines.iter().for_each(|line| tail.push(line.as_bytes()));
        (ExitExplainer::new(plugin, end, finished, Arc::new(tail)), ended, read)
    }

    async fn status(lines: &[&str], reason: ExitReason) -> Status {
        let (ending, ended, read) = ending(lines);
        ended.send_replace(Some(reason.clone()));
        read.send_replace(Some(reason));
        ending.explained(Status::unknown("broken pipe")).await
    }

    fn source(status: &Status) -> &PluginExited {
        status.source().and_then(|source| source.downcast_ref()).unwrap()
    }

    fn facts(status: &Status) -> HashMap<String, String> {
        status.get_details_error_info().unwrap().metadata
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_is_explained_only_if_the_process_exited() {
        let status = status(&[], ExitReason::Signal(Signal::SEGV)).await;
        assert_eq!(status.code(), Code::Unavailable);
        assert!(status.message().starts_with("the plugin kv (process 7) has ended: signal 11"), "{status:?}");
        let ended = source(&status);
        assert_eq!(
            (&ended.reason, ended.status.message()),
            (&ExitReason::Signal(Signal::SEGV), "broken pipe")
        );
        assert_eq!(ended.related().unwrap().count(), 0);
        assert_eq!(facts(&status)["signal"], "11");

        let (ending, _ended, _read) = ending(&[]);
        let alive = ending.explained(Status::unknown("broken pipe")).await;
        assert_eq!((alive.code(), alive.message()), (Code::Unknown, "broken pipe"));
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_lines_are_awaited_and_attached() {
        let (ending, ended, read) = ending(&["starting"]);
        let reason = ExitReason::Status(2);
        ended.send_replace(Some(reason.clone()));
        let tail = Arc::clone(&ending.tail);
        let reading = async move {
            tokio::time::sleep(Duration::from_millis(500)).await;
            tail.push(b"panic: no \x1b[31mdatabase");
            tail.push(b"goroutine 1 [running]:");
            read.send_replace(Some(reason));
            read
        };
        let (status, read) = tokio::join!(ending.explained(Status::unknown("broken pipe")), reading);
        let carried = source(&status);
        let lines = ["starting", "panic: no \u{fffd}[31mdatabase", "goroutine 1 [running]:"];
        assert_eq!(&*carried.stderr, lines);
        assert_eq!(carried.said.as_ref().unwrap().kind, ReasonKind::Panic);
        assert!(status.message().contains("exit status 2; it panicked: \"no "), "{status:?}");
        assert_eq!(carried.code().unwrap().to_string(), "rpcplugin::transport::plugin_ended");
        assert_eq!(carried.help().unwrap().to_string(), SEE_LAST_LINES);
        let evidence: Vec<String> = carried.related().unwrap().map(|one| one.to_string()).collect();
        assert_eq!(evidence, [format!("stderr of the plugin:\n  {}", lines.join("\n  "))]);
        assert_eq!(facts(&status)["stderr"], lines.join("\n"));

        // Another call that fails by the same end has the same lines, and not a copy of them.
        let other = ending.explained(Status::unknown("broken pipe")).await;
        assert!(Arc::ptr_eq(&source(&other).stderr, &carried.stderr));
        drop(read);
    }

    #[tokio::test(start_paused = true)]
    async fn a_pipe_that_stays_open_delays_no_call() {
        let (ending, ended, _read) = ending(&["panic: x"]);
        ended.send_replace(Some(ExitReason::Status(2)));
        let begun = tokio::time::Instant::now();
        let status = ending.explained(Status::unknown("broken pipe")).await;
        assert_eq!(begun.elapsed(), EXIT_WAIT);
        assert_eq!(&*source(&status).stderr, ["panic: x"]);
    }

    #[tokio::test(start_paused = true)]
    async fn the_plugins_own_reason_is_used_only_for_exits_that_it_explains() {
        for (reason, counts) in [
            (ExitReason::Status(2), true),
            (ExitReason::Signal(Signal::ABORT), true),
            (ExitReason::Signal(Signal::KILL), false),
            (ExitReason::Status(0), false),
            (ExitReason::Unknown, false),
            (ExitReport::new(ExitCause::OutOfMemory, "").status(137).into(), false),
        ] {
            let status = status(&["panic: over"], reason.clone()).await;
            assert_eq!(source(&status).said.is_some(), counts, "{reason}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_cause_that_a_runner_reports_is_in_the_status_and_its_help() {
        let report = ExitReport::new(ExitCause::OutOfMemory, "the limit is 32 MiB").status(137);
        let status = status(&["working"], report.into()).await;
        let expected = "has ended: out of memory, exit status 137: the limit is 32 MiB";
        assert!(status.message().contains(expected), "{status:?}");
        let facts = facts(&status);
        assert_eq!((&*facts["exit_cause"], &*facts["exit_status"]), ("out_of_memory", "137"));
        let help = source(&status).help().unwrap().to_string();
        assert!(help.starts_with("raise the memory limit"), "{help}");
    }

    #[tokio::test(start_paused = true)]
    async fn details_have_whole_lines_only() {
        let long = "x".repeat(600);
        let status = status(&[&long, &long, "last"], ExitReason::Status(1)).await;
        assert_eq!(facts(&status)["stderr"], format!("{long}\nlast"));
        assert_eq!(source(&status).stderr.len(), 3);
    }
}
