//! Saying of a failed call that the plugin's process is over, and how it ended.

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

/// A plugin's process has ended: the source of the status of calls that failed by it.
///
/// [`Display`](fmt::Display) says how it ended, and quotes the plugin where it says on stderr why it did. The last lines that it
/// wrote are a [related](Diagnostic::related) diagnostic of the severity [`Advice`](miette::Severity::Advice). The code is
/// `rpcplugin::transport::plugin_ended`, as that of [`PingError::Ended`].
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
    /// Which plugin, and which process.
    pub plugin: PluginId,
    /// How it ended.
    pub reason: ExitReason,
    /// The last lines that it wrote on its stderr, as [`Plugin::stderr_tail`](crate::Plugin::stderr_tail) has them. Empty for a
    /// plugin that was attached to: its stderr is another's.
    pub stderr: Arc<[String]>,
    /// Why it ended, as it said on its stderr itself: its error, or its panic.
    pub said: Option<PluginReason>,
    /// What the call itself came to know: mostly that the connection broke.
    #[source]
    pub status: Arc<Status>,
    evidence: Option<Arc<Evidence>>,
}

impl Diagnostic for PluginExited {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        PingError::Ended(self.reason).code().map(|code| Box::new(code.to_string()) as _)
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        let own = self.said.as_ref().and_then(|said| said.help.as_deref());
        Some(Box::new(own.unwrap_or(if self.stderr.is_empty() { SILENT } else { LAST_LINES })))
    }

    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        Some(Box::new(self.evidence.iter().map(|evidence| &**evidence as &dyn Diagnostic)))
    }
}

/// The end of a plugin's process, as calls upon its channel ask for it.
#[derive(Debug)]
pub(crate) struct ExitExplainer {
    plugin: PluginId,
    /// The process has been reaped.
    end: ProcessExit,
    /// The same, and what it printed has been read.
    finished: ProcessExit,
    tail: Arc<StderrTail>,
    /// What it last wrote, once all of it has been read: many calls can fail at once.
    last: OnceLock<LastWords>,
}

/// What a plugin last wrote on its stderr.
#[derive(Debug, Clone)]
struct LastWords {
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

    /// The status of a call whose connection broke: how the process ended if it is gone, or is seen to be gone soon.
    pub(crate) async fn explained(&self, status: Status) -> Status {
        match timeout(EXIT_WAIT, self.end.clone().wait()).await {
            Ok(reason) => self.status(status, reason, self.last_words().await),
            Err(_) => status,
        }
    }

    /// What the plugin last wrote. A program that it left behind may hold its stderr open; it is not waited for then.
    async fn last_words(&self) -> LastWords {
        if let Some(last) = self.last.get() {
            return last.clone();
        }
        let is_all_read = timeout(EXIT_WAIT, self.finished.clone().wait()).await.is_ok();
        let stderr = self.tail.lines();
        let last = LastWords {
            said: PluginReason::find(&stderr),
            evidence: Evidence::lines("stderr", &stderr).map(Arc::new),
            stderr: stderr.into(),
        };
        if is_all_read { self.last.get_or_init(|| last).clone() } else { last }
    }

