//! What the program reads. What is written is read as the same, and the division of bytes makes no difference.

use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor};

use crate::{
    commands::{replay, tap},
    input::{Input, text},
    protojson::{self, Types},
    schema, trust,
};

/// The length of encoded descriptors, the descriptors, and a message that they may describe.
pub(crate) fn descriptors(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let set = input.long_piece();
    let answer = input.rest();
    let Some(pool) = schema::describe(set) else { return };
    for message in pool.all_messages() {
        let Ok(read) = DynamicMessage::decode(message.clone(), answer) else { continue };
        let again = DynamicMessage::decode(message, read.encode_to_vec().as_slice());
        assert!(again.is_ok(), "a message that is written can be read");
    }
}

/// The type of a message, and its JSON or its bytes.
pub(crate) fn json_requests(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let (kind, from_json) = (usize::from(input.byte()), input.flag());
    let message = message(kind);
    let types = Types::new(message.parent_pool());
    let encoded = if from_json {
        match protojson::read(input.rest(), &message, &types) {
            Ok(encoded) => encoded,
            Err(fault) => return assert!(!fault.to_string().is_empty()),
        }
    } else {
        input.rest().to_vec()
    };
    let Ok(json) = protojson::write(&encoded, &message, &types) else {
        // A message has no JSON form if, for example, its time is out of range. What was read from JSON has one.
        return assert!(!from_json, "what was read as JSON can be written");
    };
    let Ok(again) = protojson::read(json.get().as_bytes(), &message, &types) else {
        // An `Any` of an unknown type, unknown fields and invalid text are written so that a person sees them.
        return assert!(!from_json || json.get().contains("@type"), "what was written can be read: {json}");
    };
    let twice = protojson::write(&again, &message, &types).expect("what was read can be written");
    assert_eq!(twice.get(), json.get());
}

/// One of some messages with every kind of field.
fn message(kind: usize) -> MessageDescriptor {
    let names = [
        "google.protobuf.FileDescriptorProto",
        "google.protobuf.Struct",
        "google.protobuf.Any",
        "google.protobuf.Timestamp",
        "google.protobuf.Duration",
        "google.protobuf.FieldMask",
        "google.protobuf.Value",
        "google.protobuf.DoubleValue",
        "google.protobuf.Int64Value",
        "google.protobuf.BytesValue",
        "google.protobuf.Type",
    ];
    let name = names[kind % names.len()];
    DescriptorPool::global().get_message_by_name(name).expect("a well-known type")
}

/// A lock file.
pub(crate) fn lock_file(bytes: &[u8]) {
    trust::read_and_write(&text(bytes));
}

/// A recording.
pub(crate) fn recording(bytes: &[u8]) {
    replay::runs(&text(bytes));
}

/// Pieces with their directions, in turns, each with its length.
pub(crate) fn tap_http2(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let mut pieces = Vec::new();
    while !input.is_empty() {
        let is_client = input.flag();
        pieces.push((is_client, input.piece()));
    }
    let whole = tap::calls(pieces.iter().copied());
    let cut = pieces.iter().flat_map(|(is_client, piece)| piece.chunks(3).map(move |cut| (*is_client, cut)));
    assert_eq!(tap::calls(cut), whole, "the division of the bytes makes no difference");
}

/// A message of the broker, which may be a value of Terraform too.
pub(crate) fn tap_messages(bytes: &[u8]) {
    tap::broker_message(bytes);
    if let Some(value) = protojson::terraform_value(bytes) {
        // Each byte of the value takes a bounded number of characters.
        assert!(value.to_string().len() <= 64 + bytes.len() * 32, "a value grows without bound");
    }
}
