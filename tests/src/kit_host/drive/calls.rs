//! The calls of `Kit`, one function for each method.

use std::time::Duration;

use rpcplugin::PluginChannel;
use serde::Deserialize;
use serde_json::json;
use tokio_stream::iter;
use tonic::{Request, Status};

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
        SumRequest, WriteStdioRequest, kit_client::KitClient, log_field,
    },
};

/// Makes a call: the fields of its request and of its response have their names in the contract.
pub(crate) async fn call(
    method: &str,
    slots: &mut Slots,
    plugin: &str,
    mut fields: Fields,
) -> Result<Answer, Failure> {
    let timeout = Duration::from_millis(fields.take("timeout_ms", 10_000)?);
    let caller = Caller { slots, plugin, timeout };
    // This bounds streams too. The deadline of gRPC ends with the headers of the response.
    let late = |_| Status::deadline_exceeded("the call's deadline has passed");
    tokio::time::timeout(timeout, dispatch(method, caller, fields)).await.map_err(late)?
}

/// The plugin that is called, and the timeout of the call.
struct Caller<'s> {
    slots: &'s mut Slots,
    plugin: &'s str,
    timeout: Duration,
}

impl Caller<'_> {
    /// A client of the plugin, if it runs.
    fn kit(&mut self) -> Result<KitClient<PluginChannel>, Failure> {
        Ok(self.slots.get(self.plugin)?.running()?.kit())
    }

    fn request<T>(&self, message: T) -> Request<T> {
        within(self.timeout, message)
    }
}

async fn dispatch(method: &str, caller: Caller<'_>, fields: Fields) -> Result<Answer, Failure> {
    match method {
        "info" => info(caller, fields).await,
        "echo" => echo(caller, fields).await,
        "put" => put(caller, fields).await,
        "get" => get(caller, fields).await,
        "fail" => fail(caller, fields).await,
        "sleep" => sleep(caller, fields).await,
        "env" => env(caller, fields).await,
        "big" => big(caller, fields).await,
        "exit" => exit(caller, fields).await,
        "panic" => panic(caller, fields).await,
        "log_line" => log_line(caller, fields).await,
        "write_stdio" => write_stdio(caller, fields).await,
        "count" => count(caller, fields).await,
        "sum" => sum(caller, fields).await,
        "chat" => chat(caller, fields).await,
        unknown => Err(Failure::request(format!("the operation {unknown:?} is unknown"))),
    }
}

async fn info(mut caller: Caller<'_>, fields: Fields) -> Result<Answer, Failure> {
    fields.end()?;
    let answer = caller.kit()?.info(caller.request(InfoRequest {})).await?.into_inner();
    Ok(json!({
        "pid": answer.pid,
        "protocol_version": answer.protocol_version,
        "implementation": answer.implementation,
        "cancelled_calls": answer.cancelled_calls,
        "calls": answer.calls,
    }))
}

async fn echo(mut caller: Caller<'_>, mut fields: Fields) -> Result<Answer, Failure> {
    let request = EchoRequest { data: fields.bytes("data")? };
    fields.end()?;
    let answer = caller.kit()?.echo(caller.request(request)).await?.into_inner();
    Ok(json!({ "data": base64(answer.data) }))
}

async fn put(mut caller: Caller<'_>, mut fields: Fields) -> Result<Answer, Failure> {
    let key = fields.take("key", String::new())?;
    let request = PutRequest { key, value: fields.bytes("value")? };
    fields.end()?;
    let answer = caller.kit()?.put(caller.request(request)).await?.into_inner();
    Ok(json!({ "replaced": answer.replaced }))
}

async fn get(mut caller: Caller<'_>, mut fields: Fields) -> Result<Answer, Failure> {
    let request = GetRequest { key: fields.take("key", String::new())? };
    fields.end()?;
    let answer = caller.kit()?.get(caller.request(request)).await?.into_inner();
    Ok(json!({ "value": base64(answer.value) }))
}

async fn fail(mut caller: Caller<'_>, mut fields: Fields) -> Result<Answer, Failure> {
    let request = FailRequest {
        code: fields.take("code", 0)?,
        message: fields.take("message", String::new())?,
        note: fields.take("note", String::new())?,
    };
    fields.end()?;
    caller.kit()?.fail(caller.request(request)).await?;
    Ok(json!({}))
}

