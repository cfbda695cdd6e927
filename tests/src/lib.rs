//! Programs and helpers that the process and interoperability tests start.
