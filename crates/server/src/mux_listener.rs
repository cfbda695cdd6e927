//! The one connection of a multiplexing host.

use rpcplugin_broker::{Broker, MainStreams};
use rpcplugin_transport::{Listen, Stream, yamux};

use crate::own_transport::AnyListener;

/// The streams of the one connection that a multiplexing host makes.
///
/// # Protocol
/// go-plugin `internal/grpcmux/grpc_server_muxer.go`. Differs: a connection that is closed without a byte, as probes
/// are, does not count; there is no deadline of five seconds, since the death of the host is noticed otherwise.
pub(crate) struct MuxListener {
    /// Gone once a host is connected, and its file with it: no other will be let in.
    listener: Option<AnyListener>,
    main: Option<MainStreams>,
    broker: Broker,
}

impl MuxListener {
    pub(crate) fn new(listener: AnyListener, broker: Broker) -> Self {
        Self { listener: Some(listener), main: None, broker }
    }
}

impl Listen for MuxListener {
    async fn accept(&mut self) -> Option<Stream> {
        loop {
            if let Some(main) = &mut self.main {
                if let Some(stream) = main.accept().await {
                    self.listener = None;
                    return Some(stream);
                }
                self.main = None;
            }
            let stream = self.listener.as_mut()?.accept().await?;
            self.main = Some(self.broker.session(yamux::Session::server(stream, yamux::Config::default())));
        }
    }
}
