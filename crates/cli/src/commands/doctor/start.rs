//! From the start of the process to its handshake line.

use std::{io, path::Path};

use rpcplugin::{
    ExitReason, Obstacle,
    handshake::{HandshakeLine, HandshakeLineFault, variable},
    mtls::Identity,
};

use super::record::{Cause, Record};
use crate::{
    os::LONGEST_SOCKET_PATH,
    plugin_args::{LaunchArgs, expected_variable, refuses_a_version, without_zero},
    raw_host::{NoLine, Process, quoted, shown_line},
    ui::duration::show,
};

/// A plugin that has announced itself, and the certificate that it was offered.
pub(super) struct Announced {
    pub(super) process: Process,
    pub(super) answer: HandshakeLine,
    pub(super) host: Option<Identity>,
}

/// Starts the plugin as a host does, and reads what it answers.
pub(super) async fn examine(
    launch: &LaunchArgs,
    suspicion: Option<Obstacle>,
    record: &mut Record<'_>,
) -> Result<Announced, Cause> {
    let tmp = tempfile::Builder::new().prefix("rpcplugin-").tempdir().map_err(|error| {
        let seen =
            format!("no temporary directory can be made in {}: {error}", std::env::temp_dir().display());
        Cause::new("temporary", seen, "set TMPDIR to a directory that this user can write to")
    })?;
    room_for_a_socket(tmp.path())?;
    record.ok("temporary", std::env::temp_dir().display().to_string());
    let subject = launch.subject().map_err(|error| Cause::of("security", &error))?;
    let host = match launch.no_mtls || launch.tls.is_given() {
        true => None,
        false => Some(Identity::generate().map_err(|error| Cause::of("security", &error))?),
    };
    let start = || {
        let mut start = subject.start();
        if let Some(host) = &host {
            start = start.certificate(host.certificate_pem());
        }
        if launch.mux { start.multiplexed() } else { start }
    };
    let mut process = start().spawn_in(tmp).map_err(|error| not_started(&error, suspicion.as_ref()))?;
    if let Some(obstacle) = &suspicion {
        record.doubt("format", format!("{obstacle}, and yet it can be started"), "");
    }
    record.ok("start", format!("process {}", process.pid().as_raw_nonzero()));
    let mut line = first_line(launch, &mut process, record).await;
    if line.is_err() && launch.guesses_versions() && refuses_a_version(&process.stderr()) {
        let versions = without_zero().to_string();
        let again = start().set(variable::PROTOCOL_VERSIONS, versions).spawn();
        process = again.map_err(|error| not_started(&error, suspicion.as_ref()))?;
        line = first_line(launch, &mut process, record).await;
    }
    let line = line.map_err(|error| no_line(launch, &process, error))?;
    let answer = answer(launch, &process, &line, record)?;
    Ok(Announced { process, answer, host })
}

/// The path of a socket has little room.
fn room_for_a_socket(tmp: &Path) -> Result<(), Cause> {
    // What libraries append: `/plugin` and ten digits, `/pyvider-` and `.sock`.
    let length = tmp.as_os_str().len() + "/pyvider-12345678.sock".len();
    if length <= LONGEST_SOCKET_PATH {
        return Ok(());
    }
    let dir = std::env::temp_dir();
    let seen = format!("the path of the temporary directory {} leaves no room for a socket", dir.display());
    let advice =
        format!("set TMPDIR to a shorter path: that of a socket has at most {LONGEST_SOCKET_PATH} bytes");
    Err(Cause::new("temporary", seen, advice))
}

fn not_started(error: &io::Error, suspicion: Option<&Obstacle>) -> Cause {
    if let Some(obstacle) = suspicion {
        return Cause::new("format", obstacle.to_string(), obstacle.advice());
    }
    let advice = match error.kind() {
        io::ErrorKind::NotFound => {
            "install what has to run it: its interpreter or its dynamic loader is missing"
        }
        io::ErrorKind::PermissionDenied => "check who may execute it, and what its first line names",
        io::ErrorKind::ExecutableFileBusy => "wait until whoever is writing the file has closed it",
        _ => {
            "the system cannot run it: build it again for this machine, or see if the system is out of resources"
        }
    };
    Cause::new("start", format!("the operating system cannot start it: {error}"), advice)
}

async fn first_line(
    launch: &LaunchArgs,
    process: &mut Process,
    record: &Record<'_>,
) -> Result<String, NoLine> {
    let _working = record.out().working(format!("waiting for {} to speak", launch.name()));
    let line = process.first_line(launch.timeout).await;
    if line.is_err() {
        process.all_printed().await;
    }
    line.map(|line| String::from_utf8_lossy(&line).into_owned())
}

