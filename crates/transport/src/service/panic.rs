//! The status of a call whose handler panicked.

use std::any::Any;

use tonic::Status;

/// Returns the status of a call whose handler panicked. The panic hook prints the panic itself, with its backtrace.
pub(crate) fn panicked(panic: &(dyn Any + Send)) -> Status {
    let message = panic.downcast_ref::<&str>().copied();
    let message = message.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    Status::internal(match message {
        None => "the handler panicked".to_owned(),
        Some(message) => {
            // Peers limit the length of a status. The log of this side has the whole message.
            let end = (0..=message.len().min(MAX_MESSAGE)).rfind(|end| message.is_char_boundary(*end));
            let (message, rest) = message.split_at(end.unwrap_or_default());
            format!("the handler panicked: {message}{}", if rest.is_empty() { "" } else { "…" })
        }
    })
}

/// How many bytes of a panic's message are sent.
const MAX_MESSAGE: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_with_any_payload_has_a_short_message() {
        let panic = |payload: Box<dyn Any + Send>| panicked(&*payload).message().to_owned();
        assert_eq!(panic(Box::new("a str")), "the handler panicked: a str");
        assert_eq!(panic(Box::new("a string".to_owned())), "the handler panicked: a string");
        assert_eq!(panic(Box::new(7)), "the handler panicked");
        let long = panic(Box::new("é".repeat(10_000)));
        assert!(long.ends_with("é…") && long.len() < 1100, "{}", long.len());
    }
}
