//! A request: the operation, the plugin and the fields.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use crate::kit_host::drive::answer::Failure;

/// One line of input.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) op: String,
    /// The handle of the plugin.
    pub(crate) plugin: String,
    pub(crate) fields: Fields,
}

/// The fields of a request. Each is taken once, and no field may be left at the end.
#[derive(Debug)]
pub(crate) struct Fields(Map<String, Value>);

/// Bytes as base64.
#[derive(Debug, Default, Deserialize)]
#[serde(try_from = "String")]
struct Base64(Vec<u8>);

impl Request {
    pub(crate) fn parse(line: &[u8]) -> Result<Self, Failure> {
        let fields: Map<String, Value> = serde_json::from_slice(line)
            .map_err(|error| Failure::request(format!("not a JSON object: {error}")))?;
        let mut fields = Fields(fields);
        let op = fields.required("op")?;
        let plugin = fields.take("plugin", "p".to_owned())?;
        Ok(Self { op, plugin, fields })
    }
}

impl Fields {
    /// The value of an optional field. A null counts as missing.
    pub(crate) fn take<T: DeserializeOwned>(&mut self, name: &str, default: T) -> Result<T, Failure> {
        match self.0.remove(name) {
            None | Some(Value::Null) => Ok(default),
            Some(value) => serde_json::from_value(value)
                .map_err(|error| Failure::request(format!("the field {name:?} is wrong: {error}"))),
        }
    }

    /// The value of a required field.
    pub(crate) fn required<T: DeserializeOwned>(&mut self, name: &str) -> Result<T, Failure> {
        let missing = || Failure::request(format!("the field {name:?} is missing"));
        self.take(name, None)?.ok_or_else(missing)
    }

    /// The bytes of a field, empty if it is missing.
    pub(crate) fn bytes(&mut self, name: &str) -> Result<Bytes, Failure> {
        Ok(self.take(name, Base64::default())?.0.into())
    }

    /// Fails if a field has not been taken, because it is unknown.
    pub(crate) fn end(self) -> Result<(), Failure> {
        match self.0.keys().next() {
            None => Ok(()),
            Some(name) => Err(Failure::request(format!("the field {name:?} is unknown"))),
        }
    }
}

impl TryFrom<String> for Base64 {
    type Error = base64::DecodeError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        BASE64_STANDARD.decode(text).map(Self)
    }
}
