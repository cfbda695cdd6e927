//! The results of the checks, as text, JSON and JUnit XML.

use std::{fmt::Write as _, time::Duration};

use serde::Serialize;

use super::check::{Check, CheckFailure, Level, Verdict};
use crate::ui::{Out, duration::show, style};

/// The result of a check.
#[derive(Debug, Serialize)]
pub(super) struct Finding {
    name: &'static str,
    level: Level,
    result: Result,
    /// What the check saw, or why the rule does not apply.
    seen: String,
    rule: &'static str,
    advice: &'static str,
    milliseconds: u64,
    #[serde(skip)]
    took: Duration,
    /// Whether the check passes although the baseline names it.
    #[serde(skip)]
    is_mended: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Result {
    Pass,
    Fail,
    Skip,
    /// A property in which correct plugins differ.
    Info,
    /// The rule is broken, and the baseline names it.
    Known,
}

/// The results of all checks of a plugin.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    plugin: String,
    conforms: bool,
    /// Whether the run was interrupted. The remaining checks may fail.
    interrupted: bool,
    passed: usize,
    failed: usize,
    /// The number of broken SHOULD rules.
    warnings: usize,
    skipped: usize,
    /// The number of broken rules that the baseline names.
    known: usize,
    /// The rules that the baseline names and that are not broken.
    mended: Vec<&'static str>,
    /// Notes on the plugin from before the checks.
    notes: Vec<String>,
    findings: Vec<Finding>,
    /// Why checks were not run.
    #[serde(skip)]
    error: Option<String>,
}

impl Finding {
    pub(super) fn new(check: &Check, verdict: Verdict, took: Duration) -> Self {
        let (result, seen) = match (verdict, check.level) {
            (Ok(seen), Level::Info) | (Err(CheckFailure::Fail(seen)), Level::Info) => (Result::Info, seen),
            (Ok(seen), _) => (Result::Pass, seen),
            (Err(CheckFailure::Fail(seen)), _) => (Result::Fail, seen),
            (Err(CheckFailure::Skip(why)), _) => (Result::Skip, why),
        };
        let milliseconds = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let Check { name, level, rule, advice, .. } = *check;
        Self { name, level, result, seen, rule, advice, milliseconds, took, is_mended: false }
    }

    /// Marks the check as named by the baseline.
    pub(super) fn in_baseline(mut self) -> Self {
        match self.result {
            Result::Fail => self.result = Result::Known,
            Result::Pass => self.is_mended = true,
            _ => {}
        }
        self
    }

    /// Prints the result. A broken rule is printed with its advice.
    pub(super) fn print(&self, out: &mut Out) {
        let word = match (self.result, self.level) {
            (Result::Pass, _) => style::good("PASS"),
            (Result::Fail, Level::Must) => style::bad("FAIL"),
            (Result::Fail, _) => style::warn("WARN"),
            (Result::Skip, _) => style::dim("SKIP"),
            (Result::Known, _) => style::dim("KNOWN"),
            (Result::Info, _) => style::strong("INFO"),
        };
        let gap = if self.result == Result::Known { " " } else { "  " };
        out.beside(format_args!("{word}{gap}{:<28} ", self.name), &self.seen);
        if self.result == Result::Fail {
            out.beside(format_args!("      {} ", style::dim(format_args!("{}:", self.level))), self.rule);
            out.beside(format_args!("      {} ", style::dim("do:")), self.advice);
        }
    }
}

impl Report {
    pub(super) fn new(plugin: String, findings: Vec<Finding>) -> Self {
        let count = |result, must: bool| {
            let of_level = |finding: &&Finding| (finding.level == Level::Must) == must;
            findings.iter().filter(|finding| finding.result == result).filter(of_level).count()
        };
        let (failed, warnings) = (count(Result::Fail, true), count(Result::Fail, false));
        let passed = count(Result::Pass, true) + count(Result::Pass, false);
        let skipped = count(Result::Skip, true) + count(Result::Skip, false);
        let known = count(Result::Known, true) + count(Result::Known, false);
        let mended =
            findings.iter().filter(|finding| finding.is_mended).map(|finding| finding.name).collect();
        Self {
            plugin,
            conforms: failed == 0,
            interrupted: false,
            passed,
            failed,
            warnings,
            skipped,
            known,
            mended,
            notes: Vec::new(),
            findings,
            error: None,
        }
    }

    /// Adds notes on the plugin.
    pub(super) fn noting(self, notes: Vec<String>) -> Self {
        Self { notes, ..self }
    }

    /// Marks the run as interrupted. The plugin then does not count as conforming.
    pub(super) fn interrupted(self) -> Self {
        let error = Some("the checks were interrupted before all were done".to_owned());
        Self { conforms: false, interrupted: true, error, ..self }
    }

    /// The report of a plugin that cannot be checked, with the reason.
    pub(super) fn impossible(plugin: String, why: String) -> Self {
        Self { conforms: false, error: Some(why), ..Self::new(plugin, Vec::new()) }
    }

    pub(super) fn is_interrupted(&self) -> bool {
        self.interrupted
    }

    pub(super) fn conforms(&self) -> bool {
        self.conforms
    }

