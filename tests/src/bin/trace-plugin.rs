//! A plugin that tells whoever calls it in which trace it was called.

use std::{convert::Infallible, process::ExitCode};

use http::{Request, Response};
use rpcplugin::{MagicCookie, Serve, current_trace};
use tonic::{Status, body::Body, server::NamedService};
use tower::{ServiceExt as _, service_fn, util::BoxCloneSyncService};

#[derive(Clone)]
struct WhichTrace(BoxCloneSyncService<Request<Body>, Response<Body>, Infallible>);

impl NamedService for WhichTrace {
    const NAME: &'static str = "trace.WhichTrace";
}

impl tower::Service<Request<Body>> for WhichTrace {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future =
        tower::util::Oneshot<BoxCloneSyncService<Request<Body>, Response<Body>, Infallible>, Request<Body>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Infallible>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        self.0.clone().oneshot(request)
    }
}

fn main() -> ExitCode {
    let Ok(cookie) = MagicCookie::new("TRACE_KIT_COOKIE", "trace") else { return ExitCode::FAILURE };
    let answer = service_fn(async |_: Request<Body>| {
        tracing::info!("asked");
        // The answer is in the words of the status: there is no message to define.
        let seen = current_trace().map(|context| context.traceparent()).unwrap_or_default();
        Ok(Status::aborted(seen).into_http())
    });
    Serve::new(cookie)
        .configure(|config| config.log_level = rpcplugin::config::LogLevel::Debug)
        .version(1, WhichTrace(BoxCloneSyncService::new(answer)))
        .main()
}
