//! `call --script`: several calls of one plugin.

mod line;
mod source;

use rpcplugin::Plugin;
use serde_json::json;
use tokio::sync::OnceCell;

use self::{line::Line, source::Source};
use super::{
    exchange::Call, method, method_args::MethodArgs, references::Responses, requests::Requests, serve::Served,
};
use crate::{
    error::{CommandError, UsageError},
    exit::Exit,
    schema::{GivenFiles, Schema},
    ui::{Out, error_as_json, style::dim},
};

/// A script that has been opened.
#[derive(Debug)]
pub(super) struct Script(Source);

/// The calls of a script on one plugin.
struct Calls<'a> {
    plugin: &'a Plugin,
    args: &'a MethodArgs,
    schemas: Schemas<'a>,
    served: Served,
    responses: Responses,
}

/// The descriptions of methods.
struct Schemas<'a> {
    plugin: &'a Plugin,
    given: Option<&'a GivenFiles>,
    /// What the files alone describe.
    files: Option<Schema>,
    /// What files and plugin describe.
    whole: OnceCell<Schema>,
}

impl Script {
    /// Opens the script that the arguments name. Returns `None` if they name a method.
    ///
    /// # Errors
    /// A file that cannot be read, or has an invalid line.
    pub(super) fn of(args: &MethodArgs) -> Result<Option<Self>, UsageError> {
        args.is_script.then(|| Source::open(&args.method).map(Self)).transpose()
    }

    /// Makes the calls, and prints responses and errors. Returns the exit code of the first call that failed.
    pub(super) async fn run(
        mut self,
        served: Served,
        given: Option<&GivenFiles>,
        plugin: &Plugin,
        args: &MethodArgs,
        out: &mut Out,
    ) -> Exit {
        let files = given.map(Schema::of_files);
        let schemas = Schemas { plugin, given, files, whole: OnceCell::new() };
        let mut calls = Calls { plugin, args, schemas, served, responses: Responses::default() };
        let mut first_failure = None;
        while let Some(line) = self.0.next().await {
            let exit = calls.call(line, out).await;
            if exit != Exit::Ok {
                first_failure.get_or_insert(exit);
            }
            let is_over = exit == Exit::PluginExited || out.has_lost_stdout();
            if is_over || first_failure.is_some() && !args.keep_going {
                break;
            }
        }
        first_failure.unwrap_or(Exit::Ok)
    }
}

impl Calls<'_> {
    /// Makes the call of a line, and prints its error.
    async fn call(&mut self, line: Result<Line, UsageError>, out: &mut Out) -> Exit {
        let (number, heading, called) = match line {
            // The error names the line.
            Err(error) => (None, None, Err(error.into())),
            Ok(line) => {
                let heading = format!("{}: {}", line.place, line.method);
                (Some(line.place.line), Some(heading), self.make(&line, out).await)
            }
        };
        called.unwrap_or_else(|CommandError { exit, report }| {
            if out.is_json() {
                let mut error = error_as_json(report.as_ref());
                if let Some(number) = number {
                    error["line"] = number.into();
                }
                out.json(&json!({ "error": error }));
            } else {
                heading.into_iter().for_each(|heading| out.note(dim(heading)));
                out.report(&report);
            }
            exit
        })
    }

    /// Makes the call of a line, and keeps its response.
    async fn make(&mut self, line: &Line, out: &mut Out) -> Result<Exit, CommandError> {
        let made = self.exchange(line, out).await;
        self.served.show_calls(out);
        if let Some(name) = &line.name {
            match &made {
                Ok((Exit::Ok, json)) => self.responses.insert(name, json.clone()),
                // An earlier response must not stand for that of a call that fails.
                _ => self.responses.remove(name),
            }
        }
        made.map(|(exit, _)| exit)
    }

    /// Makes the call of a line. Returns the exit code, and the response as JSON if it has a name.
    async fn exchange(&mut self, line: &Line, out: &mut Out) -> Result<(Exit, String), CommandError> {
        let json = text(line)?;
        let (plugin, args) = (self.plugin, self.args);
        let schema = self.schemas.with(&line.method).await;
        let method = method::find(schema, &line.method)?;
        let json = self.served.prepared(json, &method, (plugin, schema), &mut self.responses).await?;
        // The columns of a line are those of the script.
        let begin = if line.data.starts_with('@') { (1, 1) } else { (line.place.line, line.column) };
        let requests = Requests::of_text(self.responses.replaced(&json)?, begin, &method);
        let call = Call { plugin, schema, method: &method, args, place: Some(&line.place) };
        let mut kept = line.name.as_ref().map(|_| Vec::new());
        let exit = call.make(requests, kept.as_mut(), out).await?;
        let mut kept = kept.unwrap_or_default();
        let json = match method.is_server_streaming() {
            true => format!("[{}]", kept.join(",")),
            false => kept.pop().unwrap_or_default(),
        };
        Ok((exit, json))
    }
}

impl Schemas<'_> {
    /// Returns the schema with the method: from the files alone if they describe it, and otherwise from the plugin too.
    async fn with(&self, method: &str) -> &Schema {
        match &self.files {
            Some(files) if method::find(files, method).is_ok() => files,
            _ => {
                let whole = async || Schema::of(self.given, &self.plugin.channel()).await;
                self.whole.get_or_init(whole).await
            }
        }
    }
}

/// Returns the JSON of a line, or of the file that the line names.
fn text(line: &Line) -> Result<String, UsageError> {
    let Some(path) = line.data.strip_prefix('@') else { return Ok(line.data.clone()) };
    std::fs::read_to_string(path).map_err(|error| {
        UsageError::new(format!("{path} cannot be read: {error}"), "name a file with JSON after the @")
    })
}
