//! A `Sub` of a plugin, dialled by the host.

use rpcplugin::{
    PluginChannel,
    broker::{Broker, DialError, ServiceId},
};
use tonic::Status;

use crate::pb::{CloseRequest, GreetRequest, TicksRequest, sub_client::SubClient};

/// An open connection to a `Sub`.
#[derive(Debug)]
pub(crate) struct OpenSub(SubClient<PluginChannel>);

impl OpenSub {
    /// Dials the id from the plugin.
    pub(crate) async fn dial(broker: &Broker, id: u32) -> Result<Self, DialError> {
        let channel = broker.dial(ServiceId(id)).await?;
        Ok(Self(SubClient::new(channel).max_decoding_message_size(usize::MAX)))
    }

    pub(crate) async fn greet(&mut self, name: &str) -> Result<String, Status> {
        let name = name.to_owned();
        Ok(self.0.greet(GreetRequest { name }).await?.into_inner().text)
    }

    /// The ticks of one stream.
    pub(crate) async fn ticks(&mut self, n: i64) -> Result<Vec<i64>, Status> {
        let mut stream = self.0.ticks(TicksRequest { n }).await?.into_inner();
        let mut ticks = Vec::new();
        while let Some(tick) = stream.message().await? {
            ticks.push(tick.value);
        }
        Ok(ticks)
    }

    /// Calls `Close`, and closes the connection.
    pub(crate) async fn close(mut self) -> Result<(), Status> {
        self.0.close(CloseRequest {}).await.map(|_| ())
    }
}
