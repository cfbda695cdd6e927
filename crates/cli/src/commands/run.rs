//! `rpcplugin run`: keeps a plugin up, and shows what it says.

mod handover;

use std::{path::PathBuf, pin::pin};

use clap::{Args, ValueEnum};
use miette::IntoDiagnostic as _;
use rpcplugin::{
    Event, Events, Exit as PluginExit, Output, OutputOptions, OutputSource, Plugin,
    handshake::{ReattachConfig, ReattachConfigs},
    hclog::Level,
};
use serde_json::json;

use self::handover::HandoverPlace;
use crate::{
    error::{CommandError, Interrupted},
    exit::Exit,
    os::Interruptions,
    plugin_args::LaunchArgs,
    ui::{
        Out,
        lines::Lines,
        log_record::{record_as_json, show_record},
        style::{bad, dim, good, strong, warn, without_colours},
    },
};

/// Launches a plugin, keeps it up and shows its log and output, until it is interrupted.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// Shows records of the plugin's log from this level on.
    #[arg(long, value_name = "LEVEL", value_enum, default_value = "debug")]
    level: LevelArg,
    /// The name of the plugin for hosts that attach to it: for Terraform the address of the provider.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Writes into this new file what `rpcplugin attach` needs, the key of this host included. It is removed at the end.
    #[arg(long, value_name = "FILE")]
    handover: Option<PathBuf>,
    #[command(flatten)]
    launch: LaunchArgs,
}

/// The levels, as they are written on a command line.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum LevelArg {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
}

/// What the plugin says, as it comes.
struct Following {
    events: Events,
    output: Output,
    stdout: Lines,
    stderr: Lines,
    level: Level,
    /// Whether backtraces are shown whole.
    full: bool,
}

/// Runs the plugin until it ends, or somebody wants it to.
pub(crate) async fn run(args: &RunArgs, out: &mut Out) -> Result<Exit, CommandError> {
    let mut interruptions = Interruptions::new().into_diagnostic()?;
    let handover = args.handover.as_deref().map(HandoverPlace::at).transpose()?;
    let host = args.launch.host();
    let mut following = Following {
        events: host.events(),
        output: host.output(OutputOptions::default()),
        stdout: Lines::default(),
        stderr: Lines::default(),
        level: args.level.into(),
        full: args.launch.full,
    };
    let launched = {
        let mut launching = pin!(args.launch.launch_by(&host));
        loop {
            tokio::select! {
                launched = &mut launching => break launched?,
                () = following.next(out) => {}
                () = interruptions.any() => return Err(Interrupted.into()),
            }
        }
    };
    // What is told ends with the last of the host's plugins, and with the host.
    drop(host);
    let _file = handover.map(|place| place.write(&launched)).transpose()?;
    announce(&launched, args, out);
    let crashed = {
        let mut end = pin!(launched.wait());
        loop {
            if out.is_lost() {
                break None;
            }
            tokio::select! {
                reason = &mut end => break Some(reason),
                () = following.next(out) => {}
                () = interruptions.any() => break None,
            }
        }
    };
    match crashed {
        Some(reason) => {
            drop(launched);
            following.rest(out).await;
            // It has no way of telling who asked it to end.
            let how =
                if reason.is_success() { "in good order, and not for this program" } else { "by itself" };
            tell_end(&format!("the plugin ended {how}: {reason}"), false, out);
            Ok(Exit::PluginExited)
        }
        None => Ok(end(launched, &mut interruptions, &mut following, out).await),
    }
}

/// Ends the plugin, and says how it did. Whoever is impatient kills it.
async fn end(
    plugin: Plugin,
    interruptions: &mut Interruptions,
    following: &mut Following,
    out: &mut Out,
) -> Exit {
    if !out.is_json() {
        out.note(dim("ending the plugin; interrupt again to kill it"));
    }
    let exit = {
        let mut ending = pin!(plugin.shut_down());
        loop {
            tokio::select! {
                exit = &mut ending => break Some(exit),
                () = following.next(out) => {}
                () = interruptions.any() => break None,
            }
        }
    };
    following.rest(out).await;
    match exit {
        None => {
            tell_end("the plugin was killed", false, out);
            Exit::Interrupted
        }
        Some(exit) => {
            let well = matches!(exit, PluginExit::Clean | PluginExit::Ended | PluginExit::Detached);
            tell_end(&format!("the plugin {exit}"), well, out);
            if well { Exit::Ok } else { Exit::Failed }
        }
    }
}

