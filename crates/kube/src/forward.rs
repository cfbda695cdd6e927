//! Connections to a plugin through the API server: each is a WebSocket, on which the API server forwards a port of the pod.

use std::{
    fmt, io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::{Buf as _, Bytes};
use futures_util::{Sink, Stream as Messages};
use kube::core::Request;
use rpcplugin_core::Endpoint;
use rpcplugin_transport::{Dial, Stream};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::timeout,
};
use tokio_tungstenite::tungstenite::{Error as SocketError, Message, error::ProtocolError};

use crate::{
    error::{KubeError, describe},
    pod_ref::{PodRef, REQUEST},
    text::{chain, line},
};

/// Opens connections through the API server: a port-forward each.
pub(crate) struct PortForward {
    pub(crate) pod: PodRef,
}

impl fmt::Debug for PortForward {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "port-forward to {}", self.pod.id())
    }
}

impl Dial for PortForward {
    async fn dial(&self, endpoint: &Endpoint) -> io::Result<Stream> {
        let Endpoint::Tcp(address) = endpoint else {
            return Err(io::Error::other(KubeError::UnixSocket { path: endpoint.address() }));
        };
        let target = Target { pod: self.pod.id().into(), port: address.port() };
        let connecting = async {
            let request = Request::new(self.pod.api.resource_url());
            let request = request.portforward(&self.pod.name, &[target.port]);
            let client = self.pod.api.clone().into_client();
            client.connect(request.map_err(kube::Error::BuildRequest)?).await
        };
        match timeout(REQUEST, connecting).await {
            Ok(Ok(connection)) => Ok(Stream::other(Forwarded::new(connection.into_stream(), target))),
            Ok(Err(error)) => Err(target.fault(describe(&error))),
            Err(_) => Err(target.fault("the API server does not answer".to_owned())),
        }
    }
}

/// The port of a pod.
#[derive(Debug, Clone)]
struct Target {
    pod: Arc<str>,
    port: u16,
}

impl Target {
    fn fault(&self, message: String) -> io::Error {
        io::Error::other(KubeError::PortForward { pod: self.pod.to_string(), port: self.port, message })
    }

    fn socket_fault(&self, error: SocketError) -> io::Error {
        match error {
            SocketError::Io(error) => error,
            SocketError::ConnectionClosed
            | SocketError::AlreadyClosed
            | SocketError::Protocol(ProtocolError::SendAfterClosing) => io::ErrorKind::BrokenPipe.into(),
            error => self.fault(chain(&error)),
        }
    }
}

/// A connection through the API server, over a WebSocket.
///
/// A slow reader does not hold up the writer, and the other way round: nothing but this connection holds bytes of it, and what
/// the socket does not take waits with the caller. The fault that the kubelet reports about the connection takes the place of its end.
///
/// # Protocol
/// `pkg/kubelet/portforward/websocket.go` of Kubernetes: each binary message begins with its channel. 0 has the bytes of the
/// port, and 1 the fault. The first message of each channel has the number of the port, with the lower byte first.
struct Forwarded<S> {
    socket: S,
    target: Target,
    /// Bytes of the port that have not been read.
    unread: Bytes,
    /// Whether the first message of each channel has come.
    begun: [bool; 2],
    fault: Option<String>,
    ended: bool,
}

impl<S> Forwarded<S> {
    fn new(socket: S, target: Target) -> Self {
        Self { socket, target, unread: Bytes::new(), begun: [false; 2], fault: None, ended: false }
    }

    /// Takes a message of the API server.
    fn take(&mut self, mut message: Bytes) -> io::Result<()> {
        let invalid = |target: &Target, what: &str| Err(target.fault(format!("the API server sends {what}")));
        let Some(channel) = message.try_get_u8().ok().map(usize::from).filter(|channel| *channel < 2) else {
            return invalid(&self.target, "a message of no channel");
        };
        if !self.begun[channel] {
            self.begun[channel] = true;
            return match message.try_get_u16_le() {
                Ok(port) if port == self.target.port && message.is_empty() => Ok(()),
                _ => invalid(&self.target, "another port"),
            };
        }
        match channel {
            0 => self.unread = message,
            _ => self.fault = Some(line(&String::from_utf8_lossy(&message))),
        }
        Ok(())
    }
}

