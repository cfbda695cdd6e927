//! Instances: several values of one kind in one plugin process, each with an id and a configuration.
//!
//! A host makes, lists and removes instances through the service `rpcplugin.v1.Instances`. Calls to the plugin's own services
//! name their instance in the gRPC metadata `rpcplugin-instance`.

mod call_id;
mod instance;
mod registry;
mod service;
mod spans;
mod spec;
mod status;

use std::{fmt, pin::Pin, sync::Arc, time::Duration};

use rpcplugin_core::InstanceId;
use rpcplugin_transport::{MessageLimits, Services};
use tonic::{Request, Status};

use self::registry::Registry;
pub use self::{instance::Instance, spec::InstanceSpec};
pub(crate) use self::{service::ServeInstances, spans::InstanceSpans};

/// The instances of a plugin: values of the type `T`, such as a connection to a data source, a tenant, or a device.
///
/// The host makes an instance with an id and a configuration, and names it in its calls. A handler finds the value of its call
/// by [`of`](Self::of). [`Serve::instances`](crate::Serve::instances) serves the service by which the host makes and removes
/// instances. Cheap to clone: clones share the instances.
///
/// ```
/// # use rpcplugin_server::{Instances, Serve};
/// # use tonic::{Request, Response, Status};
/// #[derive(serde::Deserialize)]
/// struct Settings { url: String }
///
/// struct Source { settings: Settings }
///
/// # fn example(serve: Serve) -> Serve {
/// let sources = Instances::new(|spec| async move { Ok(Source { settings: spec.json()? }) });
/// # serve
/// // `.version(1, KvServer::new(Kv { sources: sources.clone() }))`, and then:
/// .instances(&sources)
/// # }
///
/// struct Kv { sources: Instances<Source> }
/// # impl Kv {
/// // In a handler:
/// async fn get(&self, request: Request<String>) -> Result<Response<String>, Status> {
///     let source = self.sources.of(&request)?;
///     tracing::info!("reading"); // the host sees the field `instance` in this record
///     Ok(Response::new(source.settings.url.clone()))
/// }
/// # }
/// ```
///
/// # Creation
/// The function given to [`new`](Self::new) makes the value. If it fails, the host gets its status, and there is no instance.
/// The same holds if the function panics, or if the host cancels the call. The codes UNIMPLEMENTED, ALREADY_EXISTS, NOT_FOUND
/// and RESOURCE_EXHAUSTED have other meanings to a host. A status of the function with one of these is sent as
/// FAILED_PRECONDITION, with the same message.
///
/// # Removal
/// A removed instance takes no further calls. Calls in flight go on. When the last [`Instance`] of it is dropped, the function of
/// [`on_remove`](Self::on_remove) gets the value, and only then the id can be used again. All this may take
/// [`PluginConfig::grace`](rpcplugin_config::PluginConfig::grace). An instance that is still in use after that loses its id. Its
/// value is dropped with its last `Instance`, without the function. The shutdown removes all instances, after the calls in flight.
///
/// # Logs
/// A call that names an instance is served within a span with the field `instance`, brokered services included. Records of the
/// handler have this field. A task that a handler spawns is outside of the span, unless
/// [instrumented](tracing::Instrument::in_current_span). Plugins without instances do not have this layer.
pub struct Instances<T>(Arc<Registry<T>>);

impl<T: Send + Sync + 'static> Instances<T> {
    /// How many instances there may be, unless [`limit`](Self::limit) sets another number.
    pub const DEFAULT_LIMIT: usize = 1024;

    /// Makes an empty registry. `create` makes the value of each instance.
    pub fn new<F>(create: impl Fn(InstanceSpec) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<T, Status>> + Send + 'static,
    {
        Self(Arc::new(Registry::new(Box::new(move |spec| Box::pin(create(spec))), Self::DEFAULT_LIMIT)))
    }

    /// Sets how many instances there may be, for all clones. Creation beyond it fails with RESOURCE_EXHAUSTED. Existing
    /// instances stay.
    #[must_use]
    pub fn limit(self, instances: usize) -> Self {
        self.0.set_limit(instances);
        self
    }

    /// Passes the value of each removed instance to this function, for an end that has to be awaited, such as closing a
    /// connection. Later calls of this method have no effect.
    #[must_use]
    pub fn on_remove<F>(self, remove: impl Fn(T) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.0.set_on_remove(Box::new(move |value| Box::pin(remove(value))));
        self
    }

    /// Returns the instance that a call names.
    ///
    /// # Errors
    /// INVALID_ARGUMENT if the call names no instance, several, or a malformed id. NOT_FOUND if there is no such instance.
    pub fn of<R>(&self, request: &Request<R>) -> Result<Instance<T>, Status> {
        let id = call_id::read(request.metadata().as_ref())?;
        self.0.get(id).ok_or_else(|| status::unknown(id))
    }

    /// Returns the instance with this id.
    #[must_use]
    pub fn get(&self, id: impl AsRef<str>) -> Option<Instance<T>> {
        self.0.get(id.as_ref())
    }

    /// Returns the ids of all instances, in ascending order.
    #[must_use]
    pub fn ids(&self) -> Vec<InstanceId> {
        self.0.ids()
    }

    /// Removes an instance. Returns whether there was one. Does not wait for the calls in flight, so that a handler may remove
    /// its own instance. Outside of a tokio runtime, the function of [`on_remove`](Self::on_remove) is not called.
    pub fn remove(&self, id: impl AsRef<str>) -> bool {
        self.0.remove(id.as_ref(), Duration::MAX).is_some()
    }
}

impl<T: Send + Sync + 'static> ServeInstances for Instances<T> {
    fn services(&self, grace: Duration, limits: MessageLimits) -> Services {
        self.0.set_grace(grace);
        service::services(&self.0, limits)
    }

    fn begin_shutdown(&self) {
        self.0.begin_shutdown();
    }

    fn shut_down(&self) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let registry = Arc::clone(&self.0);
        Box::pin(async move { registry.shut_down().await })
    }
}

impl<T> Clone for Instances<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> fmt::Debug for Instances<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Instances").field(&self.0.ids()).finish()
    }
}

#[cfg(test)]
mod tests;
