//! The exit of a plugin: what ends it, how fast, and what does not end it.

use std::{
    io,
    time::{Duration, Instant},
};

use rpcplugin::host::{ExitReason, Pid};

use super::check::{
    Check, CheckFailure, GRACE, Mutual, PrintedLine, Served, Verdict, check, fail, is_child_process,
    read_line, security_without_auto_mtls, served_mutual, served_plain, skip,
};
use crate::{
    os::{StopSignal, is_alive},
    raw_host::{PluginUnderTest, broker_stream, channel, health, quoted, shut_down, stdio_stream},
    ui::duration::show,
};

pub(super) const CHECKS: &[Check] = &[
    check!(
        "shutdown",
        Must,
        shutdown,
        "After plugin.GRPCController/Shutdown the plugin exits with status 0 within two seconds, even while the streams are open that \
         every host opens. A Go host kills it then.",
        "Implement plugin.GRPCController: Shutdown stops the server, ends its open streams, and lets main return.",
    ),
    check!(
        "shutdown-mtls",
        Must,
        shutdown_mtls,
        "The rule of shutdown, under AutoMTLS.",
        "As for shutdown, and make sure that open TLS connections do not delay the exit.",
    ),
    check!(
        "sigint-ignored",
        Must,
        sigint,
        "SIGINT does not end a plugin: Ctrl-C at the terminal reaches the host and its plugins, and the host decides.",
        "Install a handler for SIGINT that does nothing.",
    ),
    check!(
        "sigterm",
        Must,
        sigterm,
        "SIGTERM ends a plugin.",
        "Keep the default of SIGTERM, or shut down cleanly.",
    ),
    check!(
        "sigterm-orderly",
        Info,
        sigterm_orderly,
        "SIGTERM kills a plugin made with go-plugin, and its socket stays.",
        "Treat SIGTERM as a shutdown, so that service managers can end the plugin cleanly.",
    ),
    check!(
        "host-death",
        Info,
        host_death,
        "A plugin made with go-plugin keeps running after its host is killed, until it writes to a closed pipe.",
        "Watch for the host's exit (its pipes or the parent process), so that no process is left behind.",
    ),
    check!(
        "disconnected",
        Info,
        disconnected,
        "A plugin made with go-plugin that does not multiplex keeps running when its host closes the connection.",
        "No action is needed.",
    ),
];

async fn shutdown(plugin: &PluginUnderTest) -> Verdict {
    exits_after_shutdown(served_plain(plugin).await?).await
}

async fn shutdown_mtls(plugin: &PluginUnderTest) -> Verdict {
    let Mutual { served, .. } = served_mutual(plugin).await?;
    exits_after_shutdown(served).await
}

async fn exits_after_shutdown(served: Served) -> Verdict {
    let channel = served.channel().await?;
    let streams = [
        tokio::spawn({
            let channel = channel.clone();
            async move { while let Ok(Some(_)) = read(stdio_stream(channel.clone()).await).await {} }
        }),
        tokio::spawn({
            let channel = channel.clone();
            async move { while let Ok(Some(_)) = read(broker_stream(channel.clone()).await).await {} }
        }),
    ];
    // After a health call both streams have reached the plugin, as with a host.
    let _ = health(channel.clone(), "plugin").await;
    let requested = Instant::now();
    let response = shut_down(channel).await;
    let ended = served.process.exit_within(GRACE.saturating_sub(requested.elapsed())).await;
    let took = requested.elapsed();
    streams.iter().for_each(tokio::task::JoinHandle::abort);
    let outcome = match &response {
        Ok(()) => "answered".to_owned(),
        Err(status) => format!("cut with {:?}", status.code()),
    };
    match ended {
        Some(reason) if reason.is_success() => {
            Ok(format!("{reason} after {}, the call {outcome}", show(took)))
        }
        Some(reason) => fail(format!(
            "the plugin ended with {reason} after {}{}",
            show(took),
            quoted(&served.process.stderr(), "stderr")
        )),
        None => fail(format!("the plugin was still running after {}, the call {outcome}", show(took))),
    }
}

/// Reads a stream to its end.
async fn read<T>(opened: Result<tonic::Streaming<T>, tonic::Status>) -> Result<Option<T>, tonic::Status> {
    let mut stream = opened?;
    while stream.message().await?.is_some() {}
    Ok(None)
}

