//! The file that a tap writes.

use std::{
    fs::File,
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{sync::mpsc, task::JoinHandle, time::timeout};

use super::{
    event::{Event, Kind},
    http2::Found,
    json, only,
    schema::Described,
    text,
};
use crate::os::create_private;

/// How events are written.
#[derive(Debug, Clone)]
pub(super) struct Format {
    pub(super) json: bool,
    /// Whether texts, bytes and metadata are shown, which may be secrets.
    pub(super) values: bool,
    /// Whether messages are written as they were sent too.
    pub(super) encoded: bool,
    /// The methods to show. An empty list shows all.
    pub(super) only: Vec<String>,
}

/// The file with its path.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) path: PathBuf,
    file: File,
}

impl Format {
    /// The format of a recording.
    pub(super) fn of_record() -> Self {
        Self { json: true, values: true, encoded: true, only: Vec::new() }
    }
}

impl Target {
    /// Opens the file of a recording for appending.
    pub(super) fn record(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), file: create_private(path)? })
    }

    /// Opens the file for appending: a host may start a plugin several times. Makes a new file with the plugin's name if `path` is a
    /// directory or missing. Only this user can read a new file.
    pub(super) fn open(path: Option<&Path>, program: &Path, json: bool) -> io::Result<Self> {
        let path = path.map_or_else(std::env::temp_dir, Path::to_owned);
        let path = if path.is_dir() { path.join(file_name(program, json)) } else { path };
        let path = std::path::absolute(path)?;
        Ok(Self { file: create_private(&path)?, path })
    }
}

/// Returns the name of the file for a plugin: its program and this process.
fn file_name(program: &Path, json: bool) -> String {
    let name = program.file_stem().map_or_else(|| "plugin".into(), |name| name.to_string_lossy());
    let extension = if json { "jsonl" } else { "txt" };
    format!("{name}.tap-{}.{extension}", std::process::id())
}

/// The task that writes.
#[derive(Debug)]
pub(super) struct Writer(JoinHandle<()>);

impl Writer {
    /// Writes events into each file until the last one, which is the exit of the plugin.
    pub(super) fn start(
        targets: Vec<(Target, Format)>,
        events: mpsc::Receiver<Event>,
        lost: Arc<AtomicU64>,
    ) -> Self {
        // A thread, because a terminal or a full disk may block it.
        Self(tokio::task::spawn_blocking(move || write_all(targets, events, &lost)))
    }

    /// Waits until everything is written. A blocked output is left.
    pub(super) async fn end(self) {
        let _ = timeout(LAST_EVENTS, self.0).await;
    }
}

fn write_all(mut targets: Vec<(Target, Format)>, mut events: mpsc::Receiver<Event>, lost: &AtomicU64) {
    let mut types = Described::default();
    while let Some(event) = events.blocking_recv() {
        let missing = lost.swap(0, Ordering::Relaxed);
        if missing > 0 {
            let text = format!("{missing} events are missing here, because the output was too slow");
            let note = Event { connection: None, kind: Kind::Note(text), ..event };
            put(&mut targets, &note, &types);
        }
        if let Kind::Schema(described) = event.kind {
            types = *described;
            continue;
        }
        let is_last = matches!(event.kind, Kind::Exited(_));
        put(&mut targets, &event, &types);
        if is_last {
            return;
        }
    }
}

fn line(event: &Event, types: &Described, format: &Format) -> String {
    match format.json {
        true => json::line(event, types, (format.values, format.encoded)),
        false => text::line(event, types, format.values),
    }
}

/// Whether an event belongs to what was asked for.
fn is_shown(event: &Event, methods: &[String]) -> bool {
    match &event.kind {
        Kind::Found(Found { method, call: Some(_), .. }) => only::is_among(method, methods),
        _ => true,
    }
}

/// Writes the line of an event at once, so that several processes can write into one file. The plugin runs on if that fails.
fn put(targets: &mut [(Target, Format)], event: &Event, types: &Described) {
    for (target, format) in targets {
        if is_shown(event, &format.only) {
            let _ = target.file.write_all(line(event, types, format).as_bytes());
        }
    }
}

/// The longest wait for the output at the end.
const LAST_EVENTS: Duration = Duration::from_secs(5);
