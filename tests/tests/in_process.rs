//! Host and plugin in one process, as users test their plugins.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use rpcplugin::{
    Endpoint, Exit, Host, LaunchError, MagicCookie, Plugin, Serve,
    config::{ByteSize, HostTls},
    host::{ExitReason, HandshakeFault, LaunchFault, OutputOptions, OutputSource, OverflowPolicy},
    testing::InProcess,
};
use rpcplugin_tests::{
    contract,
    kit_host::host_calls,
    kit_plugin,
    pb::{CallbackRequest, CountRequest, EchoRequest, SleepRequest, kit_client::KitClient},
    support::wait::eventually_within,
};
use tokio::time::{Instant, timeout};
use tonic::Code;

/// A limit for waits that end at once.
const TIMEOUT: Duration = Duration::from_secs(60);

fn kit() -> InProcess {
    InProcess::new(|| kit_plugin::plugin().unwrap()).name("kit")
}

fn host(multiplex: bool) -> Host {
    Host::new(contract::cookie(), 3).configure(|config| config.multiplex = multiplex)
}

fn code(error: &LaunchError) -> String {
    miette::Diagnostic::code(error).unwrap().to_string()
}

#[tokio::test]
async fn a_plugin_in_this_process_is_launched_called_and_shut_down() {
    for multiplex in [false, true] {
        let plugin = host(multiplex).launch_with(&kit()).await.unwrap();
        assert_eq!((plugin.name(), plugin.pid(), plugin.version().0), ("kit", None, 3));
        assert!(plugin.security().is_mutual(), "AutoMTLS is on");
        // Systems without Unix sockets make no directory.
        let sockets = match plugin.endpoint() {
            Endpoint::Unix(path) => path.as_path().parent().map(Path::to_owned),
            _ => None,
        };
        assert!(sockets.as_ref().is_none_or(|dir| dir.is_dir()));
        plugin.ping().await.unwrap();

        let mut client = KitClient::new(plugin.channel());
        let data = vec![7; 3 << 20];
        let echoed = client.echo(EchoRequest { data: data.clone().into() }).await.unwrap().into_inner().data;
        assert_eq!(echoed, data);
        let mut counted = client
            .count(CountRequest { n: 1000, pad_bytes: 2000, ..CountRequest::default() })
            .await
            .unwrap()
            .into_inner();
        let mut values = 0..;
        while let Some(message) = counted.message().await.unwrap() {
            assert_eq!(Some(message.value), values.next());
        }
        assert_eq!(values.next(), Some(1000));

        assert_eq!(plugin.shut_down().await, Exit::Clean);
        let removed = || sockets.as_ref().is_none_or(|dir| !dir.exists());
        eventually_within(TIMEOUT, "the directory of the sockets is removed", removed).await;
    }
}

#[tokio::test]
async fn host_and_plugin_call_each_other_over_brokered_connections() {
    for multiplex in [false, true] {
        let plugin = host(multiplex).launch_with(&kit()).await.unwrap();
        let served = host_calls::serve(plugin.broker()).await.unwrap();
        let request =
            CallbackRequest { broker_id: served.id().0, calls: 3, data: b"abc".to_vec(), nested: true };
        let answer = KitClient::new(plugin.channel()).callback(request).await.unwrap().into_inner();
        assert_eq!(answer.results, [b"cba".as_slice(); 3]);
        assert!(answer.greeting.ends_with("from nested"), "{}", answer.greeting);
        drop(served);
        assert_eq!(plugin.shut_down().await, Exit::Clean);
    }
}

#[tokio::test]
async fn output_reaches_the_host() {
    let (host, kit) = (host(false), kit());
    let mut options = OutputOptions::default();
    options.when_full = OverflowPolicy::Wait(TIMEOUT);
    let mut output = host.output(options);
    let plugin = host.launch_with(&kit).await.unwrap();
    // More than the buffer holds: the host reads meanwhile.
    let piece = vec![b'x'; 1 << 20];
    let printing = async {
        for _ in 0..4 {
            kit.print_stdout(piece.clone()).await;
        }
        kit.print_stderr("the end\n").await;
    };
    let reading = async {
        let mut stdout = 0;
        loop {
            let chunk = output.next().await.unwrap();
            match chunk.source {
                OutputSource::Stdout => stdout += chunk.bytes.len(),
                _ => break (stdout, chunk),
            }
        }
    };
    let ((), (stdout, last)) = timeout(TIMEOUT, async { tokio::join!(printing, reading) }).await.unwrap();
    assert_eq!(stdout, 4 << 20);
    assert_eq!((last.source, &*last.bytes), (OutputSource::Stderr, b"the end\n".as_slice()));
    assert_eq!(plugin.shut_down().await, Exit::Clean);
}

