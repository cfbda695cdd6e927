//! Brokered connections: calls to the host, and more services for it.

use std::{sync::Arc, time::Instant};

use bytes::Bytes;
use rpcplugin::{
    Services,
    broker::{Broker, ServiceHandle, ServiceId},
};
use tokio::sync::Notify;
use tokio_stream::{StreamExt as _, iter};
use tonic::{Request, Response, Status, codegen::BoxStream};

use crate::{
    contract::in_one_line,
    pb::{
        CallbackRequest, CallbackResponse, CloseRequest, CloseResponse, GreetRequest, GreetResponse,
        TicksRequest, TicksResponse, TransformRequest,
        host_calls_client::HostCallsClient,
        sub_server::{Sub, SubServer},
    },
};

/// Calls the host's `HostCalls`. For a nested call, serves a `Sub` for the host to call.
pub(crate) async fn callback(broker: &Broker, request: CallbackRequest) -> Result<CallbackResponse, Status> {
    // Served until this call ends.
    let nested = if request.nested { Some(serve_sub(broker, "nested").await?.0) } else { None };
    let begun = Instant::now();
    let channel = broker
        .dial(ServiceId(request.broker_id))
        .await
        .map_err(|error| Status::unavailable(in_one_line(&error)))?;
    let mut host = HostCallsClient::new(channel).max_decoding_message_size(usize::MAX);
    let data = Bytes::from(request.data);
    let mut answer = CallbackResponse::default();
    for seq in 0..request.calls {
        let dial_back_id = nested.as_ref().filter(|_| seq == 0).map_or(0, |nested| nested.id().0);
        let transform = TransformRequest { seq, data: data.clone(), dial_back_id };
        let transformed = host.transform(transform).await?.into_inner();
        if transformed.seq != seq + 1 {
            return Err(Status::data_loss(format!("call {seq} was answered with seq {}", transformed.seq)));
        }
        if seq == 0 {
            answer.first_answer_us = i64::try_from(begun.elapsed().as_micros()).unwrap_or(i64::MAX);
            answer.greeting = transformed.greeting;
        }
        answer.results.push(transformed.data.into());
    }
    Ok(answer)
}

/// Serves a `Sub` under a fresh id until its `Close` is called or the plugin exits.
pub(crate) async fn open_sub(broker: &Broker, label: String) -> Result<ServiceId, Status> {
    let (mut sub, closed) = serve_sub(broker, &label).await?;
    let id = sub.id();
    tokio::spawn(async move {
        tokio::select! {
            () = closed.notified() => {}
            _ = sub.finished() => {}
        }
        // The answer to `Close` must be sent before the connection closes.
        sub.stop().await;
    });
    Ok(id)
}

/// Serves a `Sub` until the returned handle is dropped, and reports a call of `Close`.
async fn serve_sub(broker: &Broker, label: &str) -> Result<(ServiceHandle, Arc<Notify>), Status> {
    let closed = Arc::new(Notify::new());
    let sub = Labelled { label: label.to_owned(), closed: Arc::clone(&closed) };
    let services = Services::new().add(SubServer::new(sub));
    let served = broker.serve(services).await.map_err(|error| Status::unavailable(in_one_line(&error)))?;
    Ok((served, closed))
}

/// The `Sub` of the plugin.
struct Labelled {
    label: String,
    closed: Arc<Notify>,
}

#[tonic::async_trait]
impl Sub for Labelled {
    async fn greet(&self, request: Request<GreetRequest>) -> Result<Response<GreetResponse>, Status> {
        let text = format!("hello {} from {}", request.into_inner().name, self.label);
        Ok(Response::new(GreetResponse { text }))
    }

    type TicksStream = BoxStream<TicksResponse>;

    async fn ticks(&self, request: Request<TicksRequest>) -> Result<Response<Self::TicksStream>, Status> {
        let ticks = iter(0..request.into_inner().n).map(|value| Ok(TicksResponse { value }));
        Ok(Response::new(Box::pin(ticks)))
    }

    async fn close(&self, _: Request<CloseRequest>) -> Result<Response<CloseResponse>, Status> {
        self.closed.notify_one();
        Ok(Response::new(CloseResponse {}))
    }
}
