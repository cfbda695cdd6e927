//! The brokers of a host and of a plugin on one multiplexed connection, with dials before and after services, dials that are
//! dropped, ids without a service, and an end at any time.

use std::time::Duration;

use rpcplugin::{
    Services,
    broker::{Broker, BrokerSettings, Role, ServiceId},
    transport::{
        SecureStream, Security,
        http2::{self, ChannelError, Connect, PluginChannel, Serving},
        yamux,
    },
};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};
use tonic_health::{
    ServingStatus,
    pb::{HealthCheckRequest, health_client::HealthClient},
    server::health_reporter,
};

use crate::chaos::{Chaos, explore};

/// How long each side waits for the other.
const PEER_TIMEOUT: Duration = Duration::from_secs(5);

/// The longest that a dial takes: it may wait for the dials before it.
const LONGEST_DIAL: Duration = Duration::from_secs(60);

#[test]
fn dials_and_services_find_each_other_in_any_order() {
    explore("broker", Pair::run);
}

/// Both brokers.
struct Pair {
    host: Broker,
    plugin: Broker,
    chaos: Chaos,
}

struct Main(Broker);

impl Connect for Main {
    async fn connect(&self) -> Result<SecureStream, ChannelError> {
        let stream = self.0.open_main_stream().await;
        let stream =
            stream.map_err(|source| ChannelError::Other { what: "no stream", source: source.into() })?;
        Ok(Security::Plain.client(stream).await?)
    }
}

impl Pair {
    async fn run(chaos: Chaos) {
        let settings = || {
            let mut settings = BrokerSettings::new(Security::Plain);
            settings.peer_timeout = PEER_TIMEOUT;
            settings
        };
        let host = Broker::multiplexed(Role::Host, settings());
        let plugin = Broker::multiplexed(Role::Plugin, settings());
        let (near, far) = tokio::io::duplex(chaos.draw(|rng| rng.usize(100..10_000)));
        let session = yamux::Session::client(chaos.disturb(near), yamux::Config::default());
        drop(host.start_session(session.clone()));
        let main = plugin.start_session(yamux::Session::server(chaos.disturb(far), yamux::Config::default()));
        let shutdown = CancellationToken::new();
        let serving = Serving::new(plugin.services(), Security::Plain, shutdown.clone());
        let serving = tokio::spawn(http2::serve(main, serving));
        let main = http2::connect(Main(host.clone()), &http2::Settings::default()).await.unwrap();
        let attached = tokio::spawn(host.attach(main.clone()));

        let pair = Self { host, plugin, chaos };
        pair.connections().await;
        pair.host.close();
        pair.plugin.close();
        attached.await.unwrap();
        shutdown.cancel();
        drop(main);
        session.close().await;
        serving.await.unwrap();
    }

    /// Some connections at once, in both directions.
    async fn connections(&self) {
        let mut running = JoinSet::new();
        for number in 0..self.chaos.draw(|rng| rng.u32(1..6)) {
            let from_host = self.chaos.draw(fastrand::Rng::bool);
            let (acceptor, dialer) =
                if from_host { (&self.plugin, &self.host) } else { (&self.host, &self.plugin) };
            let (acceptor, dialer, chaos) = (acceptor.clone(), dialer.clone(), self.chaos.clone());
            // The ids of both directions are apart.
            let id = ServiceId(1000 + 2 * number + u32::from(from_host));
            match chaos.draw(|rng| rng.u8(..6)) {
                0 => drop(running.spawn(async move { unserved(&chaos, &dialer, id).await })),
                1 => drop(running.spawn(async move { dropped(&chaos, &acceptor, &dialer, id).await })),
                _ => drop(running.spawn(async move { served(&chaos, &acceptor, &dialer, id).await })),
            }
        }
        while let Some(done) = running.join_next().await {
            done.unwrap();
        }
    }
}

/// A service that is served, and dialled before or after that.
async fn served(chaos: &Chaos, acceptor: &Broker, dialer: &Broker, id: ServiceId) {
    let name = id.0.to_string();
    let serve = async {
        chaos.pause().await;
        acceptor.serve_at(id, named(&name).await).await.unwrap()
    };
    let dial = async {
        chaos.pause().await;
        let channel = timeout(LONGEST_DIAL, dialer.dial(id)).await.expect("the dial ends").unwrap();
        ask(channel, &name).await.unwrap();
    };
    let (handle, ()) = tokio::join!(serve, dial);
    chaos.pause().await;
    if chaos.draw(fastrand::Rng::bool) {
        handle.stop().await;
    }
}

/// An id that has no service: the dial fails in time.
async fn unserved(chaos: &Chaos, dialer: &Broker, id: ServiceId) {
    chaos.pause().await;
    let begun = Instant::now();
    assert!(dialer.dial(id).await.is_err(), "{id:?} is not served");
    assert!(begun.elapsed() < LONGEST_DIAL, "{:?}", begun.elapsed());
}

/// A dial that is given up at some time. A later dial reaches the service.
async fn dropped(chaos: &Chaos, acceptor: &Broker, dialer: &Broker, id: ServiceId) {
    let name = id.0.to_string();
    let serve = async {
        chaos.pause().await;
        acceptor.serve_at(id, named(&name).await).await.unwrap()
    };
    let dial = async {
        tokio::select! {
            _ = dialer.dial(id) => {}
            () = sleep(chaos.millis(30)) => {}
        }
    };
    let (handle, ()) = tokio::join!(serve, dial);
    let channel = timeout(LONGEST_DIAL, dialer.dial(id)).await.expect("the dial ends").unwrap();
    ask(channel, &name).await.unwrap();
    drop(handle);
}

/// A service with a name, so that a connection to another service is noticed.
async fn named(name: &str) -> Services {
    let (reporter, server) = health_reporter();
    reporter.set_service_status(name, ServingStatus::Serving).await;
    Services::new().add(server)
}

/// Calls the service. `NOT_FOUND` if it has another name.
async fn ask(channel: PluginChannel, name: &str) -> Result<(), Status> {
    let request = HealthCheckRequest { service: name.to_owned() };
    let answer = HealthClient::new(channel).check(request).await.map(drop);
    assert!(
        !matches!(&answer, Err(status) if status.code() == Code::NotFound),
        "another service than {name}"
    );
    answer
}
