//! Serving, dialling and calling.

use std::{sync::Arc, time::Duration};

use rpcplugin_broker::{
    AcceptError, BoxError, Broker, BrokerSettings, DialError, HOST_SERVICES, ListenAt, Role, Translate,
    Unreachable,
};
use rpcplugin_core::{Endpoint, ServiceId};
use rpcplugin_transport::{
    Security,
    http2::{self, Serving},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    sync::mpsc,
    task::JoinSet,
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use crate::pair::{KINDS, Kind, Pair, Secured, ask, eventually, in_each, named, tasks};

#[tokio::test]
async fn each_side_calls_what_the_other_serves() {
    for kind in KINDS {
        let pair = Pair::new(kind).await;
        for (acceptor, dialer) in pair.directions() {
            let served = acceptor.serve(named("mine").await).await.expect("served");
            assert_eq!(served.id(), ServiceId(1), "each side counts its own");
            let channel = dialer.dial(served.id()).await.expect("dialled");
            ask(channel.clone(), "mine").await.expect("answered");
            ask(channel, "mine").await.expect("answered again");
        }
        pair.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_concurrent_calls_in_each_direction_reach_their_services() {
    for kind in KINDS {
        let pair = Pair::new(kind).await;
        let mut calls = JoinSet::new();
        for (acceptor, dialer) in pair.directions() {
            for n in 0..64 {
                let (acceptor, dialer) = (acceptor.clone(), dialer.clone());
                calls.spawn(async move {
                    let name = format!("{:?} {n}", acceptor.role());
                    let served = acceptor.serve(named(&name).await).await.expect("served");
                    let channel = dialer.dial(served.id()).await.expect("dialled");
                    ask(channel, &name).await.expect("answered by the right service");
                    served.stop().await;
                });
            }
        }
        while let Some(done) = calls.join_next().await {
            done.expect("no panic");
        }
        pair.close().await;
    }
}

#[tokio::test]
async fn a_dial_of_an_unserved_id_does_not_delay_other_dials() {
    in_each(|kind| async move {
        let pair = Pair::with(kind, |settings| settings.peer_timeout = Duration::from_secs(3)).await;
        for (acceptor, dialer) in pair.directions() {
            let mut unserved = JoinSet::new();
            let begun = Instant::now();
            for _ in 0..8 {
                let (id, dialer) = (acceptor.next_id(), dialer.clone());
                unserved.spawn(async move { dialer.dial(id).await.expect_err("not served") });
            }
            tokio::task::yield_now().await;
            let served = acceptor.serve(named("mine").await).await.expect("served");
            ask(dialer.dial(served.id()).await.expect("dialled"), "mine").await.expect("answered");
            // The dials wait concurrently.
            unserved.join_all().await;
            assert!(begun.elapsed() < Duration::from_secs(15), "{kind:?}: {:?}", begun.elapsed());
        }
        pair.close().await;
    })
    .await;
}

#[tokio::test]
async fn a_dial_may_come_before_its_service() {
    for kind in KINDS {
        let pair = Pair::new(kind).await;
        for (acceptor, dialer) in pair.directions() {
            let id = acceptor.next_id();
            let name = "late";
            let dialing = async {
                let channel = dialer.dial(id).await.expect("dialled");
                ask(channel, name).await.expect("answered");
            };
            let serving = async {
                // The dial begins before the service.
                tokio::task::yield_now().await;
                acceptor.serve_at(id, named(name).await).await.expect("served")
            };
            let ((), served) = tokio::join!(dialing, serving);
            served.stop().await;
        }
        pair.close().await;
    }
}

#[tokio::test]
async fn an_id_can_be_dialled_again_and_served_again() {
    for kind in KINDS {
        let pair = Pair::new(kind).await;
        for (acceptor, dialer) in pair.directions() {
            let id = ServiceId(77);
            for name in ["first", "second"] {
                let served = acceptor.serve_at(id, named(name).await).await.expect("served");
                for _ in 0..3 {
                    let channel = dialer.dial(id).await.expect("dialled");
                    ask(channel, name).await.expect("answered");
                }
                let taken = acceptor.serve_at(id, named(name).await).await.expect_err("in use");
                assert!(matches!(taken, AcceptError::IdInUse { id: ServiceId(77) }), "{taken:?}");
                served.stop().await;
            }
        }
        pair.close().await;
    }
}

#[tokio::test]
async fn a_channel_whose_connection_broke_makes_a_new_one() {
    for kind in KINDS {
        let pair = Pair::new(kind).await;
        for (acceptor, dialer) in pair.directions() {
            let mut incoming = acceptor.listen().await.expect("listening");
            let (channel, first) = tokio::join!(dialer.dial(incoming.id()), incoming.accept());
            let channel = channel.expect("dialled");
            drop(first.expect("a connection").expect("secured"));
            // From now on, connections are served.
            let (streams, served) = mpsc::channel(1);
            let shutdown = CancellationToken::new();
            let serving = Serving::new(named("again").await, Security::Plain, shutdown.clone());
            let serving = tokio::spawn(http2::serve(Secured(served), serving));
            let calls = async {
                // The first calls may still use the broken connection.
                while ask(channel.clone(), "again").await.is_err() {
                    tokio::task::yield_now().await;
                }
            };
            let accepts = async {
                let stream = incoming.accept().await.expect("another connection").expect("secured");
                assert_eq!(stream.is_mutual(), kind.mutual);
                streams.send(stream).await.expect("it is served");
                // Further connections are not served.
                std::future::pending::<()>().await;
            };
            tokio::select! {
                () = calls => {}
                () = accepts => {}
            }
            shutdown.cancel();
            serving.await.expect("no panic");
        }
        pair.close().await;
    }
}

#[tokio::test]
async fn streams_carry_any_protocol() {
    for kind in KINDS {
        let pair = Pair::new(kind).await;
        for (acceptor, dialer) in pair.directions() {
            let mut incoming = acceptor.listen_at(ServiceId(9)).await.expect("listening");
            let (dialled, accepted) = tokio::join!(dialer.dial_stream(ServiceId(9)), incoming.accept());
            let (mut dialled, mut accepted) =
                (dialled.expect("dialled"), accepted.expect("one").expect("secured"));
            dialled.write_all(b"ping").await.expect("written");
            dialled.flush().await.expect("flushed");
            let mut read = [0; 4];
            accepted.read_exact(&mut read).await.expect("read");
            assert_eq!((&read, accepted.is_mutual()), (b"ping", kind.mutual));
            drop(incoming);
            // The id is free again. Ids in use are not counted.
            let _again = acceptor.listen_at(ServiceId(9)).await.expect("free again");
            let _first = acceptor.listen_at(ServiceId(1)).await.expect("listening");
            assert_eq!(acceptor.listen().await.expect("listening").id(), ServiceId(2));
        }
        pair.close().await;
    }
}

#[tokio::test]
async fn plugins_call_the_hosts_services_without_an_id() {
    for kind in KINDS {
        let pair = Pair::new(kind).await;
        let channel = pair.plugin.host_channel();
        // The first call begins before the host serves.
        let early = tokio::spawn(ask(channel.clone(), "host"));
        tokio::task::yield_now().await;
        let served = pair.host.serve_at(HOST_SERVICES, named("host").await).await.expect("served");
        early.await.expect("no panic").expect("answered");
        ask(channel, "host").await.expect("answered");
        ask(pair.plugin.host_channel(), "host").await.expect("answered on the same connection");
        served.detach();
        ask(pair.plugin.host_channel(), "host").await.expect("still served");
        pair.close().await;
    }
}

#[tokio::test]
async fn calls_to_a_host_without_services_are_unavailable() {
    for kind in KINDS {
        let pair = Pair::with(kind, |settings| settings.peer_timeout = Duration::from_millis(100)).await;
        let status = ask(pair.plugin.host_channel(), "host").await.expect_err("not served");
        assert_eq!(status.code(), tonic::Code::Unavailable, "{status:?}");
        pair.close().await;
    }
}

#[tokio::test]
async fn calls_to_a_host_that_refuses_them_fail_at_once() {
    for kind in KINDS {
        let pair = Pair::with(kind, |settings| settings.peer_timeout = Duration::from_secs(300)).await;
        pair.host.refuse_host_services();
        let asked = async {
            for _ in 0..3 {
                let status = ask(pair.plugin.host_channel(), "host").await.expect_err("refused");
                assert_eq!(status.code(), tonic::Code::FailedPrecondition, "{status:?}");
                assert!(status.message().contains("Host::callbacks"), "{status:?}");
            }
            let dialled = pair.plugin.dial(HOST_SERVICES).await.expect_err("refused");
            assert!(matches!(dialled, DialError::NoHostServices), "{dialled:?}");
        };
        tokio::time::timeout(Duration::from_secs(30), asked).await.expect("at once");
        // The host can serve them later.
        let offered = pair.host.serve_host_services(named("host").await).await.expect("offered");
        let dialled = async {
            loop {
                // Until the announcement has arrived.
                match pair.plugin.dial(HOST_SERVICES).await {
                    Err(DialError::NoHostServices) => tokio::time::sleep(Duration::from_millis(5)).await,
                    dialled => break dialled,
                }
            }
        };
        let channel =
            tokio::time::timeout(Duration::from_secs(30), dialled).await.expect("soon").expect("served");
        ask(channel, "host").await.expect("answered");
        offered.detach();
        pair.close().await;
    }
}

#[tokio::test]
async fn a_dial_of_an_unserved_id_fails_and_later_dials_succeed() {
    in_each(|kind| async move {
        let timeout = Duration::from_secs(1);
        let pair = Pair::with(kind, |settings| settings.peer_timeout = timeout).await;
        for (acceptor, dialer) in pair.directions() {
            let error = dialer.dial(ServiceId(1000)).await.expect_err("not served");
            match (kind.multiplexed, error) {
                (false, DialError::NoAddress { id: ServiceId(1000), waited }) => {
                    assert_eq!(waited, timeout)
                }
                (true, DialError::NoReply { id: ServiceId(1000), waited }) => assert_eq!(waited, timeout),
                (_, other) => panic!("{other:?}"),
            }
            // Served too late: the peer admits a dial that has failed.
            let late = acceptor.serve_at(ServiceId(1000), named("late").await).await.expect("served");
            let served = acceptor.serve(named("mine").await).await.expect("served");
            let channel = dialer.dial(served.id()).await.expect("dialled");
            ask(channel, "mine").await.expect("answered by the right service");
            let channel = dialer.dial(late.id()).await.expect("dialled");
            ask(channel, "late").await.expect("answered by the right service");
        }
        pair.close().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_dial_delays_no_other_and_opens_its_stream() {
    let pair = Pair::new(Kind { multiplexed: true, mutual: false }).await;
    let dial = tokio::spawn({
        let host = pair.host.clone();
        async move { host.dial(ServiceId(5)).await.map(drop) }
    });
    let start = Instant::now();
    // The paused clock advances only when all tasks wait. By then the knock has arrived.
    tokio::time::sleep(Duration::from_millis(1)).await;
    dial.abort();
    let served = pair.plugin.serve(named("mine").await).await.expect("served");
    ask(pair.host.dial(served.id()).await.expect("dialled"), "mine").await.expect("answered");
    assert!(start.elapsed() < Duration::from_millis(500), "the cancelled dial does not delay others");

    // The plugin admits the cancelled dial. The host opens the stream for it, so that the plugin recognises the next main
    // stream as such. Only the late service answers to this name.
    let _late = pair.plugin.serve_at(ServiceId(5), named("late").await).await.expect("served");
    tokio::time::sleep(Duration::from_millis(1)).await;
    let status = ask(pair.another_main().await, "late").await.expect_err("not on a main connection");
    assert_eq!(status.code(), tonic::Code::Unimplemented, "{status:?}");
    pair.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_knock_for_an_unserved_id_is_refused_before_the_dial_times_out() {
    let pair = Pair::new(Kind { multiplexed: true, mutual: false }).await;
    for (acceptor, dialer) in pair.directions() {
        let error = dialer.dial(ServiceId(5)).await.expect_err("not served");
        let DialError::Refused { id: ServiceId(5), reason } = error else { panic!("{error:?}") };
        assert_eq!(reason, "no listener for id 5");
        // The host has not said that it has no services, and may serve them later.
        let error = dialer.dial(HOST_SERVICES).await.expect_err("not served");
        assert!(matches!(error, DialError::Refused { id: HOST_SERVICES, .. }), "{error:?}");
        let served = acceptor.serve(named("mine").await).await.expect("served");
        ask(dialer.dial(served.id()).await.expect("dialled"), "mine").await.expect("answered");
    }
}

#[tokio::test]
async fn a_dial_that_is_dropped_at_any_step_does_not_disturb_others() {
    for kind in KINDS {
        let pair = Pair::new(kind).await;
        for (acceptor, dialer) in pair.directions() {
            let unwanted = acceptor.serve(named("unwanted").await).await.expect("served");
            let wanted = acceptor.serve(named("wanted").await).await.expect("served");
            for polls in 0..12 {
                // Dropped after this number of polls.
                let dial = tokio::spawn({
                    let (dialer, id) = (dialer.clone(), unwanted.id());
                    async move { dialer.dial(id).await.map(drop) }
                });
                for _ in 0..polls {
                    tokio::task::yield_now().await;
                }
                dial.abort();
                let channel = dialer.dial(wanted.id()).await.expect("dialled");
                ask(channel, "wanted").await.expect("answered by the right service");
            }
        }
        pair.close().await;
    }
}

#[tokio::test]
async fn closing_ends_all_services_and_tasks() {
    for kind in KINDS {
        let before = tasks();
        let pair = Pair::new(kind).await;
        let mut channels = Vec::new();
        for (acceptor, dialer) in pair.directions() {
            let served = acceptor.serve(named("mine").await).await.expect("served");
            let channel = dialer.dial(served.id()).await.expect("dialled");
            ask(channel.clone(), "mine").await.expect("answered");
            channels.push(channel);
            served.detach();
        }
        let waiting = tokio::spawn({
            let host = pair.host.clone();
            async move { host.dial(ServiceId(1000)).await.map(drop) }
        });
        tokio::task::yield_now().await;
        pair.host.close();
        let error = waiting.await.expect("no panic").expect_err("closed");
        assert!(matches!(error, DialError::Unreachable(Unreachable::Closed)), "{error:?}");
        let error = pair.host.serve(named("more").await).await.expect_err("closed");
        assert!(matches!(error, AcceptError::Unreachable(Unreachable::Closed)), "{error:?}");
        if !kind.multiplexed {
            pair.plugin.close();
            eventually("the sockets are removed", || pair.sockets().is_empty()).await;
        }
        drop(channels);
        pair.close().await;
        eventually("all tasks have ended", || tasks() == before).await;
    }
}

/// Adds and removes a prefix, as a runner of containers does with mounted paths.
#[derive(Debug)]
struct Mounted;

impl Translate for Mounted {
    fn announce_as(&self, endpoint: &Endpoint) -> Result<Endpoint, BoxError> {
        Ok(Endpoint::parse(endpoint.network(), &format!("{MOUNTED}{}", endpoint.address()))?)
    }

    fn dial_as(&self, endpoint: &Endpoint) -> Result<Endpoint, BoxError> {
        let address = endpoint.address();
        let inner = address.strip_prefix(MOUNTED).ok_or_else(|| format!("{address} is not mounted"))?;
        Ok(Endpoint::parse(endpoint.network(), inner)?)
    }
}

/// A prefix of a path, or of the name of a network host.
const MOUNTED: &str = if cfg!(unix) { "/@" } else { "at-" };

#[tokio::test]
async fn addresses_are_translated_both_ways() {
    let kind = Kind { multiplexed: false, mutual: false };
    let pair = Pair::with(kind, |settings| settings.translate = Some(Arc::new(Mounted))).await;
    for (acceptor, dialer) in pair.directions() {
        let served = acceptor.serve(named("mine").await).await.expect("served");
        ask(dialer.dial(served.id()).await.expect("dialled"), "mine").await.expect("answered");
    }
    pair.close().await;
}

#[tokio::test]
async fn services_may_listen_on_tcp() {
    let pair = Pair::new(Kind { multiplexed: false, mutual: false }).await;
    let host = std::net::Ipv4Addr::LOCALHOST.into();
    let place = ListenAt::Tcp { host, ports: 0..=0 };
    let broker = Broker::direct(Role::Host, BrokerSettings::new(Security::Plain), place);
    let attached = tokio::spawn(broker.attach(pair.main.clone()));
    let served = broker.serve(named("tcp").await).await.expect("served");
    ask(pair.plugin.dial(served.id()).await.expect("dialled"), "tcp").await.expect("answered");
    broker.close();
    attached.await.expect("no panic");
    pair.close().await;
}
