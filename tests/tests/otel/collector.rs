//! A collector in this process that keeps the telemetry.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use opentelemetry_proto::tonic::{
    collector::{
        metrics::v1::{
            ExportMetricsServiceRequest, ExportMetricsServiceResponse,
            metrics_service_server::{MetricsService, MetricsServiceServer},
        },
        trace::v1::{
            ExportTraceServiceRequest, ExportTraceServiceResponse,
            trace_service_server::{TraceService, TraceServiceServer},
        },
    },
    common::v1::{AnyValue, KeyValue, any_value::Value},
    metrics::v1::{Metric, metric::Data, number_data_point},
    resource::v1::Resource,
    trace::v1::Span,
};
use rpcplugin::{
    Services,
    transport::{
        Listener, Security,
        http2::{Serving, serve},
    },
};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

/// The received telemetry.
#[derive(Debug, Clone)]
pub(crate) struct Collector {
    pub(crate) endpoint: String,
    kept: Arc<Mutex<Kept>>,
}

#[derive(Debug, Default)]
struct Kept {
    spans: Vec<(String, Span)>,
    metrics: Vec<(String, Metric)>,
}

/// One value of a metric, with its attributes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Point {
    pub(crate) attributes: BTreeMap<String, String>,
    /// The value of a counter or gauge, or the count of a histogram.
    pub(crate) value: f64,
    /// The sum of a histogram.
    pub(crate) sum: Option<f64>,
}

impl Collector {
    pub(crate) async fn start() -> Self {
        let listener = Listener::tcp([127, 0, 0, 1].into(), 0..=0).await.unwrap();
        let endpoint = format!("http://{}", listener.endpoint().address());
        let collector = Self { endpoint, kept: Arc::default() };
        let services = Services::new()
            .add(TraceServiceServer::new(collector.clone()))
            .add(MetricsServiceServer::new(collector.clone()));
        tokio::spawn(serve(listener, Serving::new(services, Security::Plain, CancellationToken::new())));
        collector
    }

    /// The spans of a service.
    pub(crate) fn spans(&self, service: &str) -> Vec<Span> {
        let kept = self.kept.lock().unwrap();
        kept.spans.iter().filter(|(of, _)| of == service).map(|(_, span)| span.clone()).collect()
    }

    /// The last values of a metric of a service. Empty if the service never sent the metric.
    pub(crate) fn points(&self, service: &str, name: &str) -> Vec<Point> {
        let kept = self.kept.lock().unwrap();
        let mut values = kept.metrics.iter().rev().filter(|(of, _)| of == service).map(|(_, metric)| metric);
        values.find(|metric| metric.name == name).map_or_else(Vec::new, points)
    }

    /// The sum of the values that have these attributes.
    pub(crate) fn total(&self, service: &str, name: &str, attributes: &[(&str, &str)]) -> f64 {
        let has = |point: &Point| {
            attributes.iter().all(|(key, value)| point.attributes.get(*key).is_some_and(|is| is == value))
        };
        self.points(service, name).into_iter().filter(has).map(|point| point.value).sum()
    }

    /// All received telemetry, as text.
    pub(crate) fn everything(&self) -> String {
        format!("{:?}", self.kept.lock().unwrap())
    }
}

fn points(metric: &Metric) -> Vec<Point> {
    let number = |value: &Option<number_data_point::Value>| match value {
        Some(number_data_point::Value::AsInt(value)) => *value as f64,
        Some(number_data_point::Value::AsDouble(value)) => *value,
        None => 0.0,
    };
    let numbers = match metric.data.as_ref().unwrap() {
        Data::Gauge(gauge) => &gauge.data_points,
        Data::Sum(sum) => &sum.data_points,
        Data::Histogram(histogram) => {
            let point = |point: &opentelemetry_proto::tonic::metrics::v1::HistogramDataPoint| Point {
                attributes: attributes(&point.attributes),
                value: point.count as f64,
                sum: point.sum,
            };
            return histogram.data_points.iter().map(point).collect();
        }
        other => panic!("{other:?}"),
    };
    let point = |point: &opentelemetry_proto::tonic::metrics::v1::NumberDataPoint| Point {
        attributes: attributes(&point.attributes),
        value: number(&point.value),
        sum: None,
    };
    numbers.iter().map(point).collect()
}

/// Attributes as text.
pub(crate) fn attributes(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |value: &Option<AnyValue>| match value.as_ref().and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(value)) => value.to_string(),
        Some(Value::BoolValue(value)) => value.to_string(),
        other => format!("{other:?}"),
    };
    attributes.iter().map(|one| (one.key.clone(), text(&one.value))).collect()
}

fn service_of(resource: Option<&Resource>) -> String {
    let attributes = resource.map(|resource| attributes(&resource.attributes)).unwrap_or_default();
    attributes.get("service.name").cloned().unwrap_or_default()
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let mut kept = self.kept.lock().unwrap();
        for of in request.into_inner().resource_spans {
            let service = service_of(of.resource.as_ref());
            let spans = of.scope_spans.into_iter().flat_map(|scope| scope.spans);
            kept.spans.extend(spans.map(|span| (service.clone(), span)));
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl MetricsService for Collector {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        let mut kept = self.kept.lock().unwrap();
        for of in request.into_inner().resource_metrics {
            let service = service_of(of.resource.as_ref());
            let metrics = of.scope_metrics.into_iter().flat_map(|scope| scope.metrics);
            kept.metrics.extend(metrics.map(|metric| (service.clone(), metric)));
        }
        Ok(Response::new(ExportMetricsServiceResponse::default()))
    }
}
