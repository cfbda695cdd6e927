//! From launch to shutdown.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use rpcplugin::{
    Endpoint, Exit,
    host::{Event, ExitReason, PingError},
};
use tokio::time::timeout;

use crate::{
    kit_host::{
        check::{
            run::{Check, Run, alone, own},
            subject::{NOTICED, Subject, code, unique},
            verdict::{Verdict, expect, fail, same, skip, where_possible},
        },
        launching::Launching,
        recorder::Recorder,
    },
    os::{self, exists},
    pb::{CountRequest, GetRequest, PutRequest, SleepRequest},
    support::wait::holds_within,
};

pub(crate) const CHECKS: &[Check] = &[
    own!("stop", stop),
    own!("stop-socket-gone", stop_socket_gone),
    own!("stop-with-call-open", stop_with_call_open),
    own!("stop-with-stream-open", stop_with_stream_open),
    own!("stop-suspended", stop_suspended),
    own!("stop-without-grace", stop_without_grace),
    own!("second-launch", second_launch),
    own!("launch-8-at-once", launch_8_at_once),
    own!("drop-kills", drop_kills),
    own!("abandoned-launch-kills", abandoned_launch_kills),
    own!("sigterm", sigterm),
    own!("sigint-ignored", sigint_ignored),
    own!("ping-suspended", ping_suspended),
    own!("events-in-order", events_in_order),
    alone!("missing-program", missing_program),
];

async fn stop(run: &Run) -> Verdict {
    let subject = run.launch().await?;
    let pid = subject.pid()?;
    subject.stop_cleanly().await?;
    expect(!exists(pid), "the process still exists")
}

async fn stop_socket_gone(run: &Run) -> Verdict {
    let subject = run.launch().await?;
    let Endpoint::Unix(path) = subject.plugin.endpoint().clone() else {
        subject.plugin.shut_down().await;
        return skip("the plugin has no Unix socket to connect to");
    };
    subject.plugin.shut_down().await;
    expect(!path.as_path().exists(), format!("{} still exists", path.as_path().display()))?;
    // The directory belongs to the host, if the plugin uses it.
    let left =
        path.as_path().parent().filter(|dir| *dir != std::env::temp_dir() && *dir != Path::new("/tmp"));
    expect(left.is_none_or(|dir| !dir.exists()), "the directory of the socket still exists")
}

async fn stop_with_call_open(run: &Run) -> Verdict {
    let subject = run.launch().await?;
    let mut kit = subject.kit();
    let sleeping = tokio::spawn(async move { kit.sleep(SleepRequest { ms: 20_000 }).await });
    calls_reach(&subject, 2).await?;
    expect_quick_end(subject).await?;
    let slept = timeout(NOTICED, sleeping).await??;
    expect(slept.is_err(), "the call was answered")
}

async fn stop_with_stream_open(run: &Run) -> Verdict {
    let subject = run.launch().await?;
    let request = CountRequest { from: 0, n: -1, pad_bytes: 1000, interval_us: 100 };
    let mut stream = subject.kit().count(request).await?.into_inner();
    stream.message().await?;
    let reading = tokio::spawn(async move { while let Ok(Some(_)) = stream.message().await {} });
    expect_quick_end(subject).await?;
    timeout(NOTICED, reading).await??;
    Ok(())
}

/// Waits until the plugin has counted this many calls, those of Info not included.
async fn calls_reach(subject: &Subject, others: i64) -> Verdict {
    let deadline = Instant::now() + NOTICED;
    let mut looks = 0;
    loop {
        looks += 1;
        if subject.info().await?.calls >= others + looks {
            return Ok(());
        }
        expect(Instant::now() < deadline, "the call did not start")?;
        tokio::task::yield_now().await;
    }
}

/// Shuts the plugin down. It may cancel calls in flight but not wait for them.
async fn expect_quick_end(subject: Subject) -> Verdict {
    let begun = Instant::now();
    let exit = subject.plugin.shut_down().await;
    same("exit", exit, Exit::Clean)?;
    expect(begun.elapsed() < Duration::from_secs(2), "the shutdown took 2 s")
}

/// A suspended plugin is killed after the grace.
async fn stop_suspended(run: &Run) -> Verdict {
    let subject = run.launch().await?;
    let pid = subject.pid()?;
    where_possible(os::suspend(pid))?;
    let begun = Instant::now();
    let exit = subject.plugin.shut_down_within(Duration::from_millis(300)).await;
    let took = begun.elapsed();
    expect(matches!(exit, Exit::Killed { .. }), format!("the suspended plugin {exit}"))?;
    let in_time = took >= Duration::from_millis(300) && took < Duration::from_secs(3);
    expect(in_time, format!("{} ms", took.as_millis()))?;
    expect(!exists(pid), "the process still exists")
}

async fn stop_without_grace(run: &Run) -> Verdict {
    let subject = run.launch().await?;
    let pid = subject.pid()?;
    subject.plugin.shut_down_within(Duration::ZERO).await;
    expect(!exists(pid), "the process still exists")
}

