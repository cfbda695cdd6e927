//! The plugin's events and output, as entries of the journal.

use std::future::{pending, ready};

use rpcplugin::{
    Host,
    host::{Event, Events, OutputOptions, OutputSource, OutputStream},
};
use tokio::task::unconstrained;

use super::{
    journal::{Source, note},
    model::Model,
};
use crate::{
    commands::run::printed::marked_output,
    ui::{duration::show, lines::Lines, log_record::show_record},
};

/// What the plugins of a host log and print.
pub(super) struct Feed {
    events: Events,
    output: OutputStream,
    stdout: Lines,
    stderr: Lines,
    /// Whether backtraces are shown completely.
    full: bool,
}

impl Feed {
    pub(super) fn of(host: &Host, full: bool) -> Self {
        Self {
            events: host.events(),
            output: host.output(OutputOptions::default()),
            stdout: Lines::default(),
            stderr: Lines::default(),
            full,
        }
    }

    /// Takes the next event or chunk of output. Never resolves after the last one. Cancel safe.
    pub(super) async fn next(&mut self, model: &mut Model) {
        tokio::select! {
            biased;
            Some(event) = self.events.next() => match &event.event {
                Event::Log(record) => model.add(Source::Log(record.level), show_record(record, self.full)),
                Event::StillWaiting { elapsed } => {
                    let text = format!("no handshake line after {}", show(*elapsed));
                    model.add(Source::Note, note(&text));
                }
                _ => {}
            },
            Some(chunk) = self.output.next() => {
                let (lines, is_stderr) = match chunk.source {
                    OutputSource::Stdout => (&mut self.stdout, false),
                    OutputSource::Stderr => (&mut self.stderr, true),
                    _ => return,
                };
                for line in lines.push(&chunk.bytes) {
                    model.add(Source::Output, marked_output(&line, is_stderr));
                }
            }
            else => pending().await,
        }
    }

    /// Takes what a plugin has left, without waiting: what is there already, and lines without a line break, which the output of the next
    /// plugin would continue.
    pub(super) async fn end_of_plugin(&mut self, model: &mut Model) {
        // A flood has an end here.
        for _ in 0..MOST_LEFT {
            tokio::select! {
                biased;
                () = unconstrained(self.next(model)) => {}
                () = ready(()) => break,
            }
        }
        for (lines, is_stderr) in [(&mut self.stdout, false), (&mut self.stderr, true)] {
            if let Some(line) = lines.rest() {
                model.add(Source::Output, marked_output(&line, is_stderr));
            }
        }
    }

    /// The records and chunks that came too fast to be taken.
    pub(super) fn missed(&self) -> u64 {
        self.events.missed() + self.output.missed()
    }
}

/// The most records and chunks of a plugin that are taken at its end.
const MOST_LEFT: usize = 10_000;
