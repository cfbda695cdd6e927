//! The health service, which reports whether the plugin and each of its services serve.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures_util::{Stream, stream};
use http::{Request, Response};
use tokio::sync::watch;
use tonic::{Status, body::Body, server::NamedService};
pub use tonic_health::ServingStatus;
use tonic_health::pb::{
    HealthCheckRequest, HealthCheckResponse,
    health_check_response::ServingStatus as Wire,
    health_server::{self, HealthServer},
};
use tower_service::Service;

/// The statuses that health checks report. Cheap to clone.
///
/// At the start the status is SERVING for the empty name (the whole server), for `plugin` (the name that go-plugin's hosts
/// check), and for each service of the plugin whose status was not set while the services were made. When the shutdown
/// begins, every status becomes NOT_SERVING.
#[derive(Clone, Debug)]
pub struct Health(Arc<watch::Sender<Statuses>>);

#[derive(Debug, Default)]
struct Statuses {
    by_service: BTreeMap<String, Wire>,
    ended: bool,
}

impl Health {
    pub(crate) fn new() -> Self {
        let by_service = ["", PLUGIN].map(|name| (name.to_owned(), Wire::Serving)).into();
        Self(Arc::new(watch::Sender::new(Statuses { by_service, ended: false })))
    }

    /// Sets the status of a service by its full name, of `plugin`, or of the empty name.
    ///
    /// Has no effect once the shutdown has begun.
    pub fn set(&self, service: &str, status: ServingStatus) {
        self.0.send_if_modified(|statuses| {
            !statuses.ended
                && statuses.by_service.insert(service.to_owned(), status.into()) != Some(status.into())
        });
    }

    /// Sets the status of a service, unless the plugin has set one.
    pub(crate) fn set_unless_known(&self, service: &str, status: ServingStatus) {
        self.0.send_if_modified(|statuses| {
            let unknown = !statuses.by_service.contains_key(service);
            if unknown {
                statuses.by_service.insert(service.to_owned(), status.into());
            }
            unknown
        });
    }

    /// Sets every status to NOT_SERVING until the end. Streams of `Watch` report the change and end.
    pub(crate) fn end(&self) {
        self.0.send_modify(|statuses| {
            statuses.by_service.values_mut().for_each(|status| *status = Wire::NotServing);
            statuses.ended = true;
        });
    }

    fn status(&self, service: &str) -> Option<Wire> {
        self.0.borrow().by_service.get(service).copied()
    }

    fn list(&self) -> HealthListResponse {
        let response = |status: &Wire| HealthCheckResponse { status: (*status).into() };
        let statuses = self.0.borrow();
        let statuses =
            statuses.by_service.iter().map(|(name, status)| (name.clone(), response(status))).collect();
        HealthListResponse { statuses }
    }
}

#[tonic::async_trait]
impl health_server::Health for Health {
    async fn check(
        &self,
        request: tonic::Request<HealthCheckRequest>,
    ) -> Result<tonic::Response<HealthCheckResponse>, Status> {
        // The message of grpc-go.
        let status =
            self.status(&request.get_ref().service).ok_or_else(|| Status::not_found("unknown service"))?;
        Ok(tonic::Response::new(HealthCheckResponse { status: status.into() }))
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    async fn watch(
        &self,
        request: tonic::Request<HealthCheckRequest>,
    ) -> Result<tonic::Response<Self::WatchStream>, Status> {
        let service = request.into_inner().service;
        let watcher = Watcher { statuses: self.0.subscribe(), service, sent: None };
        Ok(tonic::Response::new(Box::pin(stream::unfold(watcher, Watcher::next))))
    }
}

/// One stream of `Watch`.
struct Watcher {
    statuses: watch::Receiver<Statuses>,
    service: String,
    sent: Option<Wire>,
}

impl Watcher {
    /// Returns the next status that differs from the last one sent. `None` once the plugin has ended.
    async fn next(mut self) -> Option<(Result<HealthCheckResponse, Status>, Self)> {
        loop {
            let (status, ended) = {
                let statuses = self.statuses.borrow_and_update();
                (
                    statuses.by_service.get(&self.service).copied().unwrap_or(Wire::ServiceUnknown),
                    statuses.ended,
                )
            };
            if self.sent != Some(status) {
                self.sent = Some(status);
                return Some((Ok(HealthCheckResponse { status: status.into() }), self));
            }
            if ended || self.statuses.changed().await.is_err() {
                return None;
            }
        }
    }
}

/// The health service with the method `List`, which newer Go servers have and tonic's definition does not.
#[derive(Clone)]
pub(crate) struct HealthService {
    server: HealthServer<Health>,
    health: Health,
}

impl HealthService {
    pub(crate) fn new(health: Health) -> Self {
        Self { server: HealthServer::new(health.clone()), health }
    }
}

impl NamedService for HealthService {
    const NAME: &'static str = "grpc.health.v1.Health";
}

impl Service<Request<Body>> for HealthService {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        if request.uri().path() == "/grpc.health.v1.Health/List" {
            let list = List(self.health.clone());
            return Box::pin(async move {
                let codec = tonic_prost::ProstCodec::default();
                Ok(tonic::server::Grpc::new(codec).unary(list, request).await)
            });
        }
        self.server.call(request)
    }
}

