//! The traits of a provider, independent of the version of the protocol.

use tonic::async_trait;

use super::diagnostics::{Diagnostic, Diagnostics, Path};
use super::schema::Schema;
use super::value::{Object, RawObject, Type, Value};

/// A provider: its configuration and its parts.
#[async_trait]
pub(crate) trait Provider: Send + Sync + 'static {
    /// The schema of the `provider` block.
    fn schema(&self) -> Schema;

    /// Checks a configuration. Parts of it may be unknown.
    fn validate(&self, config: &Object) -> Diagnostics;

    /// Applies the configuration, before any part is used.
    async fn configure(&self, terraform_version: &str, config: Object) -> Diagnostics;

    /// Makes operations in flight return soon.
    fn stop(&self);

    /// The parts of the provider, by type name.
    fn parts(&self) -> Parts;
}

/// The parts of a provider, by type name.
#[derive(Default)]
pub(crate) struct Parts {
    pub(crate) resources: Vec<(&'static str, Box<dyn Resource>)>,
    pub(crate) data_sources: Vec<(&'static str, Box<dyn DataSource>)>,
    pub(crate) ephemeral: Vec<(&'static str, Box<dyn EphemeralResource>)>,
    pub(crate) functions: Vec<(&'static str, Box<dyn Function>)>,
}

/// A thing that Terraform creates, changes and destroys.
#[async_trait]
pub(crate) trait Resource: Send + Sync {
    fn schema(&self) -> Schema;

    /// Checks a configuration. Parts of it may be unknown.
    fn validate(&self, config: &Object) -> Diagnostics;

    /// Upgrades state of an older version to the current schema. Missing values are added afterwards.
    fn upgrade(&self, version: i64, state: &mut RawObject);

    /// Plans a change.
    async fn plan(&self, change: Change) -> Result<Planned, Diagnostics>;

    /// Applies a planned change.
    async fn apply(&self, change: Change) -> Result<Stored, Failed>;

    /// Reads the current state of the thing.
    async fn read(&self, stored: Stored) -> Result<Stored, Diagnostics>;

    /// Imports a thing that exists.
    async fn import(&self, id: &str) -> Result<Stored, Diagnostics>;
}

/// A change from one state to another: a creation has no first state, a destruction no second.
#[derive(Debug, Clone)]
pub(crate) struct Change {
    pub(crate) prior: Option<Object>,
    /// The configured state while planning, and the planned state while applying.
    pub(crate) next: Option<Object>,
    /// The private bytes of the prior state while planning, and those of the plan while applying.
    pub(crate) private: Vec<u8>,
}

/// A planned change.
#[derive(Debug)]
pub(crate) struct Planned {
    pub(crate) state: Option<Object>,
    /// The attributes whose change requires a new thing.
    pub(crate) requires_replace: Vec<Path>,
    /// Private bytes of the resource, for the apply.
    pub(crate) private: Vec<u8>,
}

/// The state of a thing; `None` if the thing is gone.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub(crate) state: Option<Object>,
    /// Private bytes of the resource, which Terraform stores with the state.
    pub(crate) private: Vec<u8>,
}

/// The reason why a plan could not be applied, and the current state.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) diagnostics: Diagnostics,
    pub(crate) left: Stored,
}

/// A thing that Terraform only reads.
#[async_trait]
pub(crate) trait DataSource: Send + Sync {
    fn schema(&self) -> Schema;

    /// Reads the values that the configuration does not set.
    async fn read(&self, config: Object) -> Result<Object, Diagnostics>;
}

/// A thing that exists while Terraform runs, and is not stored.
#[async_trait]
pub(crate) trait EphemeralResource: Send + Sync {
    fn schema(&self) -> Schema;

    async fn open(&self, config: Object) -> Result<Opened, Diagnostics>;

    /// Closes the thing with these private bytes.
    async fn close(&self, private: &[u8]) -> Diagnostics;
}

/// An ephemeral thing.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) result: Object,
    pub(crate) private: Vec<u8>,
}

/// A function for expressions, which is called without a configuration.
pub(crate) trait Function: Send + Sync {
    fn signature(&self) -> Signature;

    /// Computes the value. The number of arguments fits the signature, and no argument is null or unknown.
    fn call(&self, arguments: Vec<Value>) -> Result<Value, FunctionError>;
}

/// The parameters and the result of a function.
#[derive(Debug, Clone)]
pub(crate) struct Signature {
    pub(crate) summary: &'static str,
    pub(crate) parameters: Vec<(&'static str, Type)>,
    /// Any number of further arguments.
    pub(crate) variadic: Option<(&'static str, Type)>,
    pub(crate) returns: Type,
}

/// The reason why a function has no value.
#[derive(Debug, PartialEq)]
pub(crate) struct FunctionError {
    pub(crate) text: String,
    /// The wrong argument, counted from zero.
    pub(crate) argument: Option<usize>,
}

impl Parts {
    pub(crate) fn resource(mut self, name: &'static str, resource: impl Resource + 'static) -> Self {
        self.resources.push((name, Box::new(resource)));
        self
    }

    pub(crate) fn data_source(mut self, name: &'static str, source: impl DataSource + 'static) -> Self {
        self.data_sources.push((name, Box::new(source)));
        self
    }

    pub(crate) fn ephemeral(
        mut self,
        name: &'static str,
        resource: impl EphemeralResource + 'static,
    ) -> Self {
        self.ephemeral.push((name, Box::new(resource)));
        self
    }

    pub(crate) fn function(mut self, name: &'static str, function: impl Function + 'static) -> Self {
        self.functions.push((name, Box::new(function)));
        self
    }
}

impl FunctionError {
    /// An error about the argument of this number, counted from zero.
    pub(crate) fn in_argument(argument: usize, text: impl Into<String>) -> Self {
        Self { text: text.into(), argument: Some(argument) }
    }
}

/// The value of a required text attribute.
pub(crate) fn text<'o>(object: &'o Object, attribute: &str) -> Result<&'o str, Diagnostic> {
    let value = object.get(attribute).and_then(Value::as_str);
    value.ok_or_else(|| Diagnostic::error(format!("{attribute} is required")).at(attribute))
}