#[tokio::test]
async fn limits_of_the_plugin_hold() {
    let kit = InProcess::new(|| {
        let limit = Some(ByteSize::bytes(1000));
        kit_plugin::plugin().unwrap().configure(|config| config.max_receive_message_size = limit)
    });
    let plugin = host(false).launch_with(&kit).await.unwrap();
    let request = EchoRequest { data: vec![0; 2000].into() };
    let refused = KitClient::new(plugin.channel()).echo(request).await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused}");
    assert_eq!(plugin.shut_down().await, Exit::Clean);
}

#[tokio::test]
async fn a_failed_launch_is_reported_as_that_of_a_process() {
    let other = Host::new(MagicCookie::new("CONFORMANCE_KIT_COOKIE", "another").unwrap(), 3);
    let error = other.launch_with(&kit()).await.unwrap_err();
    assert_eq!(code(&error), "rpcplugin::handshake::cookie_refused");

    let newer = Host::new(contract::cookie(), 9);
    let error = newer.launch_with(&kit()).await.unwrap_err();
    assert!(code(&error).starts_with("rpcplugin::protocol::"), "{}", code(&error));

    let panics = InProcess::new(|| -> Serve { panic!("no plugin today") });
    let error = host(false).launch_with(&panics).await.unwrap_err();
    let status = match error.fault {
        LaunchFault::Handshake(HandshakeFault::ExitedEarly(reason)) => reason,
        fault => panic!("{fault:?}"),
    };
    assert_eq!(status, ExitReason::Status(101));
}

#[tokio::test]
async fn a_plugin_that_is_killed_fails_calls_and_is_restarted_by_its_supervisor() {
    let starts = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&starts);
    let kit = InProcess::new(move || {
        counted.fetch_add(1, Ordering::Relaxed);
        kit_plugin::plugin().unwrap()
    });
    let host = host(false);
    let first = host.launch_with(&kit).await.unwrap();
    let mut client = KitClient::new(first.channel());
    let sleeping = tokio::spawn(async move { client.sleep(SleepRequest { ms: 3_600_000 }).await });
    let killed = first.kill().await;
    assert!(matches!(killed, Exit::Killed { .. }), "{killed}");
    let failed = timeout(TIMEOUT, sleeping).await.unwrap().unwrap().unwrap_err();
    assert_eq!(failed.code(), Code::Unavailable, "{failed}");

    let supervised = host.supervise_with(kit).await.unwrap();
    let mut client = KitClient::new(supervised.channel());
    client.echo(EchoRequest::default()).await.unwrap();
    assert_eq!(starts.load(Ordering::Relaxed), 2);
    assert!(supervised.restart().await);
    client.echo(EchoRequest::default()).await.unwrap();
    assert_eq!(starts.load(Ordering::Relaxed), 3);
    assert_eq!(supervised.shut_down().await, Some(Exit::Clean));
}

#[tokio::test(start_paused = true)]
async fn a_test_can_pause_time_when_all_connections_share_the_stream() {
    let plugin = host(true).launch_with(&kit()).await.unwrap();
    let begun = Instant::now();
    KitClient::new(plugin.channel()).sleep(SleepRequest { ms: 3_600_000 }).await.unwrap();
    assert!(begun.elapsed() >= Duration::from_secs(3600));
    assert_eq!(plugin.shut_down().await, Exit::Clean);
}

#[tokio::test]
async fn many_plugins_live_in_one_process() {
    let host = host(false).configure(|config| config.tls = HostTls::Plaintext);
    let plugins: Vec<Plugin> =
        futures_util::future::try_join_all((0..20).map(|_| async { host.launch_with(&kit()).await }))
            .await
            .unwrap();
    for plugin in &plugins {
        KitClient::new(plugin.channel()).echo(EchoRequest::default()).await.unwrap();
    }
    for plugin in plugins {
        assert_eq!(plugin.shut_down().await, Exit::Clean);
    }
}
