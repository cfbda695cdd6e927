//! Both sides count the bytes and messages of a plugin's connections. The counters can be read at any time.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use rpcplugin::{
    Plugin, Services,
    broker::ServiceId,
    telemetry::{ConnectionKind, Meter},
    transport::{Listen, SecureStream, Security, Stream, http2},
};
use rpcplugin_tests::{
    pb::{EchoRequest, GreetRequest, OpenSubRequest, sub_client::SubClient},
    support::conformance::{client, launch},
};
use tokio::{io::DuplexStream, time::timeout};
use tokio_util::sync::CancellationToken;
use tonic_health::{
    ServingStatus,
    pb::{HealthCheckRequest, health_client::HealthClient},
    server::health_reporter,
};

const SIZE: usize = 10_000;

async fn echo(plugin: &Plugin) {
    client(plugin).echo(EchoRequest { data: vec![7; SIZE].into() }).await.unwrap();
}

#[tokio::test]
async fn calls_are_counted_as_they_are_made() {
    let plugin = launch(&[], |_| {}).await;
    echo(&plugin).await;
    // After a launch the host makes calls of its own beside the first calls: four messages, with that of the echo.
    let asked = async {
        while plugin.traffic().messages_sent < 4 {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(30), asked).await.unwrap();
    let before = plugin.traffic();
    for _ in 0..10 {
        echo(&plugin).await;
    }
    let after = plugin.traffic();
    assert_eq!(after.messages_sent - before.messages_sent, 10);
    assert_eq!(after.messages_received - before.messages_received, 10);
    for bytes in [after.bytes_sent - before.bytes_sent, after.bytes_received - before.bytes_received] {
        // The messages and their frames.
        assert!((10 * SIZE as u64..11 * SIZE as u64).contains(&bytes), "{bytes}");
    }
}

#[tokio::test]
async fn each_connection_is_counted() {
    for multiplex in [false, true] {
        let plugin = launch(&[], |config| config.multiplex = multiplex).await;
        let opened = client(&plugin).open_sub(OpenSubRequest { label: "x".to_owned() }).await.unwrap();
        let kinds = |plugin: &Plugin| plugin.connections().iter().map(|one| one.kind).collect::<Vec<_>>();
        assert_eq!(kinds(&plugin), [ConnectionKind::Main]);
        let channel = plugin.broker().dial(ServiceId(opened.get_ref().broker_id)).await.unwrap();
        SubClient::new(channel.clone()).greet(GreetRequest { name: "y".to_owned() }).await.unwrap();
        assert_eq!(kinds(&plugin), [ConnectionKind::Main, ConnectionKind::Brokered]);
        let brokered = plugin.connections()[1].traffic;
        assert_eq!((brokered.messages_sent, brokered.messages_received), (1, 1));
        assert!(brokered.bytes_sent > 0 && plugin.traffic().bytes_sent > brokered.bytes_sent);
    }
}

/// A listener with one stream in memory.
struct Injected(Option<DuplexStream>);

impl Listen for Injected {
    async fn accept(&mut self) -> Option<Stream> {
        match self.0.take() {
            Some(stream) => Some(Stream::other(stream)),
            None => std::future::pending().await,
        }
    }
}

/// A connector with the other end of the stream.
struct To(std::sync::Mutex<Option<DuplexStream>>);

impl http2::Connect for To {
    async fn connect(&self) -> Result<SecureStream, http2::ChannelError> {
        let stream = self.0.lock().unwrap().take().unwrap();
        Ok(Security::Plain.client(Stream::other(stream)).await?)
    }
}

#[tokio::test]
async fn streams_can_be_made_of_memory() {
    let (near, far) = tokio::io::duplex(4096);
    let (ours, theirs) = (Meter::new(), Meter::new());
    let (reporter, health) = health_reporter();
    reporter.set_service_status("", ServingStatus::Serving).await;
    let shutdown = CancellationToken::new();
    let mut serving = http2::Serving::new(Services::new().add(health), Security::Plain, shutdown.clone());
    serving.settings.meter = Some(theirs.clone());
    let server = tokio::spawn(http2::serve(Injected(Some(far)), serving));

    let mut settings = http2::Settings::default();
    settings.meter = Some(ours.clone());
    let channel = http2::connect(To(Some(near).into()), &settings).await.unwrap();
    HealthClient::new(channel).check(HealthCheckRequest::default()).await.unwrap();
    shutdown.cancel();
    server.await.unwrap();
    assert_eq!((ours.traffic().messages_sent, ours.traffic().messages_received), (1, 1));
    assert_eq!((theirs.traffic().messages_received, theirs.traffic().messages_sent), (1, 1));
    assert_eq!(theirs.connections(), []);
}
