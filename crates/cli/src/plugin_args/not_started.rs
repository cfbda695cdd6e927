//! Errors of a launch, with the flags of this program in their help.

use std::fmt;

use miette::{Diagnostic, LabeledSpan, Severity, SourceCode};
use rpcplugin::{
    LaunchError,
    host::{ConnectFault, HandshakeFault, LaunchFault, SecurityFault},
};

use super::{args::LaunchArgs, expected_variable::expected_variable};
use crate::{
    error::ExitsWith,
    exit::Exit,
    runner::explanation,
    sandbox::help_for,
    ui::{backtrace::own_frames, log_record::show_line, style::plain},
};

/// A launch error. Its help names a flag of this program, and its evidence shows log records in readable form.
#[derive(Debug)]
pub(crate) struct NotStarted {
    error: LaunchError,
    help: String,
    evidence: Vec<Evidence>,
}

impl ExitsWith for NotStarted {
    const EXIT: Exit = Exit::NotStarted;
}

/// The plugin expects a magic cookie, and no cookie was given.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[error("the magic cookie of {program} is missing")]
#[diagnostic(
    code(rpcplugin::config::cookie_not_given),
    help(
        "{named}give the cookie with --cookie KEY=VALUE (`MagicCookieKey` and `MagicCookieValue` in the source of the plugin or \
         its host), or name a well-known host with --preset"
    )
)]
pub(crate) struct CookieMissing {
    program: String,
    /// A line with the cookie's variable, if the plugin names it.
    named: String,
    source: LaunchError,
    #[related]
    evidence: Vec<Evidence>,
}

impl ExitsWith for CookieMissing {
    const EXIT: Exit = Exit::NotStarted;
}

/// A fact about the plugin, such as its last lines on stderr.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Evidence(String);

impl Diagnostic for Evidence {
    fn severity(&self) -> Option<Severity> {
        Some(Severity::Advice)
    }
}

impl NotStarted {
    pub(super) fn new(error: LaunchError, args: &LaunchArgs) -> Self {
        // The error of a runner has help of its own, which says more than that a runner failed.
        let of_the_runner = explanation(&error.fault).and_then(Diagnostic::help);
        let help = of_the_runner.or_else(|| error.help());
        let of_the_sandbox = match &error.fault {
            LaunchFault::Sandbox(fault) => help_for(fault),
            _ => None,
        };
        let mut help = of_the_sandbox.or_else(|| help.map(|help| help.to_string())).unwrap_or_default();
        if let Some(flag) = flag(&error, args) {
            help += &format!("\n{flag}");
        }
        Self { evidence: evidence(&error, args.full), help, error }
    }
}

impl CookieMissing {
    pub(super) fn new(error: LaunchError, args: &LaunchArgs) -> Self {
        let named = named_variable(&error).map(|name| expects(&name) + "\n").unwrap_or_default();
        Self { program: args.name(), named, evidence: evidence(&error, args.full), source: error }
    }
}

/// Returns the flag that helps with a fault.
fn flag(error: &LaunchError, args: &LaunchArgs) -> Option<String> {
    match &error.fault {
        LaunchFault::Handshake(HandshakeFault::Timeout(_))
        | LaunchFault::Connect(ConnectFault::Timeout(_)) => {
            Some("change the limit with --timeout TIME".to_owned())
        }
        LaunchFault::Security(SecurityFault::IgnoredMtls) => {
            Some("disable AutoMTLS with --no-mtls".to_owned())
        }
        LaunchFault::Handshake(HandshakeFault::CookieRefused(_)) => {
            let name = named_variable(error).filter(|name| name != args.magic_cookie().key())?;
            Some(expects(&name))
        }
        // The variable may be the cookie or another setting.
        LaunchFault::Handshake(HandshakeFault::ExitedEarly(_)) => {
            let name = named_variable(error).filter(|name| name != args.magic_cookie().key())?;
            let as_cookie = match args.has_cookie() {
                true => String::new(),
                false => format!(", or with --cookie {name}=… if it is the magic cookie"),
            };
            Some(format!("the plugin names the variable {name}: set it with --env {name}=…{as_cookie}"))
        }
        LaunchFault::Security(SecurityFault::OwnCertificates) => {
            Some("name the certificate files with --cert, --key and --ca".to_owned())
        }
        _ => None,
    }
}

fn expects(name: &str) -> String {
    format!("the plugin expects the variable {name}: set it with --cookie {name}=…")
}

/// Returns the variable of the cookie, if the plugin's output names it.
fn named_variable(error: &LaunchError) -> Option<String> {
    let facts = error.facts();
    expected_variable(facts.stderr.iter().chain(&facts.stdout).map(String::as_str))
}

/// Returns the facts about the plugin, with log records in readable form.
fn evidence(error: &LaunchError, full: bool) -> Vec<Evidence> {
    let shown = |evidence: &dyn Diagnostic| {
        let text = evidence.to_string();
        let text = text.lines().map(|line| readable(line, full)).collect::<Vec<_>>().join("\n");
        Evidence(if full { text } else { own_frames(&text) })
    };
    error.related().into_iter().flatten().map(shown).collect()
}

/// Formats a line if it is a log record.
fn readable(line: &str, full: bool) -> String {
    let record = line.trim_start();
    match show_line(record, full) {
        Some(shown) => {
            let indent = &line[..line.len() - record.len()];
            format!("{indent}{}", plain(&shown).replace('\n', &format!("\n{indent}")))
        }
        None => line.to_owned(),
    }
}

impl fmt::Display for NotStarted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.error, f)
    }
}

impl std::error::Error for NotStarted {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        std::error::Error::source(&self.error)
    }
}

impl Diagnostic for NotStarted {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        explanation(&self.error.fault).and_then(Diagnostic::code).or_else(|| self.error.code())
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(&self.help))
    }

    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        Some(Box::new(self.evidence.iter().map(|evidence| evidence as &dyn Diagnostic)))
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.error.source_code()
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        self.error.labels()
    }
}

#[cfg(test)]
mod tests {
    use super::readable;

    #[test]
    fn log_records_are_formatted_and_other_lines_are_unchanged() {
        let line = r#"    {"@level":"error","@message":"no database","@module":"kv","@timestamp":"2026-11-20T18:35:19.725250Z","try":3}"#;
        assert_eq!(readable(line, false), "    18:35:19.725 ERROR kv: no database try=3");
        for other in ["", "    panic: {", "    {\"a\":1}", "plain"] {
            assert_eq!(readable(other, false), other);
        }
    }
}
