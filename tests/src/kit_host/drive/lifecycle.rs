//! From launch to exit: the state, health, output and events of a plugin.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use rpcplugin::{
    Exit, Versions,
    handshake::ReattachConfig,
    host::{Checksum, Event, ExitReason, LogRecord},
    plugin::ServingStatus,
};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus as Wire};

use crate::{
    contract::VERSIONS,
    kit_host::{
        drive::{
            answer::{Answer, Failure, base64},
            request::Fields,
            running::Running,
            slots::{Slot, Slots},
        },
        launching::Launching,
        status::within,
    },
    os,
    support::wait::holds_within,
};

pub(crate) async fn launch(slots: &mut Slots, handle: &str, mut fields: Fields) -> Result<Answer, Failure> {
    let mut launching = Launching::new(fields.required("command")?);
    launching.env = fields.take("env", launching.env)?;
    launching.env_clear = fields.take("env_clear", false)?;
    launching.auto_mtls = fields.take("auto_mtls", true)?;
    launching.mux = fields.take("mux", false)?;
    launching.versions =
        Versions::new(fields.take("versions", VERSIONS.to_vec())?).map_err(Failure::request)?;
    launching.tls_dir = fields.take::<Option<PathBuf>>("tls_dir", None)?;
    launching.launch_timeout = Duration::from_millis(fields.take("start_timeout_ms", 60_000)?);
    launching.socket_group = fields.take("socket_group", None)?;
    launching.checksum =
        fields.take::<Option<String>>("sha256", None)?.map(|digest| Checksum::sha256(&digest)).transpose()?;
    let supervise: Option<Supervision> = fields.take("supervise", None)?;
    fields.end()?;

    let slot = slots.fresh(handle)?;
    let running = match supervise {
        None => Running::Once(Box::new(launching.launch(&slot.recorder).await?)),
        Some(Supervision { max_restarts }) => {
            Running::Supervised(launching.supervise(max_restarts, &slot.recorder).await?)
        }
    };
    slot.running.insert(running).describe()
}

/// The number of restarts of a supervised plugin.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Supervision {
    max_restarts: u32,
}

pub(crate) async fn attach(slots: &mut Slots, handle: &str, mut fields: Fields) -> Result<Answer, Failure> {
    let reattach: Value = fields.required("reattach")?;
    fields.end()?;
    let config = ReattachConfig::parse(&reattach.to_string())?;
    let slot = slots.fresh(handle)?;
    let plugin = Launching::new(Vec::new()).host(&slot.recorder).attach(config).await?;
    slot.running.insert(Running::Once(Box::new(plugin))).describe()
}

pub(crate) fn reattach_config(slot: &Slot, fields: Fields) -> Result<Answer, Failure> {
    fields.end()?;
    match slot.running()? {
        Running::Once(plugin) => Ok(json!({ "reattach": written(&plugin.reattach_config()) })),
        Running::Supervised(_) => Err(Failure::unsupported("reattach_config of a supervised plugin")),
    }
}

pub(crate) async fn ping(slot: &Slot, fields: Fields) -> Result<Answer, Failure> {
    fields.end()?;
    let begun = Instant::now();
    let status = match slot.running()? {
        Running::Once(plugin) => plugin.ping().await?,
        supervised @ Running::Supervised(_) => {
            let request = HealthCheckRequest { service: "plugin".to_owned() };
            match supervised.health().check(within(PING_DEADLINE, request)).await?.get_ref().status() {
                Wire::Serving => ServingStatus::Serving,
                Wire::NotServing => ServingStatus::NotServing,
                _ => ServingStatus::Unknown,
            }
        }
    };
    let status = match status {
        ServingStatus::Serving => "SERVING",
        ServingStatus::NotServing => "NOT_SERVING",
        ServingStatus::Unknown => "UNKNOWN",
    };
    Ok(json!({ "status": status, "elapsed_us": micros(begun.elapsed()) }))
}

pub(crate) fn output(slot: &Slot, fields: Fields) -> Result<Answer, Failure> {
    fields.end()?;
    let recorded = slot.recorder.so_far();
    Ok(json!({
        "stdout": base64(&recorded.stdout),
        "stderr": base64(&recorded.stderr),
        "raw_stderr_tail": recorded.raw_stderr_tail(),
        "logs": recorded.logs.iter().map(log).collect::<Vec<_>>(),
    }))
}

