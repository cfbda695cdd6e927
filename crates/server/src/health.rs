//! The health service: whether the plugin, and each of its services, serves.

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

/// The status that health checks see. Cheap to clone.
///
/// When services start, everything serves: the whole server (the empty name), `plugin`, which is the name that
/// go-plugin's hosts ask for, and each service of the plugin for which nothing else was set while the services were made.
/// When the plugin begins to end, nothing does.
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

    /// Sets the status of a service by its full name, `plugin` for the plugin as such, or the empty name.
    ///
    /// Without effect once the plugin is ending.
    pub fn set(&self, service: &str, status: ServingStatus) {
        self.0.send_if_modified(|statuses| {
            !statuses.ended
                && statuses.by_service.insert(service.to_owned(), status.into()) != Some(status.into())
        });
    }

    /// Sets the status of a service that has none yet: what a plugin set while its services were made stays.
    pub(crate) fn set_unless_known(&self, service: &str, status: ServingStatus) {
        self.0.send_if_modified(|statuses| {
            let unknown = !statuses.by_service.contains_key(service);
            if unknown {
                statuses.by_service.insert(service.to_owned(), status.into());
            }
            unknown
        });
    }

    /// Nothing serves any more, for good; those who watch are told, and their streams end.
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
        // The words are grpc-go's.
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
        let watcher = Watcher { statuses: self.0.subscribe(), service, told: None };
        Ok(tonic::Response::new(Box::pin(stream::unfold(watcher, Watcher::next))))
    }
}

/// One caller of `Watch`.
struct Watcher {
    statuses: watch::Receiver<Statuses>,
    service: String,
    told: Option<Wire>,
}

impl Watcher {
    /// The next status that differs from the last one told; nothing more once the plugin has ended.
    async fn next(mut self) -> Option<(Result<HealthCheckResponse, Status>, Self)> {
        loop {
            let (status, ended) = {
                let statuses = self.statuses.borrow_and_update();
                (
                    statuses.by_service.get(&self.service).copied().unwrap_or(Wire::ServiceUnknown),
                    statuses.ended,
                )
            };
            if self.told != Some(status) {
                self.told = Some(status);
                return Some((Ok(HealthCheckResponse { status: status.into() }), self));
            }
            if ended || self.statuses.changed().await.is_err() {
                return None;
            }
        }
    }
}

/// The health service with its third method, which newer Go servers have and tonic's definition has not.
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

/// The name under which go-plugin's hosts ask for a plugin's health.
const PLUGIN: &str = "plugin";

#[cfg(test)]
mod tests {
    use futures_util::StreamExt as _;
    use health_server::Health as _;

    use super::*;

    async fn check(health: &Health, service: &str) -> Result<i32, tonic::Code> {
        let request = tonic::Request::new(HealthCheckRequest { service: service.to_owned() });
        health.check(request).await.map(|answer| answer.get_ref().status).map_err(|status| status.code())
    }

    #[tokio::test]
    async fn knows_the_plugin_the_server_and_what_was_set() {
        let health = Health::new();
        health.set("kv.v1.Kv", ServingStatus::NotServing);
        assert_eq!(check(&health, "").await, Ok(1));
        assert_eq!(check(&health, "plugin").await, Ok(1));
        assert_eq!(check(&health, "kv.v1.Kv").await, Ok(2));
        assert_eq!(check(&health, "other").await, Err(tonic::Code::NotFound));
        assert_eq!(health.list().statuses.len(), 3);
    }

    #[tokio::test]
    async fn what_was_set_first_stays_when_services_start() {
        let health = Health::new();
        health.set("slow", ServingStatus::NotServing);
        health.set_unless_known("slow", ServingStatus::Serving);
        health.set_unless_known("quick", ServingStatus::Serving);
        assert_eq!((check(&health, "slow").await, check(&health, "quick").await), (Ok(2), Ok(1)));
    }

    #[tokio::test]
    async fn watchers_see_every_change_and_then_the_end() {
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
