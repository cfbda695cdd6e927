//! How a plugin ends, and how its end is reported.

use std::{
    error::Error as _,
    time::{Duration, Instant},
};

use rpcplugin::host::HandshakeFault;
use rpcplugin::{
    Exit,
    config::HostTls,
    host::{Event, ExitReason, LaunchFault, OutputOptions, PingError, PluginExited, PluginSet},
    plugin::ServingStatus,
};
use rpcplugin_tests::{
    pb::{CountRequest, CountResponse, EchoRequest, ExitRequest, SleepRequest, kit_client::KitClient},
    support::{
        TIMEOUT,
        conformance::{client, kit},
        process::{eventually_gone, group, send, state, suspend},
        wait::blocking::eventually,
    },
};
use rustix::process::Signal;
use tonic::{Code, Status, Streaming};

use crate::support::{TestHost, hostile};

#[tokio::test]
async fn a_shutdown_is_clean_and_leaves_nothing() {
    let test_host = TestHost::new();
    let plugin = test_host.launch(kit()).await;
    let pid = plugin.pid().unwrap();
    assert_eq!(plugin.ping().await.unwrap(), ServingStatus::Serving);
    assert_eq!(plugin.shut_down().await, Exit::Clean);
    assert_eq!(state(pid), None);
    assert!(test_host.is_clean());
}

#[tokio::test]
async fn events_report_every_step() {
    let test_host = TestHost::new();
    let mut of_host = test_host.host.events();
    let plugin = test_host.launch(kit()).await;
    let (id, mut of_plugin) = (plugin.id(), plugin.events());
    plugin.shut_down().await;
    drop(test_host);
    for events in [&mut of_host, &mut of_plugin] {
        let mut received = Vec::new();
        while let Some(event) = events.next().await {
            assert_eq!(event.plugin, id);
            if !matches!(event.event, Event::Log(_) | Event::StillWaiting { .. }) {
                received.push(event.event);
            }
        }
        let [Event::Started { pid }, Event::Ready { .. }, Event::Exited { reason }] = &received[..] else {
            panic!("{received:?}");
        };
        assert_eq!((*pid, reason), (id.pid, &ExitReason::Status(0)));
    }
}

#[tokio::test]
async fn an_ignored_shutdown_ends_in_a_kill_of_the_whole_group() {
    let test_host = TestHost::configured(|host| {
        host.configure(|config| {
            config.grace = Duration::from_millis(1500);
            config.terminate_after = Some(Duration::from_millis(1000));
        })
    });
    let plugin = test_host.launch(hostile("stays-forever")).await;
    let pid = plugin.pid().unwrap();
    let exit = plugin.shut_down().await;
    let Exit::Killed { signal: rpcplugin::host::Signal::KILL, after } = exit else { panic!("{exit:?}") };
    assert!(after >= Duration::from_millis(1500) && after < TIMEOUT, "{after:?}");
    assert_eq!(state(pid), None);
    // The processes that the plugin started are dead too, though this process cannot reap them.
    eventually("the group is gone", || {
        group(pid).into_iter().all(|member| matches!(state(member), None | Some('Z')))
    });
    assert!(test_host.is_clean());
}

#[tokio::test]
async fn a_plugin_that_left_its_group_is_killed_too() {
    let test_host = TestHost::configured(|host| host.configure(|config| config.launch_timeout = DEADLINE));
    let error = test_host.host.launch(hostile("leaves:silent")).await.unwrap_err();
    assert!(matches!(error.fault, LaunchFault::Handshake(HandshakeFault::Timeout(_))), "{error:?}");
    let test_host = TestHost::new();
    let plugin = test_host.launch(hostile("leaves:stays-forever")).await;
    let pid = plugin.pid().unwrap();
    let exit = plugin.shut_down_within(Duration::from_millis(500)).await;
    assert!(matches!(exit, Exit::Killed { signal: rpcplugin::host::Signal::KILL, .. }), "{exit:?}");
    assert_eq!(state(pid), None, "it was killed and reaped");
    let plugin = test_host.launch(hostile("leaves:")).await;
    let pid = plugin.pid().unwrap();
    drop(plugin);
    tokio::task::spawn_blocking(move || eventually_gone(pid)).await.unwrap();
    let test_host = TestHost::configured(|host| host.configure(|config| config.tls = HostTls::Plaintext));
    let exit = test_host.launch(hostile("leaves:uncontrolled")).await.shut_down().await;
    assert!(matches!(exit, Exit::Killed { signal: rpcplugin::host::Signal::TERM, .. }), "{exit:?}");
}

