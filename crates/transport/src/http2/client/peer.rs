//! The peer of a channel: its connection, and the explanation of failures.

use std::{pin::Pin, sync::Arc};

use rpcplugin_core::with_causes;
use tonic::Status;

use super::{connect::ChannelError, reconnect::Reconnect};

/// The peer of a channel.
#[derive(Clone)]
pub(super) struct Peer {
    pub(super) connection: Arc<Reconnect>,
    pub(super) explain: Option<Arc<dyn Explain>>,
}

/// Explains why the connections to a peer break, for example because its process has exited.
pub trait Explain: Send + Sync + 'static {
    /// Returns the status of a call whose connection broke or could not be opened. `status` is the status without an
    /// explanation. This is not called for a stream that was reset while the connection goes on.
    ///
    /// The call waits for the future, unless its deadline passes first.
    fn explain(self: Arc<Self>, status: Status) -> Pin<Box<dyn Future<Output = Status> + Send>>;
}

impl Peer {
    /// Returns the status of a call for which no connection could be opened.
    pub(super) async fn unreachable(&self, error: Arc<ChannelError>) -> Status {
        let mut status = Status::unavailable(with_causes(error.to_string(), &*error));
        status.set_source(error);
        self.explained(status).await
    }

    /// Explains the status of a call whose connection broke.
    pub(super) async fn explained(&self, status: Status) -> Status {
        match &self.explain {
            Some(explain) => Arc::clone(explain).explain(status).await,
            None => status,
        }
    }
}
