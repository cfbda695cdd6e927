//! A plugin under a shell that limits it, and connections to it.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use rpcplugin::{
    Command, Endpoint, Host, MagicCookie, Plugin, Versions,
    config::{HostConfig, HostTls},
    transport::{
        SecureStream, Security, dial,
        http2::{ChannelError, Connect},
    },
};
use rpcplugin_tests::{
    pb::{InfoRequest, kit_client::KitClient},
    raw_http2::RawPeer,
};
use tokio::net::UnixStream;

/// As long as anything here may take on a machine that is busy with other things.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The host of the conformance kit, without TLS.
pub(crate) fn host(change: impl FnOnce(&mut HostConfig)) -> Host {
    let cookie = MagicCookie::new("CONFORMANCE_KIT_COOKIE", "b1d0c9a6-conformance").unwrap();
    Host::new(cookie, Versions::new([1, 2, 3]).unwrap())
        .configure(|config| {
            config.tls = HostTls::Plaintext;
            config.launch_timeout = PATIENCE;
        })
        .configure(change)
}

/// The conformance plugin, in a shell after these commands, with these variables.
pub(crate) async fn launch(limits: &str, variables: &[(&str, &str)]) -> Plugin {
    let program = env!("CARGO_BIN_EXE_settings-plugin");
    let command = Command::new("/bin/sh").arg("-c").arg(format!("{limits}; exec {program}"));
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

/// The plugin answers.
pub(crate) async fn answers(plugin: &Plugin) {
    KitClient::new(plugin.channel()).info(InfoRequest {}).await.unwrap();
}

/// Waits until the condition holds.
pub(crate) async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// One endpoint, in plain text, without a host.
pub(crate) struct To(pub(crate) Endpoint);

impl Connect for To {
    async fn connect(&self) -> Result<SecureStream, ChannelError> {
        Ok(Security::Plain.client(dial(&self.0).await?).await?)
    }
}

pub(crate) const INFO: &str = "/conformance.v1.Kit/Info";
