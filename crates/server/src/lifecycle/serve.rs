//! The third step: serving until the shutdown, and draining.

use std::{convert::Infallible, future::pending, sync::Arc};

use futures_util::future::join;
use rpcplugin_transport::http2;
use tokio::time::sleep;
use tracing::Instrument as _;

use super::{announce::Announced, bind::Bound};
use crate::{
    error::ServeError,
    listen::MuxListener,
    shutdown::ShutdownCause,
    stdio::{Capture, Tee},
};

/// A plugin that has served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Served {
    /// Why the plugin shut down.
    pub cause: ShutdownCause,
}

impl Announced {
    /// Serves as the child of a host until the shutdown begins, then drains. Captures stdout and stderr meanwhile.
    ///
    /// The shutdown begins when the host requests it or exits, on a signal, when the shutdown file appears, or when the
    /// plugin's own token is cancelled.
    ///
    /// # Errors
    /// [`ServeError::Process`] when output cannot be captured.
    ///
    /// # Cancel safety
    /// Dropping the future ends the plugin abruptly: calls are cut, and the socket is removed.
    pub async fn serve(self) -> Result<Served, ServeError> {
        let Self { mut bound } = self;
        bound.triggers.watch_host().map_err(ServeError::Process)?;
        let capture = if bound.config.capture_output { Some(bound.capture(Tee::No)?) } else { None };
        Ok(bound.serve(capture).await)
    }
}

impl Bound {
    /// Captures stdout and stderr from now on.
    pub(crate) fn capture(&self, tee: Tee) -> Result<Capture, ServeError> {
        Capture::start(Arc::clone(&self.drain.output), tee).map_err(ServeError::Process)
    }

    /// Serves and drains.
    pub(crate) async fn serve(self, capture: Option<Capture>) -> Served {
        let span = self.span.clone();
        self.serve_and_drain(capture).instrument(span).await
    }

    async fn serve_and_drain(self, capture: Option<Capture>) -> Served {
        let Self {
            listener, socket_dirs, serving, context, drain, progress, span, mut triggers, orphan, ..
        } = self;
        let shutdown = &context.shutdown;
        if let Some(orphan) = orphan {
            triggers.watch_hosts(orphan);
        }
        progress.serving();
        let serving = async {
            if context.host.multiplexed {
                http2::serve(MuxListener::new(listener, context.broker.clone()), serving).await;
            } else {
                http2::serve(listener, serving).await;
            }
            // Without a shutdown, serving ends only when the one connection of a multiplexing host ends.
            shutdown.begin(ShutdownCause::Disconnected);
        };
        let (calls, grace) = (drain.calls.clone(), drain.grace);
        let draining = async {
            shutdown.begun().await;
            drain.run(capture).instrument(tracing::debug_span!(parent: &span, "shutdown")).await;
        };
        // A call that was on its way may begin when no other is in flight any more. The grace applies to it too.
        let cut_late_calls = async {
            shutdown.begun().await;
            sleep(grace).await;
            calls.cut();
            pending::<Infallible>().await
        };
        tokio::select! {
            _ = join(serving, draining) => {}
            never = cut_late_calls => match never {},
        }
        context.broker.drained().await;
        let cause = shutdown.cause();
        let is_host_gone = matches!(cause, ShutdownCause::HostExited | ShutdownCause::Orphaned);
        socket_dirs.remove(is_host_gone).await;
        drop(triggers);
        Served { cause }
    }
}