async fn sleep(mut caller: Caller<'_>, mut fields: Fields) -> Result<Answer, Failure> {
    let request = SleepRequest { ms: fields.take("ms", 0)? };
    fields.end()?;
    caller.kit()?.sleep(caller.request(request)).await?;
    Ok(json!({}))
}

async fn env(mut caller: Caller<'_>, mut fields: Fields) -> Result<Answer, Failure> {
    let request = EnvRequest { name: fields.take("name", String::new())? };
    fields.end()?;
    let answer = caller.kit()?.env(caller.request(request)).await?.into_inner();
    Ok(json!({ "present": answer.present, "value": answer.value }))
}

async fn big(mut caller: Caller<'_>, mut fields: Fields) -> Result<Answer, Failure> {
    let request = BigPayloadRequest { n: fields.take("n", 0)?, seed: fields.take("seed", 0)? };
    fields.end()?;
    let answer = caller.kit()?.big_payload(caller.request(request)).await?.into_inner();
    Ok(json!({ "data": base64(answer.data) }))
}

async fn exit(mut caller: Caller<'_>, mut fields: Fields) -> Result<Answer, Failure> {
    let request = ExitRequest { code: fields.take("code", 0)? };
    fields.end()?;
    caller.kit()?.exit(caller.request(request)).await?;
    Ok(json!({}))
}

async fn panic(mut caller: Caller<'_>, mut fields: Fields) -> Result<Answer, Failure> {
    let request = PanicRequest { message: fields.take("message", String::new())? };
    fields.end()?;
    caller.kit()?.panic(caller.request(request)).await?;
    Ok(json!({}))
}

async fn log_line(mut caller: Caller<'_>, mut fields: Fields) -> Result<Answer, Failure> {
    let log_fields: Vec<Field> = fields.take("fields", Vec::new())?;
    let request = LogLineRequest {
        level: fields.take("level", "info".to_owned())?,
        message: fields.take("message", String::new())?,
        module: fields.take("module", String::new())?,
        fields: log_fields.into_iter().map(LogField::try_from).collect::<Result<_, _>>()?,
    };
    fields.end()?;
    caller.kit()?.log_line(caller.request(request)).await?;
    Ok(json!({}))
}

async fn write_stdio(mut caller: Caller<'_>, mut fields: Fields) -> Result<Answer, Failure> {
    let request = WriteStdioRequest {
        stdout: fields.bytes("stdout")?.into(),
        stderr: fields.bytes("stderr")?.into(),
        raw_stderr: fields.bytes("raw_stderr")?.into(),
    };
    fields.end()?;
    caller.kit()?.write_stdio(caller.request(request)).await?;
    Ok(json!({}))
}

async fn count(mut caller: Caller<'_>, mut fields: Fields) -> Result<Answer, Failure> {
    let request = CountRequest {
        from: fields.take("from", 0)?,
        n: fields.take("n", 0)?,
        pad_bytes: fields.take("pad_bytes", 0)?,
        interval_us: fields.take("interval_us", 0)?,
    };
    fields.end()?;
    let mut stream = caller.kit()?.count(caller.request(request)).await?.into_inner();
    let mut values = Vec::new();
    while let Some(message) = stream.message().await? {
        values.push(message.value);
    }
    Ok(json!({ "values": values }))
}

async fn sum(mut caller: Caller<'_>, mut fields: Fields) -> Result<Answer, Failure> {
    let values: Vec<i64> = fields.take("values", Vec::new())?;
    fields.end()?;
    let requests = iter(values.into_iter().map(|value| SumRequest { value }));
    let answer = caller.kit()?.sum(caller.request(requests)).await?.into_inner();
    Ok(json!({ "sum": answer.sum, "count": answer.count }))
}

async fn chat(mut caller: Caller<'_>, mut fields: Fields) -> Result<Answer, Failure> {
    let texts: Vec<String> = fields.take("texts", Vec::new())?;
    fields.end()?;
    let messages = (0..).zip(texts).map(|(seq, text)| ChatMessage { seq, text });
    let mut stream = caller.kit()?.chat(caller.request(iter(messages))).await?.into_inner();
    let mut texts = Vec::new();
    while let Some(message) = stream.message().await? {
        texts.push(message.text);
    }
    Ok(json!({ "texts": texts }))
}

/// A field of a log record: its key, and a value named by its kind in the contract.
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
