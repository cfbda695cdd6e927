//! Plugins that are scripts, and servers in this process that scripts announce as theirs.

use std::{
    convert::Infallible,
    path::PathBuf,
    sync::Arc,
    task::{Context, Poll},
};

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use http::{Request, Response};
use rpcplugin::{
    Command, Services,
    tls::Identity,
    transport::{Listener, Security, SocketDir, http2},
};
use tempfile::TempDir;
use tokio::{net::UnixListener, sync::Notify};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use tonic::{body::Body, server::NamedService};
use tower::Service;

/// A plugin that is this script.
pub(crate) fn script(script: &str) -> Command {
    Command::new("/bin/sh").arg("-c").arg(script)
}

/// A plugin that prints this line and stays, deaf to everything.
pub(crate) fn says(line: &str) -> Command {
    script(&format!("echo '{line}'; exec sleep 60"))
}

/// A server in this process.
pub(crate) struct Server {
    _task: AbortOnDropHandle<()>,
    _dir: SocketDir,
    /// What a plugin that it is would print.
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

/// A socket on which connections wait for ever, unless a test takes them.
pub(crate) struct Mute {
    pub(crate) socket: UnixListener,
    _dir: TempDir,
    path: PathBuf,
}

impl Mute {
    pub(crate) fn new() -> Self {
        let dir = TempDir::new_in("/tmp").unwrap();
        let path = dir.path().join("mute");
        Self { socket: UnixListener::bind(&path).unwrap(), _dir: dir, path }
    }

    /// The line of a plugin without TLS.
    pub(crate) fn line(&self) -> String {
        format!("1|1|unix|{}|grpc|", self.path.display())
    }

    /// The line of a plugin that announces a certificate.
    pub(crate) fn secure_line(&self) -> String {
        let certificate = STANDARD_NO_PAD.encode(Identity::generate().unwrap().certificate_der());
        format!("{}{certificate}", self.line())
    }
}

/// A controller whose every call goes on until it is cancelled, and then says so.
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
