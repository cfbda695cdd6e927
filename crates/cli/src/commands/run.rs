//! `rpcplugin run`: keeps a plugin running, and shows its log and output.

mod access;
mod args;
mod handover;
mod printed;
mod reattach;
#[cfg(feature = "ui")]
mod view;

use std::pin::pin;

use miette::IntoDiagnostic as _;
use rpcplugin::{
    Exit as PluginExit, Plugin,
    hclog::Level,
    host::{Event, Events, OutputOptions, OutputSource, OutputStream, Pid},
};
use serde_json::json;

pub(crate) use self::args::RunArgs;
use self::{
    access::AccessTrace,
    handover::PendingHandover,
    printed::{print_end, print_output},
    reattach::{for_terraform, shown_config, terraform_variable},
};
use crate::{
    error::{CommandError, Interrupted},
    exit::Exit,
    os::Interruptions,
    plugin_args::LaunchArgs,
    sandbox::SandboxFacts,
    ui::{
        Out,
        lines::Lines,
        log_record::{record_as_json, show_record},
        shell_word::shell_quoted,
        style::{dim, good, plain, strong, warn},
    },
};

/// The plugin's events and output.
struct Follower {
    events: Events,
    output: OutputStream,
    stdout: Lines,
    stderr: Lines,
    level: Level,
    /// Whether backtraces are shown completely.
    full: bool,
    /// What the plugin was denied, with `--trace-access`.
    trace: Option<AccessTrace>,
}

/// Runs the plugin until it exits or a signal arrives.
pub(crate) async fn run(args: &RunArgs, out: &mut Out) -> Result<Exit, CommandError> {
    #[cfg(feature = "ui")]
    if args.ui && view::is_possible(out) {
        return Box::pin(view::run(args, out)).await;
    }
    let mut interruptions = Interruptions::new().into_diagnostic()?;
    let handover = args.handover.as_deref().map(PendingHandover::at).transpose()?;
    let trace = args.trace_access.then(|| AccessTrace::of(&args.launch)).transpose()?;
    let mut launch = args.launch.clone();
    launch.strace = trace.as_ref().and_then(AccessTrace::strace);
    let host = launch.host();
    let mut follower = Follower {
        events: host.events(),
        output: host.output(OutputOptions::default()),
        stdout: Lines::default(),
        stderr: Lines::default(),
        level: args.level.into(),
        full: args.launch.full,
        trace,
    };
    let launched = {
        let mut launching = pin!(launch.launch_by(&host));
        loop {
            tokio::select! {
                launched = &mut launching => break launched,
                () = follower.next(out) => {}
                () = interruptions.any() => return Err(Interrupted.into()),
            }
        }
    };
    // Events and output end when the host and its plugins are dropped.
    drop(host);
    let launched = match launched {
        Ok(launched) => launched,
        Err(error) => {
            if follower.trace.is_some() {
                follower.rest(out).await;
                follower.print_denied(out);
            }
            return Err(error);
        }
    };
    let _file = handover.map(|place| place.write(&launched)).transpose()?;
    print_ready(&launched, args, out);
    let exited = {
        let mut end = pin!(launched.wait());
        loop {
            if out.has_lost_stdout() {
                break None;
            }
            tokio::select! {
                reason = &mut end => break Some(reason),
                () = follower.next(out) => {}
                () = interruptions.any() => break None,
            }
        }
    };
    match exited {
        Some(reason) => {
            drop(launched);
            follower.rest(out).await;
            // An exit with success may be the result of another host's Shutdown.
            let how =
                if reason.is_success() { "cleanly, without a request of this program" } else { "by itself" };
            print_end(&format!("the plugin exited {how}: {reason}"), false, out);
            follower.print_denied(out);
            Ok(Exit::PluginExited)
        }
        None => {
            let exit = end(launched, &mut interruptions, &mut follower, out).await;
            follower.print_denied(out);
            Ok(exit)
        }
    }
}

/// Shuts the plugin down, and prints how it ended. A second signal kills it.
async fn end(
    plugin: Plugin,
    interruptions: &mut Interruptions,
    follower: &mut Follower,
    out: &mut Out,
) -> Exit {
    if !out.is_json() {
        out.note(dim("shutting the plugin down; press Ctrl-C again to kill it"));
    }
    let exit = {
        let mut shutdown = pin!(plugin.shut_down());
        loop {
            tokio::select! {
                exit = &mut shutdown => break Some(exit),
                () = follower.next(out) => {}
                () = interruptions.any() => break None,
            }
        }
    };
    follower.rest(out).await;
    match exit {
        None => {
            print_end("the plugin was killed", false, out);
            Exit::Interrupted
        }
        Some(exit) => {
            let clean = matches!(exit, PluginExit::Clean | PluginExit::Ended | PluginExit::Detached);
            print_end(&format!("the plugin {exit}"), clean, out);
            if clean { Exit::Ok } else { Exit::Failed }
        }
    }
}

