//! The connections to a plugin in its pod: to the address of the pod, or through the API server.

use std::{
    fmt, io,
    net::IpAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use kube::api::Portforwarder;
use rpcplugin_broker::{BoxError, Translate};
use rpcplugin_core::{Endpoint, HostPort};
use rpcplugin_transport::{Dial, Stream};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{sleep, timeout},
};

use crate::{
    error::{KubeError, describe},
    pod_ref::{PodRef, REQUEST},
};

/// Translates the addresses that a plugin in a pod announces.
#[derive(Debug)]
pub(crate) struct PodAddresses {
    /// The address of the pod, if the host connects to it.
    pub(crate) pod: Option<IpAddr>,
}

impl Translate for PodAddresses {
    /// A pod reaches neither the sockets nor the ports of the host.
    fn announce_as(&self, endpoint: &Endpoint) -> Result<Endpoint, BoxError> {
        Err(KubeError::NotMultiplexed { endpoint: endpoint.to_string() }.into())
    }

    fn dial_as(&self, endpoint: &Endpoint) -> Result<Endpoint, BoxError> {
        match (endpoint, self.pod) {
            (Endpoint::Tcp(announced), Some(pod)) => {
                let address = std::net::SocketAddr::new(pod, announced.port());
                Ok(Endpoint::Tcp(HostPort::parse(&address.to_string())?))
            }
            // The kubelet connects to the port in the network of the pod, whatever the address.
            (Endpoint::Tcp(_), None) => Ok(endpoint.clone()),
            (endpoint, _) => Err(KubeError::UnixSocket { path: endpoint.address() }.into()),
        }
    }
}

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
        let port = address.port();
        let fault = |message: String| self.fault(port, message);
        let forwarded = match timeout(REQUEST, self.pod.api.portforward(&self.pod.name, &[port])).await {
            Ok(forwarded) => forwarded.map_err(|error| fault(describe(&error)))?,
            Err(_) => return Err(fault("the API server does not answer".to_owned())),
        };
        forwarded_stream(forwarded, port, self.pod.id().into())
            .ok_or_else(|| fault("there is no stream".to_owned()))
    }
}

impl PortForward {
    fn fault(&self, port: u16, message: String) -> io::Error {
        io::Error::other(KubeError::PortForward { pod: self.pod.id(), port, message })
    }
}

/// A connection through the API server. The fault that the kubelet reports about the connection takes the place of its end.
struct Forwarded<S> {
    stream: S,
    fault: Option<Pin<Box<dyn Future<Output = Option<String>> + Send>>>,
    forwarder: Option<Portforwarder>,
    pod: Arc<str>,
    port: u16,
}

fn forwarded_stream(mut forwarder: Portforwarder, port: u16, pod: Arc<str>) -> Option<Stream> {
    let stream = forwarder.take_stream(port)?;
    let fault = forwarder.take_error(port)?;
    Some(Stream::other(Forwarded {
        stream,
        fault: Some(Box::pin(fault)),
        forwarder: Some(forwarder),
        pod,
        port,
    }))
}

impl<S> Forwarded<S> {
    /// The fault that the kubelet has reported, at the end of the stream.
    fn end(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        let Some(fault) = &mut self.fault else { return Ok(()) };
        let Poll::Ready(reported) = fault.as_mut().poll(context) else { return Ok(()) };
        self.fault = None;
        match reported {
            Some(message) => {
                let message = crate::text::line(&message);
                let pod = self.pod.to_string();
                Err(io::Error::other(KubeError::PortForward { pod, port: self.port, message }))
            }
            None => Ok(()),
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Forwarded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        let is_end = buffer.filled().len() == before && buffer.remaining() > 0;
        Poll::Ready(if is_end { self.end(context) } else { Ok(()) })
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Forwarded<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// The last bytes are on their way when the stream is dropped. The task of the forwarder sends them, and is ended if it takes long.
impl<S> Drop for Forwarded<S> {
    fn drop(&mut self) {
        let Some(forwarder) = self.forwarder.take() else { return };
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn(async move {
                sleep(LAST_BYTES).await;
                forwarder.abort();
            })),
            Err(_) => forwarder.abort(),
        }
    }
}

/// The time in which the last bytes of a dropped connection are sent.
const LAST_BYTES: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp(address: &str) -> Endpoint {
        Endpoint::Tcp(HostPort::parse(address).unwrap())
    }

    #[test]
    fn the_address_of_the_pod_takes_the_place_of_the_announced_one() {
        let inside = PodAddresses { pod: Some([10, 0, 0, 7].into()) };
        assert_eq!(inside.dial_as(&tcp("0.0.0.0:7400")).unwrap(), tcp("10.0.0.7:7400"));
        let six = PodAddresses { pod: Some("fd00::7".parse().unwrap()) };
        assert_eq!(six.dial_as(&tcp("0.0.0.0:7400")).unwrap().address(), "[fd00::7]:7400");
        let outside = PodAddresses { pod: None };
        assert_eq!(outside.dial_as(&tcp("0.0.0.0:7400")).unwrap(), tcp("0.0.0.0:7400"));
    }

    #[test]
    fn unix_sockets_and_the_sockets_of_the_host_are_refused_with_the_way_out() {
        let addresses = PodAddresses { pod: None };
        let unix = Endpoint::parse("unix", "/tmp/plugin1").unwrap();
        let refused = addresses.dial_as(&unix).unwrap_err();
        let expected = KubeError::UnixSocket { path: "/tmp/plugin1".into() };
        assert_eq!(refused.downcast_ref::<KubeError>(), Some(&expected));
        let refused = addresses.announce_as(&tcp("127.0.0.1:1")).unwrap_err();
        assert!(matches!(refused.downcast_ref(), Some(KubeError::NotMultiplexed { .. })), "{refused}");
    }

    #[tokio::test]
    async fn a_connection_that_the_kubelet_could_not_make_ends_with_its_message() {
        use tokio::io::AsyncReadExt as _;

        let end = |message: Option<&str>| {
            let message = message.map(str::to_owned);
            Forwarded {
                stream: tokio::io::join(&b"bytes"[..], tokio::io::sink()),
                fault: Some(Box::pin(async { message })),
                forwarder: None,
                pod: "plugins/kv-1".into(),
                port: 7400,
            }
        };
        let mut read = Vec::new();
        let fault = end(Some("connection\nrefused")).read_to_end(&mut read).await.unwrap_err();
        assert_eq!(read, b"bytes");
        let expected = KubeError::PortForward {
            pod: "plugins/kv-1".into(),
            port: 7400,
            message: "connection refused".into(),
        };
        assert_eq!(fault.get_ref().and_then(|fault| fault.downcast_ref()), Some(&expected));
        assert_eq!(end(None).read_to_end(&mut read).await.unwrap(), 5);
    }
}
