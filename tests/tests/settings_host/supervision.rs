//! Settings of supervision.

use std::time::Duration;

use rpcplugin::host::{Event, Events, Pid, Supervised};
use rpcplugin_tests::support::{
    TIMEOUT,
    conformance::plugin,
    process::{is_alive, send, suspend},
};
use rustix::process::Signal;
use tokio::time::timeout;

use crate::support::with;

/// A supervised conformance plugin, and its events.
async fn supervised(variables: &[(&str, &str)]) -> (Supervised, Events) {
    let quick = [("PLUGIN_RESTART_INITIAL_BACKOFF", "1ms")];
    let variables: Vec<_> = quick.iter().chain(variables).copied().collect();
    let supervised = with(&variables).supervise(plugin(&[])).await.unwrap();
    let events = supervised.events();
    (supervised, events)
}

/// Kills the current generation, and returns the next action of its supervisor.
async fn after_death(supervised: &Supervised, events: &mut Events) -> Event {
    let running = async {
        loop {
            if let Some(pid) = pid_of(supervised).filter(|pid| is_alive(*pid)) {
                return pid;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    send(timeout(TIMEOUT, running).await.unwrap(), Signal::KILL);
    next(events, |event| matches!(event, Event::Restarting { .. } | Event::GaveUp { .. })).await
}

fn pid_of(supervised: &Supervised) -> Option<Pid> {
    supervised.generation().and_then(|one| one.plugin().pid)
}

async fn next(events: &mut Events, wanted: impl Fn(&Event) -> bool) -> Event {
    let found = async {
        loop {
            let event = events.next().await.unwrap().event;
            if wanted(&event) {
                return event;
            }
        }
    };
    timeout(TIMEOUT, found).await.unwrap()
}

/// The pauses before the first two restarts.
pub(crate) async fn pauses(variables: &[(&str, &str)]) -> [Duration; 2] {
    let (supervised, mut events) = supervised(variables).await;
    let mut pauses = [Duration::ZERO; 2];
    for pause in &mut pauses {
        let Event::Restarting { delay, .. } = after_death(&supervised, &mut events).await else {
            panic!("no restart")
        };
        *pause = delay;
        next(&mut events, |event| matches!(event, Event::Ready { .. })).await;
    }
    pauses
}

#[tokio::test]
async fn supervision_max_restarts() {
    let (one, mut events) = supervised(&[("PLUGIN_RESTART_MAX", "0")]).await;
    assert_eq!(after_death(&one, &mut events).await, Event::GaveUp { restarts: 0 });
    let (one, mut events) = supervised(&[("PLUGIN_RESTART_MAX", "1")]).await;
    assert!(matches!(after_death(&one, &mut events).await, Event::Restarting { .. }));
    next(&mut events, |event| matches!(event, Event::Ready { .. })).await;
    assert_eq!(after_death(&one, &mut events).await, Event::GaveUp { restarts: 1 });
}

#[tokio::test]
async fn supervision_window() {
    let (one, mut events) =
        supervised(&[("PLUGIN_RESTART_MAX", "1"), ("PLUGIN_RESTART_WINDOW", "100ms")]).await;
    for _ in 0..3 {
        assert!(matches!(after_death(&one, &mut events).await, Event::Restarting { .. }));
        next(&mut events, |event| matches!(event, Event::Ready { .. })).await;
        // Restarts before the window do not count.
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
}

#[tokio::test]
async fn supervision_initial() {
    assert_eq!(pauses(&[("PLUGIN_RESTART_INITIAL_BACKOFF", "7ms")]).await[0], Duration::from_millis(7));
}

#[tokio::test]
async fn supervision_multiplier() {
    let variables = [("PLUGIN_RESTART_INITIAL_BACKOFF", "5ms"), ("PLUGIN_RESTART_BACKOFF_MULTIPLIER", "3")];
    assert_eq!(pauses(&variables).await, [5, 15].map(Duration::from_millis));
}

#[tokio::test]
async fn supervision_max() {
    let variables = [("PLUGIN_RESTART_INITIAL_BACKOFF", "5ms"), ("PLUGIN_RESTART_MAX_BACKOFF", "6ms")];
    assert_eq!(pauses(&variables).await, [5, 6].map(Duration::from_millis));
}

#[tokio::test]
async fn supervision_probe_interval() {
    let (one, mut events) =
        supervised(&[("PLUGIN_PROBE_INTERVAL", "20ms"), ("PLUGIN_PROBE_TIMEOUT", "100ms")]).await;
    suspend(pid_of(&one).unwrap()).unwrap();
    next(&mut events, |event| matches!(event, Event::Hung { .. })).await;
}

#[tokio::test]
async fn supervision_probe_timeout() {
    let (one, mut events) =
        supervised(&[("PLUGIN_PROBE_INTERVAL", "20ms"), ("PLUGIN_PROBE_TIMEOUT", "123ms")]).await;
    suspend(pid_of(&one).unwrap()).unwrap();
    let hung = next(&mut events, |event| matches!(event, Event::Hung { .. })).await;
    assert_eq!(hung, Event::Hung { after: Duration::from_millis(123) });
}
