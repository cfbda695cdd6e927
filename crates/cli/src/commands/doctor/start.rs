//! The start of the process, up to its handshake line.

use std::{io, path::Path};

use rpcplugin::{
    error::with_causes,
    handshake::{HandshakeLine, HandshakeLineFault, variable},
    host::{ExitReason, Obstacle},
    tls::Identity,
};

use super::{
    confinement,
    record::{Fault, Record},
};
use crate::{
    os::{LONGEST_SOCKET_PATH, TEMPORARY_DIRECTORY},
    plugin_args::{LaunchArgs, expected_variable, refuses_a_version, without_zero},
    raw_host::{Address, NoLine, NoWay, Process, SpawnError, quoted, shown_line},
    runner::explanation,
    ui::duration::show,
};

/// A plugin that has printed its handshake line, and the host's certificate.
pub(super) struct PrintedLine {
    pub(super) process: Process,
    pub(super) line: HandshakeLine,
    pub(super) address: Address,
    pub(super) host: Option<Identity>,
}

/// Starts the plugin as a host does, and reads its handshake line.
pub(super) async fn examine(
    launch: &LaunchArgs,
    suspicion: Option<Obstacle>,
    record: &mut Record<'_>,
) -> Result<PrintedLine, Fault> {
    let tmp = tempfile::Builder::new().prefix("rpcplugin-").tempdir().map_err(|error| {
        let seen =
            format!("no temporary directory can be created in {}: {error}", std::env::temp_dir().display());
        Fault::new(
            "temporary",
            seen,
            format!("set {} to a directory in which this user can write", TEMPORARY_DIRECTORY[0]),
        )
    })?;
    check_socket_path_length(tmp.path())?;
    record.ok("temporary", std::env::temp_dir().display().to_string());
    let plugin = launch.under_test().map_err(|error| Fault::of("security", error.report.as_ref()))?;
    let host = match launch.no_mtls || launch.tls.is_given() {
        true => None,
        false => Some(Identity::generate().map_err(|error| Fault::of("security", &error))?),
    };
    let start = || {
        let mut start = plugin.start();
        if let Some(host) = &host {
            start = start.certificate(host.certificate_pem());
        }
        if launch.mux { start.multiplexed() } else { start }
    };
    let mut process = {
        let _working = record.out().working(format!("starting {}", launch.name()));
        start().spawn_in(tmp).await.map_err(|error| not_started(launch, &error, suspicion.as_ref()))?
    };
    if let Some(obstacle) = &suspicion {
        record.doubt("format", format!("{obstacle}, but the process starts"), "");
    }
    record.ok("start", format!("process {}", process.id()));
    let mut line = first_line(launch, &mut process, record).await;
    if line.is_err() && launch.guesses_versions() && refuses_a_version(&process.stderr()) {
        let versions = without_zero().to_string();
        let again = start().set(variable::PROTOCOL_VERSIONS, versions).spawn().await;
        process = again.map_err(|error| not_started(launch, &error, suspicion.as_ref()))?;
        line = first_line(launch, &mut process, record).await;
    }
    let line = line.map_err(|error| no_line(launch, &process, error))?;
    let line = parse(launch, &process, &line, record)?;
    let address = process.address(&line).map_err(|error| no_way(&error))?;
    Ok(PrintedLine { process, line, address, host })
}

/// Returns the fault of a plugin whose address this side cannot reach.
fn no_way(error: &NoWay) -> Fault {
    let advice = "let the plugin listen in the directory PLUGIN_UNIX_SOCKET_DIR of its environment, which is shared with this side";
    Fault::new("address", with_causes(error.to_string(), error), advice)
}

/// Checks that the path of a socket in the temporary directory is not too long.
fn check_socket_path_length(tmp: &Path) -> Result<(), Fault> {
    // The longest suffix of the known libraries: `/plugin` with ten digits, `/pyvider-….sock`.
    let length = tmp.as_os_str().len() + "/pyvider-12345678.sock".len();
    let Some(longest) = LONGEST_SOCKET_PATH.filter(|longest| length > *longest) else { return Ok(()) };
    let dir = std::env::temp_dir();
    let seen = format!("the path of the temporary directory {} is too long for a socket", dir.display());
    let advice = format!("set TMPDIR to a shorter path: the path of a socket has at most {longest} bytes");
    Err(Fault::new("temporary", seen, advice))
}

fn not_started(launch: &LaunchArgs, error: &SpawnError, suspicion: Option<&Obstacle>) -> Fault {
    let error = match error {
        SpawnError::System(error) => error,
        // The error of the runner names the engine, the image or the permission that is missing.
        SpawnError::Runner(fault) => {
            return confinement::refused(launch, fault)
                .unwrap_or_else(|| Fault::of("start", explanation(fault).unwrap_or(fault)));
        }
        SpawnError::Address(error) => return no_way(error),
    };
    if let Some(obstacle) = suspicion {
        return Fault::new("format", obstacle.to_string(), obstacle.advice());
    }
    let advice = match error.kind() {
        io::ErrorKind::NotFound => "install the interpreter or the dynamic loader of the program",
        io::ErrorKind::PermissionDenied => {
            "check the permissions of the file and of the interpreter in its first line"
        }
        io::ErrorKind::ExecutableFileBusy => "wait until the process that writes the file has closed it",
        _ => "build the program for this machine, or check whether the system is out of resources",
    };
    Fault::new("start", format!("the operating system cannot start the program: {error}"), advice)
}

