//! The error of a failed launch.

use std::{fmt, path::PathBuf, time::Duration};

use miette::Diagnostic;
use rpcplugin_core::{PlainReport, innermost, with_causes};
use rpcplugin_handshake::{HandshakeLineError, HandshakeLineFault};

use super::{
    connect::ConnectFault,
    evidence::Evidence,
    fault::{LaunchFault, NOT_EXECUTABLE, NOT_FOUND},
    handshake::HandshakeFault,
    plugin_reason::{PluginReason, ReasonKind, hints_at_cookie},
};
use crate::{exit::ExitReason, quoted::Shown};

/// A plugin did not start. Its process has been killed and reaped, and its sockets are removed.
///
/// [`Display`](fmt::Display) writes one line with the reason and its causes. If the plugin reported on stderr why it
/// exited, that is the reason, quoted and shortened, and the plugin's help is the help; the fault is then the source.
/// Further facts are [related](Diagnostic::related) diagnostics of the severity [`Advice`](miette::Severity::Advice):
/// the last lines on stdout and stderr, the exit status, notes about the program's file, and earlier attempts.
///
/// [`Debug`] writes a [`PlainReport`], so that a `main` that returns this error prints a readable report.
pub struct LaunchError {
    /// The fault.
    pub fault: LaunchFault,
    facts: Box<LaunchFacts>,
    earlier: Vec<Self>,
    evidence: Vec<Evidence>,
}

/// The facts about a plugin that did not start.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct LaunchFacts {
    /// The program.
    pub program: PathBuf,
    /// The exit of the process, if it exited by itself.
    pub ended: Option<ExitReason>,
    /// The last lines on its stderr.
    pub stderr: Vec<String>,
    /// The lines on its stdout before the handshake line, or in its place.
    pub stdout: Vec<String>,
    /// The plugin's own reason, found on its stderr.
    pub reason: Option<PluginReason>,
    /// Notes about the program's file, where the file may explain the fault.
    pub notes: Option<String>,
    /// The duration of the attempt.
    pub elapsed: Duration,
}

impl LaunchError {
    pub(crate) fn new(fault: LaunchFault, facts: LaunchFacts) -> Self {
        let mut error = Self { fault, facts: Box::new(facts), earlier: Vec::new(), evidence: Vec::new() };
        error.evidence = error.gather();
        error
    }

    /// Adds the errors of the earlier attempts.
    pub(crate) fn after(mut self, earlier: Vec<Self>) -> Self {
        self.earlier = earlier;
        self.evidence = self.gather();
        self
    }

    /// The facts about the plugin.
    #[must_use]
    pub fn facts(&self) -> &LaunchFacts {
        &self.facts
    }

    /// The errors of the earlier attempts, the first one first. Empty without
    /// [retries](rpcplugin_config::HostConfig::retry).
    #[must_use]
    pub fn earlier(&self) -> &[Self] {
        &self.earlier
    }

    /// The plugin's own reason, if it explains the failed launch.
    fn own_reason(&self) -> Option<&PluginReason> {
        let (LaunchFault::Handshake(HandshakeFault::ExitedEarly(exit))
        | LaunchFault::Connect(ConnectFault::Exited(exit))) = &self.fault
        else {
            return None;
        };
        let reason = self.facts.reason.as_ref().filter(|reason| reason.is_certain())?;
        // A program that reports an error exits by itself. The report of a program that a signal ended is older than
        // the fault. A runner that reports a cause knows it better than the program.
        match exit {
            ExitReason::Reported(_) => None,
            ExitReason::Signal(_) => (reason.kind == ReasonKind::Panic).then_some(reason),
            _ => Some(reason),
        }
    }

    /// Whether the plugin's output names the magic cookie.
    fn points_to_the_cookie(&self) -> bool {
        match &self.facts.reason {
            Some(reason) if reason.is_certain() => reason.is_about_the_cookie(),
            _ => {
                let instead = self.fault.invalid_line().map(HandshakeLineError::line);
                let facts = self.facts.stderr.iter().chain(&self.facts.stdout).map(|line| &**line);
                facts.chain(instead).any(hints_at_cookie)
            }
        }
    }

    /// The reason on one line.
    fn reason(&self) -> String {
        if let Some(reason) = self.own_reason() {
            return reason.to_string();
        }
        let text = Shown(&with_causes(self.fault.to_string(), &self.fault), LONGEST_REASON).to_string();
        match &self.facts.reason {
            Some(reason) if self.belongs_to_the_reason(reason) => format!("{text}; {reason}"),
            _ => text,
        }
    }

    /// Whether the last lines on stderr explain the fault further. Every line does if the plugin printed nothing
    /// else, and otherwise a line that is about a fault.
    fn belongs_to_the_reason(&self, reason: &PluginReason) -> bool {
        let printed_nothing_else = matches!(
            self.fault,
            LaunchFault::Handshake(HandshakeFault::Timeout(_) | HandshakeFault::StdoutClosed)
        );
        let ended = self.facts.ended.is_some() || self.fault.names_exit();
        self.fault.is_explained_by_stderr() && (printed_nothing_else || ended || reason.is_about_a_fault())
    }

