//! `HostCalls`, which plugins call.

use std::sync::{Arc, Mutex, PoisonError};

use rpcplugin::{
    Services,
    broker::{AcceptError, Broker, ServiceHandle, ServiceId},
};
use tonic::{Request, Response, Status};

use crate::{
    contract::{in_one_line, reversed},
    pb::{
        GreetRequest, TransformRequest, TransformResponse,
        host_calls_server::{HostCalls, HostCallsServer},
        sub_client::SubClient,
    },
};

/// Serves `HostCalls` under a fresh id until the returned handle is dropped.
///
/// # Errors
/// [`AcceptError`] when the broker cannot serve.
pub async fn serve(broker: &Broker) -> Result<ServiceHandle, AcceptError> {
    serve_and_note(broker, Calls::default()).await
}

/// The same, and records the calls.
pub(crate) async fn serve_and_note(broker: &Broker, calls: Calls) -> Result<ServiceHandle, AcceptError> {
    let service = HostCallsServer::new(Service { broker: broker.clone(), calls });
    broker.serve(Services::new().add(service.max_decoding_message_size(usize::MAX))).await
}

/// The recorded calls.
#[derive(Debug, Clone, Default)]
pub(crate) struct Calls(Arc<Mutex<Vec<Call>>>);

/// The parts of a call that checks compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) seq: u32,
    pub(crate) asks_to_dial_back: bool,
}

impl Calls {
    pub(crate) fn so_far(&self) -> Vec<Call> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, call: Call) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(call);
    }
}

struct Service {
    broker: Broker,
    calls: Calls,
}

#[tonic::async_trait]
impl HostCalls for Service {
    async fn transform(
        &self,
        request: Request<TransformRequest>,
    ) -> Result<Response<TransformResponse>, Status> {
        let TransformRequest { seq, data, dial_back_id } = request.into_inner();
        self.calls.note(Call { seq, asks_to_dial_back: dial_back_id != 0 });
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
