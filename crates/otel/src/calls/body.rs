//! The body of a response, followed to its status.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use http_body::{Body, Frame, SizeHint};
use tonic::Code;

use super::call::{Call, code_in, code_of};

/// The body of a response. The call ends with the status in the trailers.
#[derive(Debug)]
pub struct CallBody<B> {
    body: B,
    /// `None` once the status has passed.
    call: Option<Call>,
}

impl<B> CallBody<B> {
    pub(super) fn new(body: B, call: Option<Call>) -> Self {
        Self { body, call }
    }
}

impl<B> Body for CallBody<B>
where
    B: Body + Unpin,
    B::Error: 'static,
{
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let this = self.get_mut();
        let body = Pin::new(&mut this.body);
        // A stream of messages is produced, or consumed, while it is polled.
        let frame = ready!(match &this.call {
            Some(call) => call.in_scope(|| body.poll_frame(cx)),
            None => body.poll_frame(cx),
        });
        let code = match &frame {
            Some(Ok(frame)) => {
                frame.trailers_ref().map(|trailers| code_in(trailers).unwrap_or(Code::Unknown))
            }
            Some(Err(error)) => Some(code_of(error)),
            // Without trailers there is no status.
            None => Some(Code::Unknown),
        };
        if let Some(code) = code
            && let Some(call) = this.call.take()
        {
            call.finish(code);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::{convert::Infallible, sync::Arc};

    use bytes::Bytes;
    use http::HeaderMap;
    use opentelemetry::metrics::MeterProvider as _;
    use opentelemetry_sdk::metrics::{
        InMemoryMetricExporter, SdkMeterProvider,
        data::{AggregatedMetrics, MetricData},
    };
    use tracing::Span;

    use super::*;
    use crate::{metrics::Metrics, rpc::CallSide};

    /// A body with these frames.
    struct Frames(Vec<Frame<Bytes>>);

    impl Body for Frames {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            Poll::Ready((!self.0.is_empty()).then(|| Ok(self.0.remove(0))))
        }
    }

    /// Returns the code that is recorded for a call whose response has these frames, when `read` polls are made.
    fn counted(frames: Vec<Frame<Bytes>>, read: usize) -> String {
        let exporter = InMemoryMetricExporter::default();
        let provider = SdkMeterProvider::builder().with_periodic_exporter(exporter.clone()).build();
        let metrics = Arc::new(Metrics::new(&provider.meter("test")));
        let call = Call::new(Span::none(), CallSide::Client, "kv.Kv/Get".to_owned(), Some(metrics));
        let mut body = CallBody::new(Frames(frames), Some(call));
        let mut cx = Context::from_waker(std::task::Waker::noop());
        for _ in 0..read {
            let _ = Pin::new(&mut body).poll_frame(&mut cx);
        }
        drop(body);
        provider.force_flush().unwrap();
        let batches = exporter.get_finished_metrics().unwrap();
        let metric = batches[0]
            .scope_metrics()
            .flat_map(|scope| scope.metrics())
            .find(|metric| metric.name() == "rpc.client.call.duration")
            .unwrap();
        let AggregatedMetrics::F64(MetricData::Histogram(calls)) = metric.data() else {
            panic!("{metric:?}")
        };
        let points: Vec<_> = calls.data_points().collect();
        assert_eq!((points.len(), points[0].count()), (1, 1));
        let attribute = |key| {
            points[0].attributes().find(|attribute| attribute.key.as_str() == key).unwrap().value.to_string()
        };
        assert_eq!(attribute("rpc.method"), "kv.Kv/Get");
        attribute("rpc.response.status_code")
    }

    fn trailers(code: &'static str) -> Frame<Bytes> {
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", http::HeaderValue::from_static(code));
        Frame::trailers(trailers)
    }

    #[test]
    fn a_call_has_the_code_of_its_trailers() {
        let data = || Frame::data(Bytes::from_static(b"x"));
        assert_eq!(counted(vec![data(), trailers("0")], 2), "OK");
        assert_eq!(counted(vec![data(), data(), trailers("5")], 4), "NOT_FOUND");
        assert_eq!(counted(vec![data()], 2), "UNKNOWN");
        assert_eq!(counted(vec![data(), trailers("0")], 1), "CANCELLED");
    }
}
