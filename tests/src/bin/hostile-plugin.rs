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
//! | `held:ADDRESS` | connects to this TCP address, prints no handshake line, and ends when the connection is closed |
//! | `holds:ADDRESS` | connects to this TCP address, and starts a process with `held:ADDRESS` |
//! | `leaves:FAULT` | moves to the process group of its host, and has the other fault too |

use std::{
    io::{self, Read as _, Write as _},
    net::{Ipv4Addr, TcpStream},
    process::{Command, ExitCode, Stdio},
    thread,
    time::Duration,
};

use rpcplugin::{
    Endpoint, Services,
    transport::{
        Listener, Security,
        http2::{Serving, serve},
    },
};
use rpcplugin_tests::os::{become_sleeper, in_own_group, join_group_of_parent, original_stderr, sleeper};
use tokio_util::sync::CancellationToken;

fn main() -> ExitCode {
    #[expect(clippy::disallowed_methods, reason = "the switch of a program")]
    let fault = std::env::var("HOSTILE").unwrap_or_default();
    let fault = match fault.strip_prefix("leaves:") {
        Some(rest) => match join_group_of_parent() {
            Ok(()) => rest.to_owned(),
            Err(error) => return failure(&error),
        },
        None => fault,
    };
    match fault.as_str() {
        "silent" => {
            let _child = sleeper().and_then(start);
            return failure(&become_sleeper(false));
        }
        "sleeps" => thread::sleep(Duration::from_secs(1000)),
        "uncontrolled" => return serve_without_a_controller(),
        "grandchild" => match sleeper().map(in_own_group).and_then(start) {
            Ok(pid) => log(&format!("grandchild {pid}")),
            Err(error) => return failure(&error),
        },
        _ => {}
    }
    if let Some(address) = fault.strip_prefix("held:") {
        return match TcpStream::connect(address).and_then(|mut held| held.read_to_end(&mut Vec::new())) {
            Ok(_) => ExitCode::SUCCESS,
            Err(error) => failure(&error),
        };
    }
    // Open until the process ends.
    let mut held = Vec::new();
    if let Some(address) = fault.strip_prefix("holds:") {
        match hold(address) {
            Ok(stream) => held.push(stream),
            Err(error) => return failure(&error),
        }
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
        "stays" => failure(&become_sleeper(false)),
        "stays-forever" => failure(&become_sleeper(true)),
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

/// Starts a process, and returns its pid.
fn start(mut command: Command) -> io::Result<u32> {
    Ok(command.stdin(Stdio::null()).spawn()?.id())
}

/// Connects to the address, and starts a process that does the same.
fn hold(address: &str) -> io::Result<TcpStream> {
    let mut other = Command::new(std::env::current_exe()?);
    other.env("HOSTILE", format!("held:{address}")).stdout(Stdio::null()).stderr(Stdio::null());
    start(other)?;
    TcpStream::connect(address)
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
