//! A plugin that did not start, as somebody at a terminal is told of it.

use std::fmt;

use miette::{Diagnostic, LabeledSpan, Severity, SourceCode};
use rpcplugin::{LaunchError, LaunchFault};

use crate::run::show_line;

/// The launch's error, whose help names the flag that helps, and in which the plugin's log can be read.
#[derive(Debug)]
pub(crate) struct NotStarted {
    error: LaunchError,
    help: String,
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
    pub(super) fn new(error: LaunchError) -> Self {
        let mut help = error.help().map(|help| help.to_string()).unwrap_or_default();
        if let Some(flag) = flag(&error.fault) {
            help += &format!("\n{flag}");
        }
        let evidence = error.related().into_iter().flatten().map(|evidence| {
            let lines: Vec<String> = evidence.to_string().lines().map(readable).collect();
            Evidence(lines.join("\n"))
        });
        Self { evidence: evidence.collect(), help, error }
    }
}

/// What of this program changes what the fault tells of.
fn flag(fault: &LaunchFault) -> Option<&'static str> {
    match fault {
        LaunchFault::Silent(_) | LaunchFault::NotReady(_) => {
            Some("--timeout TIME allows it more or less time")
        }
        LaunchFault::IgnoredMtls => Some("--no-mtls does without, knowingly"),
        LaunchFault::OwnCertificates => Some("--cert, --key and --ca name the files of what goes with them"),
        _ => None,
    }
}

/// The line, or what it says if it is JSON of hclog.
fn readable(line: &str) -> String {
    let record = line.trim_start();
    match show_line(record) {
        Some(shown) => {
            let indent = &line[..line.len() - record.len()];
            let plain = anstream::adapter::strip_str(&shown).to_string();
            format!("{indent}{}", plain.replace('\n', &format!("\n{indent}")))
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

#[cfg(test)]
mod tests {
    use super::readable;

    #[test]
    fn a_line_of_hclog_can_be_read_and_any_other_stays() {
        let line = r#"    {"@level":"error","@message":"no database","@module":"kv","@timestamp":"2026-11-20T18:35:19.725250Z","try":3}"#;
        assert_eq!(readable(line), "    18:35:19.725 ERROR kv: no database try=3");
        for other in ["", "    panic: {", "    {\"a\":1}", "plain"] {
            assert_eq!(readable(other), other);
        }
    }
}
