//! `conformance`, `doctor` and `bench` with real plugins.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

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
