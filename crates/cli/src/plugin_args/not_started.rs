//! A plugin that did not start, as a person at a terminal reads of it.

use std::fmt;

use miette::{Diagnostic, LabeledSpan, Severity, SourceCode};
use rpcplugin::{LaunchError, LaunchFault};

use super::{args::LaunchArgs, expected_variable::expected_variable};
use crate::{
    error::ExitsWith,
    exit::Exit,
    ui::{backtrace::own_frames, log_record::show_line, style::plain},
};

/// The launch's error, whose help names the flag that helps, and in which the plugin's log can be read.
#[derive(Debug)]
pub(crate) struct NotStarted {
    error: LaunchError,
    help: String,
    evidence: Vec<Evidence>,
}

/// The plugin wants a magic cookie, and none was given.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[error("{program} is a plugin, and its magic cookie was not given")]
#[diagnostic(
    code(rpcplugin::config::cookie_missing),
    help(
        "{named}--cookie KEY=VALUE gives it: they are `MagicCookieKey` and `MagicCookieValue` in the source of the plugin or of its \
         host; --preset has those of well-known hosts"
    )
)]
pub(crate) struct CookieMissing {
    program: String,
    /// The variable, if the plugin names it, as a line.
    named: String,
    source: LaunchError,
    #[related]
    evidence: Vec<Evidence>,
}

/// Something that is known of the plugin, such as its last lines.
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
        let mut help = error.help().map(|help| help.to_string()).unwrap_or_default();
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

/// What of this program changes what the fault tells of.
fn flag(error: &LaunchError, args: &LaunchArgs) -> Option<String> {
    match &error.fault {
        LaunchFault::Handshake(rpcplugin::host::HandshakeFault::Timeout(_))
        | LaunchFault::Connect(rpcplugin::host::ConnectFault::Timeout(_)) => {
            Some("--timeout TIME allows it more or less time".to_owned())
        }
        LaunchFault::Security(rpcplugin::host::SecurityFault::IgnoredMtls) => {
            Some("--no-mtls does without, knowingly".to_owned())
        }
        LaunchFault::Handshake(rpcplugin::host::HandshakeFault::CookieRefused(_)) => {
            let name = named_variable(error).filter(|name| name != args.magic_cookie().key())?;
            Some(expects(&name))
        }
        // A variable of some kind: only the plugin's author knows of which.
        LaunchFault::Handshake(rpcplugin::host::HandshakeFault::ExitedEarly(_)) => {
            let name = named_variable(error).filter(|name| name != args.magic_cookie().key())?;
            let as_cookie = match args.has_cookie() {
                true => String::new(),
                false => format!(", or --cookie {name}=… if it is that of its magic cookie"),
            };
            Some(format!("the plugin names the variable {name}: --env {name}=… sets it{as_cookie}"))
        }
        LaunchFault::Security(rpcplugin::host::SecurityFault::OwnCertificates) => {
            Some("--cert, --key and --ca name the files of what goes with them".to_owned())
        }
        _ => None,
    }
}

fn expects(name: &str) -> String {
    format!("the plugin expects the variable {name}; give its value: --cookie {name}=…")
}

/// The variable of the cookie, if the plugin names one.
fn named_variable(error: &LaunchError) -> Option<String> {
    let facts = error.facts();
    expected_variable(facts.stderr.iter().chain(&facts.stdout).map(String::as_str))
}

/// What is known of the plugin, with its records as they are shown elsewhere.
fn evidence(error: &LaunchError, full: bool) -> Vec<Evidence> {
    let shown = |evidence: &dyn Diagnostic| {
        let text = evidence.to_string();
        let text = text.lines().map(|line| readable(line, full)).collect::<Vec<_>>().join("\n");
        Evidence(if full { text } else { own_frames(&text) })
    };
    error.related().into_iter().flatten().map(shown).collect()
}

/// The line, or what it says if it is a record.
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
        self.error.code()
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

impl ExitsWith for NotStarted {
    const EXIT: Exit = Exit::NotStarted;
}

impl ExitsWith for CookieMissing {
    const EXIT: Exit = Exit::NotStarted;
}

#[cfg(test)]
mod tests {
    use super::readable;

    #[test]
    fn a_line_of_hclog_can_be_read_and_any_other_stays() {
        let line = r#"    {"@level":"error","@message":"no database","@module":"kv","@timestamp":"2026-11-20T18:35:19.725250Z","try":3}"#;
        assert_eq!(readable(line, false), "    18:35:19.725 ERROR kv: no database try=3");
        for other in ["", "    panic: {", "    {\"a\":1}", "plain"] {
            assert_eq!(readable(other, false), other);
        }
    }
}
