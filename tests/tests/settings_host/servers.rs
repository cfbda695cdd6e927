//! Servers in the process of the test, whose addresses scripts print as theirs.

use std::{
    convert::Infallible,
    path::PathBuf,
    sync::Arc,
    task::{Context, Poll},
};

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use http::{Request, Response};
use rpcplugin::{
    Services,
    tls::Identity,
    transport::{Listener, Security, SocketDir, http2},
};
use tempfile::TempDir;
use tokio::{net::UnixListener, sync::Notify};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use tonic::{body::Body, server::NamedService};
use tower::Service;

/// A server in this process.
pub(crate) struct Server {
    _task: AbortOnDropHandle<()>,
    _dir: SocketDir,
    /// The handshake line of the server.
    pub(crate) line: String,
}

impl Server {
    pub(crate) fn new(services: Services) -> Self {
        let dir = SocketDir::private(None).unwrap();
        let listener = Listener::unix_in(&dir).unwrap();
        let line = format!("1|1|unix|{}|grpc|", listener.endpoint().address());
        let serving = http2::Serving::new(services, Security::Plain, CancellationToken::new());
        let task = AbortOnDropHandle::new(tokio::spawn(http2::serve(listener, serving)));
        Self { _task: task, _dir: dir, line }
    }
}

/// A socket whose connections are not accepted unless the test accepts them.
pub(crate) struct SilentSocket {
    pub(crate) socket: UnixListener,
    _dir: TempDir,
    path: PathBuf,
}

impl SilentSocket {
    pub(crate) fn new() -> Self {
        let dir = TempDir::new_in("/tmp").unwrap();
        let path = dir.path().join("silent");
        Self { socket: UnixListener::bind(&path).unwrap(), _dir: dir, path }
    }

    /// The handshake line of a plugin without TLS.
    pub(crate) fn line(&self) -> String {
        format!("1|1|unix|{}|grpc|", self.path.display())
    }

    /// The handshake line of a plugin with a certificate.
    pub(crate) fn secure_line(&self) -> String {
        let certificate = STANDARD_NO_PAD.encode(Identity::generate().unwrap().certificate_der());
        format!("{}{certificate}", self.line())
    }
}

/// A controller whose calls never end. A cancelled call is notified.
#[derive(Clone, Default)]
pub(crate) struct StubbornController {
    pub(crate) cancelled: Arc<Notify>,
}

impl NamedService for StubbornController {
    const NAME: &'static str = "plugin.GRPCController";
}

impl Service<Request<Body>> for StubbornController {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = std::pin::Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<Body>) -> Self::Future {
        struct OnDrop(Arc<Notify>);
        impl Drop for OnDrop {
            fn drop(&mut self) {
                self.0.notify_one();
            }
        }
        let guard = OnDrop(Arc::clone(&self.cancelled));
        Box::pin(async move {
            let _guard = guard;
            std::future::pending().await
        })
    }
}