    fn status(&self, status: Status, reason: ExitReason, last: LastWords) -> Status {
        let LastWords { stderr, said, evidence } = last;
        let said = said.filter(|said| is_why(said, reason));
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

/// Whether what a plugin said is why it ended so. One that goes on after a panic may be killed later, and one that ends well has
/// got over its errors.
fn is_why(said: &PluginReason, reason: ExitReason) -> bool {
    match reason {
        ExitReason::Status(status) => status != 0 && said.is_certain(),
        ExitReason::Signal(signal) => signal == Signal::ABORT && said.kind == ReasonKind::Panic,
        ExitReason::Unknown => false,
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
    match ended.reason {
        ExitReason::Status(status) => facts.insert("exit_status".to_owned(), status.to_string()),
        ExitReason::Signal(signal) => facts.insert("signal".to_owned(), signal.number().to_string()),
        ExitReason::Unknown => None,
    };
    let stderr = last_that_fit(&ended.stderr);
    if !stderr.is_empty() {
        facts.insert("stderr".to_owned(), stderr.join("\n"));
    }
    ErrorDetails::with_error_info("PLUGIN_ENDED", "rpcplugin", facts)
}

/// The last lines for which details have room.
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

/// How long a process whose connection broke is given to be seen dead, and then its last lines to be read. The connection of a
/// dying process breaks first, and a busy machine takes its time to tell the rest.
pub(crate) const EXIT_WAIT: Duration = Duration::from_secs(1);

/// As many bytes of stderr as details have. A host may hand a status on to its own callers: details travel in a header there, for
/// which 8 KiB are all that some peers accept.
const DETAILS: usize = 1024;

const LAST_LINES: &str = "see its last lines, correct what they complain of, and launch it again";

const SILENT: &str = "launch it again; it left no word on its stderr";

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use rpcplugin_config::HostConfig;
    use rpcplugin_core::Pid;
    use tokio::sync::watch;

    use super::*;

    type End = watch::Sender<Option<ExitReason>>;

    /// The end of a process that wrote these lines; what ends it, and what says that its output has been read.
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
        ended.send_replace(Some(reason));
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
    async fn explains_only_when_the_process_is_over() {
        let status = status(&[], ExitReason::Signal(Signal::SEGV)).await;
        assert_eq!(status.code(), Code::Unavailable);
        assert!(status.message().starts_with("the plugin kv (process 7) has ended: signal 11"), "{status:?}");
        let ended = source(&status);
        assert_eq!((ended.reason, ended.status.message()), (ExitReason::Signal(Signal::SEGV), "broken pipe"));
        assert_eq!(ended.related().unwrap().count(), 0);
        assert_eq!(facts(&status)["signal"], "11");

        let (ending, _ended, _read) = ending(&[]);
        let alive = ending.explained(Status::unknown("broken pipe")).await;
        assert_eq!((alive.code(), alive.message()), (Code::Unknown, "broken pipe"));
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_lines_are_waited_for_and_carried() {
        let (ending, ended, read) = ending(&["starting"]);
        let reason = ExitReason::Status(2);
        ended.send_replace(Some(reason));
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
        assert_eq!(carried.help().unwrap().to_string(), LAST_LINES);
        let evidence: Vec<String> = carried.related().unwrap().map(|one| one.to_string()).collect();
        assert_eq!(evidence, [format!("stderr of the plugin:\n  {}", lines.join("\n  "))]);
        assert_eq!(facts(&status)["stderr"], lines.join("\n"));

        // Another call that fails by the same end has the same lines, and not a copy of them.
        let other = ending.explained(Status::unknown("broken pipe")).await;
        assert!(Arc::ptr_eq(&source(&other).stderr, &carried.stderr));
        drop(read);
    }

    #[tokio::test(start_paused = true)]
    async fn a_pipe_that_stays_open_holds_no_call_up() {
        let (ending, ended, _read) = ending(&["panic: x"]);
        ended.send_replace(Some(ExitReason::Status(2)));
        let begun = tokio::time::Instant::now();
        let status = ending.explained(Status::unknown("broken pipe")).await;
        assert_eq!(begun.elapsed(), EXIT_WAIT);
        assert_eq!(&*source(&status).stderr, ["panic: x"]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_it_said_counts_only_as_the_reason_of_such_an_end() {
        for (reason, counts) in [
            (ExitReason::Status(2), true),
            (ExitReason::Signal(Signal::ABORT), true),
            (ExitReason::Signal(Signal::KILL), false),
            (ExitReason::Status(0), false),
            (ExitReason::Unknown, false),
        ] {
            let status = status(&["panic: over"], reason).await;
            assert_eq!(source(&status).said.is_some(), counts, "{reason}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn details_have_room_for_whole_lines_only() {
        let long = "x".repeat(600);
        let status = status(&[&long, &long, "last"], ExitReason::Status(1)).await;
        assert_eq!(facts(&status)["stderr"], format!("{long}\nlast"));
        assert_eq!(source(&status).stderr.len(), 3);
    }
}
