//! A plugin that a shell limits, and connections to it.

use std::{path::PathBuf, time::Duration};

use rpcplugin::{
    Endpoint, Host, Plugin,
    config::{HostConfig, HostTls},
    transport::{
        SecureStream, Security, dial,
        http2::{ChannelError, Connect},
    },
};
use rpcplugin_tests::{
    pb::{InfoRequest, kit_client::KitClient},
    raw_http2::RawPeer,
    support::{conformance, programs::program, scripts::script},
};
use tokio::net::UnixStream;

/// The longest that anything in these tests may take on a busy machine.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(60);

/// The host of the conformance kit, without TLS.
pub(crate) fn host(change: impl FnOnce(&mut HostConfig)) -> Host {
    conformance::host()
        .configure(|config| {
            config.tls = HostTls::Plaintext;
            config.launch_timeout = TIMEOUT;
        })
        .configure(change)
}

/// The conformance plugin, in a shell after these commands, with these variables.
pub(crate) async fn launch(limits: &str, variables: &[(&str, &str)]) -> Plugin {
    let program = program("settings-plugin");
    let command = script(&format!("{limits}; exec {}", program.display()));
    let command = variables.iter().fold(command, |command, (name, value)| command.env(name, value));
    host(|_| {}).launch(command).await.unwrap()
}

pub(crate) fn socket(plugin: &Plugin) -> PathBuf {
    let Endpoint::Unix(path) = plugin.endpoint() else { panic!("a socket") };
    path.as_path().to_owned()
}

/// A raw client of the plugin.
pub(crate) async fn raw(plugin: &Plugin) -> RawPeer<UnixStream> {
    RawPeer::client(UnixStream::connect(socket(plugin)).await.unwrap()).await.unwrap()
}

/// Checks that the plugin answers.
pub(crate) async fn answers(plugin: &Plugin) {
    KitClient::new(plugin.channel()).info(InfoRequest {}).await.unwrap();
}

/// A connector to one endpoint in plain text, without a host.
pub(crate) struct To(pub(crate) Endpoint);

impl Connect for To {
    async fn connect(&self) -> Result<SecureStream, ChannelError> {
        Ok(Security::Plain.client(dial(&self.0).await?).await?)
    }
}

pub(crate) const INFO: &str = "/conformance.v1.Kit/Info";
