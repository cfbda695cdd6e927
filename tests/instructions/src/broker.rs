//! The work of a plugin's broker for a message of its host, from the bytes of the stream to the bytes of the answer.

use std::convert::Infallible;
use std::hint::black_box;
use std::net::Ipv4Addr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::{BufMut as _, Bytes, BytesMut};
use http::{Request, header};
use http_body::{Body as _, Frame};
use prost::Message as _;
use rpcplugin_broker::{Broker, BrokerSettings, ListenAt, Role};
use rpcplugin_core::ServiceId;
use rpcplugin_proto::{ConnInfo, Knock};
use rpcplugin_transport::Security;
use tokio::runtime::{Builder, Runtime};
use tonic::body::Body;
use tower_service::Service as _;

use crate::{Piece, TIMES, Work};

pub(crate) const PIECES: &[Piece] =
    &[("broker: keep an address", keep_addresses), ("broker: answer a knock", answer_knocks)];

/// Direct: the host sends the address of each of its services.
fn keep_addresses() -> Work {
    let place = ListenAt::Tcp { host: Ipv4Addr::LOCALHOST.into(), ports: 0..=0 };
    let broker = Broker::direct(Role::Plugin, settings(), place);
    let addresses = (1..).map(|id| ConnInfo {
        service_id: id,
        network: "unix".to_owned(),
        address: format!("/tmp/plugin-dir123/plugin{id}"),
        knock: None,
    });
    let mut host = Host::attach(&broker);
    let said = frames(addresses.take(TIMES));
    Box::new(move || {
        let _broker = broker;
        assert_eq!(host.say(said), 0, "an address has no answer");
    })
}

/// Multiplexed: the host knocks for one service many times, and each knock is accepted.
fn answer_knocks() -> Work {
    let broker = Broker::multiplexed(Role::Plugin, settings());
    let mut host = Host::attach(&broker);
    let id = ServiceId(7);
    let incoming = host.runtime.block_on(broker.listen_at(id)).expect("the host is attached");
    let knock = Knock { knock: true, ..Knock::default() };
    let knock = ConnInfo { service_id: id.0, knock: Some(knock), ..ConnInfo::default() };
    let said = frames(std::iter::repeat_n(knock, TIMES));
    Box::new(move || {
        let _serving = (broker, incoming);
        assert!(host.say(said) > TIMES, "each knock has an answer");
    })
}

fn settings() -> BrokerSettings {
    BrokerSettings::new(Security::Plain)
}

/// The stream of a host to the broker, without a connection.
struct Host {
    runtime: Runtime,
    said: Said,
    answers: Pin<Box<Body>>,
}

impl Host {
    fn attach(broker: &Broker) -> Self {
        let runtime = Builder::new_current_thread().enable_time().build().expect("it needs only a clock");
        let said = Said::default();
        let request = Request::post("/plugin.GRPCBroker/StartStream")
            .header(header::CONTENT_TYPE, "application/grpc")
            .body(Body::new(said.clone()))
            .expect("a valid request");
        let Ok(response) = runtime.block_on(broker.services().call(request));
        let mut host = Self { runtime, said, answers: Box::pin(response.into_body()) };
        // The broker can send as soon as the stream is read.
        host.say(Bytes::new());
        host
    }

    /// Sends messages, and returns the number of bytes that the broker answers immediately.
    fn say(&mut self, what: Bytes) -> usize {
        self.said.say(what);
        let _runtime = self.runtime.enter();
        let mut cx = Context::from_waker(Waker::noop());
        let mut answered = 0;
        while let Poll::Ready(frame) = self.answers.as_mut().poll_frame(&mut cx) {
            let data = frame.and_then(Result::ok).and_then(|frame| frame.into_data().ok());
            answered += black_box(data.expect("the stream goes on")).len();
        }
        answered
    }
}

/// The body of the host's request.
#[derive(Clone, Default)]
struct Said(Arc<Mutex<Bytes>>);

impl Said {
    fn say(&self, what: Bytes) -> Bytes {
        std::mem::replace(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner), what)
    }
}

impl http_body::Body for Said {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        // No waker is called: there is no task, and the next message is sent before the next poll.
        match self.say(Bytes::new()) {
            nothing if nothing.is_empty() => Poll::Pending,
            said => Poll::Ready(Some(Ok(Frame::data(said)))),
        }
    }
}

/// The messages in the wire format of gRPC: uncompressed, each after its length.
fn frames(messages: impl Iterator<Item = ConnInfo>) -> Bytes {
    let mut frames = BytesMut::new();
    for message in messages {
        let message = message.encode_to_vec();
        frames.put_u8(0);
        frames.put_u32(u32::try_from(message.len()).expect("a message has a few dozen bytes"));
        frames.extend_from_slice(&message);
    }
    frames.freeze()
}
