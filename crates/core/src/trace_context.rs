//! The trace context of a call, which passes from process to process.

use std::fmt;

/// The place of a call in a distributed trace (W3C Trace Context).
///
/// Two headers carry the context to another process: `traceparent` and `tracestate`. An invalid `traceparent` gives no context. A
/// `tracestate` that is too long is left out.
///
/// ```
/// # use rpcplugin_core::TraceContext;
/// let header = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
/// let context = TraceContext::parse(header, Some("vendor=value")).expect("it is valid");
/// assert_eq!(context.traceparent(), header);
/// assert!(context.is_sampled());
///
/// // A call made on behalf of another is its child, in the same trace.
/// let child = context.child(0xb7ad6b7169203331);
/// assert_eq!(child.traceparent(), "00-4bf92f3577b34da6a3ce929d0e0e4736-b7ad6b7169203331-01");
/// assert_eq!(child.tracestate(), "vendor=value");
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct TraceContext {
    trace: u128,
    span: u64,
    flags: u8,
    state: String,
}

impl TraceContext {
    /// The header with the context.
    pub const TRACEPARENT: &'static str = "traceparent";
    /// The header with the additions of tracing systems.
    pub const TRACESTATE: &'static str = "tracestate";

    /// Creates a context. Returns `None` if an id is 0, which stands for no id.
    #[must_use]
    pub fn new(trace: u128, span: u64, sampled: bool) -> Option<Self> {
        (trace != 0 && span != 0).then(|| Self { trace, span, flags: sampled.into(), state: String::new() })
    }

    /// Parses the two headers.
    #[must_use]
    pub fn parse(traceparent: &str, tracestate: Option<&str>) -> Option<Self> {
        let mut parts = traceparent.trim_matches([' ', '\t']).split('-');
        let version = hex(parts.next()?, 2)?;
        let trace = hex(parts.next()?, 32)?;
        let span = hex(parts.next()?, 16)?;
        let flags = hex(parts.next()?, 2)?;
        // Version 0 has exactly these parts. A later version may have more. Version 255 is forbidden.
        if version == 0xff || (version == 0 && parts.next().is_some()) {
            return None;
        }
        let mut context = Self::new(trace, u64::try_from(span).ok()?, flags & SAMPLED != 0)?;
        let fits = |state: &&str| state.len() <= LONGEST_STATE && state.bytes().all(is_printable);
        context.state = tracestate.filter(fits).unwrap_or_default().to_owned();
        Some(context)
    }

    /// Returns the context of a call within this one. An id of 0 becomes 1.
    #[must_use]
    pub fn child(&self, span: u64) -> Self {
        Self { span: span.max(1), ..self.clone() }
    }

    /// The value of the header `traceparent`.
    #[must_use]
    pub fn traceparent(&self) -> String {
        format!("00-{:032x}-{:016x}-{:02x}", self.trace, self.span, self.flags)
    }

    /// The value of the header `tracestate`, or empty text.
    #[must_use]
    pub fn tracestate(&self) -> &str {
        &self.state
    }

    /// The id of the trace, which all calls of the trace share. Never 0.
    #[must_use]
    pub fn trace_id(&self) -> u128 {
        self.trace
    }

    /// The id of the call. Never 0.
    #[must_use]
    pub fn span_id(&self) -> u64 {
        self.span
    }

    /// Whether the caller records this trace.
    #[must_use]
    pub fn is_sampled(&self) -> bool {
        u128::from(self.flags) & SAMPLED != 0
    }
}

impl fmt::Debug for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TraceContext").field(&self.traceparent()).finish()
    }
}

/// Parses this many lower-case hexadecimal digits.
fn hex(text: &str, digits: usize) -> Option<u128> {
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let fits = text.len() == digits && text.bytes().all(is_digit);
    fits.then(|| u128::from_str_radix(text, 16).ok()).flatten()
}

/// Whether a header can have the byte.
fn is_printable(byte: u8) -> bool {
    (b' '..=b'~').contains(&byte)
}

const SAMPLED: u128 = 1;

/// W3C Trace Context, 3.3.1.5: a state up to this length must be passed on unchanged.
const LONGEST_STATE: usize = 512;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const VALID: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn valid_headers_are_parsed() {
        let context = TraceContext::parse(VALID, Some("vendor=value")).expect("valid");
        assert_eq!(context.trace_id(), 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736);
        assert_eq!(context.span_id(), 0x00f0_67aa_0ba9_02b7);
        assert!(context.is_sampled());
        assert_eq!(context.tracestate(), "vendor=value");
        assert_eq!(format!("{context:?}"), format!("TraceContext({VALID:?})"));
        let child = context.child(0);
        assert_eq!((child.trace_id(), child.span_id()), (context.trace_id(), 1));
        assert!(TraceContext::parse(&format!(" {VALID}\t"), None).is_some());
        let later = "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what-the-future-brings";
        assert_eq!(TraceContext::parse(later, None), TraceContext::parse(VALID, None));
        let unsampled = TraceContext::parse(&VALID.replace("-01", "-00"), None).expect("valid");
        assert!(!unsampled.is_sampled());
    }

    #[test]
    fn invalid_headers_are_refused() {
        for bad in [
            "",
            "00",
            &VALID.to_uppercase(),
            &VALID.replace("00-4", "ff-4"),
            &format!("{VALID}-more"),
            &VALID.replace("00f067aa0ba902b7", "0000000000000000"),
            &VALID.replace("4bf92f3577b34da6a3ce929d0e0e4736", "00000000000000000000000000000000"),
            &VALID.replace("-01", "-1"),
            &VALID.replace("00f0", "+0f0"),
        ] {
            assert_eq!(TraceContext::parse(bad, None), None, "{bad}");
        }
    }

    #[test]
    fn a_state_that_is_too_long_is_left_out() {
        let longest = "x".repeat(512);
        assert_eq!(TraceContext::parse(VALID, Some(&longest)).expect("valid").tracestate(), longest);
        for bad in [longest + "x", "a=\u{e9}".to_owned(), "a=b\r\nc: d".to_owned()] {
            assert_eq!(TraceContext::parse(VALID, Some(&bad)).expect("valid").tracestate(), "");
        }
    }

    proptest! {
        #[test]
        fn parsing_never_panics(parent in ".{0,80}", state in prop::option::of(".{0,80}")) {
            let _ = TraceContext::parse(&parent, state.as_deref());
        }

        #[test]
        fn a_rendered_context_is_parsed_back(trace: u128, span: u64, sampled: bool) {
            if let Some(context) = TraceContext::new(trace, span, sampled) {
                prop_assert_eq!(TraceContext::parse(&context.traceparent(), Some("")), Some(context));
            }
        }
    }
}