/// Says that the plugin is up, and how others reach it: first what lets a person in.
fn announce(plugin: &Plugin, args: &RunArgs, out: &mut Out) {
    let config = ReattachConfig { test: true, ..plugin.reattach_config() };
    let by_name = for_terraform(args, &config);
    let secured = plugin.security().is_mutual();
    if out.is_json() {
        let parsed = |text: String| serde_json::from_str::<serde_json::Value>(&text).unwrap_or_default();
        out.json_line(&json!({
            "kind": "ready",
            "pid": plugin.pid(),
            "version": plugin.version().0,
            "mutual_tls": secured,
            "reattach": parsed(config.to_string()),
            "tf_reattach_providers": by_name.map(|by_name| parsed(by_name.to_string())),
        }));
        return;
    }
    let security = if secured { good("mutual TLS") } else { warn("no TLS") };
    out.hint(&format!(
        "{} is up: process {}, version {}, {security}, ready after {}",
        strong(plugin.name()),
        plugin.pid(),
        plugin.version(),
        crate::ui::duration::show(plugin.launch_time())
    ));
    match &args.handover {
        Some(path) => {
            out.note(format_args!("attach to it: rpcplugin attach {}", in_a_shell(&path.to_string_lossy())))
        }
        None if secured => out.hint(&warn(
            "its host alone gets in: --handover FILE lets `rpcplugin attach FILE` in, --no-mtls everyone",
        )),
        None => out.note(format_args!("attach to it: rpcplugin attach {}", in_a_shell(&config.to_string()))),
    }
    out.line(&config);
    if let Some(by_name) = by_name {
        out.line(format_args!("TF_REATTACH_PROVIDERS={}", in_a_shell(&by_name.to_string())));
        if secured {
            out.note(dim("Terraform has no key to it: run the provider with --no-mtls"));
        }
    }
    out.note(dim("Ctrl-C ends it"));
}

/// What Terraform reads, if the plugin is one for it, or is given a name.
fn for_terraform(args: &RunArgs, config: &ReattachConfig) -> Option<ReattachConfigs> {
    let is_provider = args.launch.magic_cookie().key() == TERRAFORM;
    let name = args.name.clone().or_else(|| is_provider.then(|| provider_address(&args.launch)))?;
    Some(ReattachConfigs([(name, config.clone())].into()))
}

/// The text as one word of a shell.
fn in_a_shell(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@%".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// The address under which Terraform would know a provider with this file name; otherwise the name itself.
fn provider_address(launch: &LaunchArgs) -> String {
    let name = launch.name();
    match name.strip_prefix("terraform-provider-") {
        Some(rest) => {
            let short = rest.split('_').next().unwrap_or(rest);
            format!("registry.terraform.io/hashicorp/{short}")
        }
        None => name,
    }
}

fn tell_end(what: &str, well: bool, out: &mut Out) {
    if out.is_json() {
        out.json_line(&json!({ "kind": "end", "clean": well, "how": what }));
    } else {
        out.note(if well { good(what) } else { bad(what) });
    }
}

impl Following {
    /// Shows the next thing that the plugin says. When there can be no more, it never resolves.
    async fn next(&mut self, out: &mut Out) {
        tokio::select! {
            biased;
            Some(event) = self.events.next() => self.show_event(&event.event, out),
            Some(chunk) = self.output.next() => self.show_output(chunk.source, &chunk.bytes, out),
            else => std::future::pending().await,
        }
    }

    /// Shows everything that is left.
    async fn rest(&mut self, out: &mut Out) {
        while let Some(event) = self.events.next().await {
            self.show_event(&event.event, out);
        }
        while let Some(chunk) = self.output.next().await {
            self.show_output(chunk.source, &chunk.bytes, out);
        }
        for (lines, is_stderr) in [(&mut self.stdout, false), (&mut self.stderr, true)] {
            if let Some(line) = lines.rest() {
                print(&line, is_stderr, out);
            }
        }
        let missed = self.events.missed() + self.output.missed();
        if missed > 0 {
            out.note(warn(format_args!("{missed} pieces of log and output came too fast to be shown")));
        }
    }

    fn show_event(&self, event: &Event, out: &mut Out) {
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
                    "nothing heard of it for {}",
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
            print(&line, is_stderr, out);
        }
    }
}

/// Prints a line of what the plugin's code has printed, where it belongs, marked.
fn print(line: &str, is_stderr: bool, out: &mut Out) {
    if out.is_json() {
        out.json_line(&json!({ "kind": if is_stderr { "stderr" } else { "stdout" }, "text": line }));
    } else if is_stderr {
        out.note(format_args!("{} {}", warn("stderr│"), without_colours(line)));
    } else {
        out.line(format_args!("{} {}", dim("stdout│"), without_colours(line)));
    }
}

impl From<LevelArg> for Level {
    fn from(level: LevelArg) -> Self {
        match level {
            LevelArg::Trace => Self::Trace,
            LevelArg::Debug => Self::Debug,
            LevelArg::Info => Self::Info,
            LevelArg::Warn => Self::Warn,
            LevelArg::Error => Self::Error,
        }
    }
}

/// The variable of Terraform's magic cookie.
const TERRAFORM: &str = "TF_PLUGIN_MAGIC_COOKIE";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_for_a_shell() {
        for (text, word) in
            [("/tmp/a.json", "/tmp/a.json"), ("", "''"), ("{\"a\":1}", "'{\"a\":1}'"), ("it's", "'it'\\''s'")]
        {
            assert_eq!(in_a_shell(text), word);
        }
    }
}
