//! Handing a plugin over to another host.

use miette::Diagnostic;
use rpcplugin_core::Endpoint;
use rpcplugin_handshake::ReattachConfig;

use super::{Ownership, Plugin};
use crate::reattach::handover::Handover;

/// A plugin was not handed over, and is as it was.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[error("{} ends with this host, and cannot be handed over to another", plugin.name())]
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

    /// The plugin, which goes on. Dropping the error kills it, as dropping the plugin does.
    #[must_use]
    pub fn into_plugin(self) -> Plugin {
        *self.plugin
    }
}

impl Plugin {
    /// Where the plugin is, for another host to [attach](crate::Host::attach) to: the part of a
    /// [handover](Self::hand_over) that holds no secret. A plugin under AutoMTLS accepts no host without the secret part.
    #[must_use]
    pub fn reattach_config(&self) -> ReattachConfig {
        ReattachConfig {
            version: Some(self.session.version),
            endpoint: self.session.endpoint.clone(),
            pid: self.process.pid(),
            test: self.ownership == Ownership::TestMode,
        }
    }

    /// What another host needs to attach to the plugin beside this one, which keeps it and ends it. It holds this host's
    /// private key where the connection is secured by AutoMTLS.
    #[must_use]
    pub fn handover(&self) -> Handover {
        Handover::new(self.reattach_config(), &self.session.security, None)
    }

    /// Lets go of the plugin, which runs on, and returns what another host needs to go on with it: the next version of
    /// this program, for one.
    ///
    /// The plugin has to be launched without [`HostConfig::die_with_host`], and has to bear that nobody reads its output
    /// any more once this host is gone: many programs end when they write then. One made with rpcplugin ends with this host
    /// unless it loads its configuration from the environment, or sets `exit_with_host` by itself. One that multiplexes ends
    /// with its only connection. If the other host does not come, nobody ends the plugin. The directory of its socket stays
    /// as long as it runs; the host that attaches removes it, or the next that finds the plugin gone.
    ///
    /// # Errors
    /// [`NotHandedOver`], which holds the plugin, if this host launched it with `die_with_host`: it would end together with
    /// this host. Nothing has changed then.
    ///
    /// # Cancel safety
    /// A future that is dropped after it was polled may have let go of the plugin.
    pub async fn hand_over(mut self) -> Result<Handover, NotHandedOver> {
        if self.process.is_killed_on_drop() && self.config.die_with_host {
            return Err(NotHandedOver::new(self));
        }
        self.session.broker.close();
        self.streams.abort();
        // The readers hold the pipes of a child that goes on: they stay open for as long as this host lives.
        self.process.leave().await;
        // The same holds for the directory of its socket.
        let dir = self.session.sockets.path().to_owned();
        let used = matches!(&self.session.endpoint, Endpoint::Unix(path) if path.as_path().starts_with(&dir));
        let handover = Handover::new(self.reattach_config(), &self.session.security, used.then_some(dir));
        if used {
            self.session.sockets.keep();
        }
        self.ownership = Ownership::HandedOver;
        Ok(handover)
    }
}
