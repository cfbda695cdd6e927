//! Launches that wait, that are tried again, or that are refused.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use rpcplugin::host::{HandshakeFault, ProgramFault, SetupFault};
use rpcplugin::{
    Command, Exit,
    config::{HostConfig, RetryConfig},
    host::{Event, ExitReason, LaunchFault},
};
use rpcplugin_tests::support::{
    faulty::{faulty, host, shows},
    scripts::script,
};

use crate::support::{PLUGIN, TIMEOUT, executable};

#[tokio::test]
async fn a_program_that_is_still_being_written_is_waited_for() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = executable(dir.path(), &fs::read(PLUGIN).expect("the program is built"));
    let writing = fs::OpenOptions::new().append(true).open(&path).expect("ours");
    let short = host(|config| config.busy_timeout = Duration::from_millis(100));
    let error =
        short.launch(Command::new(&path).arg("healthy")).await.expect_err("the program is open for writing");
    shows(
        &error,
        &["is still being written", "wait until it is installed", "rpcplugin::transport::program_busy"],
    );
    assert!(matches!(error.fault, LaunchFault::Program(ProgramFault::TextFileBusy { .. })), "{error:?}");

    let long = host(|config| config.busy_timeout = TIMEOUT);
    let closing = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        drop(writing);
    };
    let (launched, ()) = tokio::join!(long.launch(Command::new(&path).arg("healthy")), closing);
    assert_eq!(launched.expect("the program is complete").shut_down().await, Exit::Clean);
}

fn retry(config: &mut HostConfig) {
    let mut retry = RetryConfig::default();
    (retry.max_retries, retry.initial) = (2, Duration::from_millis(100));
    retry.jitter = Duration::ZERO;
    config.retry = Some(retry);
}

/// A script that fails this many times, and then becomes a plugin.
pub(crate) fn fails(times: usize, dir: &Path) -> Command {
    let text = r#"
        echo try >> "$2"
        if [ "$(wc -l < "$2")" -le "$1" ]; then echo "not yet" >&2; exit 7; fi
        exec "$0" healthy"#;
    script(text).arg(PLUGIN).arg(times.to_string()).arg(dir.join("tries"))
}

#[tokio::test]
async fn transient_faults_are_tried_again() {
    let dir = tempfile::tempdir().expect("a directory");
    let begun = Instant::now();
    let plugin = host(retry).launch(fails(2, dir.path())).await.expect("the third try succeeds");
    assert!(begun.elapsed() >= Duration::from_millis(300), "the pauses are 100 and 200 ms");
    assert_eq!(plugin.shut_down().await, Exit::Clean);

    let dir = tempfile::tempdir().expect("a directory");
    let error = host(retry).launch(fails(9, dir.path())).await.expect_err("the script always fails");
    assert_eq!(error.earlier().len(), 2);
    shows(
        &error,
        &["did not start in 3 tries", "try 1, after ", "try 2, after ", "exit status 7", "not yet"],
    );
    assert!(matches!(
        error.earlier()[0].fault,
        LaunchFault::Handshake(HandshakeFault::ExitedEarly(ExitReason::Status(7)))
    ));
}

#[tokio::test]
async fn permanent_faults_are_not_tried_again() {
    for command in [Command::new("/no/such/plugin"), faulty("healthy").env("FAULTY_PLUGIN", "another")] {
        let error = host(retry).launch(command).await.expect_err("the plugin cannot start");
        assert!(error.earlier().is_empty(), "{error:?}");
    }
    let hopeless = |config: &mut HostConfig| {
        retry(config);
        config.retry.as_mut().expect("set").total = Duration::from_millis(50);
    };
    let error = host(hopeless).launch(script("exit 7")).await.expect_err("the script always fails");
    assert!(error.earlier().is_empty(), "the first pause would be longer than all tries together: {error:?}");
}

#[tokio::test]
async fn a_waiting_host_emits_events() {
    let waiting = host(|config| {
        config.launch_timeout = Duration::from_millis(500);
        config.still_waiting_interval = Duration::from_millis(50);
    });
    let mut events = waiting.events();
    waiting.launch(script("sleep 60")).await.expect_err("the plugin prints nothing");
    let mut waits = 0;
    while let Some(event) = events.next().await {
        match event.event {
            Event::StillWaiting { .. } => waits += 1,
            Event::Exited { .. } => break,
            _ => {}
        }
    }
    assert!(waits >= 3, "{waits}");
}

#[tokio::test]
async fn impossible_settings_are_refused() {
    let error = host(|config| config.launch_timeout = Duration::ZERO).launch(faulty("healthy")).await;
    let error = error.expect_err("nothing starts in no time");
    assert!(matches!(error.fault, LaunchFault::Setup(SetupFault::Settings(_))), "{error:?}");
}

#[tokio::test]
async fn a_timeout_that_no_clock_reaches_is_a_fault_of_the_settings() {
    let endless = host(|config| config.launch_timeout = Duration::MAX);
    let error = endless.launch(faulty("healthy")).await.expect_err("no clock goes so far");
    assert!(matches!(error.fault, LaunchFault::Setup(SetupFault::Settings(_))), "{error:?}");
}
