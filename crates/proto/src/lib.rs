//! Generated go-plugin messages and services; nothing by hand