    pub(super) fn print_summary(&self, out: &mut Out) {
        let verdict = match self.conforms {
            _ if self.interrupted => style::warn("was not checked completely"),
            true => style::good("conforms"),
            false => style::bad("does not conform"),
        };
        let took: Duration = self.findings.iter().map(|finding| finding.took).sum();
        let known = if self.known > 0 { format!(", {} known", self.known) } else { String::new() };
        out.line("");
        out.beside(
            "",
            format_args!(
                "{} {verdict}: {} passed, {} failed, {} warnings, {} skipped{known}; {} of checking",
                style::strong(&self.plugin),
                self.passed,
                self.failed,
                self.warnings,
                self.skipped,
                show(took),
            ),
        );
        if !self.mended.is_empty() {
            out.beside(
                "",
                format_args!(
                    "remove from the baseline, because these checks pass: {}",
                    self.mended.join(", ")
                ),
            );
        }
    }

    /// Returns the results as JUnit XML. A broken SHOULD is a passed test with output.
    pub(super) fn junit(&self) -> String {
        let seconds = |took: Duration| format!("{:.3}", took.as_secs_f64());
        let total = self.findings.iter().map(|finding| finding.took).sum();
        let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
        let _ = writeln!(
            xml,
            "<testsuite name=\"conformance of {}\" tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\" time=\"{}\">",
            escaped(&self.plugin),
            self.findings.len() + usize::from(self.error.is_some()),
            self.failed,
            u8::from(self.error.is_some()),
            self.skipped,
            seconds(total),
        );
        for finding in &self.findings {
            let Finding { name, level, seen, rule, advice, took, .. } = finding;
            let _ = write!(
                xml,
                "  <testcase classname=\"conformance.{level}\" name=\"{name}\" time=\"{}\">",
                seconds(*took)
            );
            let seen = escaped(seen);
            let _ = match (finding.result, level) {
                (Result::Fail, Level::Must) => write!(
                    xml,
                    "<failure message=\"{seen}\">{}\n{}</failure>",
                    escaped(rule),
                    escaped(advice)
                ),
                (Result::Fail, _) => {
                    write!(
                        xml,
                        "<system-out>warning: {seen}\n{}\n{}</system-out>",
                        escaped(rule),
                        escaped(advice)
                    )
                }
                (Result::Skip, _) => write!(xml, "<skipped message=\"{seen}\"/>"),
                (Result::Known, _) => write!(xml, "<system-out>known: {seen}</system-out>"),
                _ => write!(xml, "<system-out>{seen}</system-out>"),
            };
            xml.push_str("</testcase>\n");
        }
        if let Some(error) = &self.error {
            xml.push_str("  <testcase classname=\"conformance\" name=\"all-checks\" time=\"0.000\">");
            let _ = writeln!(xml, "<error message=\"{}\"/></testcase>", escaped(error));
        }
        xml.push_str("</testsuite>\n");
        xml
    }
}

/// Escapes a text for XML. Characters that XML forbids or that would act on a terminal become the replacement character.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' | '\t' => escaped.push(c),
            c if rpcplugin::error::disturbs(c) => escaped.push(char::REPLACEMENT_CHARACTER),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::conformance::check::{check, fail};
    use crate::raw_host::PluginUnderTest;

    async fn nothing(_: &PluginUnderTest) -> Verdict {
        Ok(String::new())
    }

    fn finding(level: Level, verdict: Verdict) -> Finding {
        let check = Check { level, ..check!("a-check", Must, nothing, "a rule", "do it") };
        Finding::new(&check, verdict, Duration::from_millis(1500))
    }

    #[test]
    fn only_a_broken_must_makes_a_plugin_fail() {
        let conforms = |findings| Report::new("plugin".to_owned(), findings).conforms();
        let should = || finding(Level::Should, fail("x"));
        let info = || finding(Level::Info, fail("x"));
        assert!(conforms(vec![finding(Level::Must, Ok(String::new())), should(), info()]));
        assert!(!conforms(vec![finding(Level::Must, fail("x"))]));
    }

    #[test]
    fn junit_escapes_the_output_of_a_plugin() {
        let findings = vec![
            finding(Level::Must, fail("\"<a> & \u{1b}[31m\u{0}\u{ffff}\u{9b}\u{202e}")),
            finding(Level::Must, Err(CheckFailure::Skip("why".to_owned()))),
        ];
        let xml = Report::new("a<b".to_owned(), findings).junit();
        assert!(
            xml.contains(
                "conformance of a&lt;b\" tests=\"2\" failures=\"1\" errors=\"0\" skipped=\"1\" time=\"3.000\""
            ),
            "{xml}"
        );
        assert!(
            xml.contains("message=\"&quot;&lt;a&gt; &amp; \u{fffd}[31m\u{fffd}\u{fffd}\u{fffd}\u{fffd}\""),
            "{xml}"
        );
        assert!(xml.contains("<skipped message=\"why\"/>"), "{xml}");
        assert!(!xml.contains("<error"), "{xml}");
    }

    #[test]
    fn an_interrupted_run_does_not_pass() {
        let report =
            Report::new("plugin".to_owned(), vec![finding(Level::Must, Ok(String::new()))]).interrupted();
        assert!(!report.conforms());
        let xml = report.junit();
        assert!(xml.contains("tests=\"2\" failures=\"0\" errors=\"1\""), "{xml}");
        assert!(xml.contains("<error message=\"the checks were interrupted"), "{xml}");
    }
}
