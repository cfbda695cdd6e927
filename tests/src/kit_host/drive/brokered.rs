//! Side connections.

use std::time::Duration;

use serde_json::json;

use crate::{
    kit_host::{
        drive::{
            answer::{Answer, Failure, base64},
            request::Fields,
            slots::Slot,
        },
        host_calls,
        status::within,
        subs::OpenSub,
    },
    pb::{CallbackRequest, OpenSubRequest},
};

pub(crate) async fn callback(slot: &Slot, mut fields: Fields) -> Result<Answer, Failure> {
    let deadline = deadline(&mut fields)?;
    let mut request = CallbackRequest {
        calls: fields.take("calls", 1)?,
        data: fields.bytes("data")?.into(),
        nested: fields.take("nested", false)?,
        broker_id: 0,
    };
    fields.end()?;
    let host_calls = host_calls::serve(&slot.running()?.broker()?).await?;
    request.broker_id = host_calls.id().0;
    let answer = slot.running()?.kit().callback(within(deadline, request)).await?.into_inner();
    host_calls.stop().await;
    let results: Vec<_> = answer.results.iter().map(base64).collect();
    Ok(json!({
        "results": results,
        "greeting": answer.greeting,
        "first_answer_us": answer.first_answer_us,
    }))
}

pub(crate) async fn open_sub(slot: &mut Slot, mut fields: Fields) -> Result<Answer, Failure> {
    let deadline = deadline(&mut fields)?;
    let label = fields.take("label", String::new())?;
    let n = fields.take("ticks", 0)?;
    fields.end()?;
    let opened =
        slot.running()?.kit().open_sub(within(deadline, OpenSubRequest { label })).await?.into_inner();
    let mut sub = OpenSub::dial(&slot.running()?.broker()?, opened.broker_id).await?;
    let (greeting, ticks) = (sub.greet("host").await?, sub.ticks(n).await?);
    slot.subs.push(sub);
    Ok(json!({ "greeting": greeting, "ticks": ticks, "broker_id": opened.broker_id }))
}

pub(crate) async fn close_subs(slot: &mut Slot, fields: Fields) -> Result<Answer, Failure> {
    fields.end()?;
    let subs = std::mem::take(&mut slot.subs);
    let closed = subs.len();
    for sub in subs {
        sub.close().await?;
    }
    Ok(json!({ "closed": closed }))
}

fn deadline(fields: &mut Fields) -> Result<Duration, Failure> {
    Ok(Duration::from_millis(fields.take("timeout_ms", 10_000)?))
}
