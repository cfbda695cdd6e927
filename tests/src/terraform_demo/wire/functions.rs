//! Calls of functions.

use super::{Served, call_function, pb, sent};
use crate::terraform_demo::framework::{FunctionError, Provider, Signature};
use crate::terraform_demo::value::{Type, Value};

impl<P: Provider> Served<P> {
    pub(super) async fn call(&self, request: call_function::Request) -> call_function::Response {
        let Some(function) = self.functions.get(request.name.as_str()) else {
            let text = format!("this provider has no function {:?}", request.name);
            return failed(FunctionError { text, argument: None });
        };
        let called = arguments(&function.signature(), &request.arguments).and_then(|it| function.call(it));
        match called {
            Ok(result) => call_function::Response { result: Some(sent(&result)), error: None },
            Err(error) => failed(error),
        }
    }
}

impl Signature {
    pub(super) fn to_proto(&self) -> pb::Function {
        let parameter = |(name, ty): &(&str, Type)| pb::function::Parameter {
            name: (*name).to_owned(),
            r#type: ty.to_string().into_bytes(),
            ..Default::default()
        };
        pb::Function {
            parameters: self.parameters.iter().map(parameter).collect(),
            variadic_parameter: self.variadic.as_ref().map(parameter),
            r#return: Some(pb::function::Return { r#type: self.returns.to_string().into_bytes() }),
            summary: self.summary.to_owned(),
            ..Default::default()
        }
    }
}

/// The arguments, with the types of their parameters. The variadic parameter is the last.
fn arguments(signature: &Signature, sent: &[pb::DynamicValue]) -> Result<Vec<Value>, FunctionError> {
    let wanted = signature.parameters.len();
    if sent.len() < wanted || (sent.len() > wanted && signature.variadic.is_none()) {
        let text = format!("{wanted} arguments are required, not {}", sent.len());
        return Err(FunctionError { text, argument: None });
    }
    let types = signature.parameters.iter().chain(signature.variadic.iter().cycle()).map(|(_, ty)| ty);
    let read = |(number, (sent, ty))| match super::value(Some(sent), ty) {
        Ok(Value::Null | Value::Unknown) => Err(FunctionError::in_argument(number, "a value is required")),
        Ok(value) => Ok(value),
        Err(_) => Err(FunctionError::in_argument(number, format!("{ty} is required"))),
    };
    sent.iter().zip(types).enumerate().map(read).collect()
}

fn failed(error: FunctionError) -> call_function::Response {
    let argument = error.argument.and_then(|number| i64::try_from(number).ok());
    let error = pb::FunctionError { text: error.text, function_argument: argument };
    call_function::Response { result: None, error: Some(error) }
}
