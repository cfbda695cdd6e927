//! Brokered connections.

use std::time::{Duration, Instant};

use rpcplugin::{Plugin, PluginChannel, broker::ServiceId};

use crate::{
    bench::{
        Measured,
        args::Options,
        connected::{self, Connected},
        result::{Results, median, micros},
    },
    kit_host::host_calls,
    pb::{CallbackRequest, CloseRequest, GreetRequest, OpenSubRequest, sub_client::SubClient},
};

/// New connections, from just before the dial until the first answer, dialled by the plugin and by the host.
pub(crate) async fn measure(options: &Options) -> Measured<Results> {
    let plugin = connected::launch(options).await?;
    let connected = Connected::to(&plugin);
    let (mut by_plugin, mut by_host) = (Vec::new(), Vec::new());
    for _ in 0..options.rounds {
        by_plugin.push(dialled_by_plugin(&plugin, &connected).await?);
        by_host.push(dialled_by_host(&plugin, &connected).await?);
    }
    plugin.shut_down().await;
    Ok(Results::default()
        .with("plugin_dials_us", micros(median(by_plugin)))
        .with("host_dials_us", micros(median(by_host))))
}

async fn dialled_by_plugin(plugin: &Plugin, connected: &Connected<PluginChannel>) -> Measured<Duration> {
    let served = host_calls::serve(plugin.broker()).await?;
    let request = CallbackRequest { broker_id: served.id().0, calls: 1, ..CallbackRequest::default() };
    let answer = connected.kit().callback(request).await?.into_inner();
    Ok(Duration::from_micros(u64::try_from(answer.first_answer_us)?))
}

async fn dialled_by_host(plugin: &Plugin, connected: &Connected<PluginChannel>) -> Measured<Duration> {
    let opened = connected.kit().open_sub(OpenSubRequest { label: "bench".to_owned() }).await?.into_inner();
    let begun = Instant::now();
    let mut sub = SubClient::new(plugin.broker().dial(ServiceId(opened.broker_id)).await?);
    sub.greet(GreetRequest { name: "bench".to_owned() }).await?;
    let took = begun.elapsed();
    sub.close(CloseRequest {}).await?;
    Ok(took)
}
