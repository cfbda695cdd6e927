//! Why a plugin is not there.

use std::{fmt, path::PathBuf, time::Duration};

use miette::Diagnostic;
use rpcplugin_core::PlainReport;
use rpcplugin_handshake::{HandshakeLineError, HandshakeLineFault};

use super::{
    connect::ConnectFault,
    evidence::Evidence,
    fault::{LaunchFault, NOT_EXECUTABLE, NOT_FOUND},
    handshake::HandshakeFault,
    plugin_reason::{PluginReason, ReasonKind, hints_at_cookie},
};
use crate::{exit::ExitReason, quoted::Shown};

/// A plugin did not start. Nothing of it is left: the process has been killed and reaped, its sockets are removed.
///
/// [`Display`](fmt::Display) is one line with the reason and its causes. Where the plugin itself says on stderr why it ended,
/// that is the reason, quoted and shortened, and its advice is the help; the fault is the source then. What the plugin last
/// wrote, how it ended, notes about its file where the fault is one of the file, and the tries that failed before are
/// [related](Diagnostic::related) diagnostics of the severity [`Advice`](miette::Severity::Advice).
///
/// [`Debug`] explains as [`PlainReport`] does, so that a `main` which returns this error ends with words for a person.
pub struct LaunchError {
    /// What went wrong.
    pub fault: LaunchFault,
    facts: Box<LaunchFacts>,
    earlier: Vec<Self>,
    evidence: Vec<Evidence>,
}

/// What is known of a plugin that did not start.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct LaunchFacts {
    /// The program.
    pub program: PathBuf,
    /// How the process ended by itself, if it did.
    pub ended: Option<ExitReason>,
    /// The last lines it wrote on its stderr.
    pub stderr: Vec<String>,
    /// Lines that it printed on its stdout in place of a handshake line, or before it.
    pub stdout: Vec<String>,
    /// Why it ended, as it said on its stderr itself.
    pub reason: Option<PluginReason>,
    /// Notes about the program's file, where they may explain the fault.
    pub notes: Option<String>,
    /// How long it was tried.
    pub elapsed: Duration,
}

impl LaunchError {
    pub(crate) fn new(fault: LaunchFault, facts: LaunchFacts) -> Self {
        let mut error = Self { fault, facts: Box::new(facts), earlier: Vec::new(), evidence: Vec::new() };
        error.evidence = error.gather();
        error
    }

    /// The error of the last try, with the errors of those before it.
    pub(crate) fn after(mut self, earlier: Vec<Self>) -> Self {
        self.earlier = earlier;
        self.evidence = self.gather();
        self
    }

    /// What is known of the plugin.
    #[must_use]
    pub fn facts(&self) -> &LaunchFacts {
        &self.facts
    }

    /// The tries that failed before this one, the first one first. Empty without
    /// [retries](rpcplugin_config::HostConfig::retry).
    #[must_use]
    pub fn earlier(&self) -> &[Self] {
        &self.earlier
    }

    /// The plugin's own reason, where it is why there is no plugin.
    fn own_reason(&self) -> Option<&PluginReason> {
        let exit = match self.fault {
            LaunchFault::Handshake(HandshakeFault::ExitedEarly(exit))
            | LaunchFault::Connect(ConnectFault::Exited(exit)) => exit,
            _ => return None,
        };
        let reason = self.facts.reason.as_ref().filter(|reason| reason.is_certain())?;
        // A program that reports an error ends by itself. One that a signal ended had only complained before.
        let by_signal = matches!(exit, ExitReason::Signal(_));
        (reason.kind == ReasonKind::Panic || !by_signal).then_some(reason)
    }

    /// Whether the plugin's words point to the magic cookie.
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

    /// Why there is no plugin, on one line.
    fn reason(&self) -> String {
        if let Some(reason) = self.own_reason() {
            return reason.to_string();
        }
        let text = Shown(&with_causes(&self.fault), LONGEST_REASON).to_string();
        match &self.facts.reason {
            Some(reason) if self.belongs_to_the_reason(reason) => format!("{text}; {reason}"),
            _ => text,
        }
    }

    /// Whether what the plugin last wrote on stderr says more of the fault: any line of one that said no more, and otherwise
    /// one that is about a fault.
    fn belongs_to_the_reason(&self, reason: &PluginReason) -> bool {
        let said_no_more = matches!(
            self.fault,
            LaunchFault::Handshake(HandshakeFault::Timeout(_) | HandshakeFault::StdoutClosed)
        );
        let ended = self.facts.ended.is_some() || self.fault.names_exit();
        self.fault.is_explained_by_stderr() && (said_no_more || ended || reason.is_about_a_fault())
    }

