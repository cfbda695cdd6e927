//! Calls of `Kit`, each by the name of its method.

use std::time::Duration;

use serde::Deserialize;
use serde_json::json;
use tokio::time::timeout;
use tokio_stream::iter;
use tonic::Status;

use crate::{
    kit_host::{
        drive::{
            answer::{Answer, Failure, base64},
            request::Fields,
            slots::Slots,
        },
        status::within,
    },
    pb::{
        BigPayloadRequest, ChatMessage, CountRequest, EchoRequest, EnvRequest, ExitRequest, FailRequest,
        GetRequest, InfoRequest, LogField, LogLineRequest, PanicRequest, PutRequest, SleepRequest,
        SumRequest, WriteStdioRequest, log_field,
    },
};

/// Makes a call, with the fields of its request by their names in the contract, and gives those of its response.
pub(crate) async fn call(
    method: &str,
    slots: &mut Slots,
    plugin: &str,
    mut fields: Fields,
) -> Result<Answer, Failure> {
    let deadline = Duration::from_millis(fields.take("timeout_ms", 10_000)?);
    // A stream is bounded here: gRPC's own deadline ends with the response's headers.
    let late = |_| Status::deadline_exceeded("the call's deadline has passed");
    timeout(deadline, unbounded(method, slots, plugin, fields, deadline)).await.map_err(late)?
}

