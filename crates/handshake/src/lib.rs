//! The offer a go-plugin host makes by environment and the answer a plugin prints: text in, values out