pub(crate) fn events(slot: &Slot, fields: Fields) -> Result<Answer, Failure> {
    fields.end()?;
    let events: Vec<_> = slot.recorder.so_far().events.iter().filter_map(event).collect();
    Ok(json!({ "events": events }))
}

pub(crate) async fn stop(slot: &mut Slot, mut fields: Fields) -> Result<Answer, Failure> {
    let grace = Duration::from_millis(fields.take("grace_ms", 2000)?);
    fields.end()?;
    slot.running()?;
    let Some(running) = slot.running.take() else {
        return Err(Failure::state("the plugin has been stopped"));
    };
    slot.subs.clear();
    let begun = Instant::now();
    let exit = running.stop_within(grace).await;
    let elapsed = begun.elapsed();
    let (exit, reason) = match exit {
        Some(Exit::Clean) => (json!("clean"), Some(ExitReason::Status(0))),
        Some(Exit::Failed(reason)) => (json!({ "failed": exit_reason(&reason) }), Some(reason)),
        Some(Exit::Killed { signal, after }) => {
            let after_ms = millis(after);
            (
                json!({ "killed": { "signal": signal.number(), "after_ms": after_ms } }),
                Some(ExitReason::Signal(signal)),
            )
        }
        Some(exit @ Exit::StillRunning) => return Err(Failure::still_running(format!("the plugin {exit}"))),
        _ => (Value::Null, last_exit(slot)),
    };
    slot.ended = reason;
    Ok(json!({ "exit": exit, "elapsed_ms": millis(elapsed) }))
}

pub(crate) fn kill_pid(slot: &Slot, fields: Fields) -> Result<Answer, Failure> {
    fields.end()?;
    os::kill(slot.running()?.pid()?).map_err(Failure::state)?;
    Ok(json!({}))
}

/// Waits for the exit of the plugin; for a supervised plugin, of its last process.
pub(crate) async fn wait_exit(slot: &Slot, mut fields: Fields) -> Result<Answer, Failure> {
    let limit = Duration::from_millis(fields.take("timeout_ms", 10_000)?);
    fields.end()?;
    if slot.ended.is_none() {
        slot.running()?;
        holds_within(limit, || last_exit(slot).is_some()).await;
    }
    let reason = slot.ended.clone().or_else(|| last_exit(slot));
    reason.as_ref().map(exit_reason).ok_or_else(|| Failure::late("the plugin has not exited"))
}

fn last_exit(slot: &Slot) -> Option<ExitReason> {
    slot.recorder.so_far().events.iter().rev().find_map(|event| match event {
        Event::Exited { reason } => Some(reason.clone()),
        _ => None,
    })
}

/// The configuration as a JSON object.
fn written(config: &ReattachConfig) -> Value {
    let text = config.to_string();
    serde_json::from_str(&text).unwrap_or(Value::String(text))
}

fn log(record: &LogRecord) -> Value {
    let value = |json: &String| serde_json::from_str(json).unwrap_or_else(|_| Value::String(json.clone()));
    let fields: Map<_, _> = record.fields.iter().map(|(name, json)| (name.clone(), value(json))).collect();
    json!({
        "level": record.level.as_str(),
        "message": record.message,
        "module": record.module,
        "fields": fields,
        "timestamp": record.timestamp,
    })
}

/// The event as the contract describes it. `None` for events that are not in the contract.
fn event(event: &Event) -> Option<Value> {
    match event {
        Event::Started { .. } => Some(json!("started")),
        Event::Ready { .. } => Some(json!("ready")),
        Event::Exited { reason } => {
            let (status, signal) = (reason.status(), reason.signal().map(|signal| signal.number()));
            Some(json!({ "exited": { "status": status, "signal": signal } }))
        }
        Event::Restarting { attempt, delay } => {
            Some(json!({ "restarting": { "attempt": attempt, "delay_ms": millis(*delay) } }))
        }
        Event::GaveUp { .. } => Some(json!("gave_up")),
        _ => None,
    }
}

fn exit_reason(reason: &ExitReason) -> Value {
    match reason {
        ExitReason::Status(status) => json!({ "status": status }),
        ExitReason::Signal(signal) => json!({ "signal": signal.number(), "name": signal.name() }),
        _ => json!({}),
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

const PING_DEADLINE: Duration = Duration::from_secs(5);
