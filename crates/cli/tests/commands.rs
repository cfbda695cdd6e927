//! `inspect`, `call`, `run` and `attach` with real plugins, and with other programs.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "commands/arguments.rs"]
mod arguments;
#[path = "commands/attach.rs"]
mod attach;
#[path = "commands/attach_line.rs"]
mod attach_line;
#[path = "commands/call.rs"]
mod call;
#[path = "commands/confined.rs"]
mod confined;
#[path = "commands/descriptors.rs"]
mod descriptors;
#[path = "commands/discover.rs"]
mod discover;
#[path = "commands/ending.rs"]
mod ending;
#[path = "commands/handover.rs"]
mod handover;
#[path = "commands/inspect.rs"]
mod inspect;
#[path = "commands/json.rs"]
mod json;
#[path = "commands/manual.rs"]
mod manual;
#[expect(dead_code, reason = "`checks` uses the rest")]
#[path = "checks/program.rs"]
mod program;
#[path = "commands/running.rs"]
mod running;
#[path = "commands/script.rs"]
mod script;
#[path = "commands/serve.rs"]
mod serve;
#[path = "commands/terminal.rs"]
mod terminal;
#[path = "commands/terminal_escapes.rs"]
mod terminal_escapes;
#[path = "commands/trusted.rs"]
mod trusted;
#[path = "commands/wording.rs"]
mod wording;