#[tokio::test]
async fn sigterm_is_sent_if_configured() {
    let test_host = TestHost::configured(|host| {
        host.configure(|config| config.terminate_after = Some(Duration::from_millis(500)))
    });
    let exit = test_host.launch(hostile("stays")).await.shut_down().await;
    assert!(matches!(exit, Exit::Killed { signal: rpcplugin::host::Signal::TERM, .. }), "{exit:?}");
}

#[tokio::test]
async fn a_plugin_without_a_controller_receives_sigterm() {
    let test_host = TestHost::configured(|host| {
        host.configure(|config| {
            config.tls = HostTls::Plaintext;
            // Longer than the test may take.
            config.terminate_after = None;
        })
    });
    let plugin = test_host.launch(hostile("uncontrolled")).await;
    let pid = plugin.pid().unwrap();
    let begun = Instant::now();
    let exit = plugin.shut_down().await;
    assert!(matches!(exit, Exit::Killed { signal: rpcplugin::host::Signal::TERM, .. }), "{exit:?}");
    assert!(begun.elapsed() < TIMEOUT / 2, "the plugin exits on SIGTERM, before the timeout");
    assert_eq!(state(pid), None);
    assert!(test_host.is_clean());
}

#[tokio::test]
async fn a_suspended_process_is_late_and_killed() {
    let test_host = TestHost::new();
    let plugin = test_host.launch(kit()).await;
    suspend(plugin.pid().unwrap()).unwrap();
    let late = plugin.ping_within(Duration::from_millis(200)).await.unwrap_err();
    assert!(matches!(late, PingError::Timeout(_)), "{late:?}");
    let exit = plugin.shut_down_within(Duration::from_millis(300)).await;
    assert!(matches!(exit, Exit::Killed { signal: rpcplugin::host::Signal::KILL, .. }), "{exit:?}");
    assert!(test_host.is_clean());
}

#[tokio::test]
async fn a_grandchild_that_holds_the_pipes_delays_nothing() {
    let test_host = TestHost::configured(|host| {
        host.configure(|config| config.drain_timeout = Duration::from_millis(200))
    });
    let plugin = test_host.launch(hostile("grandchild")).await;
    let mut events = plugin.events();
    let grandchild = grandchild(&plugin.stderr_tail());
    let begun = Instant::now();
    assert_eq!(plugin.shut_down().await, Exit::Clean);
    assert!(begun.elapsed() < TIMEOUT, "{:?}", begun.elapsed());
    assert!(state(grandchild).is_some(), "the grandchild is not in the group of the plugin, and lives");
    while events.next().await.is_some() {}
    send(grandchild, Signal::KILL);
}

fn grandchild(tail: &[String]) -> u32 {
    let line = tail.iter().find_map(|line| line.strip_prefix("grandchild ")).unwrap();
    line.parse().unwrap()
}

