//! Plugins that exit by themselves.

use std::time::Duration;

use rpcplugin::{
    Exit,
    host::{ExitReason, PingError},
};
use tokio::time::timeout;
use tonic::{Code, Status};

use crate::{
    kit_host::check::{
        run::{Check, Run, own},
        subject::{NOTICED, Subject, unique},
        verdict::{Verdict, expect, fail, same},
    },
    os::{self, KILLED},
    pb::{CountRequest, ExitRequest, InfoRequest, PanicRequest, SleepRequest},
    support::wait::holds_within,
};

pub(crate) const CHECKS: &[Check] = &[
    own!("exit", exit),
    own!("exit-status-0", exit_status_0),
    own!("panic", panic),
    own!("killed", killed),
    own!("killed-during-call", killed_during_call),
    own!("killed-during-stream", killed_during_stream),
    own!("killed-then-called", killed_then_called),
    own!("killed-then-stopped", killed_then_stopped),
    own!("killed-then-relaunched", killed_then_relaunched),
];

async fn exit(run: &Run) -> Verdict {
    expect_exit(run, 7).await
}

async fn exit_status_0(run: &Run) -> Verdict {
    expect_exit(run, 0).await
}

async fn expect_exit(run: &Run, code: i32) -> Verdict {
    let subject = run.launch().await?;
    expect_cut(subject.kit().exit(ExitRequest { code }).await)?;
    same("exit of the plugin", subject.expect_end().await?, ExitReason::Status(code))
}

async fn panic(run: &Run) -> Verdict {
    let subject = run.launch().await?;
    let message = unique("the host asked for this panic");
    expect_cut(subject.kit().panic(PanicRequest { message: message.clone() }).await)?;
    let reason = subject.expect_end().await?;
    expect(!reason.is_success(), "the process ended with status 0")?;
    let printed = || subject.recorder.so_far().raw_stderr_tail().contains(&message);
    expect(holds_within(NOTICED, printed).await, "the message is not on stderr")
}

async fn killed(run: &Run) -> Verdict {
    kill(&run.launch().await?).await
}

async fn killed_during_call(run: &Run) -> Verdict {
    let subject = run.launch().await?;
    let mut kit = subject.kit();
    let sleeping = tokio::spawn(async move { kit.sleep(SleepRequest { ms: 20_000 }).await });
    subject.info().await?;
    kill(&subject).await?;
    expect_cut(timeout(NOTICED, sleeping).await??)
}

async fn killed_during_stream(run: &Run) -> Verdict {
    let subject = run.launch().await?;
    let request = CountRequest { from: 0, n: -1, pad_bytes: 100, interval_us: 1000 };
    let mut stream = subject.kit().count(request).await?.into_inner();
    stream.message().await?;
    kill(&subject).await?;
    let end = async {
        loop {
            match stream.message().await {
                Ok(Some(_)) => {}
                Ok(None) => return fail("the stream ended as if it were complete"),
                Err(_) => return Ok(()),
            }
        }
    };
    timeout(NOTICED, end).await?
}

async fn killed_then_called(run: &Run) -> Verdict {
    let subject = run.launch().await?;
    kill(&subject).await?;
    for _ in 0..3 {
        let called = timeout(Duration::from_secs(2), subject.kit().info(InfoRequest {})).await?;
        expect_cut(called)?;
    }
    let ping = subject.plugin.ping().await;
    expect(matches!(ping, Err(PingError::Ended(_))), format!("the ping: {ping:?}"))
}

async fn killed_then_stopped(run: &Run) -> Verdict {
    let subject = run.launch().await?;
    kill(&subject).await?;
    let exit = timeout(Duration::from_secs(2), subject.plugin.shut_down()).await?;
    same("exit", exit, Exit::Failed(KILLED))
}

async fn killed_then_relaunched(run: &Run) -> Verdict {
    let subject = run.launch().await?;
    kill(&subject).await?;
    let again = run.launch().await?;
    again.info().await?;
    again.stop_cleanly().await
}

async fn kill(subject: &Subject) -> Verdict {
    os::kill(subject.pid()?)?;
    same("exit of the plugin", subject.expect_end().await?, KILLED)
}

/// The status of a call whose plugin exited before the answer.
fn expect_cut<T>(called: Result<T, Status>) -> Verdict {
    match called {
        Ok(_) => fail("the call was answered"),
        Err(status) => same("code", status.code(), Code::Unavailable),
    }
}
