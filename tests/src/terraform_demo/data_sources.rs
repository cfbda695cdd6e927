//! The data sources. Two compute a value, and five have an effect on the plugin that a host must handle.

use std::io::{self, Write as _};
use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::Duration;

use rpcplugin::hclog::{Json, Sink as _};
use rpcplugin::plugin::OriginalStderr;
use serde_json::json;
use tokio::sync::Notify;
use tokio::time::sleep;
use tonic::async_trait;

use super::diagnostics::{Diagnostic, Diagnostics};
use super::framework::{DataSource, text};
use super::schema::{Attribute, Schema};
use super::value::{Object, Type, Value};

/// `demo_echo`: a text in upper case, and its length.
pub(crate) struct Echo;

/// `demo_describe`: the type that a host sends with a dynamic value.
pub(crate) struct Describe;

/// `demo_stdio`: prints. The host receives the output through the stdio service.
pub(crate) struct Stdio;

/// `demo_log`: logs.
pub(crate) struct Log;

/// `demo_crash`: ends the process like a panic in Go. Notifies `main`, which ends it.
pub(crate) struct Crash(pub(crate) Arc<Notify>);

/// `demo_panic`: panics. The call fails, and the process continues.
pub(crate) struct Panic;

/// `demo_slow`: waits until its time is over, or until a stop.
pub(crate) struct Slow(pub(crate) Arc<Notify>);

#[async_trait]
impl DataSource for Echo {
    fn schema(&self) -> Schema {
        Schema::new()
            .attribute(Attribute::required("text", Type::String))
            .attribute(Attribute::computed("upper", Type::String))
            .attribute(Attribute::computed("length", Type::Number))
    }

    async fn read(&self, config: Object) -> Result<Object, Diagnostics> {
        let text = text(&config, "text")?;
        let (upper, length) = (text.to_uppercase(), text.chars().count() as u64);
        Ok(with(with(config, "upper", upper), "length", length))
    }
}

#[async_trait]
impl DataSource for Describe {
    fn schema(&self) -> Schema {
        Schema::new()
            .attribute(Attribute::required("value", Type::Dynamic))
            .attribute(Attribute::computed("type_json", Type::String))
    }

    async fn read(&self, config: Object) -> Result<Object, Diagnostics> {
        let type_json = match config.get("value") {
            Some(Value::Dynamic(value)) => value.type_json.clone(),
            _ => Type::Dynamic.to_string(),
        };
        Ok(with(config, "type_json", type_json))
    }
}

#[async_trait]
impl DataSource for Stdio {
    fn schema(&self) -> Schema {
        Schema::new()
            .attribute(Attribute::optional("stdout", Type::String))
            .attribute(Attribute::optional("stderr", Type::String))
            .attribute(Attribute::computed("done", Type::Bool))
    }

    async fn read(&self, config: Object) -> Result<Object, Diagnostics> {
        let given = |name: &str| config.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (stdout, stderr) = (given("stdout"), given("stderr"));
        // On a thread of its own: printing may block until the host reads.
        let printed = tokio::task::spawn_blocking(move || print(&stdout, &stderr)).await;
        printed.map_err(io::Error::other).and_then(|printed| printed).map_err(|error| {
            Diagnostics::from(Diagnostic::error("Cannot print").detail(error.to_string()))
        })?;
        sleep(Duration::from_millis(300)).await;
        Ok(done(config))
    }
}

fn print(stdout: &str, stderr: &str) -> io::Result<()> {
    io::stdout().write_all(stdout.as_bytes())?;
    io::stdout().flush()?;
    io::stderr().write_all(stderr.as_bytes())
}

#[async_trait]
impl DataSource for Log {
    fn schema(&self) -> Schema {
        Schema::new()
            .attribute(Attribute::required("level", Type::String))
            .attribute(Attribute::required("message", Type::String))
            .attribute(Attribute::computed("done", Type::Bool))
    }

    async fn read(&self, config: Object) -> Result<Object, Diagnostics> {
        let (level, message) = (text(&config, "level")?, text(&config, "message")?);
        let nested = Json(json!({ "a": [1, true, null] }));
        match rpcplugin::hclog::Level::parse(level).map(tracing::Level::from) {
            Some(tracing::Level::TRACE) => tracing::trace!(answer = 42, %nested, "{message}"),
            Some(tracing::Level::DEBUG) => tracing::debug!(answer = 42, %nested, "{message}"),
            Some(tracing::Level::INFO) => tracing::info!(answer = 42, %nested, "{message}"),
            Some(tracing::Level::WARN) => tracing::warn!(answer = 42, %nested, "{message}"),
            Some(tracing::Level::ERROR) => tracing::error!(answer = 42, %nested, "{message}"),
            None => {
                let detail = format!("{level:?} is not one of trace, debug, info, warn and error");
                return Err(Diagnostic::error("Unknown level").detail(detail).at("level").into());
            }
        }
        sleep(Duration::from_millis(200)).await;
        Ok(done(config))
    }
}

#[async_trait]
impl DataSource for Crash {
    fn schema(&self) -> Schema {
        Schema::new()
            .attribute(Attribute::required("message", Type::String))
            .attribute(Attribute::computed("done", Type::Bool))
    }

    async fn read(&self, config: Object) -> Result<Object, Diagnostics> {
        let message = text(&config, "message")?;
        if let Ok(stderr) = OriginalStderr::get() {
            let trace = format!("panic: {message}\n\ngoroutine 1 [running]:\nmain.main()\n");
            stderr.write_line(trace.as_bytes());
        }
        // Terraform reads the trace beside the calls, and does not wait for the rest of it when a call fails.
        sleep(Duration::from_millis(300)).await;
        self.0.notify_one();
        std::future::pending().await
    }
}

#[async_trait]
impl DataSource for Panic {
    fn schema(&self) -> Schema {
        Schema::new()
            .attribute(Attribute::required("message", Type::String))
            .attribute(Attribute::computed("done", Type::Bool))
    }

    async fn read(&self, config: Object) -> Result<Object, Diagnostics> {
        let message = text(&config, "message")?.to_owned();
        let Err(panicked) = tokio::spawn(async move { panic!("{message}") }).await;
        // As above: the trace is there, and the panic ends the call afterwards.
        sleep(Duration::from_millis(300)).await;
        resume_unwind(panicked.into_panic())
    }
}

#[async_trait]
impl DataSource for Slow {
    fn schema(&self) -> Schema {
        Schema::new()
            .attribute(Attribute::required("seconds", Type::Number))
            .attribute(Attribute::computed("done", Type::Bool))
    }

    async fn read(&self, config: Object) -> Result<Object, Diagnostics> {
        let seconds = config.get("seconds").and_then(Value::as_number).map(super::value::Number::to_f64);
        let time = Duration::try_from_secs_f64(seconds.unwrap_or(f64::NAN)).map_err(|error| {
            Diagnostics::from(Diagnostic::error("No time to wait").detail(error.to_string()).at("seconds"))
        })?;
        tokio::select! {
            () = self.0.notified() => Err(Diagnostic::error("Stopped").into()),
            () = sleep(time) => Ok(done(config)),
        }
    }
}

fn with(mut object: Object, attribute: &str, value: impl Into<Value>) -> Object {
    object.insert(attribute.to_owned(), value.into());
    object
}

fn done(config: Object) -> Object {
    with(config, "done", true)
}
