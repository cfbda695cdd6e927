//! The connections of hosts to the plugin.

use std::{future::pending, sync::Arc};

use rpcplugin::{
    Endpoint,
    transport::{Listen as _, Listener, Stream, dial},
};

use super::{
    broker::Broker,
    context::Context,
    direct::Direct,
    event::Side,
    mux,
    reflection::{self, Source},
    relay::Relay,
};
use crate::schema::GivenFiles;

/// Relays each connection of a host. Does not return.
pub(super) async fn serve(
    mut listener: Listener,
    plugin: Endpoint,
    multiplexed: bool,
    context: Context,
    given: Option<Arc<GivenFiles>>,
) {
    if !multiplexed {
        reflection::describe(&context, Source::Endpoint(plugin.clone()), given.clone()).await;
    }
    let direct = Arc::new(Direct::new(context.clone()));
    let mut count = 0_u32;
    while let Some(accepted) = listener.accept().await {
        let (context, plugin) = (context.clone(), plugin.clone());
        let connections = context.connections.clone();
        if multiplexed {
            connections.spawn(mux::relay(context, accepted, plugin, given.clone()));
            continue;
        }
        count += 1;
        let name = if count == 1 { "main".to_owned() } else { format!("main {count}") };
        connections.spawn(relay(context, name.into(), accepted, plugin, direct.clone()));
    }
    pending().await
}

async fn relay(context: Context, name: Arc<str>, accepted: Stream, plugin: Endpoint, direct: Arc<Direct>) {
    match dial(&plugin).await {
        Ok(dialled) => {
            let broker: Option<Arc<dyn Broker>> = Some(direct);
            Relay { context, name, dialer: Side::Host, broker, is_main: true }.run(accepted, dialled).await;
        }
        Err(error) => {
            tracing::warn!(%error, cause = %error.source, "the plugin does not accept a connection");
        }
    }
}
