//! Several plugins that are shut down together.

use std::{collections::BTreeMap, time::Duration};

use tokio::task::JoinSet;

use crate::{exit::Exit, plugin::Plugin, supervise::Supervised};

/// Plugins by name, which are shut down together. Dropping the set kills them all.
///
/// ```no_run
/// # use rpcplugin_client::{Command, Host, PluginSet};
/// # async fn example(host: Host) -> Result<(), Box<dyn std::error::Error>> {
/// let mut plugins = PluginSet::new();
/// plugins.insert("kv", host.launch(Command::new("./kv-plugin")).await?);
/// plugins.insert("mail", host.supervise(Command::new("./mail-plugin")).await?);
/// for (name, exit) in plugins.shut_down().await {
///     println!("{name}: {exit:?}");
/// }
/// # Ok(()) }
/// ```
#[derive(Debug, Default)]
pub struct PluginSet {
    plugins: BTreeMap<String, Managed>,
}

/// A plugin in a [`PluginSet`].
#[derive(Debug)]
#[non_exhaustive]
pub enum Managed {
    /// A plugin that runs once.
    Plugin(Box<Plugin>),
    /// A plugin that is restarted when it exits.
    Supervised(Box<Supervised>),
}

impl PluginSet {
    /// Makes an empty set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a plugin. Returns the plugin that had the name before.
    pub fn insert(&mut self, name: impl Into<String>, plugin: impl Into<Managed>) -> Option<Managed> {
        self.plugins.insert(name.into(), plugin.into())
    }

    /// The plugin of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Managed> {
        self.plugins.get(name)
    }

    /// Removes a plugin from the set, and returns it still running.
    pub fn remove(&mut self, name: &str) -> Option<Managed> {
        self.plugins.remove(name)
    }

    /// The plugins in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Managed)> {
        self.plugins.iter().map(|(name, plugin)| (name.as_str(), plugin))
    }

    /// The number of plugins.
    #[must_use]
    pub fn len(&self) -> usize {
        self.plugins.len()
    }

    /// Whether the set is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.plugins.is_empty()
    }

    /// Shuts all plugins down at the same time, as [`Plugin::shut_down`] and [`Supervised::shut_down`] do. Returns by
    /// name how each ended, and `None` for a supervised plugin that was not running.
    ///
    /// A plugin that hangs is killed after its own grace period, and does not delay the others.
    ///
    /// # Cancel safety
    /// Dropping the future kills those that have not ended yet.
    pub async fn shut_down(self) -> BTreeMap<String, Option<Exit>> {
        self.end_all(None).await
    }

    /// As [`shut_down`](Self::shut_down), but with this grace period for each.
    ///
    /// # Cancel safety
    /// Dropping the future kills those that have not ended yet.
    pub async fn shut_down_within(self, grace: Duration) -> BTreeMap<String, Option<Exit>> {
        self.end_all(Some(grace)).await
    }

    async fn end_all(self, grace: Option<Duration>) -> BTreeMap<String, Option<Exit>> {
        let mut ending = JoinSet::new();
        for (name, plugin) in self.plugins {
            ending.spawn(async move { (name, plugin.end(grace).await) });
        }
        ending.join_all().await.into_iter().collect()
    }
}

impl Managed {
    async fn end(self, grace: Option<Duration>) -> Option<Exit> {
        match (self, grace) {
            (Self::Plugin(plugin), None) => Some(plugin.shut_down().await),
            (Self::Plugin(plugin), Some(grace)) => Some(plugin.shut_down_within(grace).await),
            (Self::Supervised(supervised), None) => supervised.shut_down().await,
            (Self::Supervised(supervised), Some(grace)) => supervised.shut_down_within(grace).await,
        }
    }
}

impl From<Plugin> for Managed {
    fn from(plugin: Plugin) -> Self {
        Self::Plugin(Box::new(plugin))
    }
}

impl From<Supervised> for Managed {
    fn from(supervised: Supervised) -> Self {
        Self::Supervised(Box::new(supervised))
    }
}

impl<N: Into<String>, P: Into<Managed>> Extend<(N, P)> for PluginSet {
    fn extend<I: IntoIterator<Item = (N, P)>>(&mut self, plugins: I) {
        for (name, plugin) in plugins {
            self.insert(name, plugin);
        }
    }
}