struct List(Health);

impl tonic::server::UnaryService<HealthListRequest> for List {
    type Response = HealthListResponse;
    type Future = std::future::Ready<Result<tonic::Response<HealthListResponse>, Status>>;

    fn call(&mut self, _: tonic::Request<HealthListRequest>) -> Self::Future {
        std::future::ready(Ok(tonic::Response::new(self.0.list())))
    }
}

#[derive(Clone, PartialEq, prost::Message)]
struct HealthListRequest {}

#[derive(Clone, PartialEq, prost::Message)]
struct HealthListResponse {
    #[prost(btree_map = "string, message", tag = "1")]
    statuses: BTreeMap<String, HealthCheckResponse>,
}

/// The name whose status go-plugin's hosts check.
const PLUGIN: &str = "plugin";

#[cfg(test)]
mod tests {
    use futures_util::StreamExt as _;
    use health_server::Health as _;

    use super::*;

    async fn check(health: &Health, service: &str) -> Result<i32, tonic::Code> {
        let request = tonic::Request::new(HealthCheckRequest { service: service.to_owned() });
        health.check(request).await.map(|response| response.get_ref().status).map_err(|status| status.code())
    }

    #[tokio::test]
    async fn the_plugin_the_server_and_services_that_were_set_have_a_status() {
        let health = Health::new();
        health.set("kv.v1.Kv", ServingStatus::NotServing);
        assert_eq!(check(&health, "").await, Ok(1));
        assert_eq!(check(&health, "plugin").await, Ok(1));
        assert_eq!(check(&health, "kv.v1.Kv").await, Ok(2));
        assert_eq!(check(&health, "other").await, Err(tonic::Code::NotFound));
        assert_eq!(health.list().statuses.len(), 3);
    }

    #[tokio::test]
    async fn a_status_that_was_set_before_the_services_start_stays() {
        let health = Health::new();
        health.set("slow", ServingStatus::NotServing);
        health.set_unless_known("slow", ServingStatus::Serving);
        health.set_unless_known("quick", ServingStatus::Serving);
        assert_eq!((check(&health, "slow").await, check(&health, "quick").await), (Ok(2), Ok(1)));
    }

    #[tokio::test]
    async fn a_watcher_gets_every_change_and_then_the_end() {
        let health = Health::new();
        let request = tonic::Request::new(HealthCheckRequest { service: "kv".to_owned() });
        let mut watch = health.watch(request).await.expect("a stream").into_inner();
        let mut next = async || watch.next().await.map(|answer| answer.expect("no error").status);
        assert_eq!(next().await, Some(Wire::ServiceUnknown.into()));
        health.set("kv", ServingStatus::Serving);
        assert_eq!(next().await, Some(Wire::Serving.into()));
        health.end();
        health.set("kv", ServingStatus::Serving);
        assert_eq!(next().await, Some(Wire::NotServing.into()));
        assert_eq!(next().await, None);
    }
}