async fn unbounded(
    method: &str,
    slots: &mut Slots,
    plugin: &str,
    mut fields: Fields,
    deadline: Duration,
) -> Result<Answer, Failure> {
    match method {
        "info" => {
            fields.end()?;
            let mut kit = slots.get(plugin)?.running()?.kit();
            let answer = kit.info(within(deadline, InfoRequest {})).await?.into_inner();
            Ok(json!({
                "pid": answer.pid,
                "protocol_version": answer.protocol_version,
                "implementation": answer.implementation,
                "cancelled_calls": answer.cancelled_calls,
                "calls": answer.calls,
            }))
        }
        "echo" => {
            let request = EchoRequest { data: fields.bytes("data")? };
            fields.end()?;
            let mut kit = slots.get(plugin)?.running()?.kit();
            let answer = kit.echo(within(deadline, request)).await?.into_inner();
            Ok(json!({ "data": base64(answer.data) }))
        }
        "put" => {
            let key = fields.take("key", String::new())?;
            let request = PutRequest { key, value: fields.bytes("value")? };
            fields.end()?;
            let mut kit = slots.get(plugin)?.running()?.kit();
            let answer = kit.put(within(deadline, request)).await?.into_inner();
            Ok(json!({ "replaced": answer.replaced }))
        }
        "get" => {
            let request = GetRequest { key: fields.take("key", String::new())? };
            fields.end()?;
            let mut kit = slots.get(plugin)?.running()?.kit();
            let answer = kit.get(within(deadline, request)).await?.into_inner();
            Ok(json!({ "value": base64(answer.value) }))
        }
        "fail" => {
            let request = FailRequest {
                code: fields.take("code", 0)?,
                message: fields.take("message", String::new())?,
                note: fields.take("note", String::new())?,
            };
            fields.end()?;
            slots.get(plugin)?.running()?.kit().fail(within(deadline, request)).await?;
            Ok(json!({}))
        }
        "sleep" => {
            let request = SleepRequest { ms: fields.take("ms", 0)? };
            fields.end()?;
            slots.get(plugin)?.running()?.kit().sleep(within(deadline, request)).await?;
            Ok(json!({}))
        }
        "env" => {
            let request = EnvRequest { name: fields.take("name", String::new())? };
            fields.end()?;
            let answer =
                slots.get(plugin)?.running()?.kit().env(within(deadline, request)).await?.into_inner();
            Ok(json!({ "present": answer.present, "value": answer.value }))
        }
        "big" => {
            let request = BigPayloadRequest { n: fields.take("n", 0)?, seed: fields.take("seed", 0)? };
            fields.end()?;
            let mut kit = slots.get(plugin)?.running()?.kit();
            let answer = kit.big_payload(within(deadline, request)).await?.into_inner();
            Ok(json!({ "data": base64(answer.data) }))
        }
        "exit" => {
            let request = ExitRequest { code: fields.take("code", 0)? };
            fields.end()?;
            slots.get(plugin)?.running()?.kit().exit(within(deadline, request)).await?;
            Ok(json!({}))
        }
        "panic" => {
            let request = PanicRequest { message: fields.take("message", String::new())? };
            fields.end()?;
            slots.get(plugin)?.running()?.kit().panic(within(deadline, request)).await?;
            Ok(json!({}))
        }
        "log_line" => {
            let log_fields: Vec<Field> = fields.take("fields", Vec::new())?;
            let request = LogLineRequest {
                level: fields.take("level", "info".to_owned())?,
                message: fields.take("message", String::new())?,
                module: fields.take("module", String::new())?,
                fields: log_fields.into_iter().map(LogField::try_from).collect::<Result<_, _>>()?,
            };
            fields.end()?;
            slots.get(plugin)?.running()?.kit().log_line(within(deadline, request)).await?;
            Ok(json!({}))
        }
        "write_stdio" => {
            let request = WriteStdioRequest {
                stdout: fields.bytes("stdout")?.into(),
                stderr: fields.bytes("stderr")?.into(),
                raw_stderr: fields.bytes("raw_stderr")?.into(),
            };
            fields.end()?;
            slots.get(plugin)?.running()?.kit().write_stdio(within(deadline, request)).await?;
            Ok(json!({}))
        }
        "count" => {
            let request = CountRequest {
                from: fields.take("from", 0)?,
                n: fields.take("n", 0)?,
                pad_bytes: fields.take("pad_bytes", 0)?,
                interval_us: fields.take("interval_us", 0)?,
            };
            fields.end()?;
            let mut kit = slots.get(plugin)?.running()?.kit();
            let mut stream = kit.count(within(deadline, request)).await?.into_inner();
            let mut values = Vec::new();
            while let Some(message) = stream.message().await? {
                values.push(message.value);
            }
            Ok(json!({ "values": values }))
        }
        "sum" => {
            let values: Vec<i64> = fields.take("values", Vec::new())?;
            fields.end()?;
            let requests = iter(values.into_iter().map(|value| SumRequest { value }));
            let mut kit = slots.get(plugin)?.running()?.kit();
            let answer = kit.sum(within(deadline, requests)).await?.into_inner();
            Ok(json!({ "sum": answer.sum, "count": answer.count }))
        }
        "chat" => {
            let texts: Vec<String> = fields.take("texts", Vec::new())?;
            fields.end()?;
            let messages = (0..).zip(texts).map(|(seq, text)| ChatMessage { seq, text });
            let mut kit = slots.get(plugin)?.running()?.kit();
            let mut stream = kit.chat(within(deadline, iter(messages))).await?.into_inner();
            let mut texts = Vec::new();
            while let Some(message) = stream.message().await? {
                texts.push(message.text);
            }
            Ok(json!({ "texts": texts }))
        }
        unknown => Err(Failure::request(format!("the operation {unknown:?} is unknown"))),
    }
}

/// One field of a log line: its key, and one of the kinds of values by its name in the contract.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Field {
    key: String,
    text: Option<String>,
    number: Option<i64>,
    flag: Option<bool>,
    real: Option<f64>,
}

impl TryFrom<Field> for LogField {
    type Error = Failure;

    fn try_from(field: Field) -> Result<Self, Failure> {
        use log_field::Value;
        let Field { key, text, number, flag, real } = field;
        let values =
            [text.map(Value::Text), number.map(Value::Number), flag.map(Value::Flag), real.map(Value::Real)];
        let mut values = values.into_iter().flatten();
        let value = values.next();
        if values.next().is_some() {
            return Err(Failure::request(format!("the field {key:?} has more than one value")));
        }
        Ok(Self { key, value })
    }
}
