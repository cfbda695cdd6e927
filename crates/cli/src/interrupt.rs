//! Ctrl-C, and what else asks this program to end.

use tokio::signal::unix::{SignalKind, signal};

/// Somebody has asked this program to end.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[error("interrupted before it was done")]
#[diagnostic(code(rpcplugin::base::interrupted))]
pub(crate) struct Interrupted;

/// Waits until somebody asks this program to end. What it has started is then dropped in good order, which a signal's
/// default would not do.
pub(crate) async fn interrupted() {
    let one = |kind| async move {
        match signal(kind) {
            Ok(mut signals) => {
                signals.recv().await;
            }
            // What cannot be waited for keeps its default.
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        () = one(SignalKind::interrupt()) => {}
        () = one(SignalKind::terminate()) => {}
        () = one(SignalKind::hangup()) => {}
    }
}
