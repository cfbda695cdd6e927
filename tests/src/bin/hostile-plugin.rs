//! The conformance plugin with a vice, which the variable `HOSTILE` names.
//!
//! | `HOSTILE` | vice |
//! |---|---|
//! | `flood:N` | writes N MiB of log lines to its real stderr, as fast as the host reads them |
//! | `grandchild` | leaves a process of another process group behind that holds its pipes, and logs `grandchild PID` |
//! | `stays` | does not end when its host asks it to, but on SIGTERM |
//! | `stays-for-ever` | does not end when its host asks it to, nor on SIGTERM |
//! | `uncontrolled` | has health and no controller: SIGTERM is the only way to ask it to end |
//! | `silent` | never answers, and leaves a process in its group |
//! | `leaves:VICE` | goes over to the process group of its host, and has the other vice besides |

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
    #[expect(clippy::disallowed_methods, reason = "a program's own switch")]
    let vice = std::env::var("HOSTILE").unwrap_or_default();
    let vice = match vice.strip_prefix("leaves:") {
        Some(rest) => match leave_group() {
            Ok(()) => rest.to_owned(),
            Err(error) => return failure(&error.into()),
        },
        None => vice,
    };
    match vice.as_str() {
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
    if let Some(mebibytes) = vice.strip_prefix("flood:").and_then(|n| n.parse().ok()) {
        match real_stderr() {
            Ok(stderr) => drop(thread::spawn(move || flood(stderr, mebibytes))),
            Err(error) => return failure(&error),
        }
    }
    let code = rpcplugin_tests::kit_plugin::main();
    // What is executed in place of this program has none of its signal handlers.
    match vice.as_str() {
        "stays" => failure(&sleeper().exec()),
        "stays-for-ever" => {
            failure(&Command::new("sh").args(["-c", "trap '' TERM; while :; do sleep 1; done"]).exec())
        }
        _ => code,
    }
}

/// What a server does that is a plugin only by its handshake line.
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

/// What stderr is before the plugin forwards it.
fn real_stderr() -> io::Result<std::fs::File> {
    std::fs::OpenOptions::new().write(true).open("/proc/self/fd/2")
}

fn flood(mut stderr: std::fs::File, mebibytes: usize) {
    let line = "[INFO] a line of the flood, as long as the lines of a plugin that talks too much are\n";
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
