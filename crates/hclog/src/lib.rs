//! hclog records, the log format of go-plugin: a tracing layer that writes them in a plugin, and a parser that reads them in
//! a host.
//!
//! A record is one line of JSON on the plugin's stderr:
//!
//! ```json
//! {"@level":"info","@message":"configured","@module":"demo","@timestamp":"2026-11-20T13:19:54.029982Z","answer":42}
//! ```
//!
//! **Writing.** [`HclogLayer`] writes tracing events as records. [`MaxLevel`] sets their maximum level while the program
//! runs, and [`Json`] makes the value of a field nested JSON. [`Record`] writes a single record without a subscriber, for
//! example in a panic hook. Both pass whole lines to a [`Sink`]. A failure of the sink does not reach the program.
//!
//! **Reading.** [`Parser`] takes the bytes of a plugin's stderr and returns [`LogLine`]s. A line is a [`ParsedRecord`], or
//! text with the level that its format suggests. The lines of a panic are marked as one group.
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
//! assert_eq!(line.record.unwrap().module.as_deref(), Some("demo"));
//! ```
//!
//! The crate can be used alone, without a promise: its API may change with any release. The stable names of its items are in
//! `rpcplugin::hclog`.
//!
//! # Invariants
//!
//! - `@level`, `@message`, `@module` and `@timestamp` are written as strings. A host in Go crashes on any other type.
//! - A record is one line and one write.
//! - No input makes the parser panic, lose a byte or hold more than its limit. The result does not depend on how the bytes
//!   are divided into chunks.
//! - The crate opens no files, starts no threads and emits no events.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod encode;
mod layer;
mod level;
mod parser;
mod record;
mod sink;
mod timestamp;

pub use layer::{HclogLayer, Json, MaxLevel};
pub use level::Level;
pub use parser::{LineEnd, Lines, LogLine, ParsedRecord, Parser, Piece};
pub use record::Record;
pub use sink::Sink;
pub use timestamp::Timestamp;
