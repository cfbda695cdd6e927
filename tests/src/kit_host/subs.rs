//! A `Sub` that a plugin serves and the host has dialled.

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
    /// Dials the id that the plugin gave.
    pub(crate) async fn dial(broker: &Broker, id: u32) -> Result<Self, DialError> {
        let channel = broker.dial(ServiceId(id)).await?;
        Ok(Self(SubClient::new(channel).max_decoding_message_size(usize::MAX)))
    }

    pub(crate) async fn greet(&mut self, name: &str) -> Result<String, Status> {
        let name = name.to_owned();
        Ok(self.0.greet(GreetRequest { name }).await?.into_inner().text)
    }

    /// All ticks of one stream.
    pub(crate) async fn ticks(&mut self, n: i64) -> Result<Vec<i64>, Status> {
        let mut stream = self.0.ticks(TicksRequest { n }).await?.into_inner();
        let mut ticks = Vec::new();
        while let Some(tick) = stream.message().await? {
            ticks.push(tick.value);
        }
        Ok(ticks)
    }

    /// Has the plugin stop serving it, and hangs up.
    pub(crate) async fn close(mut self) -> Result<(), Status> {
        self.0.close(CloseRequest {}).await.map(|_| ())
    }
}