impl<S> AsyncRead for Forwarded<S>
where
    S: Messages<Item = Result<Message, SocketError>> + Unpin,
{
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            if !self.unread.is_empty() {
                let read = self.unread.len().min(buffer.remaining());
                buffer.put_slice(&self.unread.split_to(read));
                return Poll::Ready(Ok(()));
            }
            if self.ended {
                let fault = self.fault.take();
                return Poll::Ready(fault.map_or(Ok(()), |fault| Err(self.target.fault(fault))));
            }
            match ready!(Pin::new(&mut self.socket).poll_next(context)) {
                Some(Ok(Message::Binary(message))) => self.take(message)?,
                // A node that fails closes no WebSocket.
                Some(
                    Ok(Message::Close(_))
                    | Err(SocketError::Protocol(ProtocolError::ResetWithoutClosingHandshake)),
                )
                | None => self.ended = true,
                Some(Ok(_)) => {}
                Some(Err(error)) => return Poll::Ready(Err(self.target.socket_fault(error))),
            }
        }
    }
}

impl<S> AsyncWrite for Forwarded<S>
where
    S: Sink<Message, Error = SocketError> + Unpin,
{
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let Self { socket, target, .. } = &mut *self;
        let mut socket = Pin::new(socket);
        ready!(socket.as_mut().poll_ready(context)).map_err(|error| target.socket_fault(error))?;
        let bytes = &bytes[..bytes.len().min(LARGEST_MESSAGE)];
        let message = [&[0][..], bytes].concat();
        socket.start_send(Message::binary(message)).map_err(|error| target.socket_fault(error))?;
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { socket, target, .. } = &mut *self;
        Pin::new(socket).poll_flush(context).map_err(|error| target.socket_fault(error))
    }

    /// Closes the WebSocket: the protocol has no end of one direction.
    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { socket, target, .. } = &mut *self;
        Pin::new(socket).poll_close(context).map_err(|error| target.socket_fault(error))
    }
}