/// Prints that the plugin is ready, and how to attach to it.
fn print_ready(plugin: &Plugin, args: &RunArgs, out: &mut Out) {
    let config = shown_config(plugin);
    let secured = plugin.security().is_mutual();
    let sandbox = sandbox_facts(plugin, &args.launch);
    if out.is_json() {
        let parsed = |text: String| serde_json::from_str::<serde_json::Value>(&text).unwrap_or_default();
        out.json_line(&json!({
            "kind": "ready",
            "pid": plugin.pid().map(Pid::get),
            "version": plugin.version().0,
            "mutual_tls": secured,
            "sandbox": sandbox,
            "reattach": parsed(config.to_string()),
            "tf_reattach_providers": for_terraform(args, &config).map(|by_name| parsed(by_name.to_string())),
        }));
        return;
    }
    let security = if secured { good("mutual TLS") } else { warn("no TLS") };
    let process = plugin.pid().map_or_else(|| "of unknown pid".to_owned(), |pid| pid.to_string());
    out.hint(&format!(
        "{} is up: process {process}, version {}, {security}, ready after {}",
        strong(args.launch.name()),
        plugin.version(),
        crate::ui::duration::show(plugin.launch_time())
    ));
    if let Some(sandbox) = &sandbox {
        sandbox.note(out);
    }
    match &args.handover {
        Some(path) => {
            out.note(format_args!("attach to it: rpcplugin attach {}", shell_quoted(&path.to_string_lossy())))
        }
        None if secured => out.hint(&warn(
            "it serves only this host: use --handover FILE for `rpcplugin attach FILE`, or --no-mtls for every client",
        )),
        None => out.note(format_args!("attach to it: rpcplugin attach {}", shell_quoted(&config.to_string()))),
    }
    out.line(&config);
    if let Some(variable) = terraform_variable(args, &config) {
        out.line(variable);
        if secured {
            out.note(dim("Terraform cannot attach without a key: run the provider with --no-mtls"));
        }
    }
    out.note(dim("press Ctrl-C to shut it down"));
}

/// Returns the sandbox of the plugin, as the options describe it.
fn sandbox_facts(plugin: &Plugin, launch: &LaunchArgs) -> Option<SandboxFacts> {
    let permit = launch.permit().ok()?;
    SandboxFacts::of_running(permit.sandbox.as_ref(), plugin)
}

impl Follower {
    /// Shows the next event or chunk of output. Never resolves after the last one.
    async fn next(&mut self, out: &mut Out) {
        tokio::select! {
            biased;
            Some(event) = self.events.next() => self.show_event(&event.event, out),
            Some(chunk) = self.output.next() => self.show_output(chunk.source, &chunk.bytes, out),
            else => std::future::pending().await,
        }
    }

    /// Prints what the plugin was denied, with `--trace-access`.
    fn print_denied(&mut self, out: &mut Out) {
        if let Some(trace) = self.trace.take() {
            trace.print(out);
        }
    }

    /// Shows the remaining events and output.
    async fn rest(&mut self, out: &mut Out) {
        while let Some(event) = self.events.next().await {
            self.show_event(&event.event, out);
        }
        while let Some(chunk) = self.output.next().await {
            self.show_output(chunk.source, &chunk.bytes, out);
        }
        for (lines, is_stderr) in [(&mut self.stdout, false), (&mut self.stderr, true)] {
            if let Some(line) = lines.rest() {
                print_output(&line, is_stderr, out);
            }
        }
        let missed = self.events.missed() + self.output.missed();
        if missed > 0 {
            out.note(warn(format_args!(
                "{missed} log records and chunks of output were dropped, because they came too fast"
            )));
        }
    }

    fn show_event(&mut self, event: &Event, out: &mut Out) {
        if let (Some(trace), Event::Log(record)) = (&mut self.trace, event) {
            trace.hear(&plain(&show_record(record, false)));
        }
        match event {
            Event::Log(record) if record.level >= self.level => {
                if out.is_json() {
                    out.json_line(&record_as_json(record));
                } else {
                    out.record(&show_record(record, self.full));
                }
            }
            Event::StillWaiting { elapsed } if !out.is_json() => {
                out.note(dim(format_args!(
                    "no handshake line after {}",
                    crate::ui::duration::show(*elapsed)
                )));
            }
            _ => {}
        }
    }

    fn show_output(&mut self, source: OutputSource, bytes: &[u8], out: &mut Out) {
        let (lines, is_stderr) = match source {
            OutputSource::Stdout => (&mut self.stdout, false),
            OutputSource::Stderr => (&mut self.stderr, true),
            _ => return,
        };
        for line in lines.push(bytes) {
            if let Some(trace) = &mut self.trace {
                trace.hear(&line);
            }
            print_output(&line, is_stderr, out);
        }
    }
}