    /// The advice for what is known beside the fault, which has its own.
    fn advice(&self) -> Option<&'static str> {
        let facts = &self.facts;
        if self.fault.invalid_line().is_some_and(|error| error.fault == HandshakeLineFault::NotAHandshakeLine) {
            return if self.points_to_the_cookie() {
                Some(COOKIE)
            } else {
                facts.ended.is_some().then_some(ORDINARY_PROGRAM)
            };
        }
        let LaunchFault::Handshake(HandshakeFault::ExitedEarly(exit)) = self.fault else { return None };
        Some(match exit {
            ExitReason::Status(NOT_EXECUTABLE | NOT_FOUND) => NOTHING_TO_RUN,
            exit if exit.is_success() && self.points_to_the_cookie() => COOKIE,
            exit if exit.is_success() => NO_COMPLAINT,
            _ if facts.reason.is_some() => SAID_WHY,
            _ => SAID_NOTHING,
        })
    }

    /// What is known beside the reason.
    fn gather(&self) -> Vec<Evidence> {
        let facts = &self.facts;
        let mut evidence = Vec::new();
        if let (Some(ended), false) = (facts.ended, self.fault.names_exit()) {
            evidence.push(Evidence(format!("it has ended: {ended}")));
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
    /// How the plugin ended, where its own words are the reason. Otherwise the fault and its causes are the reason.
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.own_reason().map(|_| &self.fault as &(dyn std::error::Error + 'static))
    }
}

impl Diagnostic for LaunchError {
    /// The code of the fault, or the one that a plugin made with this library ended with.
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        let own = self.own_reason().and_then(|reason| reason.code.as_ref());
        if let Some(code) = own.filter(|code| code.starts_with("rpcplugin::")) {
            return Some(Box::new(code));
        }
        innermost(&self.fault, &|diagnostic| diagnostic.code().map(|code| code.to_string()))
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        if let Some(reason) = self.own_reason() {
            let advice = reason.help.as_deref().unwrap_or(match reason.kind {
                ReasonKind::Panic => PANICKED,
                _ => SAID_WHY,
            });
            return Some(Box::new(advice));
        }
        match self.advice() {
            Some(advice) => Some(Box::new(advice)),
            None => innermost(&self.fault, &|diagnostic| diagnostic.help().map(|help| help.to_string())),
        }
    }

    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        Some(Box::new(self.evidence.iter().map(|evidence| evidence as &dyn Diagnostic)))
    }

    fn diagnostic_source(&self) -> Option<&dyn Diagnostic> {
        // The fault's own help is part of this one's; a source would show it again. What it underlines is shown.
        None
    }

    fn source_code(&self) -> Option<&dyn miette::SourceCode> {
        self.fault.invalid_line().and_then(|error| error.source_code())
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = miette::LabeledSpan> + '_>> {
        self.fault.invalid_line().and_then(|error| error.labels())
    }
}

/// A fault with its causes on one line. Some libraries repeat their cause's text in their own.
fn with_causes(fault: &LaunchFault) -> String {
    let mut text = fault.to_string();
    let mut source = std::error::Error::source(fault);
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text += &format!(": {cause_text}");
        }
        source = cause.source();
    }
    text
}

/// The property of the innermost diagnostic that has one: the closer to the cause, the better the advice.
fn innermost<'a>(
    diagnostic: &dyn Diagnostic,
    property: &dyn Fn(&dyn Diagnostic) -> Option<String>,
) -> Option<Box<dyn fmt::Display + 'a>> {
    fn find(
        diagnostic: &dyn Diagnostic,
        property: &dyn Fn(&dyn Diagnostic) -> Option<String>,
    ) -> Option<String> {
        let inner = diagnostic.diagnostic_source().and_then(|inner| find(inner, property));
        inner.or_else(|| property(diagnostic))
    }
    find(diagnostic, property).map(|text| Box::new(text) as Box<dyn fmt::Display>)
}

/// The help for those statuses.
const NOTHING_TO_RUN: &str = "a shell or a loader ends with this status when what it has to run is not there or may not be \
                              executed: see what it wrote on stderr, and check the commands and paths in the script";

/// The help for what ended as if all were well.
const NO_COMPLAINT: &str = "it ended as if all were well: a script that starts the plugin has to become it (`exec`) or wait \
                            for it, since what it leaves in the background ends with it";

/// The help for what ended and said why, in words that have no help of their own.
const SAID_WHY: &str = "correct what it names on stderr as its reason";

/// The help for what panicked.
const PANICKED: &str = "the fault is in the plugin, or in what it was given: correct what it names as its reason, or pass \
                        the last lines of its stderr on to its author";

/// The help for what ended without a word.
const SAID_NOTHING: &str = "it wrote nothing on stderr: start it by hand with the same arguments and environment to see how \
                            far it comes";

/// The help for what takes itself for the plugin of another host.
const COOKIE: &str = "give host and plugin the same magic cookie: the same variable, and the same value in it; if it is the \
                      plugin of another program, that one has to start it";

/// The help for what printed something and ended.
const ORDINARY_PROGRAM: &str = "it seems to be an ordinary program and no plugin: it printed something and ended; if it \
                                is a plugin, it may print nothing on stdout before it serves: logs and banners belong \
                                on stderr";

/// As many characters of a fault with its causes as stand on one line.
const LONGEST_REASON: usize = 600;
