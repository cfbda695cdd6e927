//! The conformance plugin with the fault in the variable `HOSTILE`.
//!
//! | `HOSTILE` | fault |
//! |---|---|
//! | `flood:N` | writes N MiB of log lines to its original stderr, as fast as the host reads them |
//! | `grandchild` | leaves a process of another process group that holds its pipes, and logs `grandchild PID` |
//! | `stays` | ignores `Shutdown`, but exits on SIGTERM |
//! | `stays-forever` | ignores `Shutdown` and SIGTERM |
//! | `uncontrolled` | has a health service and no controller: only SIGTERM asks it to exit |
//! | `silent` | prints no handshake line, and leaves a process in its group |
//! | `leaves:FAULT` | moves to the process group of its host, and has the other fault too |

use std::{
    io::{self, Write as _},
    net::Ipv4Addr,
    os::unix::process::CommandExt as _,
    process::{Command, ExitCode, Stdio},
    thread,
};

use rpcplugin::{
    Endpoint, Services,
    transport::{
        Listener, Security,
        http2::{Serving, serve},
    },
};
use rustix::process::{getpgid, getppid, setpgid};
use tokio_util::sync::CancellationToken;

fn main() -> ExitCode {
    #[expect(clippy::disallowed_methods, reason = "the switch of a program")]
    let fault = std::env::var("HOSTILE").unwrap_or_default();
    let fault = match fault.strip_prefix("leaves:") {
        Some(rest) => match leave_group() {
            Ok(()) => rest.to_owned(),
            Err(error) => return failure(&error.into()),
        },
        None => fault,
    };
    match fault.as_str() {
        "silent" => {
            let _child = sleeper().spawn();
            let error = sleeper().exec();
            return failure(&error);
        }
        "uncontrolled" => return serve_without_a_controller(),
        "grandchild" => match sleeper().process_group(0).spawn() {
            Ok(child) => log(&format!("grandchild {}", child.id())),
            Err(error) => return failure(&error),
        },
        _ => {}
    }
    if let Some(mebibytes) = fault.strip_prefix("flood:").and_then(|n| n.parse().ok()) {
        match original_stderr() {
            Ok(stderr) => drop(thread::spawn(move || flood(stderr, mebibytes))),
            Err(error) => return failure(&error),
        }
    }
    let code = rpcplugin_tests::kit_plugin::main();
    // The program that replaces this process has no signal handlers.
    match fault.as_str() {
        "stays" => failure(&sleeper().exec()),
        "stays-forever" => {
            failure(&Command::new("sh").args(["-c", "trap '' TERM; while :; do sleep 1; done"]).exec())
        }
        _ => code,
    }
}

/// Serves as a plugin without a controller.
#[tokio::main(flavor = "current_thread")]
async fn serve_without_a_controller() -> ExitCode {
    let listener = match Listener::tcp(Ipv4Addr::LOCALHOST.into(), 0..=0).await {
        Ok(listener) => listener,
        Err(error) => return failure(&io::Error::other(error)),
    };
    let (reporter, health) = tonic_health::server::health_reporter();
    reporter.set_service_status("plugin", tonic_health::ServingStatus::Serving).await;
    let Endpoint::Tcp(address) = listener.endpoint() else { return ExitCode::FAILURE };
    let _ = writeln!(io::stdout(), "1|1|tcp|{address}|grpc");
    let serving = Serving::new(Services::new().add(health), Security::Plain, CancellationToken::new());
    serve(listener, serving).await;
    ExitCode::SUCCESS
}

fn leave_group() -> rustix::io::Result<()> {
    let group = getpgid(getppid())?;
    setpgid(None, Some(group))
}

fn sleeper() -> Command {
    let mut command = Command::new("sleep");
    command.arg("1000").stdin(Stdio::null());
    command
}

/// The stderr of the process before the plugin redirects it.
fn original_stderr() -> io::Result<std::fs::File> {
    std::fs::OpenOptions::new().write(true).open("/proc/self/fd/2")
}

fn flood(mut stderr: std::fs::File, mebibytes: usize) {
    let line = "[INFO] a line of the flood, as long as the lines of a plugin that logs too much are\n";
    let block = line.repeat(1 + (64 << 10) / line.len());
    for _ in 0..mebibytes * 16 {
        if stderr.write_all(block.as_bytes()).is_err() {
            return;
        }
    }
    let _ = stderr.write_all(b"[INFO] the flood is over\n");
}

fn log(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

fn failure(error: &io::Error) -> ExitCode {
    log(&format!("hostile-plugin: {error}"));
    ExitCode::FAILURE
}
