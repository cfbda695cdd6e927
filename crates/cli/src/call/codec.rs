//! Messages whose types are known at run time, as tonic sends and receives them.

use prost::Message as _;
use prost_reflect::{DynamicMessage, MessageDescriptor};
use tonic::{
    Status,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
};

/// Sends any messages, and receives those of one type.
#[derive(Debug)]
pub(super) struct DynamicCodec {
    receives: MessageDescriptor,
}

/// Writes messages.
#[derive(Debug)]
pub(super) struct DynamicEncoder;

/// Reads messages of one type.
#[derive(Debug)]
pub(super) struct DynamicDecoder(MessageDescriptor);

impl DynamicCodec {
    pub(super) fn new(receives: MessageDescriptor) -> Self {
        Self { receives }
    }
}

impl Codec for DynamicCodec {
    type Encode = DynamicMessage;
    type Decode = DynamicMessage;
    type Encoder = DynamicEncoder;
    type Decoder = DynamicDecoder;

    fn encoder(&mut self) -> DynamicEncoder {
        DynamicEncoder
    }

    fn decoder(&mut self) -> DynamicDecoder {
        DynamicDecoder(self.receives.clone())
    }
}

impl Encoder for DynamicEncoder {
    type Item = DynamicMessage;
    type Error = Status;

    fn encode(&mut self, message: DynamicMessage, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        message.encode(buffer).map_err(|error| Status::internal(error.to_string()))
    }
}

impl Decoder for DynamicDecoder {
    type Item = DynamicMessage;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<DynamicMessage>, Status> {
        DynamicMessage::decode(self.0.clone(), buffer)
            .map(Some)
            .map_err(|error| Status::internal(format!("the answer is no {}: {error}", self.0.full_name())))
    }
}
