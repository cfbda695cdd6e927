//! The end of a service.

use std::time::Duration;

use rpcplugin_broker::{AcceptError, Broker, BrokerSettings, DialError, Role, Unreachable};
use rpcplugin_core::ServiceId;
use rpcplugin_transport::{Security, SocketDir, http2::ChannelError};

use crate::pair::{KINDS, Kind, Pair, ask, eventually, in_each, listen_at, named, securities};

const DIRECT: Kind = Kind { multiplexed: false, mutual: false };

#[cfg(unix)]
#[tokio::test]
async fn stopping_and_dropping_remove_the_socket_and_free_the_id() {
    let pair = Pair::new(DIRECT).await;
    let first = pair.host.serve_at(ServiceId(5), named("mine").await).await.expect("served");
    let second = pair.plugin.serve_at(ServiceId(5), named("mine").await).await.expect("served");
    assert_eq!(pair.sockets().len(), 2);
    first.stop().await;
    assert_eq!(pair.sockets().len(), 1, "removed when stop returns");
    drop(second);
    eventually("the socket is removed", || pair.sockets().is_empty()).await;
    let third = pair.plugin.serve_at(ServiceId(5), named("mine").await).await.expect("free again");
    drop(third);
    pair.plugin.serve_at(ServiceId(5), named("mine").await).await.expect("free at once").detach();
    pair.close().await;
}

#[tokio::test]
async fn a_stopped_service_cannot_be_dialled() {
    in_each(|kind| async move {
        let pair = Pair::with(kind, |settings| settings.peer_timeout = Duration::from_secs(1)).await;
        for (acceptor, dialer) in pair.directions() {
            let served = acceptor.serve(named("mine").await).await.expect("served");
            let id = served.id();
            let channel = dialer.dial(id).await.expect("dialled");
            ask(channel.clone(), "mine").await.expect("answered");
            served.stop().await;
            ask(channel, "mine").await.expect_err("its connection is closed");
            let error = dialer.dial(id).await.expect_err("no listener");
            match error {
                DialError::Connect(ChannelError::Connect(_)) => assert!(!kind.multiplexed),
                DialError::NoReply { .. } => assert!(kind.multiplexed),
                other => panic!("{other:?}"),
            }
        }
        pair.close().await;
    })
    .await;
}

#[tokio::test]
async fn a_service_finishes_without_error_when_its_broker_closes() {
    for kind in KINDS {
        let pair = Pair::new(kind).await;
        let mut served = pair.host.serve(named("mine").await).await.expect("served");
        let host = pair.host.clone();
        let (finished, ()) = tokio::join!(served.finished(), async {
            tokio::task::yield_now().await;
            host.close();
        });
        finished.expect("closed without an error");
        assert!(kind.multiplexed || pair.sockets().is_empty(), "the service has ended");
        served.finished().await.expect("again");
        drop(served);
        pair.close().await;
    }
}

#[tokio::test]
async fn the_end_of_the_multiplexed_connection_is_an_error() {
    let pair = Pair::new(Kind { multiplexed: true, mutual: false }).await;
    let mut served = pair.host.serve(named("mine").await).await.expect("served");
    let mut incoming = pair.host.listen().await.expect("listening");
    pair.end_session().await;
    let last = tokio::time::timeout(Duration::from_secs(60), incoming.accept()).await;
    assert!(last.expect("at once").is_none(), "no connection can come");
    let error = served.finished().await.expect_err("the connection is gone");
    assert!(matches!(error, AcceptError::Unreachable(Unreachable::Session(_))), "{error:?}");
    let error = pair.host.dial(ServiceId(1)).await.expect_err("the connection is gone");
    assert!(matches!(error, DialError::Unreachable(Unreachable::Session(_))), "{error:?}");
    drop(served);
    pair.close().await;
}

#[tokio::test]
async fn dropping_the_last_handle_or_cancelling_the_token_closes() {
    let settings = BrokerSettings::new(Security::Plain);
    let shutdown = settings.shutdown.clone();
    let dir = SocketDir::private(None).expect("a directory");
    let other = Broker::direct(Role::Host, settings, listen_at(&dir));
    shutdown.cancel();
    let error = other.dial(ServiceId(1)).await.expect_err("closed");
    assert!(matches!(error, DialError::Unreachable(Unreachable::Closed)), "{error:?}");

    let mut pair = Pair::new(DIRECT).await;
    pair.host.serve(named("mine").await).await.expect("served").detach();
    drop(pair.host.clone());
    assert_eq!(pair.sockets().len(), usize::from(cfg!(unix)), "another handle is left");
    pair.host = other;
    eventually("the socket is removed", || pair.sockets().is_empty()).await;
    eventually("the stream has ended", || pair.attached.is_finished()).await;
    pair.close().await;
}

#[tokio::test]
async fn unauthorized_clients_are_refused() {
    for kind in KINDS.into_iter().filter(|kind| kind.mutual) {
        let pair = Pair::new(kind).await;
        let served = pair.plugin.serve(named("mine").await).await.expect("served");
        if !kind.multiplexed && cfg!(unix) {
            let [socket] = &pair.sockets()[..] else { panic!("one socket") };
            let endpoint = rpcplugin_core::SocketPath::new(socket).expect("a path").into();
            let unauthorized = crate::pair::Socket { endpoint, security: securities(true).0 };
            let refused = rpcplugin_transport::http2::connect(unauthorized, &Default::default()).await;
            match refused {
                Err(ChannelError::Secure(_)) => {}
                Err(other) => panic!("{other:?}"),
                Ok(_) => panic!("accepted"),
            }
        }
        let channel = pair.host.dial(served.id()).await.expect("dialled");
        ask(channel, "mine").await.expect("answered");
        pair.close().await;
    }
}
