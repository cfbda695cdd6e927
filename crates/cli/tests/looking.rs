//! `inspect`, `call`, `run` and `attach` against real plugins, and against what is none.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

#[path = "looking/acting.rs"]
mod acting;
#[path = "looking/arguments.rs"]
mod arguments;
#[path = "looking/attach.rs"]
mod attach;
#[path = "looking/call.rs"]
mod call;
#[path = "looking/descriptors.rs"]
mod descriptors;
#[path = "looking/ending.rs"]
mod ending;
#[path = "looking/handover.rs"]
mod handover;
#[path = "looking/inspect.rs"]
mod inspect;
#[path = "looking/json.rs"]
mod json;
#[path = "looking/manual.rs"]
mod manual;
#[expect(dead_code, reason = "the tests of the checks use the rest")]
#[path = "checks/program.rs"]
mod program;
#[path = "looking/running.rs"]
mod running;
#[path = "looking/screen.rs"]
mod screen;
#[path = "looking/terminal.rs"]
mod terminal;
