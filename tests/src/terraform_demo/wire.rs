//! A provider on the wire: the calls of protocols 5 and 6, mapped onto the traits of [`framework`](super::framework).
//!
//! The two protocols differ only in the names of a few calls, so each call is implemented once. An error is a diagnostic in
//! the answer and not a failed call, so that Terraform shows it in the right place.

mod functions;
mod resources;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tonic::{Request, Response, Status};
use tracing::Instrument as _;

use super::diagnostics::{Diagnostic, Diagnostics};
use super::framework::{DataSource, EphemeralResource, Function, Opened, Provider, Resource};
use super::proto::tfplugin::{
    self as pb, DynamicValue, apply_resource_change, call_function, close_ephemeral_resource, configure,
    get_schema, import_resource_state, open_ephemeral_resource, plan_resource_change, read_data_source,
    read_resource, renew_ephemeral_resource, stop, upgrade_resource_state, validate_config,
    validate_provider_config,
};
use super::proto::{tfplugin5, tfplugin6};
use super::schema::Schema;
use super::value::{Object, Type, Value};

/// A provider as a gRPC service of protocols 5 and 6.
pub(crate) struct Wire<P>(Arc<Served<P>>);

struct Served<P> {
    provider: P,
    own: Described<()>,
    resources: BTreeMap<&'static str, Described<Box<dyn Resource>>>,
    data_sources: BTreeMap<&'static str, Described<Box<dyn DataSource>>>,
    ephemeral: BTreeMap<&'static str, Described<Box<dyn EphemeralResource>>>,
    functions: BTreeMap<&'static str, Box<dyn Function>>,
    /// The number of calls so far.
    calls: AtomicU64,
}

/// A part of a provider, its schema, and the type of the schema.
struct Described<T> {
    part: T,
    schema: Schema,
    ty: Type,
}

/// Implements the service of one protocol: each of its calls is answered by a method of [`Served`].
macro_rules! calls {
    ($service:path; $($call:ident => $method:ident($message:ident);)*) => {
        #[tonic::async_trait]
        impl<P: Provider> $service for Wire<P> {
            $(
                async fn $call(
                    &self,
                    request: Request<$message::Request>,
                ) -> Result<Response<$message::Response>, Status> {
                    // The fields of records during a call, as in Terraform's own providers.
                    let span = tracing::info_span!(
                        "call",
                        tf_rpc = stringify!($call),
                        tf_req_id = self.0.calls.fetch_add(1, Ordering::Relaxed),
                    );
                    Ok(Response::new(self.0.$method(request.into_inner()).instrument(span).await))
                }
            )*
        }
    };
}

calls! { tfplugin5::provider_server::Provider;
    get_schema => schema(get_schema);
    prepare_provider_config => validate_provider(validate_provider_config);
    validate_resource_type_config => validate_resource(validate_config);
    validate_data_source_config => validate_data_source(validate_config);
    configure => configure(configure);
    stop => stop(stop);
    upgrade_resource_state => upgrade(upgrade_resource_state);
    read_resource => read(read_resource);
    plan_resource_change => plan(plan_resource_change);
    apply_resource_change => apply(apply_resource_change);
    import_resource_state => import(import_resource_state);
    read_data_source => read_data_source(read_data_source);
    validate_ephemeral_resource_config => validate_ephemeral(validate_config);
    open_ephemeral_resource => open(open_ephemeral_resource);
    renew_ephemeral_resource => renew(renew_ephemeral_resource);
    close_ephemeral_resource => close(close_ephemeral_resource);
    call_function => call(call_function);
}

calls! { tfplugin6::provider_server::Provider;
    get_provider_schema => schema(get_schema);
    validate_provider_config => validate_provider(validate_provider_config);
    validate_resource_config => validate_resource(validate_config);
    validate_data_resource_config => validate_data_source(validate_config);
    configure_provider => configure(configure);
    stop_provider => stop(stop);
    upgrade_resource_state => upgrade(upgrade_resource_state);
    read_resource => read(read_resource);
    plan_resource_change => plan(plan_resource_change);
    apply_resource_change => apply(apply_resource_change);
    import_resource_state => import(import_resource_state);
    read_data_source => read_data_source(read_data_source);
    validate_ephemeral_resource_config => validate_ephemeral(validate_config);
    open_ephemeral_resource => open(open_ephemeral_resource);
    renew_ephemeral_resource => renew(renew_ephemeral_resource);
    close_ephemeral_resource => close(close_ephemeral_resource);
    call_function => call(call_function);
}

