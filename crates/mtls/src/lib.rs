//! One-time identities and TLS settings that trust exactly what was agreed