async fn first_line(
    launch: &LaunchArgs,
    process: &mut Process,
    record: &Record<'_>,
) -> Result<String, NoLine> {
    let _working = record.out().working(format!("waiting for the handshake line of {}", launch.name()));
    let line = process.first_line(launch.timeout).await;
    if line.is_err() {
        process.all_printed().await;
    }
    line.map(|line| String::from_utf8_lossy(&line).into_owned())
}

fn parse(
    launch: &LaunchArgs,
    process: &Process,
    line: &str,
    record: &mut Record<'_>,
) -> Result<HandshakeLine, Fault> {
    let took = show(process.started.elapsed());
    let handshake = HandshakeLine::parse(line).map_err(|error| match error.fault {
        HandshakeLineFault::NotAHandshakeLine => other_output(launch, line),
        _ => {
            let seen = format!("{}: {:?}", error.fault, shown_line(line));
            Fault::new("line", seen, launch.help_for_line(&error))
        }
    })?;
    let cookie = if launch.has_cookie() { "accepted" } else { "not required" };
    record.ok("cookie", cookie);
    record.ok("line", format!("after {took}"));
    Ok(handshake)
}

/// Returns the fault of a plugin that printed something else in place of a handshake line.
fn other_output(launch: &LaunchArgs, line: &str) -> Fault {
    let seen = format!(
        "the plugin printed no handshake line, but {}",
        quoted(line, "line").trim_start_matches("; line: ")
    );
    let advice = format!(
        "check that {} is a plugin; a plugin must print nothing on stdout before its handshake line (banners and logs belong \
         on stderr)",
        launch.name()
    );
    Fault::new("line", seen, advice)
}

fn no_line(launch: &LaunchArgs, process: &Process, error: NoLine) -> Fault {
    let stderr = process.stderr();
    let fault = match error {
        NoLine::Exited { stdout, .. } if !stdout.trim().is_empty() => other_output(launch, &stdout),
        NoLine::Exited { reason, .. } => exited(launch, &reason, &stderr),
        NoLine::Closed { .. } => Fault::new(
            "line",
            "the plugin closed its stdout without a handshake line, and keeps running",
            "change the plugin: it must not close or redirect its stdout before its handshake line",
        ),
        NoLine::Timeout { waited, stdout } if stdout.trim().is_empty() => Fault::new(
            "line",
            format!("the plugin printed nothing for {} and keeps running", show(waited)),
            "check that the program is a plugin, and what it waits for; if it only starts slowly, raise --timeout",
        ),
        NoLine::Timeout { stdout, .. } => Fault::new(
            "line",
            format!("the output has no line break{}", quoted(&stdout, "stdout")),
            "change the plugin: end the handshake line with \\n and flush stdout",
        ),
    };
    fault.with_stderr(&stderr)
}

/// Returns the fault of a plugin that exited without output on stdout.
fn exited(launch: &LaunchArgs, reason: &ExitReason, stderr: &str) -> Fault {
    let seen = format!("the plugin ended with {reason} before its handshake line");
    if let Some(fault) = confinement::denied(launch, &seen, stderr) {
        return fault;
    }
    let lower = stderr.to_lowercase();
    let mentions = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    if mentions(&[
        "error while loading shared libraries",
        "error loading shared library",
        "library not loaded",
        "version `glibc",
    ]) {
        let advice = "install the library that stderr names, in the version that the plugin was built with";
        return Fault::new("libraries", seen, advice);
    }
    if mentions(&["this program is a plugin", "this binary is a plugin", "magic cookie"]) {
        let named = expected_variable(stderr.lines()).filter(|name| name != launch.magic_cookie().key());
        let advice = match (launch.has_cookie(), launch.preset()) {
            _ if named.is_some() => {
                let name = named.unwrap_or_default();
                format!("set the variable {name} that the plugin expects with --cookie {name}=…, or name its host with --preset")
            }
            (false, _) => "give the magic cookie of the plugin's host with --cookie KEY=VALUE, or name the host with --preset; the \
                           plugin's documentation or source has the key and the value"
                .to_owned(),
            (true, Some(preset)) => format!("give the cookie of the plugin's host with --cookie: it is not a plugin of {}", preset.name),
            (true, None) => "check the key and the value of --cookie: the plugin expects another cookie".to_owned(),
        };
        return Fault::new("cookie", seen, advice);
    }
    let advice = match reason {
        ExitReason::Signal(_) => "read the plugin's stderr, and run it under a debugger: it crashed".to_owned(),
        ExitReason::Status(126 | 127) => "read the plugin's stderr: a program that it runs is missing or may not be executed".to_owned(),
        _ if !launch.has_cookie() => {
            "give the cookie of the plugin's host with --cookie KEY=VALUE or --preset, or check that the program is a plugin"
                .to_owned()
        }
        ExitReason::Status(0) => {
            "check that the program is a plugin, and read its stderr: a plugin made with go-plugin exits with status 0 if it cannot \
             listen"
                .to_owned()
        }
        _ => "read the plugin's stderr; the fault is in the plugin or in its configuration".to_owned(),
    };
    Fault::new("line", seen, advice)
}