impl<P: Provider> Wire<P> {
    pub(crate) fn new(provider: P) -> Self {
        let parts = provider.parts();
        Self(Arc::new(Served {
            own: Described::new((), provider.schema()),
            resources: described(parts.resources, |part| part.schema()),
            data_sources: described(parts.data_sources, |part| part.schema()),
            ephemeral: described(parts.ephemeral, |part| part.schema()),
            functions: parts.functions.into_iter().collect(),
            provider,
            calls: AtomicU64::new(1),
        }))
    }
}

impl<P> Clone for Wire<P> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// The calls of the provider, data sources and ephemeral resources. Resources and functions have files of their own.
impl<P: Provider> Served<P> {
    async fn schema(&self, _: get_schema::Request) -> get_schema::Response {
        get_schema::Response {
            provider: Some(self.own.schema.to_proto()),
            resource_schemas: schemas(&self.resources),
            data_source_schemas: schemas(&self.data_sources),
            ephemeral_resource_schemas: schemas(&self.ephemeral),
            functions: self
                .functions
                .iter()
                .map(|(name, function)| ((*name).to_owned(), function.signature().to_proto()))
                .collect(),
            server_capabilities: Some(pb::ServerCapabilities { plan_destroy: true, ..Default::default() }),
            ..Default::default()
        }
    }

    async fn validate_provider(
        &self,
        request: validate_provider_config::Request,
    ) -> validate_provider_config::Response {
        let diagnostics =
            validated(request.config.as_ref(), &self.own.ty, |config| self.provider.validate(config));
        validate_provider_config::Response {
            prepared_config: request.config,
            diagnostics: diagnostics.into_proto(),
        }
    }

    async fn configure(&self, request: configure::Request) -> configure::Response {
        let diagnostics = match config(request.config.as_ref(), &self.own.ty) {
            Ok(config) => self.provider.configure(&request.terraform_version, config).await,
            Err(diagnostics) => diagnostics,
        };
        configure::Response { diagnostics: diagnostics.into_proto() }
    }

    async fn stop(&self, _: stop::Request) -> stop::Response {
        self.provider.stop();
        stop::Response::default()
    }

    async fn validate_data_source(&self, request: validate_config::Request) -> validate_config::Response {
        let diagnostics = match find(&self.data_sources, &request.type_name) {
            Ok(source) => validated(request.config.as_ref(), &source.ty, |_| Diagnostics::default()),
            Err(diagnostics) => diagnostics,
        };
        validate_config::Response { diagnostics: diagnostics.into_proto() }
    }

    async fn read_data_source(&self, request: read_data_source::Request) -> read_data_source::Response {
        let read = async {
            let source = find(&self.data_sources, &request.type_name)?;
            source.part.read(config(request.config.as_ref(), &source.ty)?).await
        };
        match read.await {
            Ok(state) => read_data_source::Response { state: Some(some(state)), ..Default::default() },
            Err(diagnostics) => {
                read_data_source::Response { diagnostics: diagnostics.into_proto(), ..Default::default() }
            }
        }
    }

    async fn validate_ephemeral(&self, request: validate_config::Request) -> validate_config::Response {
        let diagnostics = match find(&self.ephemeral, &request.type_name) {
            Ok(resource) => validated(request.config.as_ref(), &resource.ty, |_| Diagnostics::default()),
            Err(diagnostics) => diagnostics,
        };
        validate_config::Response { diagnostics: diagnostics.into_proto() }
    }

