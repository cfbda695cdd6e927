//! One connection: bytes from one side to the other, and back.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
};

use rpcplugin::transport::{SecureStream, Stream};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    sync::watch,
};

use super::{
    broker::Broker,
    conn_info::ConnInfo,
    context::Context,
    event::{Kind, Side},
    http2::{BROKER, Calls, Message, Scanned, Sender, What},
};

/// A connection that one side has opened.
#[derive(Debug)]
pub(super) struct Relay {
    pub(super) context: Context,
    /// Its name in the output.
    pub(super) name: Arc<str>,
    /// The side that has opened it.
    pub(super) dialer: Side,
    pub(super) broker: Option<Arc<dyn Broker>>,
    /// Whether it is a connection of the host to the plugin itself.
    pub(super) is_main: bool,
}

impl Relay {
    /// Secures both ends, and passes bytes in both directions until both are closed.
    pub(super) async fn run(self, accepted: Stream, dialled: Stream) {
        let Self { context, name, dialer, .. } = &self;
        context.log.send(Some(name), *dialer, Kind::Opened).await;
        // Both at once: each side waits for its own handshake only.
        let secured = tokio::try_join!(
            async { context.accepted(accepted, *dialer).await.map_err(|error| (*dialer, error)) },
            async { context.dialled(dialled, dialer.other()).await.map_err(|error| (dialer.other(), error)) },
        );
        match secured {
            Ok((client, server)) => self.pass(client, server).await,
            Err((side, error)) => {
                let text = format!("the TLS handshake with the {} failed: {error}", side.name());
                context.note(name, side, text).await;
            }
        }
        context.log.send(Some(name), *dialer, Kind::Closed).await;
    }

    async fn pass(&self, client: SecureStream, server: SecureStream) {
        let calls = Mutex::new(Calls::new(self.context.kept));
        let (from_client, to_client) = tokio::io::split(client);
        let (from_server, to_server) = tokio::io::split(server);
        tokio::join!(
            self.direction(Sender::Client, from_client, to_server, &calls),
            self.direction(Sender::Server, from_server, to_client, &calls),
        );
    }

    /// Passes one direction on until it is closed.
    async fn direction(
        &self,
        sender: Sender,
        mut from: impl AsyncRead + Unpin,
        mut to: impl AsyncWrite + Unpin,
        calls: &Mutex<Calls>,
    ) {
        let exit = &self.context.exit;
        let from_side = if sender == Sender::Client { self.dialer } else { self.dialer.other() };
        // The bytes that wait, and the position of the first of them.
        let (mut waiting, mut position) = (Vec::with_capacity(BUFFER), 0_u64);
        let mut connected = None;
        let mut is_open = true;
        loop {
            waiting.reserve(BUFFER);
            let before = waiting.len();
            let read = exit.bounds(from.read_buf(&mut waiting)).await;
            if !matches!(read, Some(Ok(1..))) {
                let _ = exit.bounds(write(&mut to, &waiting)).await;
                let _ = exit.bounds(to.shutdown()).await;
                return;
            }
            if self.is_main && sender == Sender::Client {
                connected.get_or_insert_with(|| Connected::over(&self.context.hosts));
            }
            if let Some(broker) = &self.broker {
                broker.before_bytes(from_side).await;
            }
            let scanned = {
                let mut calls = calls.lock().unwrap_or_else(PoisonError::into_inner);
                calls.read(sender, &waiting[before..])
            };
            let hold = scanned.hold.filter(|_| self.broker.as_ref().is_some_and(|broker| broker.replaces()));
            self.show(from_side, scanned, &mut waiting, position).await;
            let free = hold.map_or(waiting.len() as u64, |hold| hold.saturating_sub(position));
            let free = usize::try_from(free).map_or(waiting.len(), |free| free.min(waiting.len()));
            // What comes after the other end has closed is read and discarded. Otherwise closing this end would discard what it has
            // not read yet.
            is_open = is_open && matches!(exit.bounds(write(&mut to, &waiting[..free])).await, Some(Ok(())));
            waiting.drain(..free);
            position += free as u64;
        }
    }

    /// Hands what was found to the output. Replaces addresses that the broker announces.
    async fn show(&self, from: Side, scanned: Scanned, waiting: &mut [u8], position: u64) {
        for found in scanned.found {
            if let What::Message(message) = &found.what
                && found.method.as_ref() == BROKER
                && let Some(replaced) = self.replaced(from, message).await
            {
                put(&replaced, &message.parts, waiting, position);
            }
            self.context.log.send(Some(&self.name), from, Kind::Found(found)).await;
        }
    }

    /// Returns the message to pass on in the place of a message of the broker, if it is another.
    async fn replaced(&self, from: Side, message: &Message) -> Option<Vec<u8>> {
        let (broker, bytes) = (self.broker.clone()?, message.bytes.as_ref()?);
        let info = ConnInfo::read(bytes)?;
        let address = broker.takes(&self.name, from, &info).await?;
        let mut replaced = bytes.clone();
        let place = replaced.get_mut(info.address_at)?;
        if place.len() == address.len() {
            place.copy_from_slice(address.as_bytes());
        }
        Some(replaced)
    }
}

/// Puts the bytes of a message where the message stands.
fn put(message: &[u8], parts: &[(u64, usize)], waiting: &mut [u8], position: u64) {
    let mut rest = message;
    for (at, length) in parts {
        let Some((part, after)) = rest.split_at_checked(*length) else { return };
        let at = at.checked_sub(position).and_then(|at| usize::try_from(at).ok());
        if let Some(place) = at.and_then(|at| waiting.get_mut(at..at + length)) {
            place.copy_from_slice(part);
        }
        rest = after;
    }
}

async fn write(to: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> io::Result<()> {
    to.write_all(bytes).await?;
    to.flush().await
}

/// A host that has sent something, until this is dropped.
struct Connected(watch::Sender<usize>);

impl Connected {
    fn over(hosts: &watch::Sender<usize>) -> Self {
        hosts.send_modify(|count| *count += 1);
        Self(hosts.clone())
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

const BUFFER: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_in_parts_is_replaced_in_its_place() {
        let mut waiting = *b"..ab.cd..";
        put(b"WXYZ", &[(102, 2), (105, 2)], &mut waiting, 100);
        assert_eq!(&waiting, b"..WX.YZ..");
        // A part that has passed already is not touched.
        put(b"1234", &[(90, 2), (105, 2)], &mut waiting, 100);
        assert_eq!(&waiting, b"..WX.34..");
    }
}
