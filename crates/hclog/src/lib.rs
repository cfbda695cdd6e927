//! hclog records, the log lines of go-plugin's world: a tracing layer that writes them on the plugin's side, and a
//! parser that reads them on the host's.
//!
//! A record is one line of JSON on the plugin's stderr:
//!
//! ```json
//! {"@level":"info","@message":"configured","@module":"demo","@timestamp":"2026-11-20T13:19:54.029982Z","answer":42}
//! ```
//!
//! **Writing.** [`HclogLayer`] turns tracing events into records, [`MaxLevel`] chooses which while the program runs, and
//! [`Json`] gives a field nested JSON. [`Record`] writes a single one where there is no subscriber to rely on, such as a
//! panic hook. Both hand whole lines to a [`Sink`], and no failure of it reaches the program.
//!
//! **Reading.** [`Parser`] takes the bytes of a plugin's stderr, whatever they are, and gives [`LogLine`]s: records as
//! [`Entry`], all else as text with the level that it seems to have, the lines of a panic marked as belonging together.
//!
//! ```
//! use std::sync::{Arc, Mutex};
//! use rpcplugin_hclog::{HclogLayer, Level, Parser};
//! use tracing_subscriber::prelude::*;
//!
//! let stderr = Arc::new(Mutex::new(Vec::new()));
//! let subscriber = tracing_subscriber::registry().with(HclogLayer::new(Arc::clone(&stderr)).with_module("demo"));
//! tracing::subscriber::with_default(subscriber, || tracing::warn!(answer = 42, "configured"));
//!
//! let bytes = stderr.lock().unwrap().clone();
//! let mut parser = Parser::new();
//! let line = parser.push(&bytes).next().unwrap();
//! assert_eq!(line.level, Level::Warn);
//! assert_eq!(line.entry.unwrap().module.as_deref(), Some("demo"));
//! ```
//!
//! What holds: `@level`, `@message`, `@module` and `@timestamp` are always written as strings, since a Go host crashes
//! on anything else; a record is one line and one write; no input makes the parser panic, lose a byte, hold more
//! than its limit, or depend on how the bytes were divided.
//!
//! This crate opens no files, starts no threads and emits no events of its own.

mod encode;
mod layer;
mod level;
mod parser;
mod record;
mod sink;
mod timestamp;

pub use layer::{HclogLayer, Json, MaxLevel};
pub use level::Level;
pub use parser::{Entry, LineEnd, Lines, LogLine, Parser, Piece};
pub use record::Record;
pub use sink::Sink;
pub use timestamp::Timestamp;
