//! A host for the providers of Terraform: shows the schema of a provider, and calls one of its functions.
//!
//! ```text
//! cargo run --example terraform-host -- PROVIDER [FUNCTION [ARGUMENT…]]
//! ```
//!
//! The provider is any provider of protocol 5 or 6, in any language. `cargo build --bin terraform-provider-demo` builds that
//! of this repository. Its functions are `add 0.1 0.2` and `join - a b c`.
//!
//! Three parts of this file are specific to Terraform: the cookie, the two versions, and the generated services.
#![expect(clippy::print_stdout, reason = "the program prints for people")]

use std::{collections::BTreeMap, env, path::PathBuf};

use miette::{IntoDiagnostic as _, Result, bail, miette};
use rpcplugin::{AppVersion, Command, Host, MagicCookie, Plugin, PluginChannel, Versions};

#[path = "terraform/proto.rs"]
mod proto;

use proto::tfplugin::{DynamicValue, Function, Schema, call_function, function::Parameter, get_schema};

/// The schema of a large provider has tens of megabytes. The default limit of a generated client is four.
const MAX_SCHEMA: usize = 64 << 20;

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = env::args().skip(1);
    let Some(program) = arguments.next().map(PathBuf::from) else {
        bail!("usage: terraform-host PROVIDER [FUNCTION [ARGUMENT…]]");
    };

    let host = Host::new(MagicCookie::terraform(), Versions::new([5, 6])?);
    let plugin = host.launch(Command::new(program)).await?;
    let mut provider = Provider::of(&plugin)?;
    let schema = provider.schema().await?;
    show(&plugin, &schema);

    if let Some(name) = arguments.next() {
        let Some(function) = schema.functions.get(&name) else {
            bail!("the provider has no function {name}")
        };
        let arguments: Vec<String> = arguments.collect();
        let result = provider.call(&name, function, &arguments).await?;
        println!("{name}({}) = {result}", arguments.join(", "));
    }
    println!("the provider {}", plugin.shut_down().await);
    Ok(())
}

/// The services of the two protocols. They differ only in the names of some calls.
enum Provider {
    Five(proto::tfplugin5::provider_client::ProviderClient<PluginChannel>),
    Six(proto::tfplugin6::provider_client::ProviderClient<PluginChannel>),
}

impl Provider {
    fn of(plugin: &Plugin) -> Result<Self> {
        use proto::{tfplugin5, tfplugin6};
        let channel = plugin.channel();
        match plugin.version() {
            AppVersion(5) => Ok(Self::Five(
                tfplugin5::provider_client::ProviderClient::new(channel)
                    .max_decoding_message_size(MAX_SCHEMA),
            )),
            AppVersion(6) => Ok(Self::Six(
                tfplugin6::provider_client::ProviderClient::new(channel)
                    .max_decoding_message_size(MAX_SCHEMA),
            )),
            version => bail!("version {version} was not requested"),
        }
    }

    async fn schema(&mut self) -> Result<get_schema::Response> {
        let request = get_schema::Request {};
        let answer = match self {
            Self::Five(client) => client.get_schema(request).await,
            Self::Six(client) => client.get_provider_schema(request).await,
        };
        Ok(answer.into_diagnostic()?.into_inner())
    }

    /// Calls a function with arguments from the command line.
    async fn call(&mut self, name: &str, function: &Function, arguments: &[String]) -> Result<String> {
        let parameters = function.parameters.iter().chain(function.variadic_parameter.iter().cycle());
        let arguments =
            arguments.iter().zip(parameters).map(|(argument, parameter)| argument_of(argument, parameter));
        let request = call_function::Request { name: name.to_owned(), arguments: arguments.collect() };
        let answer = match self {
            Self::Five(client) => client.call_function(request).await,
            Self::Six(client) => client.call_function(request).await,
        };
        match answer.into_diagnostic()?.into_inner() {
            call_function::Response { error: Some(error), .. } => Err(miette!("{name}: {}", error.text)),
            call_function::Response { result, .. } => text_of(&result.unwrap_or_default()),
        }
    }
}

/// Converts an argument: text for a parameter of type text, JSON for others.
fn argument_of(typed: &str, parameter: &Parameter) -> DynamicValue {
    let json = if parameter.r#type == b"\"string\"" {
        serde_json::Value::from(typed).to_string()
    } else {
        typed.to_owned()
    };
    DynamicValue { json: json.into_bytes(), msgpack: Vec::new() }
}

/// Returns the text of a value in either encoding.
fn text_of(value: &DynamicValue) -> Result<String> {
    if value.msgpack.is_empty() {
        return String::from_utf8(value.json.clone()).into_diagnostic();
    }
    let value = rmpv::decode::read_value(&mut value.msgpack.as_slice()).into_diagnostic()?;
    Ok(value.to_string())
}

fn show(plugin: &Plugin, schema: &get_schema::Response) {
    let security = if plugin.security().is_mutual() { "mutual TLS" } else { "no TLS" };
    println!("{}: protocol {}, {security}, {:.1?}", plugin.name(), plugin.version(), plugin.launch_time());
    let provider = schema.provider.iter().map(|schema| ("provider", schema));
    provider.for_each(|(name, schema)| println!("  {name}{}", attributes_of(schema)));
    for (kind, schemas) in [
        ("resource", &schema.resource_schemas),
        ("data source", &schema.data_source_schemas),
        ("ephemeral", &schema.ephemeral_resource_schemas),
    ] {
        for (name, schema) in schemas.iter().collect::<BTreeMap<_, _>>() {
            println!("  {kind} {name}{}", attributes_of(schema));
        }
    }
    for (name, function) in schema.functions.iter().collect::<BTreeMap<_, _>>() {
        let parameter = |it: &Parameter| format!("{} {}", it.name, type_of(&it.r#type));
        let mut parameters: Vec<String> = function.parameters.iter().map(parameter).collect();
        parameters.extend(function.variadic_parameter.iter().map(|it| parameter(it) + "…"));
        let result = function.r#return.iter().map(|it| type_of(&it.r#type)).collect::<String>();
        println!("  function {name}({}) {result}", parameters.join(", "));
    }
}

/// Returns the attributes and nested blocks of a schema, as `(name type, …, block { … })`.
fn attributes_of(schema: &Schema) -> String {
    let Some(block) = &schema.block else { return String::new() };
    let attributes = block.attributes.iter().map(|it| format!("{} {}", it.name, type_of(&it.r#type)));
    let blocks = block.block_types.iter().map(|it| format!("{} {{…}}", it.type_name));
    format!("({})", attributes.chain(blocks).collect::<Vec<_>>().join(", "))
}

/// Returns a type as it is sent, without the quotation marks.
fn type_of(json: &[u8]) -> String {
    String::from_utf8_lossy(json).replace('"', "")
}
