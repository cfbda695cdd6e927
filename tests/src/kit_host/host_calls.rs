//! `HostCalls`, which a plugin calls back.

use rpcplugin::{
    ServiceId, Services,
    broker::{Broker, Brokered, ServeError},
};
use tonic::{Request, Response, Status};

use crate::{
    facts::{in_one_line, reversed},
    pb::{
        GreetRequest, TransformRequest, TransformResponse,
        host_calls_server::{HostCalls, HostCallsServer},
        sub_client::SubClient,
    },
};

/// Serves `HostCalls` under a fresh id, as long as what comes back is held.
pub(crate) async fn serve(broker: &Broker) -> Result<Brokered, ServeError> {
    let calls = HostCallsServer::new(Calls { broker: broker.clone() }).max_decoding_message_size(usize::MAX);
    broker.serve(Services::new().add(calls)).await
}

struct Calls {
    broker: Broker,
}

#[tonic::async_trait]
impl HostCalls for Calls {
    async fn transform(
        &self,
        request: Request<TransformRequest>,
    ) -> Result<Response<TransformResponse>, Status> {
        let TransformRequest { seq, data, dial_back_id } = request.into_inner();
        let mut greeting = String::new();
        if dial_back_id != 0 {
            let channel = self.broker.dial(ServiceId(dial_back_id)).await;
            let channel = channel.map_err(|error| Status::unavailable(in_one_line(&error)))?;
            let name = "host".to_owned();
            greeting = SubClient::new(channel).greet(GreetRequest { name }).await?.into_inner().text;
        }
        Ok(Response::new(TransformResponse { seq: seq.wrapping_add(1), data: reversed(&data), greeting }))
    }
}
