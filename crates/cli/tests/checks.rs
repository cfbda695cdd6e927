//! `conformance`, `doctor` and `bench` against real plugins.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

#[path = "checks/bench.rs"]
mod bench;
#[path = "checks/conformance.rs"]
mod conformance;
#[path = "checks/doctor.rs"]
mod doctor;
#[path = "checks/ecosystems.rs"]
mod ecosystems;
#[path = "checks/program.rs"]
mod program;
