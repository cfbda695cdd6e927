//! `call --script`: several calls of one plugin.

mod line;
mod references;
mod source;

use rpcplugin::Plugin;
use serde_json::json;
use tokio::sync::OnceCell;

use self::{line::Line, references::Responses, source::Source};
use super::{exchange::Call, method, method_args::MethodArgs, requests::Requests};
use crate::{
    error::{CommandError, UsageError},
    exit::Exit,
    schema::{GivenFiles, Schema},
    ui::{Out, error_as_json, style::dim},
};

/// A script that has been opened.
#[derive(Debug)]
pub(crate) struct Script(Source);

/// The calls of a script on one plugin.
struct Calls<'a> {
    plugin: &'a Plugin,
    args: &'a MethodArgs,
    given: Option<&'a GivenFiles>,
    /// What the files alone describe.
    files: Option<Schema>,
    /// What files and plugin describe.
    whole: OnceCell<Schema>,
    responses: Responses,
}

impl Script {
    /// Opens the script that the arguments name. Returns `None` if they name a method.
    ///
    /// # Errors
    /// A file that cannot be read, or has an invalid line.
    pub(crate) fn of(args: &MethodArgs) -> Result<Option<Self>, UsageError> {
        args.is_script.then(|| Source::open(&args.method).map(Self)).transpose()
    }

    /// Makes the calls, and prints responses and errors. Returns the exit code of the first call that failed.
    pub(super) async fn run(
        mut self,
        given: Option<&GivenFiles>,
        plugin: &Plugin,
        args: &MethodArgs,
        out: &mut Out,
    ) -> Exit {
        let files = given.map(Schema::of_files);
        let responses = Responses::default();
        let mut calls = Calls { plugin, args, given, files, whole: OnceCell::new(), responses };
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

    async fn make(&mut self, line: &Line, out: &mut Out) -> Result<Exit, CommandError> {
        let json = self.json(line);
        if let Some(name) = &line.name {
            // An earlier response must not stand for that of a call that fails.
            self.responses.remove(name);
        }
        let json = json?;
        let schema = self.schema(&line.method).await;
        let method = method::find(schema, &line.method)?;
        // The columns of a file are those of the file.
        let begin = if line.data.starts_with('@') { (1, 1) } else { (line.place.line, line.column) };
        let requests = Requests::of_text(json, begin, &method);
        let (plugin, args) = (self.plugin, self.args);
        let call = Call { plugin, schema, method: &method, args, place: Some(&line.place) };
        let mut kept = line.name.as_ref().map(|_| Vec::new());
        let exit = call.make(requests, kept.as_mut(), out).await?;
        if let (Exit::Ok, Some(name), Some(mut kept)) = (exit, &line.name, kept) {
            let json = match method.is_server_streaming() {
                true => format!("[{}]", kept.join(",")),
                false => kept.pop().unwrap_or_default(),
            };
            self.responses.insert(name, json);
        }
        Ok(exit)
    }

    /// Returns the JSON of the requests, with the values of earlier responses.
    fn json(&self, line: &Line) -> Result<String, UsageError> {
        match line.data.strip_prefix('@') {
            None => self.responses.replaced(&line.data),
            Some(path) => {
                let text = std::fs::read_to_string(path).map_err(|error| {
                    let message = format!("{path} cannot be read: {error}");
                    UsageError::new(message, "name a file with JSON after the @")
                });
                self.responses.replaced(&text?)
            }
        }
    }

    /// Returns the schema with the method: from the files alone if they describe it, and otherwise from the plugin too.
    async fn schema(&self, wanted: &str) -> &Schema {
        match &self.files {
            Some(files) if method::find(files, wanted).is_ok() => files,
            _ => {
                let whole = async || Schema::of(self.given, &self.plugin.channel()).await;
                self.whole.get_or_init(whole).await
            }
        }
    }
}
