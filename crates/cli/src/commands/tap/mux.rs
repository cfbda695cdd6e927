//! A multiplexed connection: one session with the host and one with the plugin, and their streams in pairs.
//!
//! Each side routes a stream by what the broker's messages said before it. So a stream is opened on the other session before any byte
//! passes that its opener has written after it.

use std::{
    collections::VecDeque,
    future::ready,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::future::BoxFuture;
use rpcplugin::{
    Endpoint,
    transport::{Stream, dial, yamux},
};
use tokio::{
    sync::{Mutex as OrderedMutex, mpsc},
    task::JoinSet,
    time::timeout,
};

use super::{
    broker::Broker,
    conn_info::ConnInfo,
    context::Context,
    event::Side,
    reflection::{self, Source},
    relay::Relay,
};
use crate::schema::GivenFiles;

/// Both sessions of a connection.
#[derive(Debug)]
pub(super) struct Mux {
    of_host: yamux::Session,
    of_plugin: yamux::Session,
    /// Held while streams of the host, and of the plugin, are brought to the other session.
    order: [OrderedMutex<()>; 2],
    /// The pairs that are to be relayed.
    pairs: mpsc::UnboundedSender<Pair>,
    /// The ids whose next streams the host and the plugin may open.
    allowed: [Mutex<VecDeque<u64>>; 2],
}

/// A stream that one side has opened, and its counterpart on the other session.
struct Pair {
    opener: Side,
    accepted: yamux::Stream,
    opened: yamux::Stream,
}

impl Mux {
    /// Brings all streams that a side has opened so far to the other session.
    async fn bring(&self, opener: Side) {
        let (from, to) = match opener {
            Side::Host => (&self.of_host, &self.of_plugin),
            Side::Plugin => (&self.of_plugin, &self.of_host),
        };
        let _order = self.order[index(opener)].lock().await;
        while let Some(accepted) = from.try_accept() {
            // Without the other session this one ends too.
            let Ok(opened) = to.open().await else { return };
            let _ = self.pairs.send(Pair { opener, accepted, opened });
        }
    }

    /// A side lets the other one open a stream to a service.
    fn acknowledged(&self, by: Side, id: u64) {
        self.allowed[index(by.other())].lock().unwrap_or_else(PoisonError::into_inner).push_back(id);
    }

    fn next_allowed(&self, opener: Side) -> Option<u64> {
        self.allowed[index(opener)].lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }
}

impl Broker for Mux {
    fn replaces(&self) -> bool {
        false
    }

    fn before_bytes(&self, from: Side) -> BoxFuture<'_, ()> {
        Box::pin(self.bring(from))
    }

    fn takes<'b>(
        self: Arc<Self>,
        _: &'b Arc<str>,
        from: Side,
        info: &'b ConnInfo,
    ) -> BoxFuture<'b, Option<String>> {
        if info.knock.as_ref().is_some_and(|knock| knock.ack && knock.error.is_empty()) {
            self.acknowledged(from, info.id);
        }
        Box::pin(ready(None))
    }
}

fn index(side: Side) -> usize {
    match side {
        Side::Host => 0,
        Side::Plugin => 1,
    }
}

/// Relays a multiplexed connection of a host until one side ends it.
pub(super) async fn relay(
    context: Context,
    accepted: Stream,
    plugin: Endpoint,
    given: Option<Arc<GivenFiles>>,
) {
    let of_host = yamux::Session::server(accepted, yamux::Config::default());
    // A plugin takes one connection. A probe, which opens no stream, must not be that one.
    if !of_host.acceptable().await {
        return;
    }
    let dialled = match dial(&plugin).await {
        Ok(dialled) => dialled,
        Err(error) => {
            tracing::warn!(%error, cause = %error.source, "the plugin does not accept a connection");
            return;
        }
    };
    let of_plugin = yamux::Session::client(dialled, yamux::Config::default());
    // Before the first stream of the host: a stream in between would be taken for one that a knock has announced.
    reflection::describe(&context, Source::Session(of_plugin.clone()), given).await;
    let (pairs, mut paired) = mpsc::unbounded_channel();
    let mux =
        Arc::new(Mux { of_host, of_plugin, order: Default::default(), pairs, allowed: Default::default() });
    let mut relays = JoinSet::new();
    let mut is_first = true;
    loop {
        tokio::select! {
            is_open = mux.of_host.acceptable() => match is_open {
                true => mux.bring(Side::Host).await,
                false => break,
            },
            is_open = mux.of_plugin.acceptable() => match is_open {
                true => mux.bring(Side::Plugin).await,
                false => break,
            },
            Some(pair) = paired.recv() => {
                let is_main = std::mem::take(&mut is_first);
                relays.spawn(relay_of(&context, &mux, &pair, is_main).run(
                    Stream::other(pair.accepted),
                    Stream::other(pair.opened),
                ));
            }
            Some(_) = relays.join_next() => {}
        }
    }
    // What has arrived is passed on before the other session ends.
    let _ = timeout(LAST_BYTES, async { while relays.join_next().await.is_some() {} }).await;
    tokio::join!(mux.of_host.close(), mux.of_plugin.close());
}

fn relay_of(context: &Context, mux: &Arc<Mux>, pair: &Pair, is_main: bool) -> Relay {
    let name = match (is_main, pair.opener) {
        (true, _) => "main".to_owned(),
        // The name of the side that serves, and the id of the service.
        (false, opener) => match mux.next_allowed(opener) {
            Some(id) => format!("{}/{id}", opener.other().name()),
            None => format!("stream {}", pair.accepted.id()),
        },
    };
    let broker = is_main.then(|| -> Arc<dyn Broker> { mux.clone() });
    Relay { context: context.clone(), name: name.into(), dialer: pair.opener, broker, is_main }
}

/// How long the bytes of a session that has ended may take to reach the other side.
const LAST_BYTES: Duration = Duration::from_secs(1);