/// The largest number of bytes in one message. Peers hold a message as a whole.
const LARGEST_MESSAGE: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::{FutureExt as _, SinkExt as _, StreamExt as _};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
    use tokio_tungstenite::{WebSocketStream, tungstenite::protocol::Role};

    use super::*;

    const PORT: u16 = 7400;

    /// A connection, and the API server's end of its WebSocket.
    async fn connected() -> (Forwarded<WebSocketStream<DuplexStream>>, WebSocketStream<DuplexStream>) {
        let (near, far) = duplex(16 << 10);
        let near = WebSocketStream::from_raw_socket(near, Role::Client, None).await;
        let mut far = WebSocketStream::from_raw_socket(far, Role::Server, None).await;
        for channel in [0, 1] {
            far.send(message(channel, &PORT.to_le_bytes())).await.unwrap();
        }
        (Forwarded::new(near, Target { pod: "plugins/kv-1".into(), port: PORT }), far)
    }

    fn message(channel: u8, bytes: &[u8]) -> Message {
        Message::binary([&[channel][..], bytes].concat())
    }

    fn fault(error: &io::Error) -> Option<&KubeError> {
        error.get_ref().and_then(|fault| fault.downcast_ref())
    }

    async fn within<F: Future>(future: F) -> F::Output {
        timeout(Duration::from_secs(20), future).await.expect("no end")
    }

    /// Reads the bytes of the port until there are so many.
    async fn count(far: &mut WebSocketStream<DuplexStream>, wanted: usize) {
        let mut seen = 0;
        while seen < wanted {
            let bytes = far.next().await.unwrap().unwrap().into_data();
            assert_eq!(bytes[0], 0);
            seen += bytes.len() - 1;
        }
        assert_eq!(seen, wanted);
    }

    const MANY: usize = 8 << 20;

    #[tokio::test]
    async fn a_writer_goes_on_while_nothing_is_read() {
        let (mut near, mut far) = connected().await;
        // The pod fills all that holds bytes on the way to the host.
        while far.send(message(0, &[1; 4096])).now_or_never().is_some() {}
        let writing = async {
            near.write_all(&vec![2; MANY]).await.unwrap();
            near.flush().await.unwrap();
        };
        within(futures_util::future::join(writing, count(&mut far, MANY))).await;
    }

    #[tokio::test]
    async fn a_reader_goes_on_while_nothing_is_taken() {
        let (near, far) = connected().await;
        let (mut reader, mut writer) = tokio::io::split(near);
        let (mut to_host, _from_host) = far.split();
        // The host fills all that holds bytes on the way to the pod, which takes none.
        let mut taken = 0;
        while let Some(written) = writer.write(&[1; 4096]).now_or_never() {
            taken += written.unwrap();
            assert!(taken < 1 << 20, "the memory is not limited");
        }
        let sending = async {
            for _ in 0..MANY / 4096 {
                to_host.send(message(0, &[2; 4096])).await.unwrap();
            }
        };
        let mut read = vec![0; MANY];
        let reading = async { reader.read_exact(&mut read).await.unwrap() };
        within(futures_util::future::join(sending, reading)).await;
        assert!(read.iter().all(|byte| *byte == 2));
    }

    #[tokio::test]
    async fn the_last_bytes_are_read_after_a_failed_write_and_without_a_close() {
        let (mut near, mut far) = connected().await;
        far.send(message(0, b"the last ")).await.unwrap();
        far.send(message(0, b"answer")).await.unwrap();
        drop(far);
        let written = async {
            near.write_all(&[1; 1024]).await?;
            near.flush().await
        };
        written.await.unwrap_err();
        let mut read = Vec::new();
        within(near.read_to_end(&mut read)).await.unwrap();
        assert_eq!(read, b"the last answer");
    }

    #[tokio::test]
    async fn a_connection_that_the_kubelet_could_not_make_ends_with_its_message() {
        let (mut near, mut far) = connected().await;
        far.send(message(0, b"bytes")).await.unwrap();
        far.send(message(1, b"connection\nrefused")).await.unwrap();
        far.close(None).await.unwrap();
        let mut read = Vec::new();
        let error = within(near.read_to_end(&mut read)).await.unwrap_err();
        assert_eq!(read, b"bytes");
        let expected = KubeError::PortForward {
            pod: "plugins/kv-1".into(),
            port: PORT,
            message: "connection refused".into(),
        };
        assert_eq!(fault(&error), Some(&expected));
        assert_eq!(
            near.read_to_end(&mut read).await.unwrap(),
            0,
            "the end, once the fault has been reported"
        );
        assert_eq!(near.write_all(b"late").await.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }

    #[tokio::test]
    async fn a_shutdown_closes_the_web_socket() {
        let (mut near, mut far) = connected().await;
        near.write_all(b"bye").await.unwrap();
        near.shutdown().await.unwrap();
        assert_eq!(far.next().await.unwrap().unwrap(), message(0, b"bye"));
        assert!(far.next().await.unwrap().unwrap().is_close());
    }

    #[tokio::test]
    async fn messages_of_another_protocol_are_refused() {
        for wrong in
            [message(0, &7401_u16.to_le_bytes()), message(0, b"bytes"), message(2, b""), Message::binary("")]
        {
            let (near, far) = duplex(1024);
            let near = WebSocketStream::from_raw_socket(near, Role::Client, None).await;
            let mut far = WebSocketStream::from_raw_socket(far, Role::Server, None).await;
            far.send(wrong.clone()).await.unwrap();
            let mut near = Forwarded::new(near, Target { pod: "plugins/kv-1".into(), port: PORT });
            let error = within(near.read_u8()).await.unwrap_err();
            assert!(matches!(fault(&error), Some(KubeError::PortForward { .. })), "{wrong:?}: {error}");
        }
    }
}