    /// Help that depends on the facts beside the fault. `None` if the fault's own help applies.
    fn advice(&self) -> Option<&'static str> {
        let facts = &self.facts;
        if self.fault.invalid_line().is_some_and(|error| error.fault == HandshakeLineFault::NotAHandshakeLine)
        {
            return if self.points_to_the_cookie() {
                Some(COOKIE)
            } else {
                facts.ended.is_some().then_some(ORDINARY_PROGRAM)
            };
        }
        let exit = match &self.fault {
            LaunchFault::Handshake(HandshakeFault::ExitedEarly(exit)) => exit,
            LaunchFault::Connect(ConnectFault::Exited(exit)) => return exit.advice(),
            _ => return None,
        };
        if let Some(advice) = exit.advice() {
            return Some(advice);
        }
        Some(match exit {
            ExitReason::Status(NOT_EXECUTABLE | NOT_FOUND) => NOTHING_TO_RUN,
            exit if exit.is_success() && self.points_to_the_cookie() => COOKIE,
            exit if exit.is_success() => EXITED_CLEANLY,
            _ if facts.reason.is_some() => REPORTED_REASON,
            _ => EMPTY_STDERR,
        })
    }

    /// Collects the facts beside the reason.
    fn gather(&self) -> Vec<Evidence> {
        let facts = &self.facts;
        let mut evidence = Vec::new();
        if let (Some(ended), false) = (&facts.ended, self.fault.names_exit()) {
            evidence.push(Evidence(format!("the process has ended: {ended}")));
        }
        evidence.extend(Evidence::lines("stdout", &facts.stdout));
        evidence.extend(Evidence::lines("stderr", &facts.stderr));
        if let Some(notes) = &facts.notes {
            evidence.push(Evidence(format!("notes about the program:\n  {}", notes.replace('\n', "\n  "))));
        }
        for (n, error) in self.earlier.iter().enumerate() {
            let took = error.facts.elapsed.as_millis();
            evidence.push(Evidence(format!("try {}, after {took} ms: {}", n + 1, error.reason())));
        }
        evidence
    }
}

impl fmt::Display for LaunchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the plugin {} did not start", self.facts.program.display())?;
        if !self.earlier.is_empty() {
            write!(f, " in {} tries", self.earlier.len() + 1)?;
        }
        write!(f, ": {}", self.reason())
    }
}

impl fmt::Debug for LaunchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&PlainReport(self), f)
    }
}

impl std::error::Error for LaunchError {
    /// The fault, if the plugin's own reason is shown. Otherwise the fault and its causes are part of the text.
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.own_reason().map(|_| &self.fault as &(dyn std::error::Error + 'static))
    }
}

impl Diagnostic for LaunchError {
    /// The code of the fault, or the code in the plugin's own report if the plugin was made with this library.
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        let own = self.own_reason().and_then(|reason| reason.code.as_ref());
        if let Some(code) = own.filter(|code| code.starts_with("rpcplugin::")) {
            return Some(Box::new(code));
        }
        boxed(innermost(&self.fault, &|diagnostic| diagnostic.code().map(|code| code.to_string())))
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        if let Some(reason) = self.own_reason() {
            let advice = reason.help.as_deref().unwrap_or(match reason.kind {
                ReasonKind::Panic => PANICKED,
                _ => REPORTED_REASON,
            });
            return Some(Box::new(advice));
        }
        match self.advice() {
            Some(advice) => Some(Box::new(advice)),
            None => {
                boxed(innermost(&self.fault, &|diagnostic| diagnostic.help().map(|help| help.to_string())))
            }
        }
    }

    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        Some(Box::new(self.evidence.iter().map(|evidence| evidence as &dyn Diagnostic)))
    }

    fn diagnostic_source(&self) -> Option<&dyn Diagnostic> {
        // The help of the fault is part of this error's help. A diagnostic source would repeat it.
        None
    }

    fn source_code(&self) -> Option<&dyn miette::SourceCode> {
        self.fault.invalid_line().and_then(|error| error.source_code())
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = miette::LabeledSpan> + '_>> {
        self.fault.invalid_line().and_then(|error| error.labels())
    }
}

fn boxed<'a>(text: Option<String>) -> Option<Box<dyn fmt::Display + 'a>> {
    text.map(|text| Box::new(text) as Box<dyn fmt::Display>)
}

/// The help for exit statuses of a shell or a loader that could not run a program.
const NOTHING_TO_RUN: &str = "check the commands and paths in the script, and see its stderr: a shell or a loader exits with this \
                              status when a program is not there or may not be executed";

/// The help for an exit with status 0.
const EXITED_CLEANLY: &str = "start the plugin with `exec` in the script, or wait for it there: the process that the host started \
                            exited with status 0, and what it left in the background ends with it";

/// The help for a plugin that reported its reason without help.
const REPORTED_REASON: &str = "correct what it names on stderr as its reason";

/// The help for a panic.
const PANICKED: &str = "correct what it names as its reason, or pass the last lines of its stderr on to the plugin's author: the \
                        plugin panicked";

/// The help for an exit without a line on stderr.
const EMPTY_STDERR: &str = "start it by hand with the same arguments and environment to see how far it comes: it wrote nothing on \
                            stderr";

/// The help for a refused magic cookie.
const COOKIE: &str = "give host and plugin the same magic cookie: the same variable, and the same value in it; launch the \
                      plugin of another program from that program";

/// The help for a program that printed something and exited.
const ORDINARY_PROGRAM: &str = "check that the program is a plugin: it printed something and exited, as an ordinary program; in a \
                                plugin print nothing on stdout before the handshake line: logs and banners belong on stderr";

/// The limit of a fault with its causes on one line, in characters.
const LONGEST_REASON: usize = 600;
