//! The steps of an examination, and the first fault.

use miette::Diagnostic;
use rpcplugin::error::with_causes;
use serde_json::json;

use crate::ui::{
    Out,
    log_record::show_line,
    style::{self, without_colours},
};

/// The first fault: its step, what was seen, and how to fix it.
#[derive(Debug)]
pub(super) struct Fault {
    step: &'static str,
    seen: String,
    advice: String,
}

impl Fault {
    pub(super) fn new(step: &'static str, seen: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { step, seen: seen.into(), advice: advice.into() }
    }

    /// A fault with the text, the causes and the help of an error.
    pub(super) fn of(step: &'static str, error: &(dyn Diagnostic + 'static)) -> Self {
        let seen = with_causes(error.to_string(), error);
        let advice = error.help().map_or_else(String::new, |help| help.to_string());
        Self { step, seen, advice }
    }

    /// Replaces the advice.
    pub(super) fn advising(self, advice: String) -> Self {
        Self { advice, ..self }
    }

    /// Adds the explanation of the runner, if it has one.
    pub(super) fn explained(mut self, explanation: Option<String>) -> Self {
        if let Some(explanation) = explanation {
            self.seen += &format!("\n{explanation}");
        }
        self
    }

    /// Adds the last lines that the plugin wrote on stderr.
    pub(super) fn with_stderr(mut self, stderr: &str) -> Self {
        let lines: Vec<_> = stderr.lines().filter(|line| !line.trim().is_empty()).collect();
        let last = &lines[lines.len().saturating_sub(LAST_LINES)..];
        if !last.is_empty() {
            self.seen += "\nthe plugin wrote on stderr:";
        }
        for line in last {
            let shown =
                show_line(line, false).map_or_else(|| without_colours(line), |shown| style::plain(&shown));
            let shown: String = shown.chars().take(LONGEST_LINE).collect();
            self.seen += &format!("\n    {}", shown.replace('\n', "\n    "));
        }
        self
    }
}

/// The steps of an examination. Each is printed immediately.
pub(super) struct Record<'a> {
    plugin: String,
    out: &'a mut Out,
    steps: Vec<serde_json::Value>,
    /// Whether the process of the plugin has started.
    started: bool,
}

impl<'a> Record<'a> {
    pub(super) fn new(plugin: String, out: &'a mut Out) -> Self {
        Self { plugin, out, steps: Vec::new(), started: false }
    }

    /// Records a step without fault.
    pub(super) fn ok(&mut self, step: &'static str, seen: impl Into<String>) {
        self.started |= step == "start";
        self.note(step, "ok", &seen.into(), "");
    }

    /// Records a step that may be faulty, but does not prevent the launch.
    pub(super) fn doubt(&mut self, step: &'static str, seen: impl Into<String>, advice: &str) {
        self.note(step, "doubt", &seen.into(), advice);
    }

    pub(super) fn out(&self) -> &Out {
        self.out
    }

    /// Ends an interrupted examination. The overall result is unknown.
    pub(super) fn interrupted(self) {
        if self.out.is_json() {
            let record =
                json!({ "plugin": self.plugin, "healthy": null, "interrupted": true, "steps": self.steps });
            self.out.json(&record);
        }
    }

    /// Prints the overall result. Returns whether there is no fault.
    pub(super) fn conclude(mut self, examined: Result<(), Fault>) -> bool {
        let healthy = examined.is_ok();
        if let Err(Fault { step, seen, advice }) = examined {
            self.note(step, "wrong", &seen, &advice);
        }
        if self.out.is_json() {
            self.out.json(&json!({ "plugin": self.plugin, "healthy": healthy, "steps": self.steps }));
        } else if healthy {
            let end = style::good("starts, and has no fault");
            self.out.line(format_args!("\n{} {end}", style::strong(&self.plugin)));
        } else {
            let end = style::bad(match self.started {
                true => "starts, but does not serve as a plugin: see above",
                false => "does not start: see above",
            });
            self.out.line(format_args!("\n{} {end}", style::strong(&self.plugin)));
        }
        healthy
    }

    fn note(&mut self, step: &'static str, result: &'static str, seen: &str, advice: &str) {
        if !self.out.is_json() {
            let word = match result {
                "ok" => style::good("ok   "),
                "doubt" => style::warn("doubt"),
                _ => style::bad("wrong"),
            };
            self.out.beside(format_args!("{word}  {step:<11} "), seen);
            if !advice.is_empty() {
                self.out.beside(format_args!("                   {} ", style::strong("do:")), advice);
            }
        }
        self.steps.push(json!({ "step": step, "result": result, "seen": seen, "advice": advice }));
    }
}

/// The maximum number of lines of stderr that are shown.
const LAST_LINES: usize = 8;

const LONGEST_LINE: usize = 300;
