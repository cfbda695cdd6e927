//! `--trace-access`: what a confined plugin was denied.

use std::sync::Arc;

use miette::IntoDiagnostic as _;
use rpcplugin::sandbox::Sandbox;
use serde_json::json;

use crate::{
    error::CommandError,
    plugin_args::LaunchArgs,
    sandbox::{Denials, Strace},
    ui::{
        Out,
        style::{dim, good, strong, warn},
    },
};

/// Collects what a confined plugin was denied: from a trace of its system calls, or from its words.
#[derive(Debug)]
pub(super) struct AccessTrace {
    sandbox: Sandbox,
    strace: Option<Arc<Strace>>,
    denials: Denials,
}

impl AccessTrace {
    /// Prepares a trace of the plugin.
    pub(super) fn of(launch: &LaunchArgs) -> Result<Self, CommandError> {
        let sandbox = launch.permit()?.sandbox.unwrap_or_default();
        let strace = Strace::find().into_diagnostic()?.map(Arc::new);
        Ok(Self { sandbox, strace, denials: Denials::default() })
    }

    /// The program that traces the plugin, if it is installed.
    pub(super) fn strace(&self) -> Option<Arc<Strace>> {
        self.strace.clone()
    }

    /// Adds what a line of the plugin reports. A trace of its system calls is more exact.
    pub(super) fn hear(&mut self, line: &str) {
        if self.strace.is_none() {
            self.denials.hear(line, &self.sandbox);
        }
    }

    /// Prints what the plugin was denied, after its end.
    pub(super) fn print(mut self, out: &mut Out) {
        if let Some(strace) = &self.strace {
            strace.read(&self.sandbox, &mut self.denials);
        }
        let Denials { options, others } = &self.denials;
        if out.is_json() {
            let source = if self.strace.is_some() { "strace" } else { "words" };
            out.json_line(
                &json!({ "kind": "denied", "source": source, "options": options, "others": others }),
            );
            return;
        }
        if self.denials.is_empty() {
            out.note(good("the plugin was denied nothing that the trace shows"));
        } else {
            out.note(format_args!("{}", strong("the plugin was denied:")));
            others.iter().for_each(|other| out.note(warn(format_args!("  {other}"))));
        }
        // On stdout, so that they can be pasted.
        options.iter().for_each(|option| out.line(option));
        let source = match self.strace {
            Some(_) => {
                "system calls that failed with EACCES or EPERM, of the plugin and the processes that it started"
            }
            None => {
                "the plugin's own words, since `strace` is not installed: what it does not report is missing"
            }
        };
        out.hint(&dim(format_args!(
            "source: {source}; variables that were not passed on are not seen. A plugin often ends at the first denial: run it again \
             with the options that you grant",
        )));
    }
}
