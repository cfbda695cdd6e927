//! Brokered connections.

use std::time::Duration;

use serde_json::json;
use tokio::time::timeout;
use tonic::Status;

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
    let running = slot.running()?;
    let broker = running.broker()?;
    let calling = async {
        let host_calls = host_calls::serve(&broker).await?;
        request.broker_id = host_calls.id().0;
        let answer = running.kit().callback(within(deadline, request)).await?.into_inner();
        host_calls.stop().await;
        Ok(answer)
    };
    let answer = in_time(deadline, calling).await?;
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
    let running = slot.running()?;
    let broker = running.broker()?;
    let opening = async {
        let request = within(deadline, OpenSubRequest { label });
        let id = running.kit().open_sub(request).await?.into_inner().broker_id;
        let mut sub = OpenSub::dial(&broker, id).await?;
        let answer =
            json!({ "greeting": sub.greet("host").await?, "ticks": sub.ticks(n).await?, "broker_id": id });
        Ok((sub, answer))
    };
    let (sub, answer) = in_time(deadline, opening).await?;
    slot.subs.push(sub);
    Ok(answer)
}

pub(crate) async fn close_subs(slot: &mut Slot, fields: Fields) -> Result<Answer, Failure> {
    fields.end()?;
    let subs = std::mem::take(&mut slot.subs);
    let closed = subs.len();
    for sub in subs {
        in_time(DEADLINE, async { Ok(sub.close().await?) }).await?;
    }
    Ok(json!({ "closed": closed }))
}

/// Runs an operation on a brokered connection within its timeout.
async fn in_time<T>(
    deadline: Duration,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let late = || Status::deadline_exceeded("the operation did not finish in time").into();
    timeout(deadline, work).await.unwrap_or_else(|_| Err(late()))
}

fn deadline(fields: &mut Fields) -> Result<Duration, Failure> {
    Ok(fields.take("timeout_ms", None)?.map_or(DEADLINE, Duration::from_millis))
}

/// The default timeout.
const DEADLINE: Duration = Duration::from_secs(10);