async fn sigint(plugin: &PluginUnderTest) -> Verdict {
    let served = served_plain(plugin).await?;
    served.still_serves("its start").await?;
    for _ in 0..3 {
        send(&served, StopSignal::Interrupt)?;
        served.still_serves("SIGINT").await?;
    }
    match served.process.exit_within(SIGINT_PERIOD).await {
        Some(reason) => fail(format!("the plugin ended with {reason}")),
        None => Ok("three signals, and the plugin keeps serving".to_owned()),
    }
}

async fn sigterm(plugin: &PluginUnderTest) -> Verdict {
    let (reason, took, _) = terminated(plugin).await?;
    Ok(format!("{reason} after {}", show(took)))
}

async fn sigterm_orderly(plugin: &PluginUnderTest) -> Verdict {
    let (reason, _, served) = terminated(plugin).await?;
    let left = served.socket().is_ok_and(std::path::Path::exists);
    Ok(format!("{reason}, and the socket is {}", if left { "left" } else { "removed" }))
}

async fn terminated(plugin: &PluginUnderTest) -> Verdict<(ExitReason, Duration, Served)> {
    let served = served_plain(plugin).await?;
    served.still_serves("its start").await?;
    let requested = Instant::now();
    send(&served, StopSignal::Terminate)?;
    match served.process.exit_within(SIGTERM_TIMEOUT).await {
        Some(reason) => Ok((reason, requested.elapsed(), served)),
        None => fail(format!("the plugin was still running {} s after SIGTERM", SIGTERM_TIMEOUT.as_secs())),
    }
}

/// Sends a signal. Skips the check on a system without the signal.
fn send(served: &Served, signal: StopSignal) -> Verdict<()> {
    served.process.signal(signal).map_err(skip_unsupported)
}

/// An error of the operating system fails the check, unless the system has nothing to check.
fn skip_unsupported(error: io::Error) -> CheckFailure {
    match error.kind() {
        io::ErrorKind::Unsupported => CheckFailure::Skip(error.to_string()),
        _ => error.into(),
    }
}

/// Kills the plugin's parent and closes its pipes and connections.
async fn host_death(plugin: &PluginUnderTest) -> Verdict {
    is_child_process(plugin)?;
    if plugin.runner.is_some() {
        return skip("--sandbox or --locked was given: this needs a parent that is not this program");
    }
    let security = security_without_auto_mtls(plugin)?;
    let dir = tempfile::tempdir()?;
    let pid_file = dir.path().join("pid");
    let tmp = tempfile::Builder::new().prefix("rpcplugin-").tempdir()?;
    let parent = plugin.start().spawn_below_a_parent(&pid_file, tmp).map_err(skip_unsupported)?;
    let PrintedLine { process: parent, address, .. } = read_line(parent, plugin.start_timeout).await?;
    let number = std::fs::read_to_string(&pid_file)?;
    let Some(pid) = number.trim().parse().ok().and_then(Pid::new) else {
        return skip("the pid of the plugin is not known");
    };
    let channel = channel(&address, security).await?;
    parent.signal(StopSignal::Kill)?;
    parent.close_pipes();
    drop(channel);
    let died = Instant::now();
    while is_alive(pid) && died.elapsed() < HOST_DEATH_TIMEOUT {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // Dropping `parent` kills the process group.
    Ok(if is_alive(pid) {
        format!("the plugin was still running {} s after its host was killed", HOST_DEATH_TIMEOUT.as_secs())
    } else {
        format!("the plugin exited {} after its host was killed", show(died.elapsed()))
    })
}

async fn disconnected(plugin: &PluginUnderTest) -> Verdict {
    let served = served_plain(plugin).await?;
    drop(served.channel().await?);
    Ok(match served.process.exit_within(Duration::from_millis(500)).await {
        Some(reason) => format!("the plugin ends with {reason}"),
        None => "the plugin keeps running".to_owned(),
    })
}

/// The time after the last SIGINT in which the plugin must not exit.
const SIGINT_PERIOD: Duration = Duration::from_millis(700);

/// The limit for an exit after SIGTERM.
const SIGTERM_TIMEOUT: Duration = Duration::from_secs(5);

/// The limit for an exit after the host was killed.
const HOST_DEATH_TIMEOUT: Duration = Duration::from_secs(3);
