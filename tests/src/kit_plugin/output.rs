//! The output and the log of the plugin.

use std::io::{self, Write};

use rpcplugin::{
    hclog::{Level, Record, Sink as _},
    plugin::OriginalStderr,
};
use tokio::task::spawn_blocking;
use tonic::Status;

use crate::pb::{LogLineRequest, WriteStdioRequest, log_field::Value};

/// Writes the three streams in order, and flushes them.
pub(crate) async fn write_stdio(stderr: OriginalStderr, request: WriteStdioRequest) -> Result<(), Status> {
    // A host that reads slowly blocks these writes. They must not block other calls.
    let writing = spawn_blocking(move || {
        write(&mut io::stdout(), &request.stdout)?;
        write(&mut io::stderr(), &request.stderr)?;
        if !request.raw_stderr.is_empty() {
            stderr.write_line(&request.raw_stderr);
        }
        Ok(())
    });
    let written: io::Result<()> = writing.await.map_err(|error| Status::internal(error.to_string()))?;
    written.map_err(|error| Status::internal(format!("the output cannot be written: {error}")))
}

/// Writes one record to the log of the plugin, unless its level is below the minimum.
pub(crate) fn log_line(stderr: &OriginalStderr, least: Level, request: LogLineRequest) -> Result<(), Status> {
    let level = Level::parse(&request.level)
        .ok_or_else(|| Status::invalid_argument(format!("unknown level: {}", request.level)))?;
    if level < least {
        return Ok(());
    }
    let module = if request.module.is_empty() { OWN_MODULE.to_owned() } else { request.module };
    let mut record = Record::new(level, request.message).with_module(module);
    for field in request.fields {
        record = match field.value {
            Some(Value::Text(text)) => record.with_field(field.key, text),
            Some(Value::Number(number)) => record.with_field(field.key, number),
            Some(Value::Flag(flag)) => record.with_field(field.key, flag),
            Some(Value::Real(real)) => record.with_field(field.key, real),
            None => record.with_field(field.key, serde_json::Value::Null),
        };
    }
    record.write_to(stderr);
    Ok(())
}

fn write(to: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    to.write_all(bytes)?;
    to.flush()
}

const OWN_MODULE: &str = "kit";
