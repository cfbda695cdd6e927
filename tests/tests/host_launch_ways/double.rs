//! A plugin within the test, and a runner that starts it.

use std::{path::PathBuf, sync::Arc};

use rpcplugin::{
    Endpoint, Services,
    broker::{BoxError, Translate},
    host::{ExitReason, LaunchEnvironment, LaunchFault, PluginProcess, Runner, StartedProcess},
    transport::{
        Listener, Security,
        http2::{Serving, serve},
    },
};
use tokio::io::AsyncWriteExt as _;
use tokio_util::sync::CancellationToken;

/// A runner of a plugin within the test. The plugin announces its address under another name.
#[derive(Debug)]
pub(crate) struct Double {
    /// The handshake line.
    pub(crate) line: &'static str,
}

#[derive(Debug)]
pub(crate) struct DoubleRunning(pub(crate) CancellationToken);

#[derive(Debug)]
pub(crate) struct Loopback;

impl Translate for Loopback {
    fn announce_as(&self, endpoint: &Endpoint) -> Result<Endpoint, BoxError> {
        Ok(endpoint.clone())
    }

    fn dial_as(&self, endpoint: &Endpoint) -> Result<Endpoint, BoxError> {
        match endpoint {
            Endpoint::Tcp(address) if address.host() == "plugin.example" => {
                Ok(Endpoint::parse("tcp", &format!("127.0.0.1:{}", address.port()))?)
            }
            other => Err(format!("{other} is not on the loopback").into()),
        }
    }
}

impl Runner for Double {
    type Process = DoubleRunning;

    fn program(&self) -> PathBuf {
        "double".into()
    }

    async fn start(
        &self,
        surroundings: &LaunchEnvironment,
    ) -> Result<StartedProcess<DoubleRunning>, LaunchFault> {
        assert!(surroundings.socket_dir.is_dir());
        if self.line.is_empty() {
            return Err(LaunchFault::runner("there is no engine"));
        }
        let listener = Listener::tcp([127, 0, 0, 1].into(), 0..=0).await.map_err(LaunchFault::runner)?;
        let Endpoint::Tcp(address) = listener.endpoint() else { unreachable!("a TCP listener") };
        let line = self.line.replace("PORT", &address.port().to_string());
        let (mut printing, stdout) = tokio::io::duplex(1024);
        let (mut logging, stderr) = tokio::io::duplex(1024);
        let end = CancellationToken::new();
        let (reporter, health) = tonic_health::server::health_reporter();
        reporter.set_service_status("plugin", tonic_health::ServingStatus::Serving).await;
        let serving = Serving::new(Services::new().add(health), Security::Plain, end.clone());
        tokio::spawn(async move {
            let _ = printing.write_all(line.as_bytes()).await;
            let _ = logging.write_all(b"a double is as good as a process\n").await;
            serve(listener, serving).await;
        });
        Ok(StartedProcess::new(DoubleRunning(end), stdout, stderr).translate(Arc::new(Loopback)))
    }

    async fn diagnose(&self, _: &LaunchFault) -> Option<String> {
        Some("it is only a double".to_owned())
    }
}

impl PluginProcess for DoubleRunning {
    fn id(&self) -> String {
        "double-1".to_owned()
    }

    async fn wait(&mut self) -> ExitReason {
        self.0.cancelled().await;
        ExitReason::Status(0)
    }

    async fn kill(&mut self) {
        self.0.cancel();
    }
}
