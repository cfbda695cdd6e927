//! Brokered services with sockets of their own: this program listens for the peer, and dials the service.

use std::{
    collections::HashMap,
    future::ready,
    net::{IpAddr, Ipv4Addr},
    ops::RangeInclusive,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use futures_util::future::BoxFuture;
use rpcplugin::{
    Endpoint,
    transport::{Listen as _, Listener, dial},
};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use super::{broker::Broker, conn_info::ConnInfo, context::Context, event::Side, relay::Relay};

/// The brokered services of both sides.
#[derive(Debug)]
pub(super) struct Direct {
    context: Context,
    last: AtomicU32,
    /// Where this program listens for each service, by the service's own address. The token ends with the listener.
    listening: Mutex<HashMap<(Side, String), (String, CancellationToken)>>,
}

impl Direct {
    pub(super) fn new(context: Context) -> Self {
        Self { context, last: AtomicU32::new(0), listening: Mutex::default() }
    }

    /// Listens for the peer of a service that `side` announces. Returns the address to announce in its place, of the same length: then
    /// no frame around it changes. Returns `None` if that is impossible.
    async fn announced(&self, connection: &Arc<str>, side: Side, info: &ConnInfo) -> Option<String> {
        let mut listening = self.listening.lock().await;
        listening.retain(|_, (_, ended)| !ended.is_cancelled());
        let key = (side, info.address.clone());
        if let Some((address, _)) = listening.get(&key) {
            return Some(address.clone());
        }
        let service = Endpoint::parse(&info.network, &info.address).ok()?;
        let Some((listener, address)) = self.listen(&service, &info.address).await else {
            let text = format!(
                "connections to the brokered service {} at {} are not shown: no address of the same length is free",
                info.id, info.address
            );
            self.context.note(connection, side, text).await;
            return None;
        };
        let ended = CancellationToken::new();
        listening.insert(key, (address.clone(), ended.clone()));
        let name = format!("{}/{}", side.name(), info.id).into();
        let serving = serve(self.context.clone(), listener, service, side, name, ended.clone());
        self.context.listeners.spawn(async move {
            let _ended = ended.drop_guard();
            serving.await;
        });
        Some(address)
    }

    /// Listens at an address of the same length as the announced one.
    async fn listen(&self, service: &Endpoint, announced: &str) -> Option<(Listener, String)> {
        match service {
            Endpoint::Unix(_) => {
                let path = self.path(announced.len())?;
                let Ok(Endpoint::Unix(socket)) = Endpoint::parse("unix", &path) else { return None };
                Some((Listener::unix_at(&socket, None).ok()?, path))
            }
            Endpoint::Tcp(at) => {
                let ip = match at.host() {
                    "localhost" => Ipv4Addr::LOCALHOST.into(),
                    host => host.trim_matches(['[', ']']).parse::<IpAddr>().ok()?,
                };
                let listener = Listener::tcp(ip, ports_like(at.port())).await.ok()?;
                let Endpoint::Tcp(bound) = listener.endpoint() else { return None };
                let (host, _) = announced.rsplit_once(':')?;
                let address = format!("{host}:{}", bound.port());
                (address.len() == announced.len()).then_some((listener, address))
            }
            _ => None,
        }
    }

    /// Returns a path in the directory of this program, with as many slashes as the length needs.
    fn path(&self, length: usize) -> Option<String> {
        let dir = self.context.dir.to_str()?;
        let name = format!("{:x}", self.last.fetch_add(1, Ordering::Relaxed));
        let slashes = length.checked_sub(dir.len() + name.len()).filter(|slashes| *slashes > 0)?;
        Some(format!("{dir}{}{name}", "/".repeat(slashes)))
    }
}

impl Broker for Direct {
    fn replaces(&self) -> bool {
        true
    }

    fn before_bytes(&self, _: Side) -> BoxFuture<'_, ()> {
        Box::pin(ready(()))
    }

    fn takes<'b>(
        self: Arc<Self>,
        connection: &'b Arc<str>,
        from: Side,
        info: &'b ConnInfo,
    ) -> BoxFuture<'b, Option<String>> {
        Box::pin(async move {
            match info.knock.is_none() && !info.address.is_empty() {
                true => self.announced(connection, from, info).await,
                false => None,
            }
        })
    }
}

/// Relays each connection of the peer, until the service has gone.
async fn serve(
    context: Context,
    mut listener: Listener,
    service: Endpoint,
    side: Side,
    name: Arc<str>,
    gone: CancellationToken,
) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = gone.cancelled() => None,
        };
        let Some(accepted) = accepted else { return };
        // A service that is not there refuses the peer, as it would without this program.
        let Ok(dialled) = dial(&service).await else { return };
        let (context, name) = (context.clone(), name.clone());
        let (path, gone) = (path_of(&service), gone.clone());
        let connections = context.connections.clone();
        connections.spawn(async move {
            let relay = Relay { context, name, dialer: side.other(), broker: None, is_main: false };
            relay.run(accepted, dialled).await;
            if path.is_some_and(|path| !Path::new(&path).exists()) {
                gone.cancel();
            }
        });
    }
}

/// Returns the file of a socket. An abstract socket has none.
fn path_of(service: &Endpoint) -> Option<String> {
    match service {
        Endpoint::Unix(path) if path.abstract_name().is_none() => Some(service.address()),
        _ => None,
    }
}

/// Returns the ports with as many digits as this one. The system chooses among those with five.
fn ports_like(port: u16) -> RangeInclusive<u16> {
    match port {
        10_000.. => 0..=0,
        1024.. => 1024..=9999,
        _ => port..=port,
    }
}
