//! Messages as JSON. The modules are those of the program.

#[path = "../../../crates/cli/src/protojson/dynamic_value.rs"]
mod dynamic_value;
#[path = "../../../crates/cli/src/protojson/fault.rs"]
mod fault;
#[path = "../../../crates/cli/src/protojson/field.rs"]
mod field;
#[path = "../../../crates/cli/src/protojson/key.rs"]
mod key;
#[path = "../../../crates/cli/src/protojson/known.rs"]
mod known;
#[path = "../../../crates/cli/src/protojson/number.rs"]
mod number;
#[path = "../../../crates/cli/src/protojson/read.rs"]
mod read;
#[path = "../../../crates/cli/src/protojson/text.rs"]
mod text;
#[path = "../../../crates/cli/src/protojson/types.rs"]
mod types;
#[path = "../../../crates/cli/src/protojson/wire.rs"]
mod wire;
#[path = "../../../crates/cli/src/protojson/write.rs"]
mod write;

use prost_reflect::MessageDescriptor;
use serde_json::value::RawValue;

use self::{dynamic_value::Encoding, write::Style};
pub(crate) use self::{fault::Fault, types::Types};

/// Reads a message, as the program does on its own stack.
pub(crate) fn read(text: &[u8], message: &MessageDescriptor, types: &Types) -> Result<Vec<u8>, Fault> {
    read::read(text, message, types, SHALLOW)
}

/// Writes a message, as the program does on its own stack.
pub(crate) fn write(
    bytes: &[u8],
    message: &MessageDescriptor,
    types: &Types,
) -> Result<Box<RawValue>, Fault> {
    write::write(bytes, message, types, Style { pretty: false, defaults: false }, SHALLOW)
}

/// Reads a value of Terraform in MessagePack. Returns it, if it could be read.
pub(crate) fn terraform_value(bytes: &[u8]) -> Option<serde_json::Value> {
    Encoding::MessagePack.read(bytes)
}

/// The depth of messages on the stack of the caller, as in the program. Deeper messages get a thread there.
const SHALLOW: usize = 64;