fn answer(
    launch: &LaunchArgs,
    process: &Process,
    line: &str,
    record: &mut Record<'_>,
) -> Result<HandshakeLine, Cause> {
    let took = show(process.started.elapsed());
    let answer = HandshakeLine::parse(line).map_err(|error| match error.fault {
        HandshakeLineFault::NotAnAnswer => no_answer(launch, line),
        _ => {
            let seen = format!("{}: {:?}", error.fault, shown_line(line));
            Cause::new("line", seen, launch.help_for_answer(&error))
        }
    })?;
    let cookie = if launch.has_cookie() { "accepted" } else { "not asked for" };
    record.ok("cookie", cookie);
    record.ok("line", format!("after {took}"));
    Ok(answer)
}

/// It printed something, and that is not what a plugin prints.
fn no_answer(launch: &LaunchArgs, line: &str) -> Cause {
    let seen = format!(
        "in place of a handshake line it printed {}",
        quoted(line, "line").trim_start_matches("; its line: ")
    );
    let advice = format!(
        "check that {} is a plugin at all; if it is, it must print nothing on stdout before its handshake line (banners and logs \
         belong on stderr)",
        launch.name()
    );
    Cause::new("line", seen, advice)
}

fn no_line(launch: &LaunchArgs, process: &Process, error: NoLine) -> Cause {
    let stderr = process.stderr();
    let cause = match error {
        NoLine::Ended { stdout, .. } if !stdout.trim().is_empty() => no_answer(launch, &stdout),
        NoLine::Ended { reason, .. } => ended(launch, reason, &stderr),
        NoLine::Closed { .. } => Cause::new(
            "line",
            "it closed its stdout without a handshake line, and runs on",
            "it must not close or redirect its stdout before it has printed its handshake line",
        ),
        NoLine::Late { waited, stdout } if stdout.trim().is_empty() => Cause::new(
            "line",
            format!("it said nothing for {} and runs on", show(waited)),
            "check that it is a plugin, and what it waits for; if it only needs longer, allow it more with --timeout",
        ),
        NoLine::Late { stdout, .. } => Cause::new(
            "line",
            format!("what it printed has no line break{}", quoted(&stdout, "stdout")),
            "the handshake line has to end with \\n and to be flushed",
        ),
    };
    cause.said(&stderr)
}

/// It ended and printed nothing on stdout.
fn ended(launch: &LaunchArgs, reason: ExitReason, stderr: &str) -> Cause {
    let seen = format!("it ended with {reason} before it spoke");
    let lower = stderr.to_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    if says(&["error while loading shared libraries", "library not loaded", "version `glibc"]) {
        let advice = "install the library that it names, in the version that the plugin was built with";
        return Cause::new("libraries", seen, advice);
    }
    if says(&["this program is a plugin", "this binary is a plugin", "magic cookie"]) {
        let named = expected_variable(stderr.lines()).filter(|name| name != launch.magic_cookie().key());
        let advice = match (launch.has_cookie(), launch.preset()) {
            _ if named.is_some() => {
                let name = named.unwrap_or_default();
                format!("it expects the variable {name}; give its value: --cookie {name}=…, or name its host with --preset")
            }
            (false, _) => "it is a plugin, and wants the cookie of its host: give it with --cookie KEY=VALUE, or with --preset; \
                           its documentation or its source names both parts"
                .to_owned(),
            (true, Some(preset)) => format!("it is no plugin of {}: give the cookie that its own host uses with --cookie", preset.name),
            (true, None) => "the cookie is not the one that it expects: the variable and its value both have to be the same".to_owned(),
        };
        return Cause::new("cookie", seen, advice);
    }
    let advice = match reason {
        ExitReason::Signal(_) => "it crashed: see what it wrote on stderr, and run it under a debugger".to_owned(),
        ExitReason::Status(126 | 127) => "what it runs is missing or may not be executed: see its stderr".to_owned(),
        _ if !launch.has_cookie() => {
            "if it is a plugin, it may want the cookie of its host: give it with --cookie KEY=VALUE or --preset; if not, it is the \
             wrong program"
                .to_owned()
        }
        ExitReason::Status(0) => {
            "a program that does its work and ends is no plugin; a plugin made with go-plugin ends so when it cannot listen: see its \
             stderr"
                .to_owned()
        }
        _ => "see what it wrote on stderr; the fault is in the plugin or in its configuration".to_owned(),
    };
    Cause::new("line", seen, advice)
}
