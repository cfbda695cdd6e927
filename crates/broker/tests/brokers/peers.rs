//! Peers of other implementations: Go, pyvider, and hostile peers.

use std::{pin::Pin, time::Duration};

use futures_core::Stream;
use rpcplugin_broker::{
    AcceptError, Broker, BrokerSettings, DialError, DisconnectReason, HOST_SERVICES, PeerOrigin, Role,
    Unreachable,
};
use rpcplugin_core::ServiceId;
use rpcplugin_proto::{ConnInfo, GrpcBroker, GrpcBrokerClient, GrpcBrokerServer, Knock};
use rpcplugin_transport::{
    Listen as _, Security, Services, SocketDir,
    http2::{self, ChannelError, PluginChannel, Serving},
    yamux,
};
use tokio::{
    io::AsyncReadExt as _,
    sync::mpsc,
    task::{JoinHandle, JoinSet},
    time::Instant,
};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Request, Response, Status, Streaming};

use crate::pair::{
    KINDS, Kind, Pair, Socket, ask, eventually, is_socket, listen_at, listener, named, securities,
};

type Messages = Pin<Box<dyn Stream<Item = Result<ConnInfo, Status>> + Send>>;

/// The behaviour of a plugin on the broker's stream.
type Behaviour = fn(Streaming<ConnInfo>, mpsc::Sender<ConnInfo>) -> Pin<Box<dyn Future<Output = ()> + Send>>;

/// A plugin's broker with this behaviour. Its stream ends when the behaviour ends.
struct Peer(Behaviour);

#[tonic::async_trait]
impl GrpcBroker for Peer {
    type StartStreamStream = Messages;

    async fn start_stream(
        &self,
        request: Request<Streaming<ConnInfo>>,
    ) -> Result<Response<Messages>, Status> {
        let (sender, mut receiver) = mpsc::channel(64);
        let mut behaviour = (self.0)(request.into_inner(), sender);
        let mut done = false;
        let messages = futures_poll(move |cx| {
            if !done {
                done = behaviour.as_mut().poll(cx).is_ready();
            }
            receiver.poll_recv(cx).map(|message| message.map(Ok))
        });
        Ok(Response::new(Box::pin(messages)))
    }
}

