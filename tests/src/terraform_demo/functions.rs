//! The functions `join` and `add`.

use super::framework::{Function, FunctionError, Signature};
use super::value::{Type, Value};

/// `join(sep, parts...)`: the parts with `sep` between them.
pub(crate) struct Join;

/// `add(a, b)`: the sum, exact to the last digit.
pub(crate) struct Add;

impl Function for Join {
    fn signature(&self) -> Signature {
        Signature {
            summary: "Joins texts",
            parameters: vec![("sep", Type::String)],
            variadic: Some(("parts", Type::String)),
            returns: Type::String,
        }
    }

    fn call(&self, arguments: Vec<Value>) -> Result<Value, FunctionError> {
        let texts: Vec<&str> = arguments.iter().filter_map(Value::as_str).collect();
        match texts.as_slice() {
            ["!", ..] => Err(FunctionError::in_argument(0, "separator must not be an exclamation mark")),
            [separator, parts @ ..] => Ok(parts.join(separator).into()),
            [] => Err(FunctionError::in_argument(0, "a separator is required")),
        }
    }
}

impl Function for Add {
    fn signature(&self) -> Signature {
        Signature {
            summary: "Adds two numbers",
            parameters: vec![("a", Type::Number), ("b", Type::Number)],
            variadic: None,
            returns: Type::Number,
        }
    }

    fn call(&self, arguments: Vec<Value>) -> Result<Value, FunctionError> {
        match <[Value; 2]>::try_from(arguments) {
            Ok([Value::Number(a), Value::Number(b)]) => Ok(Value::Number(a + b)),
            _ => Err(FunctionError { text: "two numbers are required".to_owned(), argument: None }),
        }
    }
}
