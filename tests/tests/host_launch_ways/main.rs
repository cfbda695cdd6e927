//! The ways to launch a plugin, with real processes.
#![cfg(unix)]

mod checksums;
mod cleanup;
#[cfg(target_os = "linux")]
mod confined_kit;
mod double;
mod environment;
mod host_death;
#[cfg(target_os = "linux")]
mod inherited;
mod lane;
mod retries;
mod runners;
#[cfg(target_os = "linux")]
mod sandbox;
mod support;
#[cfg(target_os = "linux")]
mod verified_file;