#[tokio::test]
async fn calls_that_fail_because_of_an_exit_say_so() {
    let test_host = TestHost::new();
    let plugin = test_host.launch(kit()).await;

    // A plain channel: the test adds the exit afterwards.
    let mut plain = client(&plugin);
    let kept = plain.fail(rpcplugin_tests::pb::FailRequest {
        code: Code::Unavailable as i32,
        message: "busy".to_owned(),
        note: String::new(),
    });
    let kept = kept.await.unwrap_err();
    let kept = plugin.explain(kept).await;
    assert_eq!(kept.message(), "busy", "a status from the plugin is not changed");

    // Calls in flight: a unary call without an answer, and a stream in the middle.
    let mut explaining = KitClient::new(plugin.channel());
    let endless = CountRequest { from: 0, n: -1, pad_bytes: 0, interval_us: 1000 };
    let mut stream = explaining.count(endless).await.unwrap().into_inner();
    stream.message().await.unwrap();
    let mut plain_stream = plain.count(endless).await.unwrap().into_inner();
    plain_stream.message().await.unwrap();
    let mut exiting = explaining.clone();
    let (answer, _) =
        tokio::join!(explaining.sleep(SleepRequest { ms: 600_000 }), exiting.exit(ExitRequest { code: 3 }));
    let answer = answer.unwrap_err();
    let broken = failure_of(stream).await;
    let plainly_broken = plugin.explain(failure_of(plain_stream).await).await;
    // A call after the exit.
    let late = explaining.echo(EchoRequest::default()).await.unwrap_err();
    let afterwards = plain.echo(EchoRequest::default()).await.unwrap_err();
    let afterwards = plugin.explain(afterwards).await;

    for status in [answer, broken, plainly_broken, late, afterwards] {
        assert_eq!(status.code(), Code::Unavailable, "{status:?}");
        assert!(status.message().contains("kit-plugin (process"), "{status:?}");
        assert!(status.message().ends_with("has ended: exit status 3"), "{status:?}");
        assert!(!status.details().is_empty());
        let ended: &PluginExited = status.source().and_then(|source| source.downcast_ref()).unwrap();
        assert_eq!(ended.reason, ExitReason::Status(3));
        assert_eq!(ended.plugin, plugin.id());
    }
    let ping = plugin.ping().await.unwrap_err();
    assert!(matches!(ping, PingError::Ended(ExitReason::Status(3))), "{ping:?}");
    assert_eq!(plugin.wait().await, ExitReason::Status(3));
    assert_eq!(plugin.shut_down().await, Exit::Failed(ExitReason::Status(3)));
    assert!(test_host.is_clean());
}

async fn failure_of(mut stream: Streaming<CountResponse>) -> Status {
    loop {
        match stream.message().await {
            Ok(message) => assert!(message.is_some(), "the stream ended as if it were complete"),
            Err(status) => return status,
        }
    }
}

#[tokio::test]
async fn a_set_shuts_down_all_plugins_at_the_same_time() {
    let grace = Duration::from_millis(800);
    let test_host = TestHost::configured(|host| host.configure(|config| config.grace = grace));
    let mut plugins = PluginSet::new();
    let mut pids = Vec::new();
    for name in ["a", "b", "c"] {
        let plugin = test_host.launch(kit()).await;
        pids.push(plugin.pid().unwrap());
        suspend(plugin.pid().unwrap()).unwrap();
        assert!(plugins.insert(name, plugin).is_none());
    }
    let supervised = test_host.host.supervise(kit()).await.unwrap();
    plugins.insert("d", supervised);
    assert_eq!(plugins.iter().map(|(name, _)| name).collect::<Vec<_>>(), ["a", "b", "c", "d"]);

    let begun = Instant::now();
    let exits = plugins.shut_down_within(grace).await;
    let elapsed = begun.elapsed();
    for name in ["a", "b", "c"] {
        assert!(
            matches!(exits[name], Some(Exit::Killed { signal: rpcplugin::host::Signal::KILL, .. })),
            "{exits:?}"
        );
    }
    assert!(exits["d"].is_some(), "{exits:?}");
    // One after another, the shutdowns would take three times the grace.
    assert!(elapsed < 3 * grace, "{elapsed:?}");
    pids.into_iter().for_each(eventually_gone);
    assert!(test_host.is_clean());
}

#[tokio::test]
async fn a_kill_is_immediate() {
    let test_host = TestHost::new();
    let plugin = test_host.launch(kit()).await;
    let mut output = plugin.output(OutputOptions::default());
    let exit = plugin.kill().await;
    assert!(matches!(exit, Exit::Killed { signal: rpcplugin::host::Signal::KILL, .. }), "{exit:?}");
    assert!(test_host.is_clean());
    while output.next().await.is_some() {}
}

/// The timeout of the launch of a plugin that prints nothing.
const DEADLINE: Duration = Duration::from_millis(500);