/// Makes a stream of a polling function.
fn futures_poll<T>(
    poll: impl FnMut(&mut std::task::Context<'_>) -> std::task::Poll<Option<T>> + Unpin,
) -> impl Stream<Item = T> {
    struct FromFn<F>(F);
    impl<T, F: FnMut(&mut std::task::Context<'_>) -> std::task::Poll<Option<T>> + Unpin> Stream for FromFn<F> {
        type Item = T;
        fn poll_next(
            mut self: Pin<&mut Self>,
            cx: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<T>> {
            (self.0)(cx)
        }
    }
    FromFn(poll)
}

/// A host that is attached to a plugin of another implementation.
struct Attached {
    host: Broker,
    attached: JoinHandle<DisconnectReason>,
    dir: SocketDir,
    _shutdown: tokio_util::sync::DropGuard,
}

/// Long enough for a busy machine, and short enough for a test.
const TIMEOUT: Duration = Duration::from_secs(1);

async fn serve_main(services: Services, dir: &SocketDir) -> (PluginChannel, CancellationToken) {
    let listener = listener(dir).await;
    let connect = Socket { endpoint: listener.endpoint().clone(), security: Security::Plain };
    let shutdown = CancellationToken::new();
    tokio::spawn(http2::serve(listener, Serving::new(services, Security::Plain, shutdown.clone())));
    (http2::connect(connect, &http2::Settings::default()).await.expect("connected"), shutdown)
}

async fn attached(services: Services, multiplexed: bool) -> Attached {
    let dir = SocketDir::private(None).expect("a directory");
    let (main, shutdown) = serve_main(services, &dir).await;
    let mut settings = BrokerSettings::new(Security::Plain);
    settings.peer_timeout = TIMEOUT;
    let host = if multiplexed {
        Broker::multiplexed(Role::Host, settings)
    } else {
        Broker::direct(Role::Host, settings, listen_at(&dir))
    };
    let attached = tokio::spawn(host.attach(main));
    Attached { host, attached, dir, _shutdown: shutdown.drop_guard() }
}

fn peer(behaviour: Behaviour) -> Services {
    Services::new().add(GrpcBrokerServer::new(Peer(behaviour)))
}

fn address(id: u32, network: &str, address: &str) -> ConnInfo {
    ConnInfo { service_id: id, network: network.into(), address: address.into(), knock: None }
}

#[tokio::test]
async fn a_plugin_without_a_broker_is_noticed_at_once() {
    let peer = attached(named("plugin").await, false).await;
    assert_eq!(peer.attached.await.expect("no panic"), DisconnectReason::NoBroker);
    let error = peer.host.dial(ServiceId(1)).await.expect_err("no broker");
    assert!(matches!(error, DialError::Unreachable(Unreachable::NoBroker)), "{error:?}");
    let error = peer.host.serve(named("mine").await).await.expect_err("no broker");
    assert!(matches!(error, AcceptError::Unreachable(Unreachable::NoBroker)), "{error:?}");

    // Another error may not last.
    let peer = attached(Services::new().fallback(Code::Unavailable, "not yet"), false).await;
    assert_eq!(peer.attached.await.expect("no panic"), DisconnectReason::Lost);
}

#[tokio::test]
async fn a_host_that_drops_its_stream_has_no_peer() {
    let silent = peer(|_, answers| {
        Box::pin(async move {
            std::future::pending::<()>().await;
            drop(answers);
        })
    });
    let peer = attached(silent, false).await;
    drop(peer.host.serve(named("mine").await).await.expect("the stream is up"));
    peer.attached.abort();
    peer.attached.await.expect_err("dropped");
    let error = peer.host.dial(ServiceId(1)).await.expect_err("no stream");
    assert!(matches!(error, DialError::Unreachable(Unreachable::NoStream(TIMEOUT))), "{error:?}");
}

#[tokio::test]
async fn the_oldest_of_too_many_hosts_loses_its_stream() {
    let pair = Pair::new(Kind { multiplexed: false, mutual: false }).await;
    let dir = SocketDir::private(None).expect("a directory");
    let mut hosts = Vec::new();
    for _ in 0..8 {
        assert!(!pair.attached.is_finished());
        let host = Broker::direct(Role::Host, BrokerSettings::new(Security::Plain), listen_at(&dir));
        tokio::spawn(host.attach(pair.main.clone()));
        // After this answer the plugin knows the host.
        let mine = host.serve(named("mine").await).await.expect("served");
        ask(pair.plugin.dial(mine.id()).await.expect("dialled"), "mine").await.expect("answered");
        hosts.push(host);
    }
    eventually("the first host has no stream", || pair.attached.is_finished()).await;
    pair.close().await;
}

#[tokio::test]
async fn a_stream_without_a_knock_is_reset_by_a_host() {
    let peer = attached(named("plugin").await, true).await;
    let (near, far) = tokio::io::duplex(1 << 10);
    let mut unexpected = peer.host.start_session(yamux::Session::client(near, yamux::Config::default()));
    let session = yamux::Session::server(far, yamux::Config::default());
    let mut stream = session.open().await.expect("opened");
    let read = tokio::time::timeout(Duration::from_secs(60), stream.read_u8()).await.expect("at once");
    assert_eq!(read.expect_err("reset").kind(), std::io::ErrorKind::ConnectionReset);
    session.close().await;
    assert!(unexpected.accept().await.is_none());
}

#[tokio::test]
async fn a_dial_that_was_given_up_does_not_block_the_next() {
    // It replies to the knock for one id only.
    let slow = peer(|mut incoming, answers| {
        Box::pin(async move {
            while let Ok(Some(message)) = incoming.message().await {
                if message.service_id == 2 {
                    let knock = Knock { knock: true, ack: true, error: String::new() };
                    answers.send(ConnInfo { knock: Some(knock), ..message }).await.expect("sent");
                }
            }
        })
    });
    let peer = attached(slow, true).await;
    let (near, _far) = tokio::io::duplex(1 << 10);
    drop(peer.host.start_session(yamux::Session::client(near, yamux::Config::default())));
    let error = peer.host.dial_stream(ServiceId(1)).await.expect_err("no reply");
    assert!(matches!(error, DialError::NoReply { .. }), "{error:?}");
    peer.host.dial_stream(ServiceId(2)).await.expect("let in");
}

#[cfg(unix)]
#[tokio::test]
async fn an_address_whose_listener_fails_is_kept() {
    let dir = SocketDir::private(None).expect("a directory");
    // The plugin announces the host's own socket under another id.
    let odd = peer(|mut incoming, answers| {
        Box::pin(async move {
            let first = incoming.message().await.expect("a message").expect("one");
            answers.send(ConnInfo { service_id: 7, ..first }).await.expect("sent");
            std::future::pending().await
        })
    });
    let (main, _shutdown) = serve_main(odd, &dir).await;
    let mut settings = BrokerSettings::new(securities(true).0);
    settings.peer_timeout = Duration::from_secs(3600);
    let host = Broker::direct(Role::Host, settings, listen_at(&dir));
    let _attached = tokio::spawn(host.attach(main));
    // It trusts only the plugin.
    let _served = host.serve(named("mine").await).await.expect("served");
    for _ in 0..2 {
        let dialled = tokio::time::timeout(Duration::from_secs(60), host.dial(ServiceId(7))).await;
        let error = dialled.expect("at once").expect_err("it is not trusted");
        assert!(matches!(error, DialError::Connect(ChannelError::Secure(_))), "{error:?}");
    }
}

#[tokio::test]
async fn a_go_plugin_sends_no_headers_before_its_first_message() {
    // The host announces its services without having received headers.
    let silent = peer(|mut incoming, answers| {
        Box::pin(async move {
            let first = incoming.message().await.expect("a message").expect("one");
            answers.send(ConnInfo { service_id: 7, ..first }).await.expect("sent");
            std::future::pending().await
        })
    });
    let peer = attached(silent, false).await;
    let served = peer.host.serve(named("mine").await).await.expect("served");
    // The peer announces our own address under another id.
    let channel = peer.host.dial(ServiceId(7)).await.expect("dialled");
    ask(channel, "mine").await.expect("answered");
    served.stop().await;
    assert!(!peer.attached.is_finished());
}

#[tokio::test]
async fn the_closed_broker_of_a_go_plugin_is_an_error() {
    let dead = || peer(|mut incoming, _| Box::pin(async move { drop(incoming.message().await) }));
    let peer = attached(dead(), false).await;
    let mut served =
        peer.host.serve(named("mine").await).await.expect("the peer has not ended the stream yet");
    let error = served.finished().await.expect_err("the peer cannot call");
    assert!(matches!(error, AcceptError::Unreachable(Unreachable::PeerClosed)), "{error:?}");
    let error = peer.host.serve(named("mine").await).await.expect_err("known by now");
    assert!(matches!(error, AcceptError::Unreachable(Unreachable::PeerClosed)), "{error:?}");
    let error = peer.host.dial(ServiceId(1)).await.expect_err("known by now");
    assert!(matches!(error, DialError::Unreachable(Unreachable::PeerClosed)), "{error:?}");
    assert_eq!(peer.attached.await.expect("no panic"), DisconnectReason::PeerClosed);
}

#[tokio::test]
async fn a_host_can_attach_again_after_its_stream_ended() {
    let pair = Pair::new(Kind { multiplexed: false, mutual: false }).await;
    let dir = SocketDir::private(None).expect("a directory");
    let host = Broker::direct(Role::Host, BrokerSettings::new(Security::Plain), listen_at(&dir));
    let mine = host.serve_at(ServiceId(4_000_000_002), named("mine").await);
    let (mine, ended) = tokio::join!(mine, async {
        let first = tokio::spawn(host.attach(pair.main.clone()));
        let yours = pair.plugin.serve(named("yours").await).await.expect("served");
        ask(host.dial(yours.id()).await.expect("dialled"), "yours").await.expect("answered");
        first.abort();
        first.await
    });
    assert!(ended.is_err_and(|error| error.is_cancelled()));
    let attached = tokio::spawn(host.attach(pair.main.clone()));
    // The services of both sides are announced again.
    let mine = mine.expect("served");
    ask(pair.plugin.dial(mine.id()).await.expect("dialled"), "mine").await.expect("answered");
    let yours = pair.plugin.serve(named("yours").await).await.expect("served");
    ask(host.dial(yours.id()).await.expect("dialled"), "yours").await.expect("answered");
    host.close();
    assert_eq!(attached.await.expect("no panic"), DisconnectReason::Closed);
    pair.close().await;
}

#[tokio::test]
async fn a_dial_by_an_attached_host_fails_at_once_if_the_broker_is_closed() {
    let dead = peer(|mut incoming, _| Box::pin(async move { drop(incoming.message().await) }));
    let dir = SocketDir::private(None).expect("a directory");
    let (main, _shutdown) = serve_main(dead, &dir).await;
    let mut settings = BrokerSettings::new(Security::Plain);
    settings.peer_origin = PeerOrigin::Attached;
    // Without the probe the dial would wait for the whole timeout.
    settings.peer_timeout = Duration::from_secs(3600);
    let host = Broker::direct(Role::Host, settings, listen_at(&dir));
    let attached = tokio::spawn(host.attach(main));
    let dialled = tokio::time::timeout(Duration::from_secs(60), host.dial(ServiceId(1))).await;
    let error = dialled.expect("at once").expect_err("the broker is closed");
    assert!(matches!(error, DialError::Unreachable(Unreachable::PeerClosed)), "{error:?}");
    attached.await.expect("no panic");
}

#[tokio::test]
async fn a_dial_fails_when_the_stream_ends() {
    let short = peer(|mut incoming, answers| {
        Box::pin(async move {
            answers.send(address(2, "unix", "/nowhere")).await.expect("sent");
            // Ends without an error after the first message.
            drop(incoming.message().await);
        })
    });
    let peer = attached(short, false).await;
    let error = peer.host.dial(ServiceId(2)).await.expect_err("no socket");
    assert!(matches!(error, DialError::Connect(_)), "{error:?}");
    let (dialled, served) = tokio::join!(peer.host.dial(ServiceId(1)), peer.host.serve(named("mine").await));
    let _served = served.expect("the peer was still there");
    let error = dialled.expect_err("the stream ended");
    assert!(matches!(error, DialError::Unreachable(Unreachable::StreamEnded)), "{error:?}");
    assert_eq!(peer.attached.await.expect("no panic"), DisconnectReason::Lost);
    let error = peer.host.dial(ServiceId(1)).await.expect_err("there is no other");
    assert!(matches!(error, DialError::Unreachable(Unreachable::NoStream(TIMEOUT))), "{error:?}");
}

#[tokio::test]
async fn dialers_that_take_turns_wait_no_longer_than_their_timeout() {
    // A plugin in Go does not reply to a knock for an unserved id.
    let silent = peer(|mut incoming, answers| {
        Box::pin(async move {
            while let Ok(Some(_)) = incoming.message().await {}
            drop(answers);
        })
    });
    let peer = attached(silent, true).await;
    let (near, _far) = tokio::io::duplex(1 << 10);
    drop(peer.host.start_session(yamux::Session::client(near, yamux::Config::default())));
    let begun = Instant::now();
    let mut dials = JoinSet::new();
    for id in 1..=12 {
        let host = peer.host.clone();
        dials.spawn(async move { host.dial(ServiceId(id)).await.expect_err("no answer") });
    }
    for error in dials.join_all().await {
        assert!(matches!(error, DialError::NoReply { waited: TIMEOUT, .. }), "{error:?}");
    }
    assert!(begun.elapsed() < 6 * TIMEOUT, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_broker_without_a_host_is_an_error() {
    let dir = SocketDir::private(None).expect("a directory");
    let mut settings = BrokerSettings::new(Security::Plain);
    settings.peer_timeout = TIMEOUT;
    let plugin = Broker::direct(Role::Plugin, settings.clone(), listen_at(&dir));
    let error = plugin.serve(named("mine").await).await.expect_err("no host");
    assert!(matches!(error, AcceptError::Unreachable(Unreachable::NoStream(TIMEOUT))), "{error:?}");
    let plugin = Broker::multiplexed(Role::Plugin, settings);
    let error = plugin.dial(ServiceId(1)).await.expect_err("no host");
    assert!(matches!(error, DialError::Unreachable(Unreachable::NoStream(TIMEOUT))), "{error:?}");
}

#[tokio::test]
async fn an_invalid_address_fails_only_its_own_dial() {
    let odd = peer(|mut incoming, answers| {
        Box::pin(async move {
            // A reply without a knock, as pyvider sends it, an invalid address, and an address without a listener.
            let knock = Knock { knock: false, ack: true, error: "Channel not found".into() };
            for unasked in [
                ConnInfo { knock: Some(knock), ..address(1, "unix", "/p") },
                address(2, "pipe", "/p"),
                address(3, "unix", "/nowhere/at/all"),
            ] {
                answers.send(unasked).await.expect("sent");
            }
            while let Ok(Some(message)) = incoming.message().await {
                answers.send(ConnInfo { service_id: 4, ..message }).await.expect("sent");
            }
        })
    });
    let peer = attached(odd, false).await;
    let error = peer.host.dial(ServiceId(1)).await.expect_err("not announced");
    assert!(matches!(error, DialError::NoAddress { id: ServiceId(1), waited: TIMEOUT }), "{error:?}");
    let error = peer.host.dial(ServiceId(2)).await.expect_err("unknown network");
    assert!(matches!(error, DialError::InvalidAddress { id: ServiceId(2), .. }), "{error:?}");
    let error = peer.host.dial(ServiceId(3)).await.expect_err("no listener");
    assert!(matches!(error, DialError::Connect(_)), "{error:?}");
    let _served = peer.host.serve(named("mine").await).await.expect("served");
    ask(peer.host.dial(ServiceId(4)).await.expect("dialled"), "mine").await.expect("answered");
    // The main socket and that of the service.
    let entries = std::fs::read_dir(peer.dir.path()).expect("readable").flatten();
    assert_eq!(entries.filter(is_socket).count(), if cfg!(unix) { 2 } else { 0 });
}

#[tokio::test]
async fn a_plugins_broker_serves_one_host_after_another() {
    let pair = Pair::new(Kind { multiplexed: false, mutual: false }).await;
    let fixed = pair.plugin.serve_at(ServiceId(4_000_000_001), named("fixed").await).await.expect("served");
    for _ in 0..3 {
        // A new host: the services were announced before it connected.
        let dir = SocketDir::private(None).expect("a directory");
        let next = Broker::direct(Role::Host, BrokerSettings::new(Security::Plain), listen_at(&dir));
        let attached = tokio::spawn(next.attach(pair.main.clone()));
        ask(next.dial(fixed.id()).await.expect("dialled"), "fixed").await.expect("answered");
        let mine = next.serve(named("mine").await).await.expect("served");
        ask(pair.plugin.dial(mine.id()).await.expect("dialled"), "mine").await.expect("answered");
        let yours = pair.plugin.serve(named("yours").await).await.expect("served");
        ask(next.dial(yours.id()).await.expect("dialled"), "yours").await.expect("answered");
        next.close();
        attached.await.expect("no panic");
    }
    // The first host is still connected.
    let mine = pair.host.serve(named("mine").await).await.expect("served");
    ask(pair.plugin.dial(mine.id()).await.expect("dialled"), "mine").await.expect("answered");
    pair.close().await;
}

#[tokio::test]
async fn a_second_host_does_not_disturb_the_first() {
    let pair = Pair::new(Kind { multiplexed: false, mutual: false }).await;
    let dir = SocketDir::private(None).expect("a directory");
    let mut settings = BrokerSettings::new(Security::Plain);
    settings.peer_origin = PeerOrigin::Attached;
    let second = Broker::direct(Role::Host, settings, listen_at(&dir));
    let attached = tokio::spawn(second.attach(pair.main.clone()));
    let theirs = second.serve(named("second").await).await.expect("served");
    // The plugin can dial both hosts, and both can dial the plugin.
    for _ in 0..3 {
        let mine = pair.host.serve(named("first").await).await.expect("served");
        ask(pair.plugin.dial(mine.id()).await.expect("dialled"), "first").await.expect("answered");
        ask(pair.plugin.dial(theirs.id()).await.expect("dialled"), "second").await.expect("answered");
        let sub = pair.plugin.serve(named("sub").await).await.expect("served");
        for host in [&pair.host, &second] {
            ask(host.dial(sub.id()).await.expect("dialled"), "sub").await.expect("answered");
        }
    }
    // The second host closes. The services of the plugin go on.
    let mut sub = pair.plugin.serve(named("sub").await).await.expect("served");
    second.close();
    attached.await.expect("no panic");
    let id = sub.id();
    tokio::select! {
        ended = sub.finished() => panic!("{ended:?}"),
        answer = async { ask(pair.host.dial(id).await.expect("dialled"), "sub").await } => {
            answer.expect("answered");
        }
    }
    pair.close().await;
}

#[tokio::test]
async fn the_services_of_a_plugin_outlive_its_host() {
    let mut pair = Pair::new(Kind { multiplexed: false, mutual: false }).await;
    let mut sub = pair.plugin.serve(named("sub").await).await.expect("served");
    pair.host.close();
    (&mut pair.attached).await.expect("no panic");
    let dir = SocketDir::private(None).expect("a directory");
    let next = Broker::direct(Role::Host, BrokerSettings::new(Security::Plain), listen_at(&dir));
    let attached = tokio::spawn(next.attach(pair.main.clone()));
    let id = sub.id();
    tokio::select! {
        ended = sub.finished() => panic!("{ended:?}"),
        answer = async { ask(next.dial(id).await.expect("dialled"), "sub").await } => {
            answer.expect("answered");
        }
    }
    next.close();
    attached.await.expect("no panic");
    pair.attached = tokio::spawn(async { DisconnectReason::Closed });
    pair.close().await;
}

#[tokio::test]
async fn host_services_are_served_without_a_stream_to_the_plugin() {
    let pair = Pair::new(Kind { multiplexed: false, mutual: false }).await;
    let dir = SocketDir::private(None).expect("a directory");
    let next = Broker::direct(Role::Host, BrokerSettings::new(Security::Plain), listen_at(&dir));
    // There is no stream to a plugin yet.
    let offered = next.serve_host_services(named("host").await).await.expect("served");
    let twice = next.serve_host_services(named("host").await).await.expect_err("in use");
    assert!(matches!(twice, AcceptError::IdInUse { id: HOST_SERVICES }), "{twice:?}");
    let attached = tokio::spawn(next.attach(pair.main.clone()));
    ask(pair.plugin.host_channel(), "host").await.expect("answered");
    offered.stop().await;
    next.close();
    let closed = next.serve_host_services(named("host").await).await.expect_err("closed");
    assert!(matches!(closed, AcceptError::Unreachable(Unreachable::Closed)), "{closed:?}");
    attached.await.expect("no panic");
    pair.close().await;
}

#[tokio::test]
async fn host_services_are_served_to_a_plugin_without_a_broker() {
    let peer = attached(named("plugin").await, false).await;
    peer.attached.await.expect("no panic");
    peer.host.serve_host_services(named("host").await).await.expect("the plugin will not call").detach();
}

#[tokio::test]
async fn a_flood_of_messages_does_not_stop_the_broker() {
    let pair = Pair::new(Kind { multiplexed: false, mutual: false }).await;
    let (flood, messages) = mpsc::channel(64);
    let mut messages = messages;
    let outgoing = futures_poll(move |cx| messages.poll_recv(cx));
    let mut client = GrpcBrokerClient::new(pair.main.clone());
    let call = tokio::spawn(async move { client.start_stream(outgoing).await.map(drop) });
    for id in 1..20_000 {
        flood.send(address(id, "unix", &"x".repeat(80))).await.expect("taken");
    }
    let served = pair.host.serve(named("mine").await).await.expect("served");
    ask(pair.plugin.dial(served.id()).await.expect("dialled"), "mine").await.expect("answered");
    // A message that is too large ends the stream. The broker goes on.
    flood.send(address(1, "unix", &"x".repeat(100_000))).await.expect("taken");
    drop(flood);
    drop(call.await);
    let served = pair.host.serve(named("mine").await).await.expect("served");
    ask(pair.plugin.dial(served.id()).await.expect("dialled"), "mine").await.expect("answered");
    pair.close().await;
}

#[tokio::test]
async fn a_broker_that_closes_finishes_the_calls_in_flight() {
    for kind in KINDS {
        let pair = Pair::with(kind, |settings| settings.grace = Duration::from_secs(600)).await;
        let echo = peer(|mut incoming, answers| {
            Box::pin(async move {
                let message = incoming.message().await.expect("a message").expect("one");
                answers.send(message).await.expect("sent");
            })
        });
        let served = pair.plugin.serve(echo).await.expect("served");
        let mut client = GrpcBrokerClient::new(pair.host.dial(served.id()).await.expect("dialled"));
        served.detach();
        let (say, mut messages) = mpsc::channel(1);
        let outgoing = futures_poll(move |cx| messages.poll_recv(cx));
        let mut answers = client.start_stream(outgoing).await.expect("begun").into_inner();

        pair.plugin.close();
        let plugin = pair.plugin.clone();
        let mut drained = Box::pin(plugin.drained());
        let waiting = tokio::time::timeout(Duration::from_millis(50), drained.as_mut()).await;
        waiting.expect_err("a call is in flight");
        say.send(address(7, "unix", "/p")).await.expect("taken");
        assert_eq!(answers.message().await.expect("answered").map(|answer| answer.service_id), Some(7));
        assert_eq!(answers.message().await.expect("ended without an error"), None);
        tokio::time::timeout(Duration::from_secs(60), &mut drained).await.expect("no call is in flight");
        if kind.multiplexed {
            let error = pair.host.dial(ServiceId(1)).await.expect_err("the session has ended");
            assert!(matches!(error, DialError::Unreachable(Unreachable::Session(_))), "{error:?}");
        }
        pair.close().await;
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_silent_connection_does_not_delay_others() {
    let kind = Kind { multiplexed: false, mutual: true };
    let pair =
        Pair::with(kind, |settings| settings.http2.handshake_timeout = Duration::from_secs(3600)).await;
    let mut incoming = pair.plugin.listen().await.expect("listening");
    let id = incoming.id();
    let [socket] = &pair.sockets()[..] else { panic!("one socket") };
    let silent = tokio::net::UnixStream::connect(socket).await.expect("connected");
    let both = async { tokio::join!(incoming.accept(), pair.host.dial_stream(id)) };
    let (accepted, dialled) = tokio::time::timeout(Duration::from_secs(60), both).await.expect("at once");
    accepted.expect("a connection").expect("secured");
    dialled.expect("accepted");
    drop(silent);
    pair.close().await;
}