async fn second_launch(run: &Run) -> Verdict {
    let (first, second) = (run.launch().await?, run.launch().await?);
    expect(first.plugin.pid() != second.plugin.pid(), "both plugins have the same process")?;
    let key = unique("second-launch");
    first.kit().put(PutRequest { key: key.clone(), value: "first".into() }).await?;
    let known = second.kit().get(GetRequest { key: key.clone() }).await;
    expect(known.is_err(), "the second plugin has the value of the first")?;
    second.stop_cleanly().await?;
    same("value", &*first.kit().get(GetRequest { key }).await?.into_inner().value, b"first")?;
    let third = run.launch().await?;
    third.info().await?;
    third.stop_cleanly().await?;
    first.stop_cleanly().await
}

async fn launch_8_at_once(run: &Run) -> Verdict {
    let launches = (0..8).map(|_| async {
        let subject = run.launch().await?;
        subject.info().await?;
        same("exit", subject.plugin.shut_down().await, Exit::Clean)
    });
    futures_util::future::try_join_all(launches).await.map(|_| ())
}

async fn drop_kills(run: &Run) -> Verdict {
    let subject = run.launch().await?;
    let pid = subject.pid()?;
    drop(subject);
    expect(holds_within(NOTICED, || !exists(pid)).await, "the process still exists")
}

/// A cancelled launch leaves no process behind.
async fn abandoned_launch_kills(run: &Run) -> Verdict {
    let (launching, recorder) = (run.launching(), Recorder::default());
    let started = || {
        recorder.so_far().events.iter().find_map(|event| match event {
            Event::Started { pid } => *pid,
            _ => None,
        })
    };
    let launch = tokio::spawn({
        let recorder = recorder.clone();
        async move { launching.launch(&recorder).await }
    });
    holds_within(NOTICED, || started().is_some()).await;
    launch.abort();
    let _ = launch.await;
    let Some(pid) = started() else { return fail("no process was started") };
    expect(holds_within(NOTICED, || !exists(pid)).await, "the process still exists")
}

async fn sigterm(run: &Run) -> Verdict {
    let subject = run.launch().await?;
    where_possible(os::terminate(subject.pid()?))?;
    let reason = subject.expect_end().await?;
    match reason {
        ExitReason::Status(0) => Ok(()),
        ExitReason::Signal(rpcplugin::host::Signal::TERM) if subject.peer.is_go() => {
            skip("go-plugin leaves SIGTERM to its default")
        }
        _ => fail(format!("the plugin ended with {reason}")),
    }
}

/// The host handles Ctrl-C at the terminal; the plugin ignores it.
async fn sigint_ignored(run: &Run) -> Verdict {
    run.peer().beyond_pyvider("its own handler of SIGINT")?;
    let subject = run.launch().await?;
    for _ in 0..3 {
        where_possible(os::interrupt(subject.pid()?))?;
        subject.info().await?;
    }
    subject.stop_cleanly().await
}

async fn ping_suspended(run: &Run) -> Verdict {
    let (launching, recorder) = (run.launching(), Recorder::default());
    let host = launching.host(&recorder);
    let host = host.configure(|config| config.admin_timeout = Duration::from_millis(300));
    let plugin = launching.launch_by(host).await?;
    let Some(pid) = plugin.pid() else { return fail("the plugin has no process") };
    where_possible(os::suspend(pid))?;
    let ping = timeout(NOTICED, plugin.ping()).await?;
    expect(matches!(ping, Err(PingError::Timeout(_))), format!("the suspended plugin answers: {ping:?}"))?;
    os::resume(pid)?;
    plugin.ping().await?;
    plugin.kill().await;
    Ok(())
}

async fn events_in_order(run: &Run) -> Verdict {
    let subject = run.launch().await?;
    let recorder = subject.recorder.clone();
    same("exit", subject.plugin.shut_down().await, Exit::Clean)?;
    let recorded = recorder.so_far();
    let events: Vec<_> =
        recorded.events.iter().filter(|event| !matches!(event, Event::StillWaiting { .. })).collect();
    let confined = events.iter().take_while(|event| matches!(event, Event::Confined(_))).count();
    same("sandboxes before the start", confined, usize::from(run.launching().sandbox.is_some()))?;
    match events[confined..] {
        [Event::Started { .. }, Event::Ready { .. }, Event::Exited { reason }] => {
            same("reason", reason, &ExitReason::Status(0))
        }
        _ => fail(format!("{events:?}")),
    }
}

async fn missing_program() -> Verdict {
    let launching = Launching::new(vec!["/nowhere/no-such-plugin".to_owned()]);
    expect_launch_error(&launching, &["rpcplugin::transport::plugin_not_found"]).await
}

/// Launches a program, which must fail soon with one of these codes.
pub(crate) async fn expect_launch_error(launching: &Launching, codes: &[&str]) -> Verdict {
    let begun = Instant::now();
    let recorder = Recorder::default();
    let launched = launching.launch(&recorder).await;
    let took = begun.elapsed();
    let Err(error) = launched else { return fail("the plugin was launched") };
    let code = code(&error);
    expect(codes.contains(&&*code), format!("the code is {code}, not {codes:?}: {error:?}"))?;
    let limit = launching.launch_timeout + Duration::from_secs(4);
    expect(took < limit, format!("{} ms", took.as_millis()))?;
    for event in &recorder.so_far().events {
        if let Event::Started { pid: Some(pid) } = event {
            expect(!exists(*pid), "the process still exists")?;
        }
    }
    Ok(())
}
