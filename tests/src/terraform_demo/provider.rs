//! The provider `demo`: its configuration and its parts.

use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::Notify;
use tonic::async_trait;

use super::data_sources::{Crash, Describe, Echo, Log, Panic, Slow, Stdio};
use super::diagnostics::{Diagnostic, Diagnostics};
use super::ephemeral::Token;
use super::framework::{Parts, Provider};
use super::functions::{Add, Join};
use super::resource::Thing;
use super::schema::{Attribute, Schema};
use super::store::Store;
use super::value::{Object, Type, Value};

/// The provider.
pub(crate) struct Demo {
    prefix: Prefix,
    store: Store,
    stopped: Arc<Notify>,
    crash: Arc<Notify>,
}

/// The prefix of greetings. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Prefix(Arc<RwLock<String>>);

impl Demo {
    /// A provider whose things are in `store`. A notification of `crash` ends the process.
    pub(crate) fn new(store: Store, crash: Arc<Notify>) -> Self {
        Self { prefix: Prefix::new("hello"), store, stopped: Arc::default(), crash }
    }
}

#[async_trait]
impl Provider for Demo {
    fn schema(&self) -> Schema {
        Schema::new().attribute(Attribute::optional("prefix", Type::String))
    }

    fn validate(&self, config: &Object) -> Diagnostics {
        if config.get("prefix").and_then(Value::as_str) == Some("bad") {
            return Diagnostic::error("Bad prefix")
                .detail("greetings that begin badly cannot be received")
                .at("prefix")
                .into();
        }
        Diagnostics::default()
    }

    async fn configure(&self, terraform_version: &str, config: Object) -> Diagnostics {
        if let Some(prefix) = config.get("prefix").and_then(Value::as_str) {
            self.prefix.set(prefix);
        }
        tracing::info!(terraform_version, "provider configured");
        Diagnostics::default()
    }

    /// Wakes the waiting calls. Later calls, of another run with the same process, are not affected.
    fn stop(&self) {
        self.stopped.notify_waiters();
    }

    fn parts(&self) -> Parts {
        Parts::default()
            .resource("demo_thing", Thing::new(self.prefix.clone(), self.store.clone()))
            .data_source("demo_echo", Echo)
            .data_source("demo_describe", Describe)
            .data_source("demo_stdio", Stdio)
            .data_source("demo_log", Log)
            .data_source("demo_crash", Crash(Arc::clone(&self.crash)))
            .data_source("demo_panic", Panic)
            .data_source("demo_slow", Slow(Arc::clone(&self.stopped)))
            .ephemeral("demo_token", Token::new(self.store.clone()))
            .function("join", Join)
            .function("add", Add)
    }
}

impl Prefix {
    pub(crate) fn new(prefix: &str) -> Self {
        Self(Arc::new(RwLock::new(prefix.to_owned())))
    }

    pub(crate) fn get(&self) -> String {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, prefix: &str) {
        prefix.clone_into(&mut self.0.write().unwrap_or_else(PoisonError::into_inner));
    }
}
