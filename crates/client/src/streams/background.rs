//! The long-lived streams of a plugin's connection: forwarded output, and the broker.

use std::sync::Arc;

use rpcplugin_broker::{Broker, DisconnectReason};
use rpcplugin_transport::http2::PluginChannel;
use tokio::task::AbortHandle;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use tracing::{Instrument as _, Span};

use super::{
    reopen::{CallEnd, Reopening},
    stdio,
};
use crate::{observe::fan_out::FanOut, process::owner::ProcessHandle};

/// The long-lived streams of one plugin. Dropping it ends the broker's stream. The stream of forwarded output is one
/// of the process's output tasks.
#[derive(Debug)]
pub(crate) struct BackgroundStreams {
    stdio: AbortHandle,
    broker: AbortOnDropHandle<()>,
    shutting_down: CancellationToken,
}

impl BackgroundStreams {
    /// Opens the streams, in tasks within the plugin's span.
    pub(crate) fn open(
        channel: &PluginChannel,
        broker: &Broker,
        fan_out: &Arc<FanOut>,
        process: &ProcessHandle,
        span: &Span,
    ) -> Self {
        let shutting_down = CancellationToken::new();
        let again = Reopening { exit: process.exit(), shutting_down: shutting_down.clone() };
        let forwarding = {
            let (again, channel, fan_out) = (again.clone(), channel.clone(), Arc::clone(fan_out));
            async move {
                again.keep_open(|| stdio::forward(channel.clone(), &fan_out)).await;
                Ok(())
            }
        };
        let brokering = {
            let (channel, broker, fan_out) = (channel.clone(), broker.clone(), Arc::clone(fan_out));
            async move { again.keep_open(|| attach(&broker, channel.clone(), &fan_out)).await }
        };
        let forwarding = AbortOnDropHandle::new(tokio::spawn(forwarding.instrument(span.clone())));
        let stdio = forwarding.abort_handle();
        process.read_output(forwarding);
        let broker = AbortOnDropHandle::new(tokio::spawn(brokering.instrument(span.clone())));
        Self { stdio, broker, shutting_down }
    }

    pub(crate) fn forwards_output(&self) -> bool {
        !self.stdio.is_finished()
    }

    pub(crate) fn serves_broker(&self) -> bool {
        !self.broker.is_finished()
    }

    /// Opens no stream again from now on.
    pub(crate) fn stop_reopening(&self) {
        self.shutting_down.cancel();
    }

    /// Resolves when the broker's stream has ended. To be awaited once.
    ///
    /// # Cancel safety
    /// May be dropped.
    pub(crate) async fn broker_ended(&mut self) {
        let _ = (&mut self.broker).await;
    }

    /// Ends the streams at once.
    pub(crate) fn abort(&self) {
        self.stdio.abort();
        self.broker.abort();
    }
}

impl Drop for BackgroundStreams {
    fn drop(&mut self) {
        self.shutting_down.cancel();
    }
}

/// Attaches to the plugin's broker once.
async fn attach(broker: &Broker, channel: PluginChannel, fan_out: &FanOut) -> CallEnd {
    match broker.attach(channel).await {
        DisconnectReason::Lost => CallEnd::Broken,
        DisconnectReason::PeerClosed => {
            tracing::warn!(
                parent: None,
                plugin = fan_out.name(),
                "the plugin's broker is closed until the plugin is launched anew, as that of a Go plugin after the end of its first stream; \
                 brokered connections with the plugin fail"
            );
            CallEnd::Complete
        }
        _ => CallEnd::Complete,
    }
}
