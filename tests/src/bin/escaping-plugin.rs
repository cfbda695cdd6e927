//! A plugin that tries to get out of its sandbox. It makes the attempts of its arguments before it serves, and writes the error number of
//! each into the file `results` of its temporary directory.
//!
//! `escaping-plugin as-host` is the host of a plugin that starts processes without an end, for a test that needs another user.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the test reads the output")]

#[cfg(target_os = "linux")]
#[path = "escaping_plugin/linux.rs"]
mod linux;

fn main() -> std::process::ExitCode {
    #[cfg(target_os = "linux")]
    return linux::main();
    #[cfg(not(target_os = "linux"))]
    std::process::ExitCode::FAILURE
}
