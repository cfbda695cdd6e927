//! How a plugin ends, and what it does not end at.

use std::time::{Duration, Instant};

use rpcplugin::ExitReason;

use super::check::{
    Announced, Check, GRACE, Mutual, Served, Verdict, check, fail, greet, served_mutual, served_plain, skip,
    unoffered,
};
use crate::{
    os::{Pid, Signal, is_alive},
    raw_host::{PluginUnderTest, broker_stream, channel, health, quoted, shut_down, stdio_stream},
    ui::duration::show,
};

pub(super) const CHECKS: &[Check] = &[
    check!(
        "shutdown",
        Must,
        shutdown,
        "Asked by plugin.GRPCController/Shutdown, with the streams open that every host opens, the plugin ends by itself with \
         status 0 within two seconds; then a Go host kills it.",
        "Implement plugin.GRPCController; let Shutdown stop the server, end its open streams, and let main return.",
    ),
    check!(
        "shutdown-mtls",
        Must,
        shutdown_mtls,
        "The same under AutoMTLS.",
        "As for shutdown; make sure that open TLS connections do not hold up the end.",
    ),
    check!(
        "sigint-ignored",
        Must,
        sigint,
        "SIGINT does not end a plugin: a Ctrl-C at the terminal reaches a go-plugin host and its plugins alike, and the host decides.",
        "Install a handler for SIGINT that does nothing.",
    ),
    check!(
        "sigterm",
        Must,
        sigterm,
        "SIGTERM ends a plugin.",
        "Leave SIGTERM to its default, or end in good order.",
    ),
    check!(
        "sigterm-orderly",
        Info,
        sigterm_orderly,
        "A plugin made with go-plugin is ended by SIGTERM as by any signal, and leaves its socket.",
        "Treat SIGTERM as a shutdown, so that service managers end the plugin in good order.",
    ),
    check!(
        "host-death",
        Info,
        host_death,
        "A plugin made with go-plugin lives on when its host is killed, until it writes to a closed pipe.",
        "Watch for the host's end (its pipes, or the parent process), so that nothing is left behind.",
    ),
    check!(
        "disconnected",
        Info,
        disconnected,
        "A plugin made with go-plugin that does not multiplex goes on when its host hangs up.",
        "Nothing has to be done.",
    ),
];

async fn shutdown(subject: &PluginUnderTest) -> Verdict {
    ends_when_asked(served_plain(subject).await?).await
}

async fn shutdown_mtls(subject: &PluginUnderTest) -> Verdict {
    let Mutual { served, .. } = served_mutual(subject).await?;
    ends_when_asked(served).await
}

async fn ends_when_asked(served: Served) -> Verdict {
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
    // Both streams are on their way before the plugin is asked, as with a host.
    let _ = health(channel.clone(), "plugin").await;
    let asked = Instant::now();
    let answer = shut_down(channel).await;
    let ended = served.process.ended(GRACE.saturating_sub(asked.elapsed())).await;
    let took = asked.elapsed();
    streams.iter().for_each(tokio::task::JoinHandle::abort);
    let said = match &answer {
        Ok(()) => "answered".to_owned(),
        Err(status) => format!("cut with {:?}", status.code()),
    };
    match ended {
        Some(reason) if reason.is_success() => Ok(format!("{reason} after {}, the call {said}", show(took))),
        Some(reason) => fail(format!(
            "it ended with {reason} after {}{}",
            show(took),
            quoted(&served.process.stderr(), "stderr")
        )),
        None => fail(format!("it was still running after {}, the call {said}", show(took))),
    }
}

/// Reads a stream to its end.
async fn read<T>(opened: Result<tonic::Streaming<T>, tonic::Status>) -> Result<Option<T>, tonic::Status> {
    let mut stream = opened?;
    while stream.message().await?.is_some() {}
    Ok(None)
}

async fn sigint(subject: &PluginUnderTest) -> Verdict {
    let served = served_plain(subject).await?;
    served.still_serves("its start").await?;
    for _ in 0..3 {
        served.process.signal(Signal::INT)?;
        served.still_serves("SIGINT").await?;
    }
    match served.process.ended(LATE).await {
        Some(reason) => fail(format!("it ended with {reason}")),
        None => Ok("three signals, and it goes on".to_owned()),
    }
}

async fn sigterm(subject: &PluginUnderTest) -> Verdict {
    let (reason, took, _) = terminated(subject).await?;
    Ok(format!("{reason} after {}", show(took)))
}

async fn sigterm_orderly(subject: &PluginUnderTest) -> Verdict {
    let (reason, _, served) = terminated(subject).await?;
    let left = served.socket().is_ok_and(std::path::Path::exists);
    Ok(format!("{reason}, and its socket is {}", if left { "left" } else { "gone" }))
}

async fn terminated(subject: &PluginUnderTest) -> Verdict<(ExitReason, Duration, Served)> {
    let served = served_plain(subject).await?;
    served.still_serves("its start").await?;
    let asked = Instant::now();
    served.process.signal(Signal::TERM)?;
    match served.process.ended(TERM).await {
        Some(reason) => Ok((reason, asked.elapsed(), served)),
        None => fail(format!("it was still running {} s after SIGTERM", TERM.as_secs())),
    }
}

/// The plugin's parent is killed, and all that the parent held goes with it.
async fn host_death(subject: &PluginUnderTest) -> Verdict {
    let security = unoffered(subject)?;
    let dir = tempfile::tempdir()?;
    let pid_file = dir.path().join("pid");
    let tmp = tempfile::Builder::new().prefix("rpcplugin-").tempdir()?;
    let shell = subject.start().spawn_below_a_shell(&pid_file, tmp)?;
    let Announced { process: shell, answer, .. } = greet(shell, subject.start_timeout).await?;
    let number = std::fs::read_to_string(&pid_file)?;
    let Some(plugin) = number.trim().parse().ok().and_then(Pid::from_raw) else {
        return skip("the plugin's process is not known");
    };
    let channel = channel(&answer.endpoint, security).await?;
    shell.signal(Signal::KILL)?;
    shell.close_pipes();
    drop(channel);
    let died = Instant::now();
    while is_alive(plugin) && died.elapsed() < WATCHED {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // Whatever is left goes with the group.
    Ok(if is_alive(plugin) {
        format!("it lives on {} s after its host was killed", WATCHED.as_secs())
    } else {
        format!("it ended {} after its host was killed", show(died.elapsed()))
    })
}

async fn disconnected(subject: &PluginUnderTest) -> Verdict {
    let served = served_plain(subject).await?;
    drop(served.channel().await?);
    Ok(match served.process.ended(Duration::from_millis(500)).await {
        Some(reason) => format!("it ends with {reason}"),
        None => "it goes on".to_owned(),
    })
}

/// How long after the last SIGINT a plugin may still end of it.
const LATE: Duration = Duration::from_millis(700);

/// How long SIGTERM may take.
const TERM: Duration = Duration::from_secs(5);

/// How long a plugin is watched after its host's death.
const WATCHED: Duration = Duration::from_secs(3);
