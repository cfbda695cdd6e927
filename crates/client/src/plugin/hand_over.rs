//! Handing a plugin over to another host.

use miette::Diagnostic;
use rpcplugin_core::Endpoint;
use rpcplugin_handshake::ReattachConfig;

use super::{Ownership, Plugin};
use crate::reattach::handover::Handover;

/// The plugin was not handed over. It runs on unchanged.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[error("the plugin {} ends with this host, and cannot be handed over", plugin.name())]
#[diagnostic(
    code(rpcplugin::config::handover_dies_with_host),
    help(
        "launch it with HostConfig::die_with_host = false (PLUGIN_DIE_WITH_HOST=false), and with exit_with_host = false in a \
         plugin made with rpcplugin that does not load its configuration from the environment"
    )
)]
pub struct NotHandedOver {
    plugin: Box<Plugin>,
}

impl NotHandedOver {
    pub(crate) fn new(plugin: Plugin) -> Self {
        Self { plugin: Box::new(plugin) }
    }

    /// Returns the plugin. Dropping the error kills the plugin, as dropping the plugin does.
    #[must_use]
    pub fn into_plugin(self) -> Plugin {
        *self.plugin
    }
}

impl Plugin {
    /// The endpoint, pid and version of the plugin, for another host to [attach](crate::Host::attach) to: the part of a
    /// [handover](Self::hand_over) without secrets. A plugin under AutoMTLS accepts no host without the secret part.
    #[must_use]
    pub fn reattach_config(&self) -> ReattachConfig {
        ReattachConfig {
            version: Some(self.session.version),
            endpoint: self.session.endpoint.clone(),
            pid: self.process.pid(),
            test: self.ownership == Ownership::TestMode,
        }
    }

    /// Returns what another host needs to attach to the plugin beside this host, which keeps the plugin and ends it.
    /// Under AutoMTLS it has this host's private key in it.
    #[must_use]
    pub fn handover(&self) -> Handover {
        let handover = Handover::new(self.reattach_config(), &self.session.security, None);
        #[cfg(feature = "sandbox")]
        let handover = handover.confined(self.confinement());
        handover
    }

    /// Leaves the plugin running, and returns what another host needs to go on with it, such as the next version of
    /// this program.
    ///
    /// The plugin has to be launched without
    /// [`HostConfig::die_with_host`](rpcplugin_config::HostConfig::die_with_host). After the exit of this host no
    /// process reads the plugin's output, and many programs end when they write then. A plugin made with rpcplugin
    /// exits with this host unless it loads its configuration from the environment or sets `exit_with_host` to false.
    /// A multiplexed plugin ends with its only connection. Without another host the plugin runs until a person ends
    /// it. The directory of its socket stays as long as the plugin runs. The host that attaches removes the
    /// directory, or the next host that finds the plugin gone.
    ///
    /// # Errors
    /// [`NotHandedOver`], which holds the plugin, if this host launched it with `die_with_host`: the plugin would end
    /// together with this host.
    ///
    /// # Cancel safety
    /// A future that is dropped after it was polled may have left the plugin running.
    pub async fn hand_over(mut self) -> Result<Handover, NotHandedOver> {
        if self.process.is_killed_on_drop() && self.config.die_with_host {
            return Err(NotHandedOver::new(self));
        }
        self.session.broker.close();
        self.streams.abort();
        // The output tasks hold the pipes of the process open for as long as this host runs.
        self.process.leave().await;
        // So does the directory of its socket.
        let dir = self.session.sockets.path().to_owned();
        let used = matches!(&self.session.endpoint, Endpoint::Unix(path) if path.as_path().starts_with(&dir));
        let handover = Handover::new(self.reattach_config(), &self.session.security, used.then_some(dir));
        #[cfg(feature = "sandbox")]
        let handover = handover.confined(self.confinement());
        if used {
            self.session.sockets.keep();
        }
        self.ownership = Ownership::HandedOver;
        Ok(handover)
    }
}
