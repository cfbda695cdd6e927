//! What a provider is made of, whatever version of the protocol it is served in.

use tonic::async_trait;

use super::diagnostics::{Diagnostic, Diagnostics, Path};
use super::schema::Schema;
use super::value::{Object, RawObject, Type, Value};

/// A provider: its own configuration, and the parts that it offers.
#[async_trait]
pub(crate) trait Provider: Send + Sync + 'static {
    /// What may stand in the `provider` block.
    fn schema(&self) -> Schema;

    /// Checks a configuration, of which parts may be unknown.
    fn validate(&self, config: &Object) -> Diagnostics;

    /// Takes the configuration, before any part is asked to do something.
    async fn configure(&self, terraform_version: &str, config: Object) -> Diagnostics;

    /// Makes whatever is under way return soon.
    fn stop(&self);

    /// Everything that the provider offers, by type name.
    fn parts(&self) -> Parts;
}

/// What a provider offers, by type name.
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

    /// Checks a configuration, of which parts may be unknown.
    fn validate(&self, config: &Object) -> Diagnostics;

    /// Brings state of an older version to the schema as it is now. What is still missing is added afterwards.
    fn upgrade(&self, version: i64, state: &mut RawObject);

    /// Says what applying would do.
    async fn plan(&self, change: Change) -> Result<Planned, Diagnostics>;

    /// Does what was planned.
    async fn apply(&self, change: Change) -> Result<Stored, Failed>;

    /// Looks at the thing as it is now.
    async fn read(&self, stored: Stored) -> Result<Stored, Diagnostics>;

    /// Takes over a thing that exists already.
    async fn import(&self, id: &str) -> Result<Stored, Diagnostics>;
}

/// From one state to another: a creation without the first, a destruction without the second.
#[derive(Debug, Clone)]
pub(crate) struct Change {
    pub(crate) prior: Option<Object>,
    /// While planning what the configuration asks for, and then what was planned.
    pub(crate) next: Option<Object>,
    /// While planning what was stored with the prior state, and then what the plan brought along.
    pub(crate) private: Vec<u8>,
}

/// What applying would do.
#[derive(Debug)]
pub(crate) struct Planned {
    pub(crate) state: Option<Object>,
    /// Attributes that cannot change in a thing that exists.
    pub(crate) requires_replace: Vec<Path>,
    /// For the resource's own use when the plan is applied.
    pub(crate) private: Vec<u8>,
}

/// A thing as it is, or none if it is gone.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub(crate) state: Option<Object>,
    /// For the resource's own use; Terraform keeps it beside the state.
    pub(crate) private: Vec<u8>,
}

/// Why a plan could not be applied, and how things are now.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) diagnostics: Diagnostics,
    pub(crate) left: Stored,
}

/// A thing that Terraform only looks at.
#[async_trait]
pub(crate) trait DataSource: Send + Sync {
    fn schema(&self) -> Schema;

    /// Fills in what the configuration leaves open.
    async fn read(&self, config: Object) -> Result<Object, Diagnostics>;
}

/// A thing that exists while Terraform runs and is stored nowhere.
#[async_trait]
pub(crate) trait EphemeralResource: Send + Sync {
    fn schema(&self) -> Schema;

    async fn open(&self, config: Object) -> Result<Opened, Diagnostics>;

    /// Ends what was opened, of which only the private bytes are known by now.
    async fn close(&self, private: &[u8]) -> Diagnostics;
}

/// An ephemeral thing.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) result: Object,
    pub(crate) private: Vec<u8>,
}

/// A function for expressions. It needs no configuration, and is called without one.
pub(crate) trait Function: Send + Sync {
    fn signature(&self) -> Signature;

    /// Computes. There are as many arguments as the signature says, none of them null or unknown.
    fn call(&self, arguments: Vec<Value>) -> Result<Value, FunctionError>;
}

/// What a function takes and gives.
#[derive(Debug, Clone)]
pub(crate) struct Signature {
    pub(crate) summary: &'static str,
    pub(crate) parameters: Vec<(&'static str, Type)>,
    /// Any number of further arguments.
    pub(crate) variadic: Option<(&'static str, Type)>,
    pub(crate) returns: Type,
}

/// Why a function gives no value.
#[derive(Debug, PartialEq)]
pub(crate) struct FunctionError {
    pub(crate) text: String,
    /// Which argument is to blame, counted from zero.
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

/// An error about one text attribute of a configuration is so common that it has a short form.
pub(crate) fn text<'o>(object: &'o Object, attribute: &str) -> Result<&'o str, Diagnostic> {
    let value = object.get(attribute).and_then(Value::as_str);
    value.ok_or_else(|| Diagnostic::error(format!("{attribute} is required")).at(attribute))
}