    async fn open(&self, request: open_ephemeral_resource::Request) -> open_ephemeral_resource::Response {
        let open = async {
            let resource = find(&self.ephemeral, &request.type_name)?;
            resource.part.open(config(request.config.as_ref(), &resource.ty)?).await
        };
        match open.await {
            Ok(Opened { result, private }) => open_ephemeral_resource::Response {
                result: Some(some(result)),
                private: Some(private),
                ..Default::default()
            },
            Err(diagnostics) => open_ephemeral_resource::Response {
                diagnostics: diagnostics.into_proto(),
                ..Default::default()
            },
        }
    }

    /// Tokens do not expire, so that a renewal changes nothing.
    async fn renew(&self, request: renew_ephemeral_resource::Request) -> renew_ephemeral_resource::Response {
        renew_ephemeral_resource::Response { private: request.private, ..Default::default() }
    }

    async fn close(&self, request: close_ephemeral_resource::Request) -> close_ephemeral_resource::Response {
        let diagnostics = match find(&self.ephemeral, &request.type_name) {
            Ok(resource) => resource.part.close(&request.private.unwrap_or_default()).await,
            Err(diagnostics) => diagnostics,
        };
        close_ephemeral_resource::Response { diagnostics: diagnostics.into_proto() }
    }
}

impl<T> Described<T> {
    fn new(part: T, schema: Schema) -> Self {
        let ty = schema.ty();
        Self { part, schema, ty }
    }
}

fn described<T>(
    parts: Vec<(&'static str, T)>,
    schema: impl Fn(&T) -> Schema,
) -> BTreeMap<&'static str, Described<T>> {
    let describe = |(name, part)| {
        let schema = schema(&part);
        (name, Described::new(part, schema))
    };
    parts.into_iter().map(describe).collect()
}

fn schemas<T>(parts: &BTreeMap<&'static str, Described<T>>) -> std::collections::HashMap<String, pb::Schema> {
    parts.iter().map(|(name, one)| ((*name).to_owned(), one.schema.to_proto())).collect()
}

fn find<'p, T>(
    parts: &'p BTreeMap<&'static str, Described<T>>,
    name: &str,
) -> Result<&'p Described<T>, Diagnostics> {
    let missing = || Diagnostic::error("Unknown type").detail(format!("this provider has no {name:?}"));
    parts.get(name).ok_or_else(|| missing().into())
}

/// The sent value, in either encoding.
fn value(sent: Option<&DynamicValue>, ty: &Type) -> Result<Value, Diagnostics> {
    let read = match sent {
        Some(sent) if !sent.msgpack.is_empty() => Value::from_msgpack(&sent.msgpack, ty),
        Some(sent) if !sent.json.is_empty() => Value::from_json(&sent.json, ty),
        _ => Ok(Value::Null),
    };
    read.map_err(|error| Diagnostic::error("Value cannot be read").detail(with_causes(&error)).into())
}

/// The sent object; `None` if it is null.
fn object(sent: Option<&DynamicValue>, ty: &Type) -> Result<Option<Object>, Diagnostics> {
    match value(sent, ty)? {
        Value::Null => Ok(None),
        Value::Object(object) => Ok(Some(object)),
        _ => Err(Diagnostic::error("Value is not known").into()),
    }
}

/// The sent configuration.
fn config(sent: Option<&DynamicValue>, ty: &Type) -> Result<Object, Diagnostics> {
    object(sent, ty)?.ok_or_else(|| Diagnostic::error("Configuration is missing").into())
}

/// Checks a configuration. A wholly unknown configuration passes.
fn validated(
    sent: Option<&DynamicValue>,
    ty: &Type,
    check: impl FnOnce(&Object) -> Diagnostics,
) -> Diagnostics {
    match value(sent, ty) {
        Ok(Value::Object(config)) => check(&config),
        Ok(_) => Diagnostics::default(),
        Err(diagnostics) => diagnostics,
    }
}

fn some(object: Object) -> DynamicValue {
    sent(&Value::Object(object))
}

/// The object, or null for `None`.
fn optional(object: Option<Object>) -> DynamicValue {
    sent(&object.map_or(Value::Null, Value::Object))
}

fn sent(value: &Value) -> DynamicValue {
    DynamicValue { msgpack: value.to_msgpack(), json: Vec::new() }
}

/// An error with its causes on one line.
fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
