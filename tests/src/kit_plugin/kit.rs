//! The methods of `Kit`.

use std::{
    collections::HashMap,
    panic::catch_unwind,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use futures_util::stream;
use prost::Message as _;
use rpcplugin::{PluginContext, Services, hclog::Level, plugin::OriginalStderr, transport::Route};
use tokio::time::sleep;
use tokio_stream::StreamExt as _;
use tonic::{
    Code, Request, Response, Status, Streaming, codegen::BoxStream, service::interceptor::InterceptedService,
};
use tower::{layer::layer_fn, service_fn};

use crate::{
    contract::{FAIL_DETAIL, RpcStatus, pattern},
    kit_plugin::{broker, counters::Counters, metadata::echo_metadata, output},
    pb::{
        BigPayloadRequest, BigPayloadResponse, CallbackRequest, CallbackResponse, ChatMessage, CountRequest,
        CountResponse, EchoRequest, EchoResponse, EnvRequest, EnvResponse, ExitRequest, ExitResponse,
        FailDetail, FailRequest, FailResponse, GetRequest, GetResponse, InfoRequest, InfoResponse,
        LogLineRequest, LogLineResponse, OpenSubRequest, OpenSubResponse, PanicRequest, PanicResponse,
        PutRequest, PutResponse, SleepRequest, SleepResponse, SumRequest, SumResponse, WriteStdioRequest,
        WriteStdioResponse,
        kit_server::{self, KitServer},
    },
};

/// The services of the plugin: `Kit`, with counted calls and with an `Echo` that returns metadata.
pub(crate) fn services(context: PluginContext, stderr: OriginalStderr, least: Level) -> Services {
    let counters = Counters::default();
    let kit = Kit { context, stderr, least, counters: counters.clone(), values: Mutex::default() };
    let kit = KitServer::new(kit).max_decoding_message_size(usize::MAX);
    let counted = InterceptedService::new(kit, move |request| {
        counters.call_started();
        Ok(request)
    });
    Services::new()
        .add(counted)
        .layer(&layer_fn(|route: Route| service_fn(move |request| echo_metadata(route.clone(), request))))
}

struct Kit {
    context: PluginContext,
    stderr: OriginalStderr,
    /// The minimum level of records.
    least: Level,
    counters: Counters,
    values: Mutex<HashMap<String, Bytes>>,
}

impl Kit {
    fn values(&self) -> MutexGuard<'_, HashMap<String, Bytes>> {
        self.values.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[tonic::async_trait]
impl kit_server::Kit for Kit {
    async fn info(&self, _: Request<InfoRequest>) -> Result<Response<InfoResponse>, Status> {
        Ok(Response::new(InfoResponse {
            pid: std::process::id().into(),
            protocol_version: i32::try_from(self.context.version.0).unwrap_or(i32::MAX),
            implementation: concat!("rust, rpcplugin ", env!("CARGO_PKG_VERSION"), ", tonic 0.14").to_owned(),
            cancelled_calls: self.counters.cancelled(),
            calls: self.counters.started(),
        }))
    }

    async fn echo(&self, request: Request<EchoRequest>) -> Result<Response<EchoResponse>, Status> {
        Ok(Response::new(EchoResponse { data: request.into_inner().data }))
    }

    async fn put(&self, request: Request<PutRequest>) -> Result<Response<PutResponse>, Status> {
        let PutRequest { key, value } = request.into_inner();
        let replaced = self.values().insert(key, value).is_some();
        Ok(Response::new(PutResponse { replaced }))
    }

    async fn get(&self, request: Request<GetRequest>) -> Result<Response<GetResponse>, Status> {
        let key = request.into_inner().key;
        match self.values().get(&key) {
            Some(value) => Ok(Response::new(GetResponse { value: value.clone() })),
            None => Err(Status::not_found(format!("no such key: {key}"))),
        }
    }

    type CountStream = BoxStream<CountResponse>;

    async fn count(&self, request: Request<CountRequest>) -> Result<Response<Self::CountStream>, Status> {
        let CountRequest { from, n, pad_bytes, interval_us } = request.into_inner();
        let interval = Duration::from_micros(interval_us.into());
        let call = self.counters.cancellable();
        let counting = stream::unfold((0_i64, call), move |(done, call)| async move {
            // Between messages, so not before the first.
            if done > 0 && !interval.is_zero() {
                sleep(interval).await;
            }
            if n >= 0 && done >= n {
                call.ended();
                return None;
            }
            let value = from.wrapping_add(done);
            let pad = vec![value as u8; pad_bytes as usize].into();
            Some((Ok(CountResponse { value, pad }), (done.wrapping_add(1), call)))
        });
        Ok(Response::new(Box::pin(counting)))
    }

    async fn sum(&self, request: Request<Streaming<SumRequest>>) -> Result<Response<SumResponse>, Status> {
        let mut values = request.into_inner();
        let mut answer = SumResponse::default();
        while let Some(SumRequest { value }) = values.message().await? {
            answer.sum = answer.sum.wrapping_add(value);
            answer.count += 1;
        }
        Ok(Response::new(answer))
    }

    type ChatStream = BoxStream<ChatMessage>;

    async fn chat(
        &self,
        request: Request<Streaming<ChatMessage>>,
    ) -> Result<Response<Self::ChatStream>, Status> {
        let mut received = 0;
        let answers = request.into_inner().map(Some).chain(tokio_stream::once(None)).map(move |message| {
            let Some(message) = message else {
                return Ok(ChatMessage { seq: received, text: "bye".to_owned() });
            };
            let ChatMessage { seq, text } = message?;
            received += 1;
            Ok(ChatMessage { seq, text: format!("re: {text}") })
        });
        Ok(Response::new(Box::pin(answers)))
    }

    async fn fail(&self, request: Request<FailRequest>) -> Result<Response<FailResponse>, Status> {
        let FailRequest { code, message, note } = request.into_inner();
        if code == 0 {
            return Ok(Response::new(FailResponse {}));
        }
        // A code without a name in gRPC is sent as UNKNOWN.
        let sent = Code::from_i32(code);
        let mut details = Bytes::new();
        if !note.is_empty() {
            let value = FailDetail { note, code }.encode_to_vec();
            let detail = prost_types::Any { type_url: FAIL_DETAIL.to_owned(), value };
            // Both codes must be equal; a Go host reports an error of its own otherwise.
            let status = RpcStatus { code: sent.into(), message: message.clone(), details: vec![detail] };
            details = status.encode_to_vec().into();
        }
        Err(Status::with_details(sent, message, details))
    }

    async fn callback(
        &self,
        request: Request<CallbackRequest>,
    ) -> Result<Response<CallbackResponse>, Status> {
        broker::callback(&self.context.broker, request.into_inner()).await.map(Response::new)
    }

    async fn open_sub(&self, request: Request<OpenSubRequest>) -> Result<Response<OpenSubResponse>, Status> {
        let id = broker::open_sub(&self.context.broker, request.into_inner().label).await?;
        Ok(Response::new(OpenSubResponse { broker_id: id.0 }))
    }

    async fn write_stdio(
        &self,
        request: Request<WriteStdioRequest>,
    ) -> Result<Response<WriteStdioResponse>, Status> {
        output::write_stdio(self.stderr.clone(), request.into_inner()).await?;
        Ok(Response::new(WriteStdioResponse {}))
    }

    async fn log_line(&self, request: Request<LogLineRequest>) -> Result<Response<LogLineResponse>, Status> {
        output::log_line(&self.stderr, self.least, request.into_inner())?;
        Ok(Response::new(LogLineResponse {}))
    }

    #[expect(clippy::disallowed_methods, reason = "the contract is to read the environment")]
    async fn env(&self, request: Request<EnvRequest>) -> Result<Response<EnvResponse>, Status> {
        let name = request.into_inner().name;
        // The standard library panics for a name that no variable can have.
        let possible = !name.is_empty() && !name.contains(['=', '\0']);
        let value = possible.then(|| std::env::var_os(&name)).flatten();
        Ok(Response::new(EnvResponse {
            present: value.is_some(),
            value: value.unwrap_or_default().to_string_lossy().into_owned(),
        }))
    }

    async fn sleep(&self, request: Request<SleepRequest>) -> Result<Response<SleepResponse>, Status> {
        let call = self.counters.cancellable();
        sleep(Duration::from_millis(request.into_inner().ms.into())).await;
        call.ended();
        Ok(Response::new(SleepResponse {}))
    }

    #[expect(clippy::disallowed_methods, reason = "the contract is to end the process at once")]
    async fn exit(&self, request: Request<ExitRequest>) -> Result<Response<ExitResponse>, Status> {
        std::process::exit(request.into_inner().code)
    }

    #[expect(clippy::disallowed_methods, reason = "the contract is to end the process")]
    async fn panic(&self, request: Request<PanicRequest>) -> Result<Response<PanicResponse>, Status> {
        let message = request.into_inner().message;
        // A panic in a handler ends only its task. The contract asks for the effect of a panic in `main`.
        let _ = catch_unwind(|| panic!("{message}"));
        std::process::exit(RUST_PANIC)
    }

    async fn big_payload(
        &self,
        request: Request<BigPayloadRequest>,
    ) -> Result<Response<BigPayloadResponse>, Status> {
        let BigPayloadRequest { n, seed } = request.into_inner();
        if i32::try_from(n).is_err() {
            return Err(Status::resource_exhausted(format!("no message can carry {n} bytes")));
        }
        Ok(Response::new(BigPayloadResponse { data: pattern(n as usize, seed) }))
    }
}

/// The status with which a Rust program ends when `main` panics.
const RUST_PANIC: i32 = 101;
