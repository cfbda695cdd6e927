//! Types, and their JSON form: `"string"`, `["list","number"]`, `["object",{"a":"bool"}]`.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Value as Json, json};

/// A type of Terraform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Type {
    String,
    Number,
    Bool,
    /// Any type. The value has its own type.
    Dynamic,
    List(Box<Self>),
    Set(Box<Self>),
    Map(Box<Self>),
    Object(BTreeMap<String, Self>),
    Tuple(Vec<Self>),
}

/// The reason why a text is not a type.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TypeError {
    #[error("the type is not JSON")]
    Json(#[from] serde_json::Error),
    #[error("unknown type {0}")]
    Unknown(Json),
}

impl Type {
    pub(crate) fn list(element: Self) -> Self {
        Self::List(Box::new(element))
    }

    pub(crate) fn map(element: Self) -> Self {
        Self::Map(Box::new(element))
    }

    /// Reads the JSON form.
    pub(crate) fn parse(json: &[u8]) -> Result<Self, TypeError> {
        Self::read(&serde_json::from_slice(json)?)
    }

    fn read(json: &Json) -> Result<Self, TypeError> {
        let unknown = || TypeError::Unknown(json.clone());
        if let Some(name) = json.as_str() {
            return match name {
                "string" => Ok(Self::String),
                "number" => Ok(Self::Number),
                "bool" => Ok(Self::Bool),
                "dynamic" => Ok(Self::Dynamic),
                _ => Err(unknown()),
            };
        }
        let parts = json.as_array().map(Vec::as_slice).unwrap_or_default();
        match parts {
            [Json::String(kind), element] if kind == "list" => Ok(Self::list(Self::read(element)?)),
            [Json::String(kind), element] if kind == "set" => Ok(Self::Set(Box::new(Self::read(element)?))),
            [Json::String(kind), element] if kind == "map" => Ok(Self::map(Self::read(element)?)),
            [Json::String(kind), Json::Array(elements)] if kind == "tuple" => {
                Ok(Self::Tuple(elements.iter().map(Self::read).collect::<Result<_, _>>()?))
            }
            // The third element lists the optional attributes. Values have all attributes.
            [Json::String(kind), Json::Object(attributes), ..] if kind == "object" && parts.len() <= 3 => {
                let read = |(name, ty): (&String, &Json)| Ok((name.clone(), Self::read(ty)?));
                Ok(Self::Object(attributes.iter().map(read).collect::<Result<_, TypeError>>()?))
            }
            _ => Err(unknown()),
        }
    }

    fn to_json(&self) -> Json {
        match self {
            Self::String => json!("string"),
            Self::Number => json!("number"),
            Self::Bool => json!("bool"),
            Self::Dynamic => json!("dynamic"),
            Self::List(element) => json!(["list", element.to_json()]),
            Self::Set(element) => json!(["set", element.to_json()]),
            Self::Map(element) => json!(["map", element.to_json()]),
            Self::Object(attributes) => {
                let attributes: serde_json::Map<_, _> =
                    attributes.iter().map(|(name, ty)| (name.clone(), ty.to_json())).collect();
                json!(["object", attributes])
            }
            Self::Tuple(elements) => json!(["tuple", elements.iter().map(Self::to_json).collect::<Vec<_>>()]),
        }
    }
}

/// The JSON form, without blanks.
impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_json().fmt(f)
    }
}
