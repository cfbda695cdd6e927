//! Brokered connections in both directions.

use std::sync::atomic::Ordering::Relaxed;

use rpcplugin::broker::{Broker, ServiceId};
use tonic::Status;

use crate::{
    contract::{in_one_line, reversed},
    kit_host::host_calls,
    pb::{CallbackRequest, CloseRequest, GreetRequest, OpenSubRequest, TicksRequest, sub_client::SubClient},
    soak::{
        caller::{Caller, Failed, message, within},
        world::DEADLINE,
    },
};

/// The plugin dials a service of the host, and the host dials one of the plugin if the calls are nested.
pub(crate) async fn callback(caller: &Caller, broker: &Broker, calls: u32, nested: bool) {
    let data = format!("{} {}", caller.who, caller.number()).into_bytes();
    let mut kit = caller.kit.clone();
    let call = async {
        let served = host_calls::serve(broker).await;
        let served = served.map_err(|error| Status::aborted(in_one_line(&error)))?;
        let request = CallbackRequest { broker_id: served.id().0, calls, data: data.clone(), nested };
        let answer = message(kit.callback(within(DEADLINE, request))).await;
        served.stop().await;
        answer
    };
    let called = caller.ask("Callback", DEADLINE, call).await;
    let Some(answer) = caller.answer("Callback", called) else { return };
    let counts = &caller.world.counts;
    counts.brokered.fetch_add(1 + u64::from(nested), Relaxed);
    counts.calls.fetch_add(u64::from(calls) + u64::from(nested), Relaxed);
    counts.answered.fetch_add(u64::from(calls) + u64::from(nested), Relaxed);
    let results =
        answer.results.len() == calls as usize && answer.results.iter().all(|got| *got == reversed(&data));
    let greeting = if nested { "hello host from nested" } else { "" };
    if !results || answer.greeting != greeting {
        caller.broken(format_args!("Callback has another answer: {answer:?}"));
    }
}

/// The host dials a new service of the plugin.
pub(crate) async fn open_sub(caller: &Caller, broker: &Broker, ticks: i64) {
    let called = try_open_sub(caller, broker, ticks).await;
    caller.answer("OpenSub", called);
}

/// The same, whose failure is no fault if the plugin lacks something.
pub(crate) async fn try_open_sub(caller: &Caller, broker: &Broker, ticks: i64) -> Option<Result<(), Failed>> {
    let label = caller.number().to_string();
    let mut kit = caller.kit.clone();
    let request = within(DEADLINE, OpenSubRequest { label: label.clone() });
    let opened = match caller.ask("OpenSub", DEADLINE, message(kit.open_sub(request))).await? {
        Ok(opened) => opened,
        Err(failed) => return Some(Err(failed)),
    };
    let call = async {
        let channel = broker.dial(ServiceId(opened.broker_id)).await;
        let channel = channel.map_err(|error| Status::aborted(in_one_line(&error)))?;
        let mut sub = SubClient::new(channel);
        let greeting = message(sub.greet(within(DEADLINE, GreetRequest { name: "you".to_owned() }))).await?;
        let mut stream = message(sub.ticks(within(DEADLINE, TicksRequest { n: ticks }))).await?;
        let mut values = Vec::new();
        while let Some(tick) = stream.message().await? {
            values.push(tick.value);
        }
        sub.close(within(DEADLINE, CloseRequest {})).await?;
        Ok((greeting.text, values))
    };
    let dialled = caller.bounded("Greet", DEADLINE, call).await;
    if !matches!(dialled, Some(Ok(_))) {
        caller.sub_is_open(opened.broker_id);
    }
    let dialled = dialled?;
    Some(dialled.map(|(greeting, values)| {
        let counts = &caller.world.counts;
        counts.brokered.fetch_add(1, Relaxed);
        counts.calls.fetch_add(2, Relaxed);
        counts.answered.fetch_add(2, Relaxed);
        if greeting != format!("hello you from {label}") || !values.iter().copied().eq(0..ticks) {
            caller.broken(format_args!("Sub {label} has other answers: {greeting:?}, {values:?}"));
        }
    }))
}

/// Closes the services of the plugin that could not be called because of a fault.
pub(crate) async fn close_open_subs(caller: &Caller, broker: &Broker) {
    for id in caller.take_open_subs() {
        let call = async {
            let channel = broker.dial(ServiceId(id)).await;
            let channel = channel.map_err(|error| Status::aborted(in_one_line(&error)))?;
            message(SubClient::new(channel).close(within(DEADLINE, CloseRequest {}))).await
        };
        // The address of a service can be dialled once. Without it the service stays, as the contract of the kit has it.
        if !matches!(caller.bounded("Close", DEADLINE, call).await, Some(Ok(_))) {
            caller.sub_stays();
        }
    }
}
