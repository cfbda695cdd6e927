//! Calls that fail, and calls that are cancelled.

use std::time::{Duration, Instant};

use http::uri::PathAndQuery;
use prost::Message as _;
use tokio::{task::yield_now, time::timeout};
use tonic::{Code, Request};

use crate::{
    contract::FAIL_DETAIL,
    kit_host::{
        check::{
            run::{Check, shared},
            subject::{NOTICED, Subject},
            verdict::{Verdict, expect, fail, same},
        },
        status::{details, within},
    },
    pb::{FailDetail, FailRequest, InfoRequest, InfoResponse, SleepRequest},
};

pub(crate) const CHECKS: &[Check] = &[
    shared!("fail-codes", fail_codes),
    shared!("fail-details", fail_details),
    shared!("fail-long-message", fail_long_message),
    shared!("unknown-method", unknown_method),
    shared!("unknown-service", unknown_service),
    shared!("deadline", deadline),
    shared!("deadline-long-enough", deadline_long_enough),
    shared!("cancel", cancel),
];

async fn fail_codes(subject: &Subject) -> Verdict {
    let fine = FailRequest { code: 0, message: "not used".to_owned(), note: String::new() };
    subject.kit().fail(fine).await?;
    for code in 1..=16 {
        let message = format!("code {code}: 100% \"naïve\" ключ");
        let request = FailRequest { code, message: message.clone(), note: String::new() };
        let Err(status) = subject.kit().fail(request).await else { return fail("the call was answered") };
        same("code", status.code(), Code::from_i32(code))?;
        same("message", status.message(), message)?;
        same("details without a note", details(&status).len(), 0)?;
    }
    Ok(())
}

async fn fail_details(subject: &Subject) -> Verdict {
    for code in 1..=16 {
        let (message, note) = (format!("code {code}\nsecond line"), format!("note {code}"));
        let request = FailRequest { code, message: message.clone(), note: note.clone() };
        let Err(status) = subject.kit().fail(request).await else { return fail("the call was answered") };
        same("code", status.code(), Code::from_i32(code))?;
        same("message", status.message(), message)?;
        let details = details(&status);
        let [detail] = &*details else { return fail(format!("{} details, not 1", details.len())) };
        same("type", &*detail.type_url, FAIL_DETAIL)?;
        same("detail", FailDetail::decode(&*detail.value)?, FailDetail { note, code })?;
    }
    Ok(())
}

async fn fail_long_message(subject: &Subject) -> Verdict {
    let message = "too long for one frame of headers, äöü; ".repeat(100);
    let request = FailRequest { code: 9, message: message.clone(), note: "and a note".to_owned() };
    let Err(status) = subject.kit().fail(request).await else { return fail("the call was answered") };
    same("code", status.code(), Code::FailedPrecondition)?;
    same("message", status.message(), message)
}

async fn unknown_method(subject: &Subject) -> Verdict {
    expect_unimplemented(subject, "/conformance.v1.Kit/NoSuchMethod").await
}

async fn unknown_service(subject: &Subject) -> Verdict {
    expect_unimplemented(subject, "/missing.Service/Method").await
}

async fn expect_unimplemented(subject: &Subject, path: &'static str) -> Verdict {
    let mut client = tonic::client::Grpc::new(subject.plugin.channel());
    client.ready().await?;
    let codec = tonic_prost::ProstCodec::<InfoRequest, InfoResponse>::default();
    let called = client.unary(Request::new(InfoRequest {}), PathAndQuery::from_static(path), codec).await;
    match called {
        Ok(_) => fail("the call was answered"),
        Err(status) => same("code", status.code(), Code::Unimplemented),
    }
}

async fn deadline(subject: &Subject) -> Verdict {
    let before = subject.info().await?.cancelled_calls;
    let begun = Instant::now();
    let request = within(Duration::from_millis(100), SleepRequest { ms: 20_000 });
    let Err(status) = subject.kit().sleep(request).await else { return fail("the call was answered") };
    same("code", status.code(), Code::DeadlineExceeded)?;
    expect(begun.elapsed() < Duration::from_secs(2), "the deadline came late")?;
    subject.expect_cancelled(before).await?;
    subject.kit().sleep(SleepRequest { ms: 1 }).await?;
    Ok(())
}

async fn deadline_long_enough(subject: &Subject) -> Verdict {
    subject.kit().sleep(within(NOTICED, SleepRequest { ms: 20 })).await?;
    Ok(())
}

async fn cancel(subject: &Subject) -> Verdict {
    let before = subject.info().await?;
    let mut kit = subject.kit();
    let sleeping = tokio::spawn(async move { kit.sleep(SleepRequest { ms: 20_000 }).await.map(|_| ()) });
    // The plugin must have the call before it is cancelled. Each poll is a call that counts too.
    let started = async {
        let mut looks = 0;
        while {
            looks += 1;
            subject.info().await?.calls < before.calls + looks + 1
        } {
            yield_now().await;
        }
        Verdict::Ok(())
    };
    timeout(NOTICED, started).await??;
    sleeping.abort();
    subject.expect_cancelled(before.cancelled_calls).await
}
